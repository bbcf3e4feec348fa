"""Frames as they are drawn on: upright, of even size, writable, in yuv420p of limited range.

That is what every browser plays as H.264. Most videos come out of their decoder like that, and are
only copied; the others are converted.
"""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt

from .canvas import view_plane

PIXEL_FORMAT = "yuv420p"
_FULL_RANGE = 2  # FFmpeg's AVCOL_RANGE_JPEG
_BT709 = 1  # FFmpeg's AVCOL_SPC_BT709
_UNSPECIFIED = 2
_HD_HEIGHT = 720
"""From this height on, players take video that does not say so for BT.709."""


def prepare_frame(frame: av.VideoFrame) -> av.VideoFrame:
    """Make a frame that can be drawn on and encoded; the original stays as it is.

    The picture is turned as OpenCV turns it for DeepLabCut. A side of odd length is extended by a
    copy of its last pixels, so that coordinates keep their meaning.
    """
    turns = round(frame.rotation / 90) % 4
    if frame.format.name != PIXEL_FORMAT or frame.color_range == _FULL_RANGE:
        frame = _convert(frame)
    if turns or frame.width % 2 or frame.height % 2:
        return _turn_and_extend(frame, turns)
    # The decoder may still need the picture to predict the next ones; this copies it then.
    frame.make_writable()
    return frame


def _convert(frame: av.VideoFrame) -> av.VideoFrame:
    return frame.reformat(format=PIXEL_FORMAT, dst_color_range="MPEG")


def _turn_and_extend(frame: av.VideoFrame, turns: int) -> av.VideoFrame:
    width, height = (
        (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    )  # fmt: skip
    prepared = av.VideoFrame(width + width % 2, height + height % 2, PIXEL_FORMAT)
    for source, target in zip(frame.planes, prepared.planes, strict=True):
        # rot90 turns counterclockwise, as FFmpeg states rotations.
        pixels = np.rot90(view_plane(source), turns)
        place = view_plane(target)
        rows, columns = (min(a, b) for a, b in zip(pixels.shape, place.shape, strict=True))
        place[:rows, :columns] = pixels[:rows, :columns]
        place[rows:, :columns] = place[rows - 1 : rows, :columns]
        place[:, columns:] = place[:, columns - 1 : columns]
    prepared.colorspace, prepared.color_range = frame.colorspace, frame.color_range
    return prepared


def is_bt709(frame: av.VideoFrame) -> bool:
    """Whether players will convert a frame to RGB by the matrix of HD video."""
    if frame.colorspace == _UNSPECIFIED:
        return min(frame.width, frame.height) >= _HD_HEIGHT
    return bool(frame.colorspace == _BT709)


def to_upright_rgb(frame: av.VideoFrame) -> npt.NDArray[np.uint8]:
    """Convert a frame to RGB, turned as OpenCV turns it; shape (height, width, 3)."""
    return np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90) % 4)
