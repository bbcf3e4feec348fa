"""Stretches of frames that belong together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..pose import PoseFile


def split_by_file(
    frame_index: npt.NDArray[np.int64], files: Sequence[PoseFile], join_files: bool
) -> list[slice]:
    """Split frames where a file ends, because time may have passed before the next one began.

    Args:
        frame_index: Numbers of the frames, upwards.
        files: The recording's files, in their order.
        join_files: Whether they are one take; then only missing frames split.

    Returns:
        Non-empty ranges of places in ``frame_index``, in order, that make up all of it.
    """
    n_frames = len(frame_index)
    cuts = set((np.flatnonzero(np.diff(frame_index) != 1) + 1).tolist())
    if not join_files:
        starts = [file.first_frame for file in files]
        cuts |= set(np.searchsorted(frame_index, starts).tolist())
    ends = sorted({0, n_frames} | cuts)
    return [slice(start, stop) for start, stop in pairwise(ends)]


def find_runs(flags: npt.NDArray[np.bool_]) -> list[slice]:
    """Find the longest stretches of True in a vector."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
