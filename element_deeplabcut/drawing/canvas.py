"""Dots and lines on a frame in YUV 4:2:0, anti-aliased, from stamps made once.

Coordinates: px, x to the right, y down, (0, 0) the centre of the top left pixel, as DeepLabCut and
OpenCV have it. A dot is placed to an eighth of a pixel. Colour has half the resolution of
brightness, so a colour sample gets the mean coverage of its four pixels; stamps therefore start at
even pixels.

A blend is ``(old * (256 - cover) + colour * cover + 128) >> 8``, in 16 bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..colors import RGB

if TYPE_CHECKING:
    import av

Plane = npt.NDArray[np.uint8]
Weights = npt.NDArray[np.uint16]

STEPS_PER_PX = 8
_STEPS = 2 * STEPS_PER_PX  # within the two pixels that share a colour sample
_FULL = 256
_HALF = np.uint16(_FULL // 2)
_CACHE_BYTES = 64 << 20

BLACK = (16, 128, 128)
"""Black in YUV of limited range."""


def to_yuv(color: RGB, *, is_bt709: bool = False) -> tuple[int, int, int]:
    """Convert a colour to YUV of limited range.

    Args:
        color: RGB.
        is_bt709: Use the matrix of HD video (BT.709) instead of BT.601.
    """
    red, green, blue = (channel / 255 for channel in color)
    k_red, k_blue = (0.2126, 0.0722) if is_bt709 else (0.299, 0.114)
    luma = k_red * red + (1 - k_red - k_blue) * green + k_blue * blue
    cb, cr = (blue - luma) / (1 - k_blue) / 2, (red - luma) / (1 - k_red) / 2
    return round(16 + 219 * luma), round(128 + 224 * cb), round(128 + 224 * cr)


@dataclass(frozen=True)
class Ink:
    """A colour and its opacity, ready to be put on a canvas.

    Attributes:
        yuv: Colour.
        alpha: Opacity, 0 to 1.
    """

    yuv: tuple[int, int, int]
    alpha: float = 1.0


@dataclass(frozen=True)
class Canvas:
    """The planes of one frame.

    Attributes:
        luma: Shape (height, width).
        blue: Shape (height / 2, width / 2).
        red: Likewise.
    """

    luma: Plane
    blue: Plane
    red: Plane

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Canvas:
        """Open a writable frame in yuv420p; drawing changes the frame itself."""
        return cls(*(view_plane(plane) for plane in frame.planes))

    def fill(self, yuv: tuple[int, int, int]) -> None:
        """Cover all of it with one colour."""
        for plane, value in zip((self.luma, self.blue, self.red), yuv, strict=True):
            plane[...] = value


def view_plane(plane: Any) -> Plane:
    """View the pixels of a frame's plane, without copying them."""
    pixels = np.frombuffer(plane, np.uint8)
    return pixels.reshape(-1, plane.line_size)[: plane.height, : plane.width]


# --- dots -----------------------------------------------------------------------------------------


