"""Putting a pose estimation, its skeleton, its camera and its videos into an NWB file.

What is there already is used: a device of that name, the module ``behavior``, an equal skeleton.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import ParameterError
from ...optional import import_optional
from .estimation import UNIQUE, Estimation
from .names import clean_name, pick_free
from .objects import (
    EXTRA,
    POSE_ESTIMATION,
    build_pose_estimation,
    build_skeleton,
    build_video,
    check_not_empty,
)
from .texts import comment_series, describe_estimation, describe_video
from .timing import Timing, find_timing

if TYPE_CHECKING:
    import ndx_pose
    import pynwb

MODULE = "behavior"
SKELETONS = "Skeletons"


@dataclass(frozen=True)
class Placement:
    """Where and how an estimation goes into a file.

    Attributes:
        label: What tells its objects apart from those of other cameras; '' for the only one.
        folder: Folder of the NWB file, which links are relative to; None for absolute links.
        starting_time: Time of the recording's first frame, in seconds from the session's start;
            None takes it for the session's start, and the file says so.
        timestamps: Time of each frame, likewise; overrides the recording's rate.

    Raises:
        ParameterError: Both a starting time and timestamps are given.
    """

    label: str = ""
    folder: Path | None = None
    starting_time: float | None = None
    timestamps: Sequence[float] | npt.NDArray[Any] | None = None

    def __post_init__(self) -> None:
        if self.starting_time is not None and self.timestamps is not None:
            raise ParameterError(
                "timestamps count from the session's start already; leave out starting_time."
            )

    @property
    def offset(self) -> float:
        """Time of the first frame, s."""
        return 0.0 if self.starting_time is None else self.starting_time

    @property
    def is_assumed(self) -> bool:
        """Whether nobody said when the recording started."""
        return self.starting_time is None and self.timestamps is None


def add_estimation(
    nwbfile: pynwb.NWBFile,
    estimation: Estimation,
    individual: str,
    placement: Placement,
    source_video: pynwb.image.ImageSeries | None = None,
) -> ndx_pose.PoseEstimation:
    """Add the poses of one individual, and what they refer to.

    Body parts that belong to no animal come beside them, as a PoseEstimation of their own.

    Args:
        nwbfile: The file.
        estimation: The estimation.
        individual: Whose poses.
        placement: Where they go.
        source_video: Original video that is in the file already; None adds a link to it.

    Returns:
        The poses of the individual.

    Raises:
        ParameterError: The file has a PoseEstimation of that name already, or times do not fit.
        ResultError: The pose has no frames.
    """
    check_not_empty(estimation.pose)
    _, timing = find_timing(estimation.pose, placement.offset, placement.timestamps)
    name = f"{POSE_ESTIMATION}{clean_name(placement.label) if placement.label else ''}"
    wanted = {name: individual}
    if estimation.has_scene and individual != UNIQUE:
        wanted[f"{name}_{UNIQUE}"] = UNIQUE
    taken = _names_in(nwbfile)
    if not taken.isdisjoint(wanted):
        raise ParameterError(
            f"The file has '{name}' already. Give another label, which becomes part of the name."
        )
    device = _add_device(nwbfile, estimation)
    videos = _add_videos(nwbfile, estimation, placement, timing, device, source_video)
    added = [
        _add_poses(nwbfile, estimation, whose, object_name, placement, device, videos)
        for object_name, whose in wanted.items()
    ]
    return added[0]


def _names_in(nwbfile: pynwb.NWBFile) -> set[str]:
    return (
        set(nwbfile.processing[MODULE].data_interfaces) if MODULE in nwbfile.processing else set()
    )


def _add_poses(
    nwbfile: pynwb.NWBFile,
    estimation: Estimation,
    individual: str,
    name: str,
    placement: Placement,
    device: Any,
    videos: dict[str, Any],
) -> Any:
    poses = build_pose_estimation(
        estimation.pose,
        individual=individual,
        name=name,
        description=describe_estimation(estimation, individual, start_assumed=placement.is_assumed),
        comments=comment_series(estimation),
        part_descriptions=estimation.part_descriptions,
        source_software_version=estimation.software_version,
        skeleton=_add_skeleton(nwbfile, estimation, individual),
        device=device,
        starting_time=placement.offset,
        timestamps=placement.timestamps,
        **videos,
    )
    _get_module(nwbfile).add(poses)
    return poses


def _get_module(nwbfile: pynwb.NWBFile) -> Any:
    if MODULE in nwbfile.processing:
        return nwbfile.processing[MODULE]
    return nwbfile.create_processing_module(MODULE, "Behavior, computed from video.")


def _add_device(nwbfile: pynwb.NWBFile, estimation: Estimation) -> Any:
    name = clean_name(estimation.camera)
    if name in nwbfile.devices:
        return nwbfile.devices[name]
    return nwbfile.create_device(
        name=name, description=estimation.camera_description or "Camera that recorded the video."
    )


def _add_skeleton(nwbfile: pynwb.NWBFile, estimation: Estimation, individual: str) -> Any:
    module = _get_module(nwbfile)
    if SKELETONS not in module.data_interfaces:
        module.add(import_optional("ndx_pose", EXTRA).Skeletons(name=SKELETONS))
    there = module[SKELETONS].skeletons
    stem = f"Skeleton_{clean_name(estimation.model_name)}" if estimation.model_name else "Skeleton"
    if individual == UNIQUE:
        stem = f"{stem}_{UNIQUE}"
    built = build_skeleton(
        estimation.pose,
        individual=individual,
        name=pick_free(stem, there),
        subject=nwbfile.subject,
    )
    for other in there.values():
        if other.subject is built.subject and _have_equal_nodes(other, built):
            return other
    module[SKELETONS].add_skeletons(built)
    return built


def _have_equal_nodes(one: Any, other: Any) -> bool:
    def plain(edges: Any) -> list[Any]:
        return [] if edges is None else np.asarray(edges).tolist()

    return list(one.nodes) == list(other.nodes) and plain(one.edges) == plain(other.edges)


def _add_videos(
    nwbfile: pynwb.NWBFile,
    estimation: Estimation,
    placement: Placement,
    timing: Timing,
    device: Any,
    source_video: Any,
) -> dict[str, Any]:
    """Add links to the videos: the original is acquired data, the labeled one is computed."""
    pose = estimation.pose
    label = clean_name(placement.label or estimation.camera)

    def build(name: str, paths: tuple[Path, ...], labeled: bool) -> Any:
        # Each frame of the labeled video is one of the original's, whatever rate it plays at; a
        # side of odd length has one pixel more there, because its pixel format has pairs only.
        size = None
        if pose.width is not None and pose.height is not None:
            extra = 1 if labeled else 0
            size = [side + extra * (side % 2) for side in (pose.width, pose.height)]
        return build_video(
            pose, paths, timing,
            name=name,
            description=describe_video(estimation, labeled),
            size=size,
            folder=placement.folder,
            device=device,
        )  # fmt: skip

    videos = {"source_video": source_video}
    if source_video is None and estimation.videos:
        name = pick_free(f"Video{label}", nwbfile.acquisition)
        videos["source_video"] = build(name, estimation.videos, labeled=False)
        nwbfile.add_acquisition(videos["source_video"])
    if estimation.labeled_videos:
        name = pick_free(f"LabeledVideo{label}", _names_in(nwbfile))
        videos["labeled_video"] = build(name, estimation.labeled_videos, labeled=True)
        _get_module(nwbfile).add(videos["labeled_video"])
    return videos
