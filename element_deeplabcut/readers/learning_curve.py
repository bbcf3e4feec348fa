"""The learning curve of a training: ``learning_stats.csv``.

The PyTorch engine writes one row per epoch with columns such as ``losses/train.total_loss`` and
``metrics/test.rmse``; test columns are filled only in the epochs in which DeepLabCut evaluated. The
TensorFlow engine writes no header: iteration, mean loss since the row before, learning rate.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import ResultError

LEARNING_STATS = "learning_stats.csv"
EARLIER_CURVE = "learning_stats.before.csv"
"""While a TensorFlow training that was resumed is running: its curve from before."""

LOSS = "losses/train.total_loss"
LEARNING_RATE = "learning_rate"


@dataclass(frozen=True)
class LearningCurve:
    """Losses and metrics over a training.

    Attributes:
        steps: int64, shape (n_steps,): epochs, from 1 (PyTorch), or iterations (TensorFlow).
        columns: Column name -> float64, shape (n_steps,); NaN where nothing was measured. The
            training's loss is ``losses/train.total_loss`` with both engines.
    """

    steps: npt.NDArray[np.int64]
    columns: dict[str, npt.NDArray[np.float64]]


def read_learning_curve(file: Path) -> LearningCurve:
    """Read ``learning_stats.csv`` of either engine.

    Raises:
        ResultError: The file is missing or is not such a table.
    """
    try:
        text = file.read_text(encoding="utf-8")
        rows = list(csv.reader(text.splitlines()))
        header = rows.pop(0) if rows and rows[0] and rows[0][0] == "step" else None
        names = header or ["step", LOSS, LEARNING_RATE]
        # A row that ends early has nothing measured; without a header it is no such table.
        padded = [row + [""] * (len(names) - len(row)) if header else row for row in rows]
        table = [dict(zip(names, row, strict=True)) for row in padded]
        steps = np.array([int(row["step"]) for row in table], dtype=np.int64)
        columns = {
            name: np.array([float(row[name] or "nan") for row in table], dtype=np.float64)
            for name in names
            if name and name != "step"
        }
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise ResultError(f"'{file}' is not a learning curve of DeepLabCut ({error}).") from error
    return LearningCurve(steps, columns)


def cut_learning_curve(text: str, last_step: int) -> str:
    """Drop the rows of a learning curve, as text, that lie after a step; a header is kept.

    The file of a killed training may end in half a row, which is dropped, too.
    """
    kept = []
    for line in text.splitlines(keepends=True):
        first = line.split(",", 1)[0].strip()
        if line.endswith("\n") and (first == "step" or _is_step(first, last_step)):
            kept.append(line)
    return "".join(kept)


def _is_step(text: str, last_step: int) -> bool:
    return text.isdecimal() and int(text) <= last_step
