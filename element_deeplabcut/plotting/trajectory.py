"""Where the animals went: the path of each body part over the picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError
from ..pose.data import Pose
from .figures import (
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

_PANEL = 5.2  # inches
_PART_SCALE = 0.42
_ANIMAL_COLUMNS, _PART_COLUMNS = 3, 6

_STILL = 1.0
"""Path of this extent, px, that would be too small to see (a corner of the arena)."""

MANY = 8
"""With more body parts than this, each gets a panel: their paths would cover each other."""


def read_background(video: str | os.PathLike[str], frame: int = 0) -> npt.NDArray[np.uint8]:
    """Read one frame of a video, upright, to draw paths over.

    Args:
        video: The video file.
        frame: Number of the frame; decoding starts at the first, so late ones take time.

    Returns:
        RGB, shape (height, width, 3).

    Raises:
        VideoError: The video cannot be decoded.
        ParameterError: It has no such frame.
    """
    from ..drawing.frames import to_upright_rgb
    from ..video import open_video

    with open_video(Path(os.fsdecode(video))) as (container, stream):
        for index, decoded in enumerate(container.decode(stream)):
            if index == frame:
                return to_upright_rgb(decoded)
    raise ParameterError(f"'{video}' has no frame {frame}.")


def plot_trajectory(
    pose: Pose,
    *,
    body_parts: str | Sequence[str] | None = None,
    individuals: str | Sequence[str] | None = None,
    p_cutoff: float | None = None,
    background: npt.NDArray[Any] | None = None,
    colormap: str | None = None,
) -> Figure:
    """Draw the paths of body parts in the picture, one panel per individual.

    Of more than eight body parts, each gets a panel of its own.

    Args:
        pose: As ``PoseEstimation.get_pose`` returns it.
        body_parts: One name or several; None for all.
        individuals: Likewise.
        p_cutoff: Likelihood below which the path is interrupted; None for the model's.
        background: Picture to draw over, shape (height, width) or (height, width, 3), for instance
            from `read_background`.
        colormap: Instead of that of the model's config.

    Returns:
        The figure. x to the right and y down, at one scale.

    Raises:
        QueryError: There is no such body part or individual.
        ResultError: The pose has no frames.
        ParameterError: The cutoff is not from 0 to 1, or there is no such colormap.
        SetupError: matplotlib is not installed.
    """
    chosen = select(pose, body_parts, individuals)
    cutoff = check_cutoff(p_cutoff, pose)
    colors = color_parts(pose, colormap)
    names = list(dict.fromkeys(part for _, part, *_ in chosen))
    by_part = len(names) > MANY
    panels: dict[str, list[Any]] = {}
    for animal, part, i, k in chosen:
        title = f"{animal} {part}".strip() if by_part else animal
        path = (mask_untrusted(pose, i, k, cutoff), colors[part])
        panels.setdefault(title, []).append(path)
    columns = min(len(panels), _PART_COLUMNS if by_part else _ANIMAL_COLUMNS)
    rows = -(-len(panels) // columns)
    width, height = (_PART_SCALE if by_part else 1) * np.array(_size_panel(pose, background))
    beside = 0 if by_part else legend_width(names)
    with new_figure(columns * width + beside, rows * height + 0.4) as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        for ax, (title, paths) in zip(grid, panels.items(), strict=False):
            if background is not None:
                ax.imshow(background, cmap="gray", alpha=0.6)
            for position, color in paths:
                _draw_path(ax, pose, position, color)
            _frame_picture(ax, pose, background)
            ax.set_title(title, fontsize=8 if by_part else 10)
        for ax in grid[len(panels) :]:
            ax.set_visible(False)
        _label_axes(figure, pose)
        if not by_part:
            add_legend(figure, [_handle(colors[name], name) for name in names])
        return figure


def _label_axes(figure: Figure, pose: Pose) -> None:
    unit = "px" if pose.unit == "px" else f"{pose.unit} unit"
    x, y = f"x ({unit}{describe_place(pose)})", f"y ({unit})"
    if len(figure.axes) == 1:
        figure.axes[0].set(xlabel=x, ylabel=y)
    else:
        figure.supxlabel(x, fontsize=10)
        figure.supylabel(y, fontsize=10)


def _size_panel(pose: Pose, background: npt.NDArray[Any] | None) -> tuple[float, float]:
    """Choose a panel's size, inches, so that the picture fills it."""
    if background is not None:
        height, width = background.shape[:2]
    elif pose.width and pose.height:
        height, width = pose.height, pose.width
    else:
        return _PANEL, _PANEL
    ratio = float(np.clip(height / width, 0.4, 2.0))
    return (_PANEL, _PANEL * ratio + 0.5) if ratio <= 1 else (_PANEL / ratio + 0.9, _PANEL)


def _draw_path(ax: Axes, pose: Pose, position: npt.NDArray[Any], color: str) -> None:
    # The camera was off between two files: no line from the end of one to the start of the next.
    broken = np.insert(position, split_at_files(pose), np.nan, axis=0)
    x, y = broken.T
    ax.plot(x, y, color=color, lw=1, alpha=0.8, solid_joinstyle="round")
    lonely = find_lonely(x)
    found = np.flatnonzero(~np.isnan(x))
    if len(found) and np.ptp(position[~np.isnan(position[:, 0])], axis=0).max() < _STILL:
        lonely[found[0]] = True
    ax.plot(x[lonely], y[lonely], ".", color=color, ms=3)


def _frame_picture(ax: Axes, pose: Pose, background: npt.NDArray[Any] | None) -> None:
    ax.set_aspect("equal")
    ax.spines[["top", "right"]].set_visible(True)
    if background is not None:
        height, width = background.shape[:2]
    elif pose.width and pose.height and pose.unit == "px" and pose.full_frame:
        height, width = pose.height, pose.width
    else:
        if not ax.yaxis_inverted():
            ax.invert_yaxis()
        return
    # The centre of the top left pixel is (0, 0).
    ax.set_xlim(-0.5, width - 0.5)
    ax.set_ylim(height - 0.5, -0.5)


def _handle(color: str, name: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=color, lw=2, label=name)
