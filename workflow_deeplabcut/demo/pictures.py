"""The demo's pictures, drawn without pyplot: no window, and no global state is touched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.style import context as style

from element_deeplabcut.readers.learning_curve import LEARNING_RATE, LOSS, LearningCurve

from ..synthetic import BODY_PARTS
from .folder import DemoFolder
from .tracks import Track

COLOURS = {"nose": "#d62728", "leftear": "#2a9d3a", "rightear": "#1f5fd0", "tailbase": "#b8860b"}
"""Those of the marks on the animal, dark enough for lines on white."""

LABELS = {"nose": "nose", "leftear": "left ear", "rightear": "right ear", "tailbase": "tail base"}
TRUTH = "#b0b0b0"
N_FRAMES = 6
_NEXT_FILE: dict[str, Any] = {"color": "black", "lw": 0.9, "ls": ":"}
HALF_WINDOW_PX = 42
_STYLE: dict[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "savefig.dpi": 130,
}


def draw_all(
    folder: DemoFolder,
    tracks: Sequence[Track],
    curve: LearningCurve,
    registered: int,
    unit: str,
) -> None:
    """Draw the three pictures of a run.

    Args:
        folder: Where to.
        tracks: Tracked recordings; the first is the one whose trajectories are drawn.
        curve: Learning curve of the training.
        registered: Epoch (iteration) whose snapshot became the model.
        unit: ``epochs`` or ``iterations``.
    """
    with style(["default", _STYLE]):
        _save(draw_predicted_over_true(tracks), folder.predicted_over_true)
        _save(draw_trajectory(tracks[0]), folder.trajectory)
        _save(draw_learning_curve(curve, registered, unit), folder.learning_curve)


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, format="png")


# --- frames ---------------------------------------------------------------------------------------


def draw_predicted_over_true(tracks: Sequence[Track]) -> Figure:
    """Draw frames from all recordings, with predicted points over the true ones."""
    figure = Figure(figsize=(9.6, 7.4), layout="compressed")
    axes = figure.subplots(2, N_FRAMES // 2).ravel()
    shown = _spread_frames(tracks, N_FRAMES)
    pictures = {
        (track.recording_id, number): picture
        for track in tracks
        for number, picture in track.read_frames({n for t, n in shown if t is track})
    }
    for ax, (track, number) in zip(axes, shown, strict=True):
        ax.imshow(pictures[track.recording_id, number], interpolation="nearest")
        _mark_points(ax, track, number)
        ax.set_title(
            f"recording {track.recording_id}, frame {number}: "
            f"{track.error[number].mean():.2f} px off"
        )
    for ax in axes[-N_FRAMES // 2 :]:
        ax.set_xlabel("x (px)")
    for ax in axes[:: N_FRAMES // 2]:
        ax.set_ylabel("y (px)")
    figure.suptitle("Unseen frames: predictions (crosses) over true positions (circles)")
    figure.legend(handles=_point_legend(), loc="outside lower center", ncols=len(BODY_PARTS) + 1)
    return figure


def _spread_frames(tracks: Sequence[Track], count: int) -> list[tuple[Track, int]]:
    """Choose frames spread evenly over all recordings."""
    frames = [(track, number) for track in tracks for number in range(len(track.true))]
    places = (np.arange(count) + 0.5) * len(frames) / count
    return [frames[int(place)] for place in places]


def _mark_points(ax: Axes, track: Track, number: int) -> None:
    for part, true, predicted in zip(
        BODY_PARTS, track.true[number], track.predicted[number], strict=True
    ):
        ax.plot(*true, "o", ms=17, mfc="none", mec="white", mew=3.2)
        ax.plot(*true, "o", ms=17, mfc="none", mec="black", mew=1.3)
        ax.plot(*predicted, "X", ms=9, mfc=COLOURS[part], mec="white", mew=1.0)
    x, y = track.true[number].mean(axis=0).round()
    ax.set_xlim(x - HALF_WINDOW_PX, x + HALF_WINDOW_PX)
    ax.set_ylim(y + HALF_WINDOW_PX, y - HALF_WINDOW_PX)


def _point_legend() -> list[Line2D]:
    true = Line2D([], [], ls="", marker="o", ms=12, mfc="none", mec="black", label="true position")
    return [true] + [
        Line2D([], [], ls="", marker="X", ms=9, mfc=COLOURS[part], mec="white", label=LABELS[part])
        for part in BODY_PARTS
    ]


# --- trajectory -----------------------------------------------------------------------------------


def draw_trajectory(track: Track) -> Figure:
    """Draw x and y over time, the path in the picture, and the error over time."""
    figure = Figure(figsize=(12, 8), layout="constrained")
    grid = figure.add_gridspec(len(BODY_PARTS), 3, width_ratios=(1, 1, 1.4))
    first = figure.add_subplot(grid[0, 0])
    for row in range(len(BODY_PARTS)):
        for axis in (0, 1):
            is_first = row == axis == 0
            ax = (
                first
                if is_first
                else figure.add_subplot(grid[row, axis], sharex=first, sharey=first)
            )
            _draw_over_time(ax, track, row, axis)
    _draw_path(figure.add_subplot(grid[:3, 2]), track)
    _draw_error(figure.add_subplot(grid[3, 2], sharex=first), track)
    figure.legend(handles=_line_legend(track), loc="outside lower center", ncols=6)
    files = " and ".join(video.name for video in track.videos)
    figure.suptitle(
        f"Recording {track.recording_id} ({files}), never seen in training: "
        f"{track.error.mean():.2f} px off on average"
    )
    return figure


def _draw_over_time(ax: Axes, track: Track, number: int, axis: int) -> None:
    part, times = BODY_PARTS[number], _break(track, track.times)
    ax.plot(times, _break(track, track.true[:, number, axis]), color=TRUTH, lw=4)
    ax.plot(times, _break(track, track.predicted[:, number, axis]), color=COLOURS[part], lw=1.2)
    ax.set_ylabel(f"{LABELS[part]} {'xy'[axis]} (px)")
    _mark_files(ax, track)
    is_last = number == len(BODY_PARTS) - 1
    ax.tick_params(labelbottom=is_last)
    ax.set_xlabel("time (s)" if is_last else "")


def _break(track: Track, values: Any) -> Any:
    """Interrupt a line where a new file begins: the camera was off in between."""
    return np.insert(np.asarray(values, np.float64), track.first_frames[1:], np.nan)


def _mark_files(ax: Axes, track: Track) -> None:
    for first in track.first_frames[1:]:
        ax.axvline(first / track.fps, **_NEXT_FILE)


def _draw_path(ax: Axes, track: Track) -> None:
    for number in range(len(BODY_PARTS)):
        _draw_positions(ax, track, track.true[:, number], TRUTH, 4)
    for number, part in enumerate(BODY_PARTS):
        _draw_positions(ax, track, track.predicted[:, number], COLOURS[part], 1.2)
    ax.set_aspect("equal")
    ax.invert_yaxis()
    ax.set(title="path in the frame", xlabel="x (px)", ylabel="y (px)")


def _draw_positions(ax: Axes, track: Track, positions: Any, colour: str, width: float) -> None:
    x, y = (_break(track, positions[:, axis]) for axis in (0, 1))
    ax.plot(x, y, color=colour, lw=width)


def _line_legend(track: Track) -> list[Line2D]:
    lines = [Line2D([], [], color=COLOURS[part], lw=1.5, label=LABELS[part]) for part in BODY_PARTS]
    lines.append(Line2D([], [], color=TRUTH, lw=4, label="truth"))
    if len(track.first_frames) > 1:
        lines.append(Line2D([], [], **_NEXT_FILE, label="next video file begins"))
    return lines


def _draw_error(ax: Axes, track: Track) -> None:
    error = _break(track, track.error.mean(axis=1))
    ax.plot(_break(track, track.times), error, color="black", lw=1)
    ax.set_ylim(bottom=0)
    ax.set(xlabel="time (s)", ylabel="mean error (px)")
    _mark_files(ax, track)


# --- learning curve -------------------------------------------------------------------------------


def draw_learning_curve(curve: LearningCurve, registered: int, unit: str = "epochs") -> Figure:
    """Draw loss and error over a training, and where the snapshot is that became the model.

    The TensorFlow engine does not look at test frames while it trains; then the learning rate is
    drawn in place of the error.
    """
    figure = Figure(figsize=(9.6, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_measured(left, curve, LOSS, "training frames", "#1f5fd0")
    _draw_measured(left, curve, "losses/eval.total_loss", "test frames", "#d62728")
    left.set_yscale("log")
    left.set(title="loss", ylabel="total loss (no unit)")
    if LEARNING_RATE in curve.columns:
        _draw_measured(right, curve, LEARNING_RATE, "learning rate", "#1f5fd0")
        right.set(title="learning rate", ylabel="learning rate (no unit)")
    else:
        _draw_measured(right, curve, "metrics/test.rmse", "test frames", "#d62728")
        right.set(title="error on test frames", ylabel="mean distance to the labels (px)")
    right.set_ylim(bottom=0)
    last = int(curve.steps.max(initial=1))
    for ax in (left, right):
        ax.axvline(registered, color="black", lw=0.9, ls=":", label="registered snapshot")
        ax.legend()
        ax.set_xlabel(unit.removesuffix("s"))
        ax.set_xlim(0, last * 1.04)
    figure.suptitle(f"Training of {last} {unit} from random weights")
    return figure


def _draw_measured(ax: Axes, curve: LearningCurve, column: str, label: str, colour: str) -> None:
    """Draw a column where it was measured: test frames are looked at in some epochs only."""
    values = curve.columns.get(column, np.full(len(curve.steps), np.nan))
    measured = ~np.isnan(values)
    if not measured.any():
        return
    ax.plot(curve.steps[measured], values[measured], "o-", ms=4, color=colour, label=label)
