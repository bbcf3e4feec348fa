"""One pose cleaned, and the motion in it measured; with the record of how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from ..blobs import shorten
from ..motion.derivatives import measure_motion
from ..motion.filtering import FILLED, MISSING, UNLIKELY, clean_pose
from ..motion.units import Calibrated
from ..pose import Pose
from .provenance import Stopwatch

COORDS = ("x_pos", "y_pos", "z_pos")


@dataclass(frozen=True)
class MotionJob:
    """What the database says of a motion analysis.

    Attributes:
        key: Primary key.
        params: Checked parameters.
        calibrated: The recording's calibration, if there is one.
    """

    key: Mapping[str, Any]
    params: Mapping[str, Any]
    calibrated: Calibrated | None = None


@dataclass(frozen=True)
class StoredPart:
    """A row of a part table.

    Attributes:
        columns: Plain columns.
        arrays: Array columns.
    """

    columns: Mapping[str, Any]
    arrays: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class CleaningResult:
    """A cleaned pose as it is stored.

    Attributes:
        trajectories: One per body part of each individual.
        run_info: Provenance.
    """

    trajectories: tuple[StoredPart, ...]
    run_info: Mapping[str, Any]


@dataclass(frozen=True)
class MotionResult:
    """Motion as it is stored.

    Attributes:
        columns: Plain columns of the master: the calibration.
        individuals: One per individual.
        run_info: Provenance.
    """

    columns: Mapping[str, Any]
    individuals: tuple[StoredPart, ...]
    run_info: Mapping[str, Any] = field(default_factory=dict)


def run_cleaning(job: MotionJob, pose: Pose) -> CleaningResult:
    """Clean a pose.

    Raises:
        SetupError: scipy is not installed.
    """
    watch = Stopwatch()
    clean = clean_pose(pose, job.params)
    trajectories = []
    for animal, part in np.argwhere(pose.is_tracked.T):
        mask = clean.mask[:, part, animal]
        track = clean.pose.position[:, part, animal]
        trajectories.append(
            StoredPart(
                {
                    "individual": pose.individuals[animal],
                    "body_part": pose.body_parts[part],
                    "n_masked": int(((mask & (MISSING | UNLIKELY)) > 0).sum()),
                    "n_filled": int(((mask & FILLED) > 0).sum()),
                },
                {
                    **{COORDS[place]: shorten(track[:, place]) for place in range(track.shape[1])},
                    "mask": mask,
                },
            )
        )
    return CleaningResult(tuple(trajectories), _record(watch))


def run_measuring(job: MotionJob, pose: Pose) -> MotionResult:
    """Measure the motion in a cleaned pose.

    Raises:
        QueryError: The pose lacks a body part that the parameters name.
        ResultError: The recording has no frame rate, or the pose is triangulated.
        SetupError: xarray or movement is not installed.
    """
    watch = Stopwatch()
    scale = job.calibrated
    individuals = []
    for motion in measure_motion(pose, job.params):
        columns = {
            "individual": motion.individual,
            "distance_px": _finite(motion.distance),
            "mean_speed_px": _finite(motion.mean_speed),
        }
        if scale is not None:
            columns["distance"] = _finite(motion.distance * scale.units_per_px)
            columns["mean_speed"] = _finite(motion.mean_speed * scale.units_per_px)
        arrays = {"centroid": motion.centroid, "velocity": motion.velocity, "speed": motion.speed}
        if motion.heading is not None:
            arrays["heading"] = motion.heading
        stored = {name: shorten(array) for name, array in arrays.items()}
        individuals.append(StoredPart(columns, stored))
    calibration = {} if scale is None else {"unit": scale.unit, "units_per_px": scale.units_per_px}
    return MotionResult(calibration, tuple(individuals), _record(watch))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _record(watch: Stopwatch) -> dict[str, Any]:
    versions = {}
    for name in ("scipy", "xarray", "movement"):
        with suppress(metadata.PackageNotFoundError):  # not every analysis needs every one
            versions[name] = metadata.version(name)
    return watch.record(engine="", device="cpu", versions=versions)
