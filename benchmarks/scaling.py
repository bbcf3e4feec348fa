"""How cost grows with frames, body parts, recordings and workers; one table into docs/speed.md.

``python -m benchmarks.scaling`` measures all four, each in a process and on a server of its own.
Each figure is the best of a few calls.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from element_deeplabcut.blobs import pack_array

from .dispatch import measure_pool, open_queue
from .lab import RATE, SESSION, BenchLab, make_values, name_parts, open_lab
from .loading import queue_result
from .tables import list_header, spell, update_docs
from .timing import insist, take_time

Grown = tuple[int, dict[str, float]]
"""A size, and what each kind of work took there."""

SIZES = {
    "frames": (1000, 10_000, 100_000, 1_000_000),
    "parts": (4, 20, 100),
    "recordings": (10, 1000, 50_000),
    "workers": (1, 2, 4),
}
QUICK = {"frames": (100, 1000), "parts": (4, 8), "recordings": (10, 100), "workers": (1, 2)}

N_RANGE = 1000


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="sizes that say nothing")
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--no-docs", action="store_true", help="print the table only")
    parser.add_argument("--axis", choices=SIZES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = (QUICK if options.quick else SIZES)[options.axis or "frames"]
    if options.axis:
        print(json.dumps(list(MEASURES[options.axis](sizes))))
        return
    lines: list[str] = []
    for axis in options.only:
        measured = run_apart(axis, options.quick)
        new = list_growth(axis, measured)
        print(*new, sep="\n", flush=True)
        lines += new
    if not options.no_docs:
        update_docs("scaling", lines)


def run_apart(axis: str, quick: bool) -> list[Grown]:
    """Measure one axis in another process, of one thread."""
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.scaling", "--axis", axis]
        + ["--quick"] * quick,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1", "DATAJOINT_LOG_LEVEL": "error"},
    )
    return json.loads(answer.stdout.splitlines()[-1])


# --- what grows -----------------------------------------------------------------------------------


def grow_frames(sizes: Sequence[int]) -> Iterator[Grown]:
    """Recordings of more and more frames, 20 body parts."""
    yield from grow_poses([(n_frames, n_frames, 20) for n_frames in sizes])


def grow_parts(sizes: Sequence[int]) -> Iterator[Grown]:
    """Models of more and more body parts, 10,000 frames."""
    yield from grow_poses([(n_parts, 10_000, n_parts) for n_parts in sizes])


def grow_poses(cases: Sequence[tuple[int, int, int]]) -> Iterator[Grown]:
    """Load and read poses of some (size, frames, body parts)."""
    with open_lab() as lab:
        estimation = lab.model.PoseEstimation
        for number, (size, n_frames, n_parts) in enumerate(cases, 1):
            values = make_values(n_frames, n_parts)
            key = queue_result(lab, values, number)
            _, loading = take_time(lambda key=key: estimation.populate(key))
            table, reading = repeat(estimation.get_trajectory, key)
            insist(np.array_equal(table.to_numpy(), values), "Numbers differ")
            frames = slice(n_frames // 2, n_frames // 2 + N_RANGE)
            _, cutting = repeat(
                lambda key=key, frames=frames: estimation.get_pose(key, "part003", frames=frames)
            )
            yield (
                size,
                {
                    "load a result, ms": 1e3 * loading.wall,
                    "trajectory back, ms": 1e3 * reading,
                    f"{N_RANGE} frames of one part, ms": 1e3 * cutting,
                },
            )


def grow_recordings(sizes: Sequence[int]) -> Iterator[Grown]:
    """Recordings with a finished estimation each, and one more that waits."""
    with open_lab() as lab:
        model = lab.model
        lab.add_model("two", name_parts(2))
        there = 0
        for size in sizes:
            add_estimations(lab, there + 1, size)
            there = size
            waiting = {**lab.add_recording(1_000_000 + size, 24), "model_name": "two"}
            _, queued = take_time(lambda key=waiting: model.PoseEstimationTask.generate(key))
            todo, asked = repeat(find_todo, lab)
            insist([key["recording_id"] for key in todo] == [1_000_000 + size], "Another is next")
            key = {**SESSION, "recording_id": size, "model_name": "two"}
            costs = {
                "queue one more, ms": queued.wall,
                "find what populate() is to do, ms": asked,
                "find a worker's next job, ms": repeat(find_candidate, lab)[1],
                "count what is done, ms": repeat(count_done, lab)[1],
                "one trajectory back, ms": repeat(model.PoseEstimation.get_trajectory, key)[1],
            }
            yield size, {name: 1e3 * value for name, value in costs.items()}
            (model.PoseEstimationTask & waiting).delete_quick()


def find_todo(lab: BenchLab) -> list[dict[str, Any]]:
    """Ask as ``populate()`` does."""
    table = lab.model.PoseEstimation()
    return list((table._jobs_to_do([]) - table.target).fetch("KEY"))


def find_candidate(lab: BenchLab) -> dict[str, Any]:
    """Ask as a worker does."""
    from workflow_deeplabcut.worker.candidates import Candidates
    from workflow_deeplabcut.worker.lease import LeaseStore
    from workflow_deeplabcut.worker.server import Server

    lab.model.schema.jobs  # noqa: B018 -- declares it
    leases = LeaseStore(Server(lab.model.schema.connection, "benchmark"), "benchmark_", 60)
    return next(iter(Candidates(lab.model.PoseEstimation(), leases)))


def count_done(lab: BenchLab) -> tuple[int, int]:
    """Ask as ``progress()`` does, which prints."""
    return lab.model.PoseEstimation.progress(display=False)


RECORDING = {"subject": "'mouse1'", "session_datetime": "'2026-02-01 10:00:00'",
             "recording_id": "%s"}  # fmt: skip


def add_estimations(lab: BenchLab, first: int, last: int) -> None:
    """Add recordings with an estimation of 24 frames and two body parts each, past all checks."""
    model = lab.model
    file = {**RECORDING, "file_id": "1"}
    key = {**RECORDING, "model_name": "'two'"}
    array = f"X'{pack_array(np.zeros(24, np.float32)).hex()}'"
    rows = [
        (model.VideoRecording, {**RECORDING, "device": "'Camera1'"}),
        (model.VideoRecording.File, {**file, "file_path": "'a.mp4'"}),
        (model.RecordingInfo, {**RECORDING, "px_height": "480", "px_width": "640",
                               "nframes": "24", "fps": str(RATE), "recording_duration": "0.24"}),
        (model.RecordingInfo.File, {**file, "nframes": "24", "first_frame": "0",
                                    "fps_numerator": str(RATE), "fps_denominator": "1"}),
        (model.PoseEstimationTask, key),
        (model.PoseEstimation, {**key, "pose_estimation_time": "'2026-02-01'", "run_info": "''"}),
    ]  # fmt: skip
    for part in name_parts(2):
        arrays = dict.fromkeys(("frame_index", "x_pos", "y_pos", "likelihood"), array)
        named = {**key, "individual": "''", "body_part": f"'{part}'"}
        rows.append((model.PoseEstimation.BodyPartPosition, {**named, **arrays}))
    with lab.server.connect() as connection, connection.cursor() as cursor:
        for table, row in rows:
            cursor.executemany(
                f"INSERT INTO {table.full_table_name} ({', '.join(row)}) "
                f"VALUES ({', '.join(row.values())})",
                [(number,) for number in range(first, last + 1)],
            )
        connection.commit()


def grow_workers(sizes: Sequence[int]) -> Iterator[Grown]:
    """More workers on one queue of jobs that take no time."""
    from .dispatch import Trivial

    n_jobs = 2000
    with open_queue(n_jobs):
        for size in sizes:
            Trivial().delete_quick()
            yield size, {"trivial jobs per second": measure_pool(n_jobs, size)}


MEASURES: dict[str, Callable[[Sequence[int]], Iterator[Grown]]] = {
    "frames": grow_frames,
    "parts": grow_parts,
    "recordings": grow_recordings,
    "workers": grow_workers,
}

# --- the table ------------------------------------------------------------------------------------

WHY = {
    "load": "Every number is read, narrowed and sent once, column by column; the disk "
    "sets the pace of a long one.",
    "trajectory": "Every number travels once and is copied once into the table; what exceeds the "
    "server's buffer pool (128 MB in the embedded one) comes from its disk.",
    "of one part": "One row is found by its key and the server cuts the range out; it does read "
    "that row's arrays, so long recordings show.",
    "queue one more": "One row is looked up by its key and one is inserted.",
    "populate()": "The server looks up, for each task, whether it is done.",
    "next job": "A batch of 50 keys is asked for; where all but one are done, the server passes "
    "them in the order of the index.",
    "count": "The server counts the index.",
    "one trajectory back": "The row is found by its key, however many there are.",
    "jobs per second": "Two cores are busy with two workers, and with the server.",
}
"""Part of a work's name -> why its cost has that shape; the longest that fits counts."""


