"""Reading trajectories back, beside a raw SELECT and ``frombuffer`` of the same bytes."""

from __future__ import annotations

import argparse
import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from element_deeplabcut.blobs import insert_row

from .lab import BenchLab, make_values, name_parts, open_lab
from .rows import Row
from .timing import insist, run_race, take_time

N_PARTS = 20
HEADER_BYTES = 29
"""Of a vector in DataJoint's format; the numbers follow."""

N_RANGE = 1000
RANGE_GOAL_MS = 5


def measure(options: argparse.Namespace) -> list[Row]:
    """Measure whole trajectories of usual and of great length, and a range of the latter."""
    with open_lab() as lab:
        rows = []
        for number, n_frames in enumerate((options.frames, options.long_frames), 1):
            values = make_values(n_frames, N_PARTS)
            key = store_pose(lab, number, values)
            rows.append(_compare(lab, key, values, options.repeats))
        rows.append(_time_range(lab, key, values, options.repeats))
    return rows


def _compare(
    lab: BenchLab, key: dict[str, Any], values: npt.NDArray[np.float64], repeats: int
) -> Row:
    cursor = lab.server.connect().cursor()
    table = lab.model.PoseEstimation.BodyPartPosition.full_table_name

    def select(_number: int) -> list[list[npt.NDArray[np.float32]]]:
        cursor.execute(
            f"SELECT x_pos, y_pos, likelihood FROM {table} WHERE recording_id=%s "
            "ORDER BY body_part",
            (key["recording_id"],),
        )
        return [
            [np.frombuffer(blob, np.float32, offset=HEADER_BYTES) for blob in row]
            for row in cursor.fetchall()
        ]

    def check(ours: Any, theirs: list[list[npt.NDArray[np.float32]]]) -> None:
        place = 0
        for row in theirs:
            for column in row:
                same = np.array_equal(ours.iloc[:, place], values[:, place])
                insist(same and np.array_equal(column, values[:, place]), "Numbers differ")
                place += 1
        insist(place == values.shape[1] == ours.shape[1], "Columns are missing")

    race = run_race(lambda _: lab.model.PoseEstimation.get_trajectory(key), select, check, repeats)
    return Row.of(
        f"trajectory back, {N_PARTS} x {len(values)}", race.divide(), 1.5,
        "of raw SELECT + frombuffer of the same bytes",
    )  # fmt: skip


def _time_range(
    lab: BenchLab, key: dict[str, Any], values: npt.NDArray[np.float64], repeats: int
) -> Row:
    n_frames = len(values)
    times = []
    for number in range(10 * repeats + 1):
        start = number * (n_frames - N_RANGE) // (10 * repeats)
        pose, cost = take_time(
            lambda start=start: lab.model.PoseEstimation.get_pose(
                key, name_parts(4)[3], frames=slice(start, start + N_RANGE)
            )
        )
        given = values[start : start + N_RANGE, 9:12]
        same = np.array_equal(pose.position[:, 0, 0], given[:, :2])
        insist(same and np.array_equal(pose.likelihood[:, 0, 0], given[:, 2]), "Numbers differ")
        times.append(1e3 * cost.wall)
    return Row.of(
        f"{N_RANGE} frames of one part out of {n_frames}", times[1:], RANGE_GOAL_MS,
        "ms, get_pose with all it knows; bound by the server, which reads the row's whole arrays",
    )  # fmt: skip


def store_pose(lab: BenchLab, recording: int, values: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Store trajectories as a make does; returns the key of the estimation."""
    parts = name_parts(values.shape[1] // 3)
    model = {"model_name": f"model{len(parts)}"}
    if not lab.model.Model & model:
        lab.add_model(model["model_name"], parts)
    key = {**lab.add_recording(recording, len(values)), **model}
    lab.model.PoseEstimationTask.insert1(key)
    now = datetime.datetime(2026, 2, 1)
    lab.model.PoseEstimation.insert1(
        {**key, "pose_estimation_time": now, "run_info": {}}, allow_direct_insert=True
    )
    table = lab.model.PoseEstimation.BodyPartPosition()
    index = np.arange(len(values), dtype=np.int32)
    for number, part in enumerate(parts):
        x, y, likelihood = values[:, 3 * number : 3 * number + 3].T.astype(np.float32)
        insert_row(
            table,
            {**key, "individual": "", "body_part": part},
            {"frame_index": index, "x_pos": x, "y_pos": y, "likelihood": likelihood},
        )
    return key
