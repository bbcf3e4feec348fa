"""Loading results into the database, beside ``pd.read_hdf`` and a raw insert of the same bytes.

The raw side reads the table, makes bytes of its columns, sends one statement per body part and
commits. What is left for us to spend is finding, hashing and checking the file, seeing whether the
numbers are exact in single precision, and all rows beside the arrays.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from element_deeplabcut.blobs import pack_array

from .lab import SCORER, BenchLab, make_values, name_parts, open_lab
from .rows import Row
from .timing import insist, run_race

N_PARTS = 20
COLUMNS = ("frame_index", "x_pos", "y_pos", "likelihood")
MEMORY_GOAL_MB = 300


def measure(options: argparse.Namespace) -> list[Row]:
    """Measure a load of usual length, by the clock and in processor time."""
    with open_lab() as lab:
        values = make_values(options.frames, N_PARTS)
        keys = [queue_result(lab, values, 1 + number) for number in range(options.repeats + 1)]
        raw = RawTable(lab)

        def load(number: int) -> None:
            lab.model.PoseEstimation.populate(keys[number])

        def read_and_insert(number: int) -> None:
            table = pd.read_hdf(find_result(lab, keys[number]))
            raw.insert(number, pack_rows(table.to_numpy()))

        def check(_ours: None, _theirs: None) -> None:
            insist(raw.equals_positions(), "The two loads left other bytes")

        race = run_race(load, read_and_insert, check, options.repeats)
    what = f"load {N_PARTS} x {options.frames}"
    note = "of pd.read_hdf + raw insert of the same bytes"
    return [
        Row.of(f"{what}, wall", race.divide("wall"), 1.5, note),
        Row.of(f"{what}, cpu", race.divide("cpu"), 2, note + ", client"),
    ]


def measure_memory(options: argparse.Namespace) -> list[Row]:
    """Measure how much a long load adds to the memory of a process that did nothing before."""
    with open_lab() as lab:
        short = queue_result(lab, make_values(1000, N_PARTS), 1)
        lab.model.PoseEstimation.populate(short)  # what any load needs is loaded
        key = queue_result(lab, options.long_frames, 2)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lab.model.PoseEstimation.populate(key)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        values = make_values(options.long_frames, N_PARTS)
        loaded = lab.model.PoseEstimation.get_trajectory(key).to_numpy()
        insist(np.array_equal(loaded, values), "The loaded numbers differ")
    extra = (after - before) / 1024
    return [
        Row.of(
            f"load {N_PARTS} x {options.long_frames}, extra memory", [extra], MEMORY_GOAL_MB,
            f"MB, for {values.nbytes / 1e6:.0f} MB of data; peak of the process",
        )
    ]  # fmt: skip


# --- results to load ------------------------------------------------------------------------------


def write_result(folder: Path, stem: str, values: npt.NDArray[np.float64]) -> Path:
    """Write a result as ``deeplabcut.analyze_videos`` does, but for its notes."""
    columns = pd.MultiIndex.from_product(
        [[SCORER], name_parts(values.shape[1] // 3), ["x", "y", "likelihood"]],
        names=["scorer", "bodyparts", "coords"],
    )
    file = folder / f"{stem}{SCORER}.h5"
    pd.DataFrame(values, columns=columns).to_hdf(
        file, key="df_with_missing", format="table", mode="w"
    )
    return file


def queue_result(
    lab: BenchLab, values: npt.NDArray[np.float64] | int, recording: int
) -> dict[str, Any]:
    """Write a result and queue its loading.

    Args:
        lab: Lab.
        values: As `make_values` makes them; or how many frames of them another process is to make,
            so that this one's memory stays as it is.
        recording: Number of the recording.

    Returns:
        Key of the task.
    """
    folder = lab.root / str(recording)
    folder.mkdir()
    n_frames, n_parts = values if isinstance(values, int) else len(values), N_PARTS
    if isinstance(values, int):
        code = (
            "import sys, pathlib; from benchmarks import lab, loading; "
            "loading.write_result(pathlib.Path(sys.argv[1]), sys.argv[2], "
            "lab.make_values(int(sys.argv[3]), loading.N_PARTS))"
        )
        command = [sys.executable, "-c", code, str(folder), str(recording), str(values)]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[1])
    else:
        n_parts = values.shape[1] // 3
        write_result(folder, str(recording), values)
    model = {"model_name": f"model{n_parts}"}
    if not lab.model.Model & model:
        lab.add_model(model["model_name"], name_parts(n_parts))
    key = {**lab.add_recording(recording, n_frames), **model}
    return dict(lab.model.PoseEstimationTask.generate(key, task_mode="load", output_dir=folder))


def find_result(lab: BenchLab, key: dict[str, Any]) -> Path:
    """Find the file that `queue_result` wrote."""
    (name,) = os.listdir(lab.root / str(key["recording_id"]))
    return lab.root / str(key["recording_id"]) / name


# --- the raw side ---------------------------------------------------------------------------------


def pack_rows(values: npt.NDArray[np.float64]) -> list[tuple[bytes, ...]]:
    """Give what the columns of each body part hold in the end, in the order of `COLUMNS`."""
    index = pack_array(np.arange(len(values), dtype=np.int32))
    columns = [pack_array(column) for column in values.T.astype(np.float32)]
    return [(index, *columns[start : start + 3]) for start in range(0, len(columns), 3)]


class RawTable:
    """A table with nothing around it, on a connection of its own."""

    def __init__(self, lab: BenchLab) -> None:
        self._positions = lab.model.PoseEstimation.BodyPartPosition.full_table_name
        self._connection = lab.server.connect()
        self._cursor = self._connection.cursor()
        self._cursor.execute("CREATE DATABASE raw")
        blobs = ", ".join(f"{name} longblob NOT NULL" for name in COLUMNS)
        self._cursor.execute(
            "CREATE TABLE raw.position (number int, body_part varchar(32), "
            f"{blobs}, PRIMARY KEY (number, body_part))"
        )

    def insert(self, number: int, rows: list[tuple[bytes, ...]]) -> None:
        """Insert one row per body part, in one transaction."""
        for name, row in zip(name_parts(len(rows)), rows, strict=True):
            self._cursor.execute(
                "INSERT INTO raw.position VALUES (%s, %s, %s, %s, %s, %s)", (number, name, *row)
            )
        self._connection.commit()

    def equals_positions(self) -> bool:
        """Whether the newest rows hold the same bytes as those of the newest recording."""
        hashes = ", ".join(f"MD5({name})" for name in COLUMNS)
        found = []
        for table, newest in (("raw.position", "number"), (self._positions, "recording_id")):
            self._connection.commit()  # else it goes on seeing what there was
            self._cursor.execute(
                f"SELECT body_part, {hashes} FROM {table} "
                f"WHERE {newest}=(SELECT MAX({newest}) FROM {table}) ORDER BY body_part"
            )
            found.append(self._cursor.fetchall())
        return found[0] == found[1] and len(found[0]) > 0
