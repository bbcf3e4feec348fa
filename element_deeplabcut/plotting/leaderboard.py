"""Trainings side by side, the best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ResultError
from .figures import GREY, TEST_COLOR, TRAIN_COLOR, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plot_leaderboard(table: pd.DataFrame) -> Figure:
    """Draw the errors of trainings, or of their snapshots, one row each, the best at the top.

    Args:
        table: As `report.leaderboard` returns it.

    Returns:
        The figure: mean distances to the labels, px, of test and training frames. What is not
        evaluated is left out, and counted below.

    Raises:
        ResultError: Nothing is evaluated.
        SetupError: matplotlib is not installed.
    """
    shown = table.dropna(subset="test_error")
    if not len(shown):
        raise ResultError(
            "None of these trainings is evaluated. Call report.best_model(..., evaluate=True), or "
            "populate ModelEvaluation of their models."
        )
    places = np.arange(len(shown))
    with new_figure(8, max(1.6 + 0.36 * len(shown), 2.6)) as figure:
        ax = figure.subplots()
        ends = np.sort(shown[["train_error", "test_error"]].to_numpy(float), axis=1)
        ax.hlines(places, ends[:, 0], ends[:, 1], color=GREY, lw=1)
        style: dict[str, Any] = {"ls": "", "marker": "o", "ms": 7}
        ax.plot(shown.train_error, places, color=TRAIN_COLOR, label="training frames", **style)
        ax.plot(shown.test_error, places, color=TEST_COLOR, label="test frames", **style)
        ax.set_yticks(places, [_name(row) for row in shown.to_dict("records")])
        ax.invert_yaxis()
        ax.set_xlim(left=0)
        left_out = len(table) - len(shown)
        note = f"; {left_out} not evaluated" if left_out else ""
        ax.set_xlabel(f"mean distance to the labels (px){note}")
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)
        return figure


def _name(row: dict[str, Any]) -> str:
    """What it was trained with, and for how long."""
    unit = "epochs" if row["engine"] == "pytorch" else "iterations"
    return f"{row['paramset_desc']}, training {row['training_id']}, after {row['epoch']:,} {unit}"
