"""Poses whose motion is known in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from element_deeplabcut.pose import Pose, PoseFile

RATE = Fraction(30)


def make_pose(
    tracks: Any,
    likelihood: Any = 1.0,
    *,
    body_parts: Sequence[str] = ("nose", "tailbase"),
    rate: Fraction | None = RATE,
    lengths: Sequence[int] | None = None,
    dtype: str = "float64",
    **fields: Any,
) -> Pose:
    """Make a pose.

    Args:
        tracks: Shape (n_frames, n_body_parts, n_space), or with the individuals before n_space.
        likelihood: One number, or shape (n_frames, n_body_parts[, n_individuals]).
        body_parts: Names.
        rate: Frames per second.
        lengths: Frames of each file; None for one file.
        dtype: Of the numbers.
        fields: Others of `Pose`.
    """
    position = np.asarray(tracks, dtype)
    if position.ndim == 3:
        position = position[:, :, None]
    n_frames = len(position)
    given = np.asarray(likelihood, dtype)
    if given.ndim == 2:
        given = given[:, :, None]
    first, files = 0, []
    for number, length in enumerate(lengths or [n_frames], 1):
        files.append(PoseFile(number, f"raw/{number}.mp4", first, length, rate))
        first += length
    known: dict[str, Any] = {"scorer": "DLC_x", "width": 200, "height": 200, "n_recorded": n_frames}
    return Pose(
        position=position,
        likelihood=np.broadcast_to(given, position.shape[:3]).copy(),
        frame_index=np.arange(n_frames),
        body_parts=tuple(body_parts),
        rate=rate,
        files=tuple(files),
        **{**known, **fields},
    )


def circle(
    n_frames: int, radius: float, omega: float, *, rate: float = 30.0, center: float = 100.0
) -> np.ndarray:
    """Shape (n_frames, 2): a point that goes round clockwise (as seen), from the right, px."""
    angle = omega * np.arange(n_frames) / rate
    return center + radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def line(n_frames: int, velocity: Sequence[float], start: Sequence[float] = (10.0, 20.0), *,
         rate: float = 30.0) -> np.ndarray:  # fmt: skip
    """Shape (n_frames, 2): a point at constant velocity (px/s), px."""
    return np.asarray(start) + np.arange(n_frames)[:, None] / rate * np.asarray(velocity)
