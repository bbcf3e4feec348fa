"""Measuring motion: where an animal is, how fast, which way it points, how far it went.

- **Centroid.** The mean of the body parts that are named.
- **Velocity.** Central differences (one-sided at either end of a file); NaN where the point or a
  neighbour is missing. For motion of angular frequency w that is short of the true speed by the
  share (w * dt)**2 / 6.
- **Heading.** Angle of the line from the rear to the front body part, in rad in (-pi, pi]: 0 to the
  right of the picture, pi/2 towards its lower edge (y points down), so it grows clockwise as one
  looks at the picture.
- **Distance.** Sum of the steps between successive points; over a gap it is the straight line.

Time is that of the pose: frame number over frame rate. Nothing is measured across the end of a file
unless the files are joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ResultError
from ..optional import import_optional
from ..pose import Pose
from ..pose.data import PIXELS
from ..pose.reading import pick_names
from .segments import split_by_file

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """How one individual moved.

    Attributes:
        individual: Name.
        centroid: float64, shape (n_frames, 2), px.
        velocity: Same shape, px/s.
        speed: float64, shape (n_frames,), px/s.
        heading: float64, shape (n_frames,), rad; None where none is asked for, or the individual
            lacks the body parts.
        distance: px; NaN where no point was found.
        mean_speed: px/s, mean of ``speed`` over the frames that have one; NaN where none has.
    """

    individual: str
    centroid: Floats
    velocity: Floats
    speed: Floats
    heading: Floats | None
    distance: float
    mean_speed: float


def measure_motion(pose: Pose, params: Mapping[str, Any]) -> tuple[Motion, ...]:
    """Measure how each individual moved.

    Individuals that have none of the named body parts are left out.

    Args:
        pose: A pose, usually a cleaned one.
        params: Checked parameters; see `motion.params`.

    Raises:
        QueryError: A body part is not in the pose; the message suggests the nearest.
        ResultError: The recording has no frame rate, no individual has these body parts, or the
            pose is triangulated.
        SetupError: xarray or movement is not installed.
    """
    parts = pick_names(params["centroid"], pose.body_parts, "body part")
    pick_names(params["heading"], pose.body_parts, "body part")
    if pose.unit != PIXELS:
        raise ResultError(
            f"The pose of {dict(pose.key)} is triangulated, in a unit that DeepLabCut does not "
            "write down. Motion is measured in pictures only; take ProcessedPose.get_pose(...)."
        )
    time = pose.time
    segments = split_by_file(pose.frame_index, pose.files, params["join_files"])
    motions = []
    for animal, individual in enumerate(pose.individuals):
        places = _find_places(pose, parts, animal)
        if not places:
            continue
        points = pose.position[:, places, animal].astype(np.float64)
        centroid = compute_centroid(points, params["min_body_parts"])
        velocity = compute_velocity(centroid, time, segments)
        speed = np.linalg.norm(velocity, axis=-1)
        motions.append(
            Motion(
                individual,
                centroid,
                velocity,
                speed,
                _find_heading(pose, params["heading"], animal),
                compute_distance(centroid, segments),
                _mean(speed),
            )
        )
    if not motions:
        raise ResultError(
            f"No individual of the pose has the body parts {', '.join(parts)}. Name others in "
            "'centroid'."
        )
    return tuple(motions)


def compute_centroid(points: Floats, min_body_parts: int | None) -> Floats:
    """Average body parts.

    Args:
        points: Shape (n_frames, n_body_parts, n_space).
        min_body_parts: How many a frame must have (at most as many as there are); None for all.

    Returns:
        Shape (n_frames, n_space); NaN where too few are there.
    """
    n_parts = points.shape[1]
    found = ~np.isnan(points).any(axis=-1)
    n_found = found.sum(axis=1)
    total = np.where(found[..., None], points, 0).sum(axis=1)
    enough = n_found >= (n_parts if min_body_parts is None else min(min_body_parts, n_parts))
    return np.where(enough[:, None], total / np.maximum(n_found, 1)[:, None], np.nan)


def compute_velocity(track: Floats, time: Floats, segments: Sequence[slice]) -> Floats:
    """Differentiate a track, each segment by itself.

    Args:
        track: Shape (n_frames, n_space).
        time: Shape (n_frames,), s.
        segments: Ranges of frames that follow each other without a pause.

    Returns:
        Shape (n_frames, n_space), per second; NaN where the point or a neighbour is missing, and
        in a segment of one frame.
    """
    kinematics = import_optional("movement.kinematics", "analysis")
    xarray = import_optional("xarray", "analysis")
    velocity = np.full_like(track, np.nan)
    for segment in segments:
        if segment.stop - segment.start > 1:
            data = xarray.DataArray(
                track[segment],
                {"time": time[segment], "space": ["x", "y", "z"][: track.shape[1]]},
                ("time", "space"),
            )
            velocity[segment] = kinematics.compute_velocity(data).to_numpy()
    # Central differences leave out the point itself, unless times are unequal in their last bit.
    velocity[np.isnan(track).any(axis=-1)] = np.nan
    return velocity


def compute_heading(rear: Floats, front: Floats) -> Floats:
    """Angle of the line from one point to another, in the picture's plane.

    Args:
        rear: Shape (n_frames, n_space).
        front: Likewise.

    Returns:
        Shape (n_frames,), rad in (-pi, pi]; NaN where a point is missing or both are one.
    """
    x, y = (front - rear)[:, :2].T
    return np.where((x == 0) & (y == 0), np.nan, np.arctan2(y, x))


def compute_distance(track: Floats, segments: Sequence[slice]) -> float:
    """Length of a track: the sum of the steps between its successive points.

    Args:
        track: Shape (n_frames, n_space).
        segments: Ranges of frames; steps from one to the next do not count.

    Returns:
        The length; 0 for one point, NaN for none.
    """
    found = ~np.isnan(track).any(axis=-1)
    if not found.any():
        return float("nan")
    pieces = [track[segment][found[segment]] for segment in segments]
    steps = [np.linalg.norm(np.diff(piece, axis=0), axis=-1).sum() for piece in pieces]
    return float(sum(steps))


def _find_places(pose: Pose, parts: Sequence[str], animal: int) -> list[int]:
    places = (pose.body_parts.index(part) for part in parts)
    return [place for place in places if pose.is_tracked[place, animal]]


def _find_heading(pose: Pose, ends: Sequence[str] | None, animal: int) -> Floats | None:
    places = _find_places(pose, ends or (), animal)
    if len(places) < 2:
        return None
    rear, front = (pose.position[:, place, animal].astype(np.float64) for place in places)
    return compute_heading(rear, front)


def _mean(values: Floats) -> float:
    found = values[~np.isnan(values)]
    return float(found.mean()) if len(found) else float("nan")
