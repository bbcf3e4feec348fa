"""Cleaning a trajectory: mask what is not trusted, fill short gaps, smooth what is left.

- **Mask.** Points whose likelihood is below the threshold become NaN. A point without a likelihood
  (triangulated results have none) is trusted.
- **Fill.** Runs of at most ``max_gap`` missing frames are filled by a straight line between their
  neighbours. Nothing is filled before the first point or after the last one, whatever ``max_gap``.
- **Smooth.** Each run of points that is left is smoothed by itself: a gap neither grows nor lets
  the points behind it in. The median repeats the outermost point beyond an end, where
  DeepLabCut's ``filterpredictions`` takes zeros (its first and last frames are drawn towards the
  picture's corner); everywhere else the two are equal. A run shorter than a Savitzky-Golay window
  is left as it is.

Nothing reaches from one file of a recording into the next, unless the files are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from ..optional import import_optional
from ..pose import Pose
from .params import MEDIAN, NONE
from .segments import find_runs, split_by_file

MISSING, UNLIKELY, FILLED = 1, 2, 4
"""Bits of the mask: DeepLabCut found nothing; likelihood below the threshold; filled again."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class CleanPose:
    """A pose after cleaning.

    Attributes:
        pose: The pose with the cleaned positions (float64), likelihoods as they were.
        mask: uint8, shape (n_frames, n_body_parts, n_individuals): bits `MISSING`, `UNLIKELY`,
            `FILLED`; 0 for a point that was measured and trusted. Smoothing sets no bit.
    """

    pose: Pose
    mask: npt.NDArray[np.uint8]


def clean_pose(pose: Pose, params: Mapping[str, Any]) -> CleanPose:
    """Mask, fill and smooth.

    Args:
        pose: The pose.
        params: Checked parameters; see `motion.params`.

    Raises:
        SetupError: scipy is not installed.
    """
    missing = np.isnan(pose.position).any(axis=-1)
    unlikely = (pose.likelihood < params["likelihood_threshold"]) & ~missing
    position = pose.position.astype(np.float64, order="K")
    position[missing | unlikely] = np.nan
    smooth_run = choose_smoothing(params)
    for segment in split_by_file(pose.frame_index, pose.files, params["join_files"]):
        part = position[segment]
        if params["max_gap"] > 0:
            fill_gaps(part, params["max_gap"])
        if smooth_run is not None:
            smooth_runs(part, smooth_run)
    filled = (missing | unlikely) & ~np.isnan(position).any(axis=-1)
    mask = MISSING * missing + UNLIKELY * unlikely + FILLED * filled
    return CleanPose(pose.with_arrays(position), mask.astype(np.uint8))


def fill_gaps(position: Floats, max_gap: int) -> None:
    """Fill runs of NaN that are no longer than ``max_gap`` frames by straight lines, in place.

    Gaps at either end stay. The result is that of movement's ``interpolate_over_time``, which takes
    a minute for a million frames where this takes a second.

    Args:
        position: Shape (n_frames, n_body_parts, n_individuals, n_space); the coordinates of a point
            are missing together.
        max_gap: Frames.
    """
    for part, animal in np.ndindex(position.shape[1:3]):
        track = position[:, part, animal]
        lost = np.isnan(track).any(axis=-1)
        inside = [run for run in find_runs(lost) if run.start > 0 and run.stop < len(lost)]
        short = [run for run in inside if run.stop - run.start <= max_gap]
        if not short:
            continue
        wanted = np.concatenate([np.arange(run.start, run.stop) for run in short])
        known = np.flatnonzero(~lost)
        for place in range(track.shape[-1]):
            track[wanted, place] = np.interp(wanted, known, track[known, place])


def choose_smoothing(params: Mapping[str, Any]) -> Callable[[Floats], Floats] | None:
    """Build the function that smooths a run of points, shape (n_frames, n_space)."""
    if params["smoothing"] == NONE:
        return None
    window = params["window"]
    if params["smoothing"] == MEDIAN:
        ndimage = import_optional("scipy.ndimage", "analysis")
        return partial(ndimage.median_filter, size=(window, 1), mode="nearest")
    signal = import_optional("scipy.signal", "analysis")

    def smooth(run: Floats) -> Floats:
        if len(run) < window:
            return run
        return signal.savgol_filter(run, window, params["polyorder"], axis=0)

    return smooth


def smooth_runs(position: Floats, smooth_run: Callable[[Floats], Floats]) -> None:
    """Smooth every run of points, in place.

    Args:
        position: Shape (n_frames, n_body_parts, n_individuals, n_space).
        smooth_run: Takes and returns an array of the shape (n_frames of the run, n_space).
    """
    for part, animal in np.ndindex(position.shape[1:3]):
        track = position[:, part, animal]
        for run in find_runs(~np.isnan(track).any(axis=-1)):
            track[run] = smooth_run(track[run])