def list_growth(axis: str, measured: Sequence[Grown]) -> list[str]:
    """Lines of the table: one per kind of work."""
    titles = [axis, *(f"{size:,}" for size, _ in measured)]
    lines = [f"**{LABELS[axis]}**", "", *list_header([*titles, "why"])]
    for work in measured[0][1]:
        figures = [spell(costs[work]) for _, costs in measured]
        why = max((part for part in WHY if part in work), key=len)
        lines.append(f"| {work} | {' | '.join(figures)} | {describe(measured, work)}. {WHY[why]} |")
    return [*lines, ""]


LABELS = {
    "frames": "More frames, 20 body parts",
    "parts": "More body parts, 10,000 frames",
    "recordings": "More recordings, each with an estimation of two body parts",
    "workers": "More workers, on two cores",
}


def describe(measured: Sequence[Grown], work: str) -> str:
    """Name the shape between the last two sizes: the exponent of a power law."""
    (small, before), (large, after) = measured[-2:]
    exponent = math.log(after[work] / before[work]) / math.log(large / small)
    shapes = {
        0.3: "constant",
        0.7: "less than linear",
        1.5: "linear",
        math.inf: "worse than linear",
    }
    return next(shape for most, shape in shapes.items() if exponent < most)


def repeat(call: Callable[..., Any], *arguments: Any, times: int = 5) -> tuple[Any, float]:
    """Call several times; give the last result and the shortest time (s)."""
    costs = []
    for _ in range(times):
        result, cost = take_time(lambda: call(*arguments))
        costs.append(cost.wall)
    return result, min(costs)


if __name__ == "__main__":
    main()
