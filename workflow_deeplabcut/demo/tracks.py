"""A tracked recording beside its truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Track:
    """Predicted and true positions in one recording.

    Attributes:
        recording_id: Number of the recording.
        videos: Its files, in their order.
        first_frames: Per file, the number of its first frame within the recording.
        fps: Frames per second.
        predicted: float, shape (n_frames, body parts, 2), px, x before y.
        true: Likewise.
    """

    recording_id: int
    videos: tuple[Path, ...]
    first_frames: tuple[int, ...]
    fps: float
    predicted: npt.NDArray[np.floating[Any]]
    true: npt.NDArray[np.float64]

    @property
    def error(self) -> npt.NDArray[np.float64]:
        """Distance of each prediction from the truth, shape (n_frames, body parts), px."""
        distance = np.linalg.norm(self.predicted - self.true, axis=-1)
        return np.asarray(distance, np.float64)

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """Seconds since the recording's first frame, shape (n_frames,)."""
        return np.arange(len(self.true)) / self.fps

    def read_frames(self, wanted: set[int]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
        """Yield frames by their number within the recording, with that number."""
        for first, video in zip(self.first_frames, self.videos, strict=True):
            with av.open(str(video)) as container:
                for number, frame in enumerate(container.decode(video=0), first):
                    if number in wanted:
                        yield number, frame.to_ndarray(format="rgb24")
