"""What is drawn over one frame: the trail, the skeleton, then the dots."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .canvas import Canvas, Disc, Ink, Stamps, draw_lines, to_yuv
from .style import DrawingStyle

FloatArray = npt.NDArray[np.floating[Any]]

_TRAIL_SIZE = 0.5
"""Radius of a trail's dots, as a part of the dots' own."""

_FADES = (0.25, 0.5, 0.75)
"""Opacity of a trail's dots as a part of the dots' own, the oldest first."""


def find_visible(
    position: FloatArray, likelihood: FloatArray, p_cutoff: float
) -> npt.NDArray[np.bool_]:
    """Say which points are drawn: those found, with a likelihood of at least the cutoff.

    Results without any likelihood (NaN) are drawn wherever they have a position.

    Args:
        position: Shape (..., 2), px.
        likelihood: Shape (...).
        p_cutoff: 0 to 1.
    """
    with np.errstate(invalid="ignore"):
        return np.isfinite(position).all(axis=-1) & ~(likelihood < p_cutoff)


class Overlay:
    """Draws the points of frames in one style."""

    def __init__(self, style: DrawingStyle, *, is_bt709: bool = False) -> None:
        self._style = style
        radius = max(style.dotsize, 0.5)
        trail_radius = max(radius * _TRAIL_SIZE, 0.5)
        dots = Stamps(radius, style.alpha)
        trails = [Stamps(trail_radius, style.alpha * fade) for fade in _FADES]
        yuvs = [[to_yuv(color, is_bt709=is_bt709) for color in row] for row in style.colors]
        self._dots = [[Disc(dots, yuv) for yuv in row] for row in yuvs]
        self._trails = [[[Disc(trail, yuv) for trail in trails] for yuv in row] for row in yuvs]
        self._line = Ink(to_yuv(style.skeleton_color, is_bt709=is_bt709), style.alpha)
        self._line_width = max(1.0, radius / 4)

    def draw(
        self, canvas: Canvas, position: FloatArray, visible: npt.NDArray[np.bool_], frame: int
    ) -> None:
        """Draw one frame.

        Args:
            canvas: The frame.
            position: Shape (n_frames, n_body_parts, n_individuals, 2), px; the frames before
                ``frame`` are its trail.
            visible: Shape (n_frames, n_body_parts, n_individuals).
            frame: Index of the frame to draw.
        """
        first = max(frame - self._style.trailpoints, 0)
        for earlier in range(first, frame):
            age = (earlier - (frame - self._style.trailpoints)) / self._style.trailpoints
            fade = int(age * len(_FADES))
            for part, animal in zip(*visible[earlier].nonzero(), strict=True):
                x, y = position[earlier, part, animal].tolist()
                self._trails[part][animal][fade].draw(canvas, x, y)
        self._draw_skeleton(canvas, position[frame], visible[frame])
        for part, animal in zip(*visible[frame].nonzero(), strict=True):
            x, y = position[frame, part, animal].tolist()
            self._dots[part][animal].draw(canvas, x, y)

    def _draw_skeleton(
        self, canvas: Canvas, position: FloatArray, visible: npt.NDArray[np.bool_]
    ) -> None:
        lines = [
            (*position[one, animal].tolist(), *position[other, animal].tolist())
            for one, other in self._style.skeleton
            for animal in (visible[one] & visible[other]).nonzero()[0]
        ]
        if lines:
            draw_lines(canvas, lines, self._line_width, self._line)
