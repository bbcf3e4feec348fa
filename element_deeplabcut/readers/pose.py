"""Predicted poses: the ``<video><scorer>.h5`` and ``.csv`` files of DeepLabCut.

x and y are DeepLabCut's own numbers: pixels of the analysed picture, x to the right and y down,
the centre of the top left pixel at (0, 0) up to DeepLabCut's own stride arithmetic. If the analysis
was cropped they are relative to the crop's corner, with either engine. likelihood lies in [0, 1].
The row's label is the frame's number. A triangulated result has x, y, z in the unit of its
calibration, and usually no likelihood.

`read_pose` reads what DeepLabCut wrote for this package a moment ago. `parse_pose` takes a file of
any origin and generation; single or several animals, two or three coordinates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ResultError
from .columns import Columns
from .hdf5 import read_hdf5_columns, read_hdf5_table

SINGLE_ANIMAL = ""
"""Name of the individual of a single-animal project."""


@dataclass(frozen=True)
class PredictedPose:
    """The poses of one video file.

    Attributes:
        scorer: DeepLabCut's name for the model.
        individuals: Names; one empty name for a single animal.
        body_parts: Names, in the order of the columns.
        values: Floating point, shape (n_frames, n_individuals, n_body_parts, 3): x and y in px,
            likelihood.
    """

    scorer: str
    individuals: tuple[str, ...]
    body_parts: tuple[str, ...]
    values: npt.NDArray[np.floating[Any]]


def read_pose(file: Path) -> PredictedPose:
    """Read a single-animal prediction.

    Raises:
        ResultError: The file is missing or is not such a table.
    """
    try:
        table = read_hdf5_table(file.read_bytes(), f"'{file}'")
        columns = table.columns
        scorers = columns.get_level_values("scorer").unique()
        parts = tuple(str(part) for part in columns.get_level_values("bodyparts").unique())
        expected = [(part, coord) for part in parts for coord in ("x", "y", "likelihood")]
        given = [(str(column[-2]), str(column[-1])) for column in columns]
        if len(scorers) != 1 or given != expected:
            raise ValueError("its columns are not x, y, likelihood of each body part in turn")
        values = table.to_numpy().reshape(len(table), 1, len(parts), 3)
    except (OSError, KeyError, ValueError, AttributeError, TypeError, ResultError) as error:
        raise ResultError(f"'{file}' is not a prediction of DeepLabCut ({error}).") from error
    return PredictedPose(str(scorers[0]), (SINGLE_ANIMAL,), parts, values)


_LAYOUTS = (("x", "y", "likelihood"), ("x", "y", "z"), ("x", "y", "z", "likelihood"))


@dataclass(frozen=True)
class Track:
    """One body part of one individual in one video file; its numbers are read when asked for.

    Attributes:
        individual: Name; '' for a single animal, ``single`` for body parts that only one has.
        body_part: Name.
        columns: Name of a coordinate -> what reads it: floating point, shape (n_rows,).
    """

    individual: str
    body_part: str
    columns: Mapping[str, Callable[[], npt.NDArray[np.floating[Any]]]]

    @property
    def x(self) -> npt.NDArray[np.floating[Any]]:
        """Floating point, shape (n_rows,)."""
        return self.columns["x"]()

    @property
    def y(self) -> npt.NDArray[np.floating[Any]]:
        """Likewise."""
        return self.columns["y"]()

    @property
    def likelihood(self) -> npt.NDArray[np.floating[Any]] | None:
        """Likewise, or None where the file has none."""
        return self.columns["likelihood"]() if "likelihood" in self.columns else None


@dataclass(frozen=True)
class PoseTable:
    """The content of a result file.

    Attributes:
        scorer: Name in the columns.
        frames: int64, shape (n_rows,): frame numbers, increasing.
        tracks: One per individual and body part, in the order of the columns.
    """

    scorer: str
    frames: npt.NDArray[np.int64]
    tracks: tuple[Track, ...]

    @property
    def three_d(self) -> bool:
        """Whether it has z."""
        return "z" in self.tracks[0].columns


def parse_pose(stream: BinaryIO, is_csv: bool, what: str) -> PoseTable:
    """Read a result file of unknown origin.

    Args:
        stream: The whole file. It may be closed afterwards.
        is_csv: Whether it is a ``.csv``.
        what: How messages call it.

    Raises:
        ResultError: It could run code, is damaged, or is not a result of DeepLabCut.
    """
    table = _read_csv(stream, what) if is_csv else read_hdf5_columns(stream, what)
    try:
        return _to_pose(table)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ResultError(
            f"{what} is not a prediction of DeepLabCut: {error}. Give the table that analyze_videos"
            " or the tracking wrote."
        ) from error


def _read_csv(stream: BinaryIO, what: str) -> Columns:
    try:
        lines = stream.read(1 << 22).decode("utf-8", "replace").splitlines()[:4]
        levels = [line.split(",")[0].strip('"') for line in lines]
        if "coords" not in levels:
            raise ValueError("its first lines are not scorer, bodyparts, coords")
        header = list(range(levels.index("coords") + 1))
        stream.seek(0)
        return Columns.of(pd.read_csv(stream, header=header, index_col=0))
    except (ValueError, IndexError, OverflowError) as error:
        raise ResultError(
            f"{what} is not a table of DeepLabCut ({error}). Write it again, or restore it."
        ) from error


def _to_pose(table: Columns) -> PoseTable:
    levels = list(table.names.names)
    expected = ["scorer", "individuals", "bodyparts", "coords"]
    if levels not in (expected, [name for name in expected if name != "individuals"]):
        raise ValueError(f"its columns have the levels {levels}")
    scorers = [str(name) for name in table.names.get_level_values("scorer").unique()]
    if len(scorers) != 1:
        raise ValueError(f"it has {len(scorers)} scorers")
    tracks: dict[tuple[str, str], dict[str, int]] = {}
    for place, column in enumerate(table.names):
        individual = str(column[1]) if len(levels) == len(expected) else SINGLE_ANIMAL
        coords = tracks.setdefault((individual, str(column[-2])), {})
        if str(column[-1]) in coords:
            raise ValueError(f"it has '{column[-1]}' of '{column[-2]}' twice")
        coords[str(column[-1])] = place
    if len({frozenset(coords) & {"z", "likelihood"} for coords in tracks.values()}) != 1:
        raise ValueError("its body parts differ in their coordinates")
    return PoseTable(
        scorers[0],
        _to_frames(table.index),
        tuple(_to_track(*names, coords, table) for names, coords in tracks.items()),
    )


def _to_track(individual: str, body_part: str, coords: dict[str, int], table: Columns) -> Track:
    if tuple(sorted(coords)) not in {tuple(sorted(layout)) for layout in _LAYOUTS}:
        raise ValueError(
            f"'{body_part}' has the columns {', '.join(coords)}, where x, y and likelihood (or x, "
            "y, z) are expected"
        )
    for name, place in coords.items():
        if table.types[place].kind not in "fiu":
            raise ValueError(f"'{name}' of '{body_part}' holds something else than numbers")
    columns = {
        name: functools.partial(_read_floats, table, place) for name, place in coords.items()
    }
    return Track(individual, body_part, columns)


def _read_floats(table: Columns, place: int) -> npt.NDArray[np.floating[Any]]:
    values = table.read(place)
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _to_frames(index: pd.Index) -> npt.NDArray[np.int64]:
    values = index.to_numpy()
    if values.dtype.kind not in "iuf" or not (values == np.floor(values)).all():
        raise ValueError("its rows are not numbered")
    frames = values.astype(np.int64)
    if len(frames) == 0 or frames[0] < 0 or (np.diff(frames) <= 0).any():
        raise ValueError("its rows are not numbered upwards from 0")
    return frames
