"""x, y and likelihood over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..pose.data import Pose
from .figures import (
    GREY,
    TEST_COLOR,
    add_legend,
    check_cutoff,
    color_parts,
    describe_place,
    find_lonely,
    legend_width,
    mask_untrusted,
    new_figure,
    select,
    split_at_files,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 6
"""Trajectories that share axes; more of them get a row each."""

MAX_POINTS = 4000
"""Points of a line: more than a figure has pixels."""

_DASHES = ("-", "--", "-.", ":")
"""Of individuals that share axes."""

_NEXT_FILE: dict[str, Any] = {"color": GREY, "lw": 0.8, "ls": ":"}


def plot_timeseries(
    pose: Pose,
    *,
    body_parts: str | Sequence[str] | None = None,
    individuals: str | Sequence[str] | None = None,
    p_cutoff: float | None = None,
    colormap: str | None = None,
) -> Figure:
    """Draw x, y and likelihood over time; x and y have gaps where the likelihood is low.

    Up to six trajectories share axes. Of more, each gets a row of its own, and likelihood is a
    shade of grey.

    Args:
        pose: As ``PoseEstimation.get_pose`` returns it.
        body_parts: One name or several; None for all.
        individuals: Likewise.
        p_cutoff: Likelihood below which x and y are not drawn; None for the model's.
        colormap: Instead of that of the model's config.

    Returns:
        The figure. Time is in seconds, or in frames where the recording has no frame rate.

    Raises:
        QueryError: There is no such body part or individual.
        ResultError: The pose has no frames.
        ParameterError: The cutoff is not from 0 to 1, or there is no such colormap.
        SetupError: matplotlib is not installed.
    """
    chosen = select(pose, body_parts, individuals)
    cutoff = check_cutoff(p_cutoff, pose)
    colors = color_parts(pose, colormap)
    lines = []
    for animal, part, i, k in chosen:
        x, y = mask_untrusted(pose, i, k, cutoff).T
        likelihood = np.asarray(pose.likelihood[:, k, i], float)
        name, dashes = f"{animal} {part}".strip(), _DASHES[i % len(_DASHES)]
        lines.append(_Line(name, colors[part], dashes, x, y, likelihood))
    draw = _draw_shared if len(lines) <= FEW else _draw_rows
    return draw(pose, lines, cutoff)


@dataclass(frozen=True, eq=False)
class _Line:
    """One trajectory to draw: its name, its look, and x, y and likelihood, shape (n_frames,)."""

    name: str
    color: str
    dashes: str
    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    likelihood: npt.NDArray[Any]


def _make_time(pose: Pose) -> tuple[npt.NDArray[Any], str]:
    if pose.rate is None:
        return pose.frame_index.astype(float), "frame"
    return pose.time, "time (s)"


def thin_out(
    time: npt.NDArray[Any], values: npt.NDArray[Any], most: int = MAX_POINTS
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Draw long series with the extremes of each stretch, so that no jump is lost.

    Args:
        time: Shape (n,).
        values: Shape (n,); NaN is a gap, which stays one where all of a stretch is missing.
        most: Points to keep.

    Returns:
        Time and values, of at most ``most`` points.
    """
    if len(time) <= most:
        return time, values
    length = -(-2 * len(time) // most)
    count = -(-len(time) // length)
    padded = np.full(count * length, np.nan)
    padded[: len(values)] = values
    stretches = padded.reshape(count, length)
    lowest = np.where(np.isnan(stretches), np.inf, stretches).argmin(axis=1)
    highest = np.where(np.isnan(stretches), -np.inf, stretches).argmax(axis=1)
    order = np.sort(np.stack([lowest, highest], axis=1), axis=1)
    index = (order + np.arange(count)[:, None] * length).ravel()
    index = np.unique(np.minimum(index, len(time) - 1))
    return time[index], padded[index]


def _plot(ax: Axes, pose: Pose, time: npt.NDArray[Any], values: Any, **style: Any) -> None:
    # The camera was off between two files: no line from the end of one to the start of the next.
    breaks = split_at_files(pose)
    for piece in zip(np.split(time, breaks), np.split(values, breaks), strict=True):
        times, drawn = thin_out(*piece)
        ax.plot(times, drawn, **style)
        lonely = find_lonely(drawn)
        if lonely.any():
            ax.plot(times[lonely], drawn[lonely], ".", color=style["color"], ms=3)


def _limit_time(ax: Axes, time: npt.NDArray[Any]) -> None:
    around = 0.5 if len(time) == 1 else 0  # one moment is not a range
    ax.set_xlim(time[0] - around, time[-1] + around)


def _mark_files(ax: Axes, pose: Pose, time: npt.NDArray[Any]) -> None:
    for place in split_at_files(pose):
        ax.axvline(time[place], **_NEXT_FILE)


# --- a few trajectories ---------------------------------------------------------------------------


def _draw_shared(pose: Pose, lines: Sequence[_Line], cutoff: float) -> Figure:
    from matplotlib.lines import Line2D

    time, label = _make_time(pose)
    names = [line.name for line in lines]
    handles = [
        Line2D([], [], color=line.color, ls=line.dashes, lw=2, label=line.name) for line in lines
    ]
    with new_figure(8.5 + legend_width([*names, f"p-cutoff {cutoff:g}"]), 6) as figure:
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(1, 1, 0.7))
        for line in lines:
            for ax, values in zip(axes, (line.x, line.y, line.likelihood), strict=True):
                _plot(ax, pose, time, values, color=line.color, ls=line.dashes, lw=1)
        place = describe_place(pose)
        for ax, name in zip(axes, "xy", strict=False):
            ax.set_ylabel(f"{name} ({pose.unit}{place})")
        axes[1].invert_yaxis()
        axes[2].set_ylabel("likelihood")
        axes[2].set_ylim(-0.03, 1.05)
        axes[2].set_xlabel(label)
        axes[2].axhline(cutoff, color="black", lw=0.9, ls="--")
        handles.append(Line2D([], [], color="black", lw=0.9, ls="--", label=f"p-cutoff {cutoff:g}"))
        if not pose.has_likelihood:
            axes[2].text(0.5, 0.2, "these results have no likelihood", ha="center",
                         transform=axes[2].transAxes)  # fmt: skip
        for ax in axes:
            _mark_files(ax, pose, time)
        if split_at_files(pose):
            handles.append(Line2D([], [], label="next file", **_NEXT_FILE))
        _limit_time(axes[2], time)
        figure.align_ylabels(axes)
        add_legend(figure, handles)
        return figure


# --- many trajectories ----------------------------------------------------------------------------


def _draw_rows(pose: Pose, lines: Sequence[_Line], cutoff: float) -> Figure:
    time, label = _make_time(pose)
    height = 1.6 + 0.3 * len(lines)
    with new_figure(12, height) as figure:
        axes = figure.subplots(1, 3, sharey=True)
        place = describe_place(pose)
        for ax, coordinate in zip(axes, "xy", strict=False):
            span = _find_span([getattr(line, coordinate) for line in lines])
            for row, line in enumerate(lines):
                # One scale for all rows; each is centred on its own middle.
                values = getattr(line, coordinate)
                middle = np.nanmedian(values) if np.isfinite(values).any() else 0.0
                sign = 1 if coordinate == "y" else -1  # rows count downwards, as y does
                shifted = row + sign * (values - middle) / span
                _plot(ax, pose, time, shifted, color=line.color, lw=0.9)
            ax.set_title(f"{coordinate}{place}, one row = {span:.0f} {pose.unit}")
        _draw_likelihoods(figure, axes[2], time, lines, cutoff)
        for ax in axes:
            _mark_files(ax, pose, time)
            ax.set_xlabel(label)
            _limit_time(ax, time)
        axes[0].set_yticks(range(len(lines)), [line.name for line in lines])
        for tick, line in zip(axes[0].get_yticklabels(), lines, strict=True):
            tick.set_color(line.color)
        axes[0].set_ylim(len(lines) - 0.4, -0.6)
        return figure


def _find_span(series: Sequence[npt.NDArray[Any]]) -> float:
    """Choose what the distance of two rows stands for: most of the widest trajectory."""
    spans = [np.ptp(np.nanpercentile(v, (1, 99))) for v in series if np.isfinite(v).any()]
    return max(float(max(spans, default=1.0)), 1.0)


def _draw_likelihoods(
    figure: Figure, ax: Axes, time: npt.NDArray[Any], lines: Sequence[_Line], cutoff: float
) -> None:
    """Draw likelihoods as an image, of each stretch the lowest."""
    n_frames = len(time)
    starts = np.unique(np.linspace(0, n_frames, min(n_frames, 600) + 1).astype(int)[:-1])
    image = np.stack([np.fmin.reduceat(line.likelihood, starts) for line in lines])
    step = (time[-1] - time[0]) / max(n_frames - 1, 1)
    extent = (time[0] - step / 2, time[-1] + step / 2, len(lines) - 0.5, -0.5)
    shown = ax.imshow(
        image, aspect="auto", cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest"
    )
    bar = figure.colorbar(shown, ax=ax, label="likelihood", shrink=0.6)
    bar.ax.axhline(cutoff, color=TEST_COLOR, lw=1.5)
    ax.set_title(f"likelihood (p-cutoff {cutoff:g})")
