"""How far poses can be trusted: the figures of a quality check, and their verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ResultError
from .figures import GREY, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_COLORS = {"PASS": "#009e73", "WARN": "#e69f00", "FAIL": "#b2182b"}
"""Told apart by their lightness too."""


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _seconds(value: float) -> str:
    return f"{value:.3g} s"


def _frames(value: float) -> str:
    return f"{value:.0f} frames"


_FIGURES: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("share_above_cutoff", "frames above\np-cutoff", _percent),
    ("longest_gap", "longest gap", _seconds),
    ("jump_rate", "jumps", _percent),
    ("out_of_frame_share", "out of frame", _percent),
    ("limb_outlier_share", "implausible\nlimbs", _percent),
)
_FIXED_SCALE = {"share_above_cutoff": 1.0}


def plot_quality(
    rows: Iterable[Mapping[str, Any]], *, verdict: Mapping[str, Any] | None = None
) -> Figure:
    """Draw the figures of a quality check per body part, coloured by verdict.

    Args:
        rows: ``(PoseQuality.BodyPart & key).fetch(as_dict=True)`` of one pose estimation.
        verdict: Row of ``PoseQuality``, for verdict and reason in the title.

    Returns:
        The figure: a row per body part and individual, a column per figure.

    Raises:
        ResultError: There are no rows.
        SetupError: matplotlib is not installed.
    """
    rows = list(rows)
    if not rows:
        raise ResultError("There are no figures to plot. Populate PoseQuality first.")
    figures = list(_FIGURES)
    if all(row.get("longest_gap") is None for row in rows):  # no frame rate, no seconds
        figures[1] = ("longest_gap_frames", "longest gap", _frames)
    names = [f"{row.get('individual') or ''} {row['body_part']}".strip() for row in rows]
    colors = [VERDICT_COLORS[row["part_verdict"]] for row in rows]
    with new_figure(11, 1.9 + 0.3 * len(rows)) as figure:
        axes = figure.subplots(1, len(figures), sharey=True)
        for ax, (column, title, spell) in zip(axes, figures, strict=True):
            _draw_column(ax, rows, column, colors, spell)
            ax.set_title(title)
        axes[0].set_yticks(range(len(rows)), names)
        axes[0].set_ylim(len(rows) - 0.4, -0.6)
        _add_title(figure, verdict)
        _add_key(figure)
        return figure


def _draw_column(
    ax: Axes,
    rows: Sequence[Mapping[str, Any]],
    column: str,
    colors: Sequence[str],
    spell: Callable[[float], str],
) -> None:
    values = np.array([np.nan if row.get(column) is None else float(row[column]) for row in rows])
    largest = _FIXED_SCALE.get(column) or max(float(np.nan_to_num(values).max()), 1e-12)
    places = np.arange(len(rows))
    ax.barh(places, values / largest, 0.62, color=colors)
    for place, value in zip(places, values, strict=True):
        known = not np.isnan(value)
        ax.annotate(
            spell(value) if known else "not known",
            (value / largest if known else 0, place), (3, 0),
            textcoords="offset points", va="center", fontsize=8,
            color="black" if known else GREY,
        )  # fmt: skip
    ax.set_xlim(0, 1.65)  # room for the figures beside the bars
    ax.set_xticks([])
    ax.spines["bottom"].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _add_title(figure: Figure, verdict: Mapping[str, Any] | None) -> None:
    if verdict is None:
        return
    import textwrap

    reason = textwrap.shorten(str(verdict.get("reason") or ""), 260, placeholder=" ...")
    title = textwrap.fill(f"{verdict['verdict']}  {reason}".strip(), 110)
    figure.suptitle(title, fontsize=10)


def _add_key(figure: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=color, label=name) for name, color in VERDICT_COLORS.items()]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        fontsize=9,
        title="verdict on the body part, by all of its figures",
        title_fontsize=9,
    )
