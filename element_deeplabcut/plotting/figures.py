"""What all figures share: their look, colours of body parts, legends that do not cover data."""

from __future__ import annotations

import functools
import io
import numbers
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..colors import darken_for_white, name_colors, to_hex
from ..errors import ParameterError, ResultError
from ..optional import import_optional
from ..pose.data import Pose
from ..pose.reading import pick_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE: Mapping[str, Any] = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 110,
    "savefig.dpi": 130,
}

LEGEND_ROWS = 24
"""Names that a legend beside a plot holds in one column."""

GREY = "#8a8a8a"
TRAIN_COLOR, TEST_COLOR = "#1f5fd0", "#d1495b"
"""Of training and test frames in every figure."""


@contextmanager
def new_figure(width: float, height: float, layout: Any = "constrained") -> Iterator[Figure]:
    """Make a figure of a size (inches), in the house's look whatever the user's style is.

    Raises:
        SetupError: matplotlib is not installed.
    """
    style = import_optional("matplotlib.style", "analysis")
    with style.context(["default", dict(_STYLE)]):
        yield _find_figure_class()(figsize=(width, height), layout=layout)


@functools.cache
def _find_figure_class() -> type[Figure]:
    """Derive matplotlib's figure: notebooks show it, though pyplot does not know of it."""
    figure_module = import_optional("matplotlib.figure", "analysis")

    class ShownFigure(figure_module.Figure):  # type: ignore[misc, name-defined]
        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=self.dpi)
            return buffer.getvalue()

    return ShownFigure


def select(
    pose: Pose,
    body_parts: str | Sequence[str] | None,
    individuals: str | Sequence[str] | None,
) -> list[tuple[str, str, int, int]]:
    """Choose trajectories of a pose.

    Returns:
        (individual, body part, index of the individual, index of the body part), of those that
        the model predicts, individual by individual.

    Raises:
        QueryError: There is no such body part or individual.
        ResultError: The pose has no frames.
        ParameterError: It is none.
    """
    if not isinstance(pose, Pose):
        raise ParameterError(
            "Give the pose itself, not its key: PoseEstimation.get_pose(key) fetches it."
        )
    if pose.n_frames == 0:
        raise ResultError(
            f"The pose of {dict(pose.key)} has no frames, so there is nothing to plot."
        )
    parts = pick_names(body_parts, pose.body_parts, "body part")
    animals = pick_names(individuals, pose.individuals, "individual")
    chosen = [
        (animal, part, pose.individuals.index(animal), pose.body_parts.index(part))
        for animal in animals
        for part in parts
    ]
    return [each for each in chosen if pose.is_tracked[each[3], each[2]]]


def color_parts(pose: Pose, colormap: str | None = None) -> dict[str, str]:
    """Give the body parts their colours on white, as ``#rrggbb``.

    Args:
        pose: The pose, whose model names a colormap.
        colormap: Another one.
    """
    names = pose.model_body_parts or pose.body_parts
    colors = name_colors(names, colormap or pose.colormap)
    return {name: to_hex(darken_for_white(color)) for name, color in colors.items()}


def mask_untrusted(
    pose: Pose, individual: int, part: int, p_cutoff: float
) -> npt.NDArray[np.floating[Any]]:
    """Copy x and y of a trajectory, with NaN where the likelihood is below the cutoff.

    Returns:
        Shape (n_frames, 2). Results without any likelihood are returned as they are.
    """
    position = np.array(pose.position[:, part, individual, :2], dtype=float)
    with np.errstate(invalid="ignore"):
        position[pose.likelihood[:, part, individual] < p_cutoff] = np.nan
    return position


def check_cutoff(p_cutoff: float | None, pose: Pose) -> float:
    """Take the given cutoff, or that of the model.

    Raises:
        ParameterError: It is not from 0 to 1.
    """
    p_cutoff = pose.p_cutoff if p_cutoff is None else p_cutoff
    if not isinstance(p_cutoff, numbers.Real) or not 0 <= p_cutoff <= 1:
        raise ParameterError(f"p_cutoff is {p_cutoff!r}; give a likelihood from 0 to 1.")
    return p_cutoff


def find_lonely(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Find points between two gaps, of which a line shows nothing; shape (n,), bool."""
    missing = np.isnan(np.pad(values, 1, constant_values=np.nan))
    return ~missing[1:-1] & missing[:-2] & missing[2:]


def add_legend(figure: Figure, handles: Sequence[Any], title: str | None = None) -> None:
    """Put a legend to the right of all axes, in as many columns as it takes."""
    columns = -(-len(handles) // LEGEND_ROWS)
    size = 9 if len(handles) > 12 else 10
    figure.legend(
        handles=handles, loc="outside right upper", ncols=columns, fontsize=size, title=title
    )


def legend_width(names: Iterable[str]) -> float:
    """Width that a legend of these names takes, in inches."""
    names = list(names)
    columns = -(-len(names) // LEGEND_ROWS)
    return columns * (0.6 + 0.085 * max((len(name) for name in names), default=0))


def split_at_files(pose: Pose) -> list[int]:
    """List the places in the pose's arrays at which a new video file begins."""
    firsts = [file.first_frame - int(pose.frame_index[0]) for file in pose.files]
    return [first for first in firsts if 0 < first < pose.n_frames]


def describe_place(pose: Pose) -> str:
    """Say what positions count from: the frame's corner or the crop's."""
    return "" if pose.full_frame else ", from the crop's corner"
