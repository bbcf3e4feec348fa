"""How good a model is: errors per body part, on training and test frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ResultError
from .figures import TEST_COLOR, TRAIN_COLOR, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SERIES = (
    ("train_error", "training frames", TRAIN_COLOR, -0.19),
    ("test_error", "test frames", TEST_COLOR, 0.19),
)
_BAR = 0.36


def plot_evaluation(
    rows: Iterable[Mapping[str, Any]],
    *,
    overall: Mapping[str, Any] | None = None,
    p_cutoff: float | None = None,
) -> Figure:
    """Draw the errors of a model per body part: bars for all points, dots for the trusted ones.

    Args:
        rows: ``(ModelEvaluation.BodyPart & key).fetch(as_dict=True)``: body_part, train_error,
            test_error, train_error_p and test_error_p, px; None where nothing was labelled.
        overall: Row of ``ModelEvaluation``, for the means over all body parts.
        p_cutoff: Likelihood from which on a point is trusted, for the legend; by default that of
            ``overall``.

    Returns:
        The figure.

    Raises:
        ResultError: There are no rows.
        SetupError: matplotlib is not installed.
    """
    rows = list(rows)
    if not rows:
        raise ResultError("There are no errors to plot. Populate ModelEvaluation first.")
    named = [(str(row["body_part"]), row) for row in rows]
    if overall is not None:
        named.append(("all body parts", overall))
        p_cutoff = overall.get("p_cutoff") if p_cutoff is None else p_cutoff
    height = 1.5 + 0.34 * len(named)
    with new_figure(7.5, max(height, 3)) as figure:
        ax = figure.subplots()
        for column, label, color, offset in _SERIES:
            places = np.arange(len(named)) + offset
            _draw_bars(ax, places, [row for _, row in named], column, label, color)
        _draw_trusted(ax, [row for _, row in named], p_cutoff)
        ax.set_yticks(range(len(named)), [name for name, _ in named])
        if overall is not None:
            ax.get_yticklabels()[-1].set_fontweight("bold")
            ax.axhline(len(named) - 1.5, color="black", lw=0.8)
        ax.set_ylim(len(named) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.set_xlabel("mean distance to the labels (px)")
        ax.grid(axis="x", color="0.9")
        ax.tick_params(axis="y", length=0)
        figure.legend(loc="outside upper center", ncols=3, fontsize=9)
        return figure


def _values(rows: Sequence[Mapping[str, Any]], column: str) -> Any:
    return np.array([np.nan if row.get(column) is None else float(row[column]) for row in rows])


def _draw_bars(
    ax: Axes, places: Any, rows: Sequence[Mapping[str, Any]], column: str, label: str, color: str
) -> None:
    values = _values(rows, column)
    ax.barh(places, values, _BAR, color=color, label=label)
    for place in places[np.isnan(values)]:
        ax.annotate("none labelled", (0, place), (3, 0), textcoords="offset points", va="center",
                    fontsize=7, color="0.4")  # fmt: skip


def _draw_trusted(ax: Axes, rows: Sequence[Mapping[str, Any]], p_cutoff: float | None) -> None:
    label = "likelihood above p-cutoff" + ("" if p_cutoff is None else f" {p_cutoff:g}")
    for column, _, _, offset in _SERIES:
        values = _values(rows, f"{column}_p")
        places = np.arange(len(rows)) + offset
        ax.plot(values, places, "o", ms=4.5, mfc="white", mec="black", mew=1, label=label,
                clip_on=False)  # fmt: skip
        label = ""
