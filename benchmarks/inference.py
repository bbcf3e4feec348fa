"""Inference: ``populate()`` beside ``deeplabcut.analyze_videos``, on the same videos and models.

Usage: ``python -m benchmarks.inference [--frames N] [--videos N] [--video-frames N] [--cores N]
[--repeats N] [--default-frames N] [--processes N]``

Models are a tiny network with batch norms, trained here on the synthetic animal, and DeepLabCut's
default network (resnet50_gn) with random weights. Each side runs in a process of its own that is
bound to so many cores, in turn, after each has run once; what is timed is the call. Before a time
is counted, both results are compared: 0 px with DeepLabCut's own settings, 1e-3 px otherwise.

The row "one process per video" compares whole processes, imports included. Of DeepLabCut's a few
are measured, and their mean is taken for each video.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from .rows import Row

BOUND_PX = {"exact": 0.0, "fast": 1e-3}
SESSION = {"subject": "mouse1", "session_datetime": "2026-02-01 10:00:00"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the sizes to a command line."""
    parser.add_argument("--frames", type=int, default=400, help="of the long video")
    parser.add_argument("--default-frames", type=int, default=32, help="for the default network")
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--video-frames", type=int, default=100, help="of each short video")
    parser.add_argument("--processes", type=int, default=2, help="of DeepLabCut's, to measure")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=1)


def measure(options: argparse.Namespace) -> list[Row]:
    """Measure every row, in a process of its own that may use so many cores."""
    with tempfile.TemporaryDirectory() as folder:
        answer = _start([*_as_flags(options), "--folder", folder], options.cores)
    return [Row(**row) for row in json.loads(answer)]


def _as_flags(options: argparse.Namespace) -> list[str]:
    defaults = argparse.ArgumentParser()
    add_options(defaults)
    names = vars(defaults.parse_args([]))
    values = {name: getattr(options, name, default) for name, default in names.items()}
    return [part for name, value in values.items()
            for part in ("--" + name.replace("_", "-"), str(value))]  # fmt: skip


def _start(arguments: list[str], cores: int) -> str:
    """Run this module on so many cores; the last line that it prints."""
    chosen = ",".join(str(core) for core in sorted(os.sched_getaffinity(0))[:cores])
    threads = {
        name: str(cores)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FFMPEG_THREADS")
    }
    quiet = {"DLClight": "True", "MPLBACKEND": "Agg", "HF_HUB_OFFLINE": "1",
             "TF_CPP_MIN_LOG_LEVEL": "3", "DATAJOINT_LOG_LEVEL": "warning"}  # fmt: skip
    command = ["taskset", "-c", chosen, sys.executable, "-m", "benchmarks.inference", *arguments]
    root = Path(__file__).parents[1]
    path = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **threads, **quiet, "PYTHONPATH": path}
    run = subprocess.run(
        command,
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    )
    if run.returncode:
        sys.exit(run.stderr[-3000:])
    return run.stdout.splitlines()[-1]


# --- both sides -----------------------------------------------------------------------------------


class Sides:
    """A pipeline with its models, and DeepLabCut alone."""

    def __init__(self, folder: Path, pipeline: Any, alone: Executor) -> None:
        self.root, self.processed = folder / "data", folder / "processed"
        self._alone = alone
        self.model = pipeline.model
        self._folder = folder
        self._ids = itertools.count(1)

    def queue(self, video: Path, model_name: str, exact: bool) -> dict[str, Any]:
        """Register a recording, and queue its analysis."""
        key = {**SESSION, "recording_id": next(self._ids)}
        file = video.relative_to(self.root).as_posix()
        self.model.VideoRecording.insert1({**key, "device": "Camera1"})
        self.model.VideoRecording.File.insert1({**key, "file_id": 1, "file_path": file})
        self.model.RecordingInfo.populate(key)
        key["model_name"] = model_name
        params = {"exact": True} if exact else None
        return dict(self.model.PoseEstimationTask.generate(key, params=params))

    def ours(self, keys: list[dict[str, Any]]) -> None:
        """Analyze what is queued."""
        self.model.PoseEstimation.populate(keys, make_kwargs={"device": "cpu"})

    def theirs(self, config: Path, video: Path, results: Path) -> float:
        """Seconds that DeepLabCut takes, in a process that runs nothing else.

        What else a process has done is felt: how it takes memory from the system and gives it back
        changes with the first large network, and this package sets it.
        """
        return self._alone.submit(clock, analyze, config, video, results).result()

    def fetch(self, key: dict[str, Any]) -> Any:
        """Positions and likelihood that were stored."""
        return self.model.PoseEstimation.get_trajectory(key).to_numpy(np.float64)

    def prepare_theirs(self, model_name: str) -> tuple[Path, Path]:
        """Config of a project with the model, and a folder for results, both fresh."""
        from element_deeplabcut.store.bundles import make_bundle_view, open_bundle
        from element_deeplabcut.store.files import make_folder

        row = (self.model.Model & {"model_name": model_name}).fetch1()
        folder = make_folder(self._folder, f"theirs-{next(self._ids)}")
        bundle = open_bundle(self.processed, row["bundle_hash"])
        view = make_bundle_view(bundle, make_folder(folder, "project"))
        return view.config_file, make_folder(folder, "results")


