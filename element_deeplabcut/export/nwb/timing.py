"""When each frame of a recording was shown, as an NWB time series states it.

A constant rate is written as rate and starting time, exact in float64; anything else as one time
stamp per frame, in seconds from the session's start.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import ParameterError
from ...pose import Pose


@dataclass(frozen=True)
class Timing:
    """Times of some frames, from the session's start.

    Attributes:
        starting_time: Time of the first frame, s; None with timestamps.
        rate: Frames per second; None with timestamps.
        timestamps: float64, shape (n_frames,), s; None with a rate.
    """

    starting_time: float | None = None
    rate: float | None = None
    timestamps: npt.NDArray[np.float64] | None = None

    def as_fields(self) -> dict[str, Any]:
        """Give the arguments of a time series of pynwb."""
        if self.timestamps is not None:
            return {"timestamps": self.timestamps}
        return {"starting_time": self.starting_time, "rate": self.rate}


def find_timing(
    pose: Pose,
    starting_time: float = 0.0,
    timestamps: Sequence[float] | npt.NDArray[Any] | None = None,
) -> tuple[Timing, Timing]:
    """Find out when the frames of a pose, and those of its recording, were shown.

    Args:
        pose: The pose.
        starting_time: Time of the *recording's* first frame, in seconds from the session's start.
        timestamps: Measured time of each frame of the recording, s; overrides the rate.

    Returns:
        Times of the pose's frames, and of all frames of the recording.

    Raises:
        ParameterError: The recording has no frame rate and no timestamps are given; or they are
            not one finite, increasing number per frame of the recording.
    """
    frames = np.asarray(pose.frame_index)
    n_frames = count_frames(pose)
    if timestamps is not None:
        times = _check_timestamps(timestamps, n_frames)
        return Timing(timestamps=times[frames]), Timing(timestamps=times)
    start = _check_start(starting_time)
    rates = {file.rate for file in pose.files} or {pose.rate}
    if None in rates:
        raise ParameterError(
            f"The recording of {dict(pose.key)} has no frame rate. Give timestamps: the time of "
            "each frame in seconds from the session's start."
        )
    if len(rates) > 1:
        times = start + _concatenate_files(pose)
        return Timing(timestamps=times[frames]), Timing(timestamps=times)
    (rate,) = rates
    assured = float(rate)  # type: ignore[arg-type]
    whole = Timing(start, assured)
    if len(frames) > 1 and (np.diff(frames) != 1).any():
        return Timing(timestamps=start + frames / assured), whole
    first = int(frames[0]) / assured if len(frames) else 0.0
    return Timing(start + first, assured), whole


def count_frames(pose: Pose) -> int:
    """Count the frames of the whole recording, of which the pose may hold a range."""
    if pose.files:
        return sum(file.nframes for file in pose.files)
    return int(pose.frame_index[-1]) + 1 if pose.n_frames else 0


def _concatenate_files(pose: Pose) -> npt.NDArray[np.float64]:
    """Time the frames of files that follow each other without a pause, at rates of their own."""
    times, start = [], 0.0
    for file in pose.files:
        seconds = np.arange(file.nframes + 1) / float(file.rate)  # type: ignore[arg-type]
        times.append(start + seconds[:-1])
        start += float(seconds[-1])
    return np.concatenate(times)


def _check_start(value: Any) -> float:
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ParameterError(f"starting_time is {value!r}; give a number of seconds.")
    return float(value)


def _check_timestamps(values: Any, n_frames: int) -> npt.NDArray[np.float64]:
    try:
        times = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"timestamps are no numbers ({error}). Give seconds.") from error
    if times.shape != (n_frames,):
        raise ParameterError(
            f"timestamps have the shape {times.shape}, and the recording has {n_frames} frames. "
            "Give one time per frame."
        )
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ParameterError("timestamps must be finite and increase from frame to frame.")
    return times
