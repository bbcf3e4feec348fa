"""Predicted poses: the ``<video><scorer>.h5`` files of DeepLabCut.

x and y are DeepLabCut's own numbers: pixels of the analysed picture, x to the right and y down,
the centre of the top left pixel at (0, 0) up to DeepLabCut's own stride arithmetic. If the analysis
was cropped with the PyTorch engine they are relative to the crop's corner. likelihood lies in
[0, 1]. Row k is frame k of the video.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ResultError

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
    values: npt.NDArray[np.floating]


def read_pose(file: Path) -> PredictedPose:
    """Read a single-animal prediction.

    Raises:
        ResultError: The file is missing or is not such a table.
    """
    try:
        table = pd.read_hdf(file)
        columns = table.columns
        scorers = columns.get_level_values("scorer").unique()
        parts = tuple(str(part) for part in columns.get_level_values("bodyparts").unique())
        expected = [(part, coord) for part in parts for coord in ("x", "y", "likelihood")]
        given = [(str(column[-2]), str(column[-1])) for column in columns]
        if len(scorers) != 1 or given != expected:
            raise ValueError("its columns are not x, y, likelihood of each body part in turn")
        values = table.to_numpy().reshape(len(table), 1, len(parts), 3)
    except (OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise ResultError(f"'{file}' is not a prediction of DeepLabCut ({error}).") from error
    return PredictedPose(str(scorers[0]), (SINGLE_ANIMAL,), parts, values)