def analyze(config: Path, video: Path, results: Path) -> None:
    """What a user of DeepLabCut calls."""
    import deeplabcut

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        deeplabcut.analyze_videos(
            str(config), [str(video)], destfolder=str(results), device="cpu",
            engine=deeplabcut.Engine.PYTORCH,
        )  # fmt: skip


def read_result(results: Path, video: Path) -> Any:
    """What DeepLabCut wrote for a video."""
    import pandas as pd

    (file,) = results.glob(f"{video.stem}DLC*.h5")
    return pd.read_hdf(file).to_numpy(np.float64)


def check(ours: Any, theirs: Any, kind: str) -> None:
    """Insist that two results are the same, within the bound of a kind of analysis."""
    difference = np.abs(ours - theirs).reshape(len(theirs), -1, 3)[..., :2].max()
    if not difference <= BOUND_PX[kind]:
        sys.exit(f"{kind}: {difference:.2e} px from DeepLabCut's result")


def clock(call: Callable[..., object], *arguments: Any) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


# --- the rows -------------------------------------------------------------------------------------


def compare_long(
    sides: Sides, video: Path, model: str, repeats: int, kinds: tuple[str, ...]
) -> dict[str, list[float]]:
    """Ratios of one video's analysis, by kind; each repeat runs every side in turn."""
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    for repeat in range(repeats + 1):  # the first one loads, and is not counted
        config, results = sides.prepare_theirs(model)
        theirs = sides.theirs(config, video, results)
        expected = read_result(results, video)
        for kind in kinds:
            key = sides.queue(video, model, kind == "exact")
            ours = clock(sides.ours, [key])
            check(sides.fetch(key), expected, kind)
            if repeat:
                ratios[kind].append(ours / theirs)
    return ratios


def compare_many(sides: Sides, videos: list[Path], repeats: int) -> tuple[list[float], float]:
    """Ratios of many short videos in one process each, and the seconds that ours take."""
    ratios, seconds = [], []
    for _ in range(repeats):
        config, results = sides.prepare_theirs("tiny")
        theirs = sum(sides.theirs(config, video, results) for video in videos)
        keys = [sides.queue(video, "tiny", exact=False) for video in videos]
        seconds.append(clock(sides.ours, keys))
        for key, video in zip(keys, videos, strict=True):
            check(sides.fetch(key), read_result(results, video), "fast")
        ratios.append(seconds[-1] / theirs)
    return ratios, min(seconds)


def compare_processes(
    sides: Sides, videos: list[Path], n_processes: int, cores: int
) -> list[float]:
    """Ratios of one worker, from its start to its end, to a process of DeepLabCut's per video."""
    import datajoint as dj

    alone = []
    for video in videos[:n_processes]:
        config, results = sides.prepare_theirs("tiny")
        paths = [str(config), str(video), str(results)]
        alone.append(clock(_start, ["--alone", *paths], cores))
    keys = [sides.queue(video, "tiny", exact=False) for video in videos]
    settings = {name: dj.config[name] for name in dj.config}
    file = sides.processed / "settings.json"
    file.write_text(json.dumps(settings, default=str))
    worker = clock(_start, ["--worker", str(file)], cores)
    if len(sides.model.PoseEstimation & keys) != len(videos):
        sys.exit("The worker left some videos out.")
    return [worker / (seconds * len(videos)) for seconds in alone]


def measure_here(options: argparse.Namespace) -> list[Row]:
    """Measure in this process."""
    import torch

    torch.set_num_threads(options.cores)
    with open_sides(options.folder) as sides:
        long, short = _render(sides, options)
        tiny = compare_long(sides, long, "tiny", options.repeats, ("exact", "fast"))
        many, seconds = compare_many(sides, short, max(1, options.repeats - 1))
        few = sides.root / "raw" / "default.mp4"
        default = compare_long(sides, few, "default", options.repeats, ("fast",))
        processes = compare_processes(sides, short, options.processes, options.cores)
    where = f"{options.cores} core{'s' * (options.cores > 1)}"
    return [
        Row.of("populate, DeepLabCut's own settings", tiny["exact"], 1.05,
               f"analyze_videos = 1, 0 px, {options.frames} frames, {where}"),
        Row.of("populate, fast path, tiny network", tiny["fast"], 0.6,
               f"analyze_videos = 1, within 1e-3 px, {options.frames} frames, {where}; bound by "
               "convolutions, three quarters of what is left"),
        Row.of("populate, DeepLabCut's default network", default["fast"], 1.0,
               f"analyze_videos = 1, within 1e-3 px, {options.default_frames} frames, {where}; "
               "no batch norms to fold: DeepLabCut's own network runs"),
        Row.of(f"{len(short)} short videos, one process", many, 0.6,
               f"one analyze_videos call each = 1; ours {seconds:.1f} s, {where}; bound by "
               "the forward pass; DeepLabCut's side takes 0.9 or 1.3 s a video, by its heap"),
        Row.of(f"{len(short)} short videos, a process each", processes, 0.15,
               f"one process per video = 1, imports included, {where}"),
    ]  # fmt: skip


