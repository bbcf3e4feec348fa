"""The learning curve of a training: ``learning_stats.csv`` of the PyTorch engine.

One row per epoch; columns such as ``losses/train.total_loss`` and ``metrics/test.rmse``. Test
columns are filled only in the epochs in which DeepLabCut evaluated.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import ResultError


@dataclass(frozen=True)
class LearningCurve:
    """Losses and metrics over a training.

    Attributes:
        steps: int64, shape (n_steps,): epochs, from 1.
        columns: Column name -> float64, shape (n_steps,); NaN where nothing was measured.
    """

    steps: npt.NDArray[np.int64]
    columns: dict[str, npt.NDArray[np.float64]]


def read_learning_curve(file: Path) -> LearningCurve:
    """Read ``learning_stats.csv``.

    Raises:
        ResultError: The file is missing or is not such a table.
    """
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
        steps = np.array([int(row["step"]) for row in rows], dtype=np.int64)
        names = [name for name in (rows[0] if rows else {}) if name and name != "step"]
        columns = {
            name: np.array([float(row[name] or "nan") for row in rows], dtype=np.float64)
            for name in names
        }
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ResultError(
            f"'{file}' is not a learning curve of DeepLabCut's PyTorch engine ({error})."
        ) from error
    return LearningCurve(steps, columns)