class Stamps:
    """How much dots of one size and opacity cover, for each place within a pixel.

    Dots of all colours share them: most of a short video's time would go into making them.
    """

    def __init__(self, radius: float, alpha: float) -> None:
        self._radius = radius
        self._alpha = alpha
        # From the even pixel left of the centre, so that the rim fits on either side.
        self.reach = 2 * math.ceil((radius + 0.5) / 2)
        size = 2 * self.reach + 4
        # Bounded, so that large dots do not fill the memory.
        self._capacity = max(1, _CACHE_BYTES // (8 * size * size))
        self._made: dict[tuple[int, int], tuple[Weights, Weights, Weights, Weights]] = {}

    def get(self, place: tuple[int, int]) -> tuple[Weights, Weights, Weights, Weights]:
        """Give what the old brightness is multiplied with, and the new; then those of colour."""
        return self._made.get(place) or self._make(place)

    def _make(self, place: tuple[int, int]) -> tuple[Weights, Weights, Weights, Weights]:
        if len(self._made) >= self._capacity:
            self._made.clear()
        pixels = np.arange(-self.reach, self.reach + 4)
        x, y = (pixels - steps / STEPS_PER_PX for steps in place)
        distance = np.hypot(x[None, :], y[:, None])
        cover = np.clip(self._radius + 0.5 - distance, 0, 1) * self._alpha
        coarse = (cover[::2, ::2] + cover[1::2, ::2] + cover[::2, 1::2] + cover[1::2, 1::2]) / 4
        fine, half = (np.rint(_FULL * c).astype(np.uint16) for c in (cover, coarse))
        self._made[place] = (_FULL - fine, fine, _FULL - half, half)
        return self._made[place]


class Disc:
    """A dot of one size and ink."""

    def __init__(self, stamps: Stamps, yuv: tuple[int, int, int]) -> None:
        self._stamps = stamps
        self._luma, self._blue, self._red = (np.uint16(value) for value in yuv)

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """Draw the dot at a place, or what of it is in the picture."""
        column, row = round(x * STEPS_PER_PX), round(y * STEPS_PER_PX)
        left = 2 * (column // _STEPS) - self._stamps.reach
        top = 2 * (row // _STEPS) - self._stamps.reach
        keep, add, coarse_keep, coarse_add = self._stamps.get((column % _STEPS, row % _STEPS))
        _blend(canvas.luma, left, top, keep, add, self._luma)
        _blend(canvas.blue, left // 2, top // 2, coarse_keep, coarse_add, self._blue)
        _blend(canvas.red, left // 2, top // 2, coarse_keep, coarse_add, self._red)


def _blend(
    plane: Plane, left: int, top: int, keep: Weights, add: Weights, value: np.uint16
) -> None:
    height, width = plane.shape
    rows, columns = keep.shape
    if left < 0 or top < 0 or left + columns > width or top + rows > height:
        inside = (
            slice(max(-top, 0), max(min(rows, height - top), 0)),
            slice(max(-left, 0), max(min(columns, width - left), 0)),
        )
        keep, add = keep[inside], add[inside]
        if not keep.size:
            return
        left, top = max(left, 0), max(top, 0)
        rows, columns = keep.shape
    part = plane[top : top + rows, left : left + columns]
    mixed = part * keep
    mixed += add * value
    mixed += _HALF
    mixed >>= 8
    part[...] = mixed


# --- lines ----------------------------------------------------------------------------------------


def draw_lines(canvas: Canvas, ends: npt.ArrayLike, width: float, ink: Ink) -> None:
    """Draw straight lines, or what of them is in the picture.

    Args:
        canvas: Where to.
        ends: Shape (n_lines, 4): x and y of one end, x and y of the other, px.
        width: px.
        ink: Colour.
    """
    full = np.asarray(ends, float).reshape(-1, 4)
    _blend_lines([canvas.luma], full, width, ink.yuv[:1], ink.alpha)
    # Pixel centres of a plane at half resolution lie between two of the full one.
    half = (full - 0.5) / 2
    _blend_lines([canvas.blue, canvas.red], half, width / 2, ink.yuv[1:], ink.alpha)


def _blend_lines(
    planes: Sequence[Plane],
    ends: npt.NDArray[np.float64],
    width: float,
    values: Sequence[int],
    alpha: float,
) -> None:
    """Walk along the longer axis of each line, and cover a few pixels across at each step.

    All lines together, for speed. Where two of them meet, the stronger cover counts.
    """
    is_steep = np.abs(ends[:, 3] - ends[:, 1]) > np.abs(ends[:, 2] - ends[:, 0])
    a1, b1, a2, b2 = np.where(is_steep[:, None], ends[:, [1, 0, 3, 2]], ends).T  # along, across
    n_rows, n_columns = planes[0].shape
    n_along = np.where(is_steep, n_rows, n_columns)
    slopes = (b2 - b1) / np.where(a1 == a2, 1, a2 - a1)
    firsts = np.maximum(np.ceil(np.minimum(a1, a2) - 0.5), 0).astype(np.intp)
    lasts = np.minimum(np.floor(np.maximum(a1, a2) + 0.5), n_along - 1).astype(np.intp)
    counts = np.maximum(lasts - firsts + 1, 0)
    total = int(counts.sum())
    if not total:
        return
    # One entry per step of each line.
    line = np.repeat(np.arange(len(ends)), counts)
    along = np.arange(total) + (firsts - np.cumsum(counts) + counts)[line]
    middle = (b1 - slopes * a1)[line] + slopes[line] * along
    # Across the longer axis a line is wider than across itself.
    halves = (width / 2 * np.sqrt(1 + slopes * slopes))[line]
    reach = math.ceil(width / math.sqrt(2) + 0.5)
    across = np.rint(middle)[:, None] + np.arange(-reach, reach + 1)
    cover = halves[:, None] + 0.5 - np.abs(across - middle[:, None])
    np.minimum(cover, np.minimum(2 * halves, 1)[:, None], out=cover)
    n_across = np.where(is_steep, n_columns, n_rows)[line][:, None]
    step, place = ((cover > 0) & (across >= 0) & (across < n_across)).nonzero()
    weight = np.rint(_FULL * alpha * cover[step, place]).astype(np.uint16)
    order = np.argsort(weight, kind="stable")  # of several values for a pixel the last one stays
    step, place, weight = step[order], place[order], weight[order]
    turned, one, other = is_steep[line[step]], along[step], across[step, place].astype(np.intp)
    rows, columns = np.where(turned, one, other), np.where(turned, other, one)
    for plane, value in zip(planes, values, strict=True):
        old = plane[rows, columns]
        plane[rows, columns] = (old * (_FULL - weight) + weight * np.uint16(value) + 128) >> 8