# --- what there is to analyze ---------------------------------------------------------------------


@contextlib.contextmanager
def open_sides(folder: Path) -> Iterator[Sides]:
    """Start a server, film and train, and register both models."""
    from workflow_deeplabcut import database, synthetic
    from workflow_deeplabcut.demo import settings

    root = folder / "data"
    (root / "raw").mkdir(parents=True)
    labelled = synthetic.render_video(root / "raw" / "train.mp4", 300, seed=0)
    config = synthetic.write_project(root, {root / "raw" / "train.mp4": labelled})
    os.environ.update(DLC_ROOT_DATA_DIR=str(root), DLC_PROCESSED_DATA_DIR=str(folder / "processed"),
                      DATABASE_PREFIX="bench_")  # fmt: skip
    with database.running(folder / "database") as server:
        server.configure_datajoint()
        from workflow_deeplabcut import pipeline

        pipeline.subject.Subject.insert1(
            {"subject": SESSION["subject"], "sex": "F", "subject_birth_date": "2026-01-01",
             "subject_description": ""}
        )  # fmt: skip
        pipeline.session.Session.insert1(SESSION)
        pipeline.train.VideoSet.insert1({"video_set_id": 1})
        index = pipeline.train.TrainingParamSet.insert_new_params("tiny", settings.PYTORCH_PARAMS)
        key = {"video_set_id": 1, "paramset_idx": index, "training_id": 1}
        pipeline.train.TrainingTask.insert1({**key, "project_path": config.parent.name})
        pipeline.train.ModelTraining.populate(key)
        pipeline.model.Model.insert_from_training(key, "tiny")
        default = make_default_model(folder, config)
        pipeline.model.Model.insert_new_model(
            "default", default, shuffle=1, trainingsetindex=0, prompt=False
        )
        with ProcessPoolExecutor(1, get_context("spawn")) as alone:
            yield Sides(folder, pipeline, alone)


def make_default_model(folder: Path, config: Path) -> Path:
    """Write a project whose model is DeepLabCut's default network with random weights."""
    import torch
    import yaml
    from deeplabcut.pose_estimation_pytorch.config import PoseConfig
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    from element_deeplabcut.engines import get_engine
    from element_deeplabcut.engines.base import TrainingPlan
    from element_deeplabcut.readers.project import parse_project
    from element_deeplabcut.store.files import make_folder
    from element_deeplabcut.store.views import make_view

    labelled = [each.name for each in (config.parent / "labeled-data").iterdir()]
    project = parse_project(yaml.safe_load(config.read_text()), config.parent)
    view = make_view(
        project, make_folder(folder, "data", "default"), engine="pytorch", shuffle=1,
        trainingsetindex=0, frames_of=config.parent, folders=labelled,
    )  # fmt: skip
    plan = TrainingPlan({}, "random", 1, 1, "resnet_50", "albumentations")
    get_engine("pytorch").create_dataset(view, plan)
    torch.manual_seed(1)
    network = PoseModel.build(PoseConfig.from_yaml(view.engine_config_file)["model"])
    metadata: dict[str, Any] = {"epoch": 1, "metrics": {}, "losses": {}}
    weights = {"model": network.state_dict(), "metadata": metadata}
    torch.save(weights, view.train_folder / "snapshot-001.pt")
    return view.config_file


def _render(sides: Sides, options: argparse.Namespace) -> tuple[Path, list[Path]]:
    from workflow_deeplabcut import synthetic

    raw = sides.root / "raw"
    synthetic.render_video(raw / "long.mp4", options.frames, seed=5)
    synthetic.render_video(raw / "default.mp4", options.default_frames, seed=6)
    short = [raw / f"short-{number:03}.mp4" for number in range(options.videos)]
    for number, video in enumerate(short):
        synthetic.render_video(video, options.video_frames, seed=100 + number)
    return raw / "long.mp4", short


def run_worker_here(settings: Path) -> None:
    """Be the worker of `compare_processes`."""
    import datajoint as dj

    dj.config.update(json.loads(settings.read_text()))
    from workflow_deeplabcut.pipeline import model
    from workflow_deeplabcut.worker import run_worker

    run_worker([model.PoseEstimation], stop_when_idle=True, device="cpu")


def main() -> None:
    """Run the benchmark, or a part of it in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add_options(parser)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", type=Path, nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone:
        analyze(*options.alone)
        print("done")
    elif options.worker:
        run_worker_here(options.worker)
        print("done")
    elif options.folder:
        print(json.dumps([asdict(row) for row in measure_here(options)]))
    else:
        for row in measure(options):
            spread = f"{row.low:.2f} to {row.high:.2f}"
            print(f"{row.name:42} {row.ratio:6.3f}  goal {row.goal:4}  ({spread})  {row.note}")


if __name__ == "__main__":
    main()
