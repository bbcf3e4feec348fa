"""Labeled video: this package beside DeepLabCut's ``create_labeled_video``, on the same video.

Each side runs in a process of its own, which may use the same number of cores, in turn; what is
timed is the call, without the imports. Both draw the same points with the same dots (and trail and
skeleton, if asked for) into every frame of the same file. Before a time is printed, both results
are decoded: they must have as many frames as the original, and a dot of the right colour where it
belongs.

``python -m benchmarks.labeled_video --frames 600 --size 640x480 --skeleton --trail 5`` measures
another case than the table's.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import yaml

from element_deeplabcut.colors import name_colors
from workflow_deeplabcut import synthetic

from .rows import Row

GOAL = 0.7
SIDES = ("ours", "deeplabcut")
SCORER = "DLC_known"
SETTINGS = {"dotsize": 6, "colormap": "rainbow", "skeleton_color": "white", "pcutoff": 0.6}


def measure(options: argparse.Namespace) -> list[Row]:
    """Compare the two, with and without a skeleton."""
    rows = []
    for skeleton in (False, True):
        case = parse_arguments([])
        case.frames, case.cores, case.repeats = (
            options.video_frames, options.cores, options.video_repeats,
        )  # fmt: skip
        case.skeleton = skeleton
        rows.append(compare(case))
    return rows


def main() -> None:
    """Run the benchmark alone, or one side of it."""
    options = parse_arguments(sys.argv[1:])
    if options.side:
        print(json.dumps(run_side(options)))
    else:
        print(compare(options))


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read what is to be drawn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--trail", type=int, default=0)
    parser.add_argument("--skeleton", action="store_true")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def compare(options: argparse.Namespace) -> Row:
    """Run both sides in turn and compare their times."""
    rounds = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        positions = prepare(folder, options)
        for number in range(options.repeats):
            answers = {}
            for side in sorted(SIDES, reverse=bool(number % 2)):
                answers[side] = start_side(side, options, folder)
            for answer in answers.values():
                check(Path(answer["file"]), positions)
            rounds.append(answers)

    def divide(clock: str) -> list[float]:
        return [each["ours"][clock] / each["deeplabcut"][clock] for each in rounds]

    rate = options.frames / statistics.median(each["ours"]["wall"] for each in rounds)
    extra = f", trail {options.trail}" * bool(options.trail) + ", skeleton" * options.skeleton
    return Row.of(
        f"labeled video{extra}", divide("wall"), GOAL,
        f"of create_labeled_video; {options.size}, {options.cores} core, {rate:.0f} frames/s; "
        "bound by decoding and encoding, five sixths of it; "
        f"cpu {statistics.median(divide('cpu')):.2f}",
    )  # fmt: skip


def prepare(folder: Path, options: argparse.Namespace) -> np.ndarray:
    """Film the animal, and write its true positions as results of DeepLabCut."""
    width, height = (int(side) for side in options.size.split("x"))
    video = folder / "mouse.mp4"
    raw = folder / "raw.mp4"
    positions = synthetic.render_video(raw, options.frames, width=width, height=height, seed=3)
    compress(raw, video)
    config = synthetic.write_project(folder, {video: positions}, n_labelled=2)
    settings = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**settings, **SETTINGS}, sort_keys=False))
    columns = pd.MultiIndex.from_product(
        [[SCORER], synthetic.BODY_PARTS, ["x", "y", "likelihood"]],
        names=["scorer", "bodyparts", "coords"],
    )
    values = np.concatenate([positions, np.ones((*positions.shape[:2], 1))], axis=2)
    table = pd.DataFrame(values.reshape(options.frames, -1), columns=columns)
    table.to_hdf(folder / f"mouse{SCORER}.h5", key="df_with_missing", format="table", mode="w")
    meta = {"data": {"cropping": False, "cropping_parameters": [0, width, 0, height]}}
    pd.to_pickle(meta, folder / f"mouse{SCORER}_meta.pickle")
    np.save(folder / "positions.npy", positions)
    return positions


def compress(raw: Path, video: Path) -> None:
    """Compress a video as labs store theirs; the animal's own is nearly free of losses."""
    with av.open(str(raw)) as source, av.open(str(video), "w") as target:
        stream = target.add_stream("libx264", rate=30, options={"preset": "medium", "crf": "20"})
        given = source.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = given.width, given.height, "yuv420p"
        for index, frame in enumerate(source.decode(video=0)):
            frame.pts, frame.time_base, frame.pict_type = index, Fraction(1, 30), 0
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def start_side(side: str, options: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Run one side in a process that may use as many cores as the other."""
    cores = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[: options.cores])
    threads = {
        name: str(options.cores)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FFMPEG_THREADS")
    }
    command = [
        "taskset", "-c", cores, sys.executable, "-m", "benchmarks.labeled_video",
        "--side", side, "--folder", str(folder),
        "--cores", str(options.cores), "--frames", str(options.frames),
        "--trail", str(options.trail),
        *(["--skeleton"] if options.skeleton else []),
    ]  # fmt: skip
    answer = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
        env={**os.environ, **threads, "DLClight": "True"},
    )
    return json.loads(answer.stdout.splitlines()[-1])


def run_side(options: argparse.Namespace) -> dict[str, object]:
    """Make one labeled video; say how long it took and where it is."""
    prepare_call = prepare_ours if options.side == "ours" else prepare_deeplabcut
    call, pattern = prepare_call(options)
    wall, cpu = time.perf_counter(), read_processor_time()
    call()
    wall, cpu = time.perf_counter() - wall, read_processor_time() - cpu
    (file,) = options.folder.glob(pattern)
    return {"file": str(file), "wall": wall, "cpu": cpu}


def read_processor_time() -> float:
    """Seconds of processor time of this process and its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def prepare_ours(options: argparse.Namespace) -> tuple[Callable[[], object], str]:
    """Give the call that draws with this package, and the name of its file."""
    from element_deeplabcut.drawing import draw_labeled_video, resolve_style

    config = {**SETTINGS, "skeleton": synthetic.SKELETON}
    style = resolve_style(
        {"draw_skeleton": options.skeleton, "alphavalue": 1.0, "trailpoints": options.trail},
        config,
        synthetic.BODY_PARTS,
    )
    positions = np.load(options.folder / "positions.npy")[:, :, None]
    likelihood = np.ones(positions.shape[:3])
    call = functools.partial(
        draw_labeled_video,
        options.folder / "mouse.mp4",
        options.folder / "ours.mp4",
        lambda start, stop: (positions[start:stop], likelihood[start:stop]),
        style,
        n_frames=options.frames,
        rate=Fraction(30),
        threads=options.cores,
    )
    return call, "ours.mp4"


def prepare_deeplabcut(options: argparse.Namespace) -> tuple[Callable[[], object], str]:
    """Give the call that draws with DeepLabCut's fast mode, its default."""
    import cv2
    import deeplabcut

    cv2.setNumThreads(options.cores)
    (config,) = options.folder.glob("*/config.yaml")

    def call() -> None:
        with contextlib.redirect_stdout(sys.stderr):  # the last line of stdout is the answer
            deeplabcut.create_labeled_video(
                str(config),
                [str(options.folder / "mouse.mp4")],
                init_weights="known",
                draw_skeleton=options.skeleton,
                trailpoints=options.trail,
                overwrite=True,
            )

    return call, "mouse*labeled.mp4"


def check(file: Path, positions: np.ndarray) -> None:
    """Insist that a labeled video has every frame, and dots where they belong."""
    colors = np.array(list(name_colors(synthetic.BODY_PARTS, "rainbow").values()), float)
    n_frames = 0
    with av.open(str(file)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            n_frames += 1
            if index % 50 == 0:
                picture = frame.to_ndarray(format="rgb24")
                for part, (x, y) in enumerate(positions[index].round().astype(int)):
                    seen = picture[y - 1 : y + 2, x - 1 : x + 2].mean(axis=(0, 1))
                    distances = np.abs(colors - seen).sum(axis=1)
                    if distances.argmin() != part:
                        sys.exit(f"'{file}' has no dot of {synthetic.BODY_PARTS[part]} in {index}.")
    if n_frames != len(positions):
        sys.exit(f"'{file}' has {n_frames} frames, not {len(positions)}.")


if __name__ == "__main__":
    main()
