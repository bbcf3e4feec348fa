"""One pose as objects of pynwb and ndx-pose; nothing here knows a database or writes a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import QueryError, ResultError
from ...optional import import_optional
from ...pose import Pose
from .estimation import UNIQUE
from .names import name_objects
from .texts import (
    define_confidence,
    describe_frame_of_reference,
    describe_part,
    describe_pose,
    name_unit,
)
from .timing import Timing, find_timing

if TYPE_CHECKING:
    import ndx_pose
    import pynwb
    from hdmf.backends.hdf5 import H5DataIO

EXTRA = "nwb"
POSE_ESTIMATION = "PoseEstimation"
"""Name of the only PoseEstimation of a file: ndx-pose's default, which movement looks for."""

_CHUNK_ROWS = 1 << 16
_SMALL_INDEX = 1 << 8


def build_pose_estimation(
    pose: Pose,
    *,
    individual: str | None = None,
    name: str = POSE_ESTIMATION,
    description: str | None = None,
    comments: str | None = None,
    part_descriptions: Mapping[str, str] | None = None,
    source_software_version: str | None = None,
    skeleton: Any = None,
    device: pynwb.device.Device | None = None,
    source_video: pynwb.image.ImageSeries | None = None,
    labeled_video: pynwb.image.ImageSeries | None = None,
    starting_time: float = 0.0,
    timestamps: Sequence[float] | npt.NDArray[Any] | None = None,
) -> ndx_pose.PoseEstimation:
    """Convert the poses of one individual.

    Devices and videos must be in the file already; `add_pose_to_nwb` sees to that.

    Args:
        pose: The pose.
        individual: Whose; may be left out where the pose has only one.
        name: Name of the object.
        description: How the poses came to be; a sentence from the pose by default.
        comments: Comments of each series.
        part_descriptions: Body part -> what is said of it.
        source_software_version: Version of DeepLabCut.
        skeleton: ``ndx_pose.Skeleton`` to link to, as from `build_skeleton`.
        device: Camera to link to.
        source_video: Original video to link to.
        labeled_video: Labeled video to link to.
        starting_time: Time of the recording's first frame, in seconds from the session's start.
        timestamps: Time of each frame of the recording, s; overrides the recording's rate.

    Returns:
        One ``PoseEstimationSeries`` per body part, named like it (see `name_objects`); float32 or
        float64 as in the pose, compressed.

    Raises:
        SetupError: pynwb or ndx-pose is not installed.
        QueryError: ``individual`` is not in the pose, or left out where there are several.
        ResultError: The pose has no frames.
        ParameterError: As `find_timing`.
    """
    extension = import_optional("ndx_pose", EXTRA)
    animal = find_individual(pose, individual)
    check_not_empty(pose)
    timing, _ = find_timing(pose, starting_time, timestamps)
    said = part_descriptions or {}
    has_likelihood = pose.has_likelihood
    fields = {
        "unit": name_unit(pose),
        "reference_frame": describe_frame_of_reference(pose),
        **({"comments": comments} if comments else {}),
    }
    series: list[Any] = []
    for part, object_name in name_parts(pose, pose.individuals[animal]).items():
        place = pose.body_parts.index(part)
        shared = {"timestamps": series[0]} if series and timing.rate is None else None
        series.append(
            extension.PoseEstimationSeries(
                name=object_name,
                description=describe_part(part, pose.individuals[animal], said.get(part, "")),
                data=_compress(pose.position[:, place, animal]),
                **(_give_confidence(pose, place, animal) if has_likelihood else {}),
                **fields,
                **(shared or _compress_times(timing)),
            )
        )
    return extension.PoseEstimation(
        name=name,
        pose_estimation_series=series,
        description=description or describe_pose(pose, pose.individuals[animal]),
        scorer=pose.scorer or None,
        source_software="DeepLabCut",
        source_software_version=source_software_version,
        skeleton=skeleton,
        device=device,
        source_video=source_video,
        labeled_video=labeled_video,
    )


def build_skeleton(
    pose: Pose,
    *,
    individual: str | None = None,
    name: str = "Skeleton",
    subject: pynwb.file.Subject | None = None,
) -> Any:
    """Convert the skeleton of one individual.

    Args:
        pose: The pose.
        individual: Whose; may be left out where the pose has only one.
        name: Name of the object.
        subject: The file's subject.

    Returns:
        ``ndx_pose.Skeleton``: nodes are the series' names, in the order of the model's config;
        without edges where the config connects nothing.

    Raises:
        SetupError: pynwb or ndx-pose is not installed.
        QueryError: As `build_pose_estimation`.
    """
    extension = import_optional("ndx_pose", EXTRA)
    individual = pose.individuals[find_individual(pose, individual)]
    names = name_parts(pose, individual)
    places = {part: place for place, part in enumerate(names)}
    pairs = [
        (places[one], places[other])
        for one, other in pose.skeleton
        if one in places and other in places
    ]
    edges = np.array(pairs, np.uint8 if len(places) <= _SMALL_INDEX else np.uint16)
    return extension.Skeleton(
        name=name,
        nodes=list(names.values()),
        edges=edges if pairs else None,
        subject=None if individual == UNIQUE else subject,
    )


def build_video(
    pose: Pose,
    paths: Sequence[Path],
    timing: Timing,
    *,
    name: str,
    description: str,
    size: Sequence[int] | None = None,
    folder: Path | None = None,
    device: pynwb.device.Device | None = None,
) -> pynwb.image.ImageSeries:
    """Link to the video files of a recording.

    Args:
        pose: A pose of the recording, for the files' lengths.
        paths: Absolute paths, one per file of the recording.
        timing: When each frame of the recording was shown.
        name: Name of the object.
        description: What it shows.
        size: Width and height, px.
        folder: Folder of the NWB file, which the links are relative to; None for absolute links.
        device: Camera.

    Returns:
        An image series of external files.
    """
    pynwb = import_optional("pynwb", EXTRA)
    return pynwb.image.ImageSeries(
        name=name,
        description=description,
        external_file=[link_file(path, folder) for path in paths],
        format="external",
        starting_frame=[file.first_frame for file in pose.files],
        num_samples=sum(file.nframes for file in pose.files),
        dimension=None if size is None else list(size),
        unit="n.a.",
        device=device,
        **_compress_times(timing),
    )


def check_not_empty(pose: Pose) -> None:
    """Insist that there is something to write.

    Raises:
        ResultError: There is not.
    """
    if pose.n_frames == 0:
        raise ResultError(f"The pose {dict(pose.key)} has no frames, so there is nothing to write.")


def link_file(path: Path, folder: Path | None) -> str:
    """Spell a link to a file: relative to the NWB file's folder where that is possible, POSIX.

    Links on the way to either are resolved, because ``..`` leads out of the folder that is really
    there; the file keeps its own name.
    """
    if folder is None:
        return path.as_posix()
    real = Path(os.path.realpath(path.parent)) / path.name
    try:
        return Path(os.path.relpath(real, os.path.realpath(folder))).as_posix()
    except ValueError:  # on another drive of Windows
        return real.as_posix()


def find_individual(pose: Pose, individual: str | None) -> int:
    """Find an individual's place in the pose's arrays.

    Raises:
        QueryError: It is not there, or none is named where there are several.
    """
    known = ", ".join(f"'{name}'" for name in pose.individuals)
    if individual is None:
        if len(pose.individuals) != 1:
            raise QueryError(
                f"The pose has the individuals {known}, and an NWB file holds one subject. Say "
                "which one: individual=..."
            )
        return 0
    if individual not in pose.individuals:
        raise QueryError(f"The pose has no individual '{individual}'. It has {known}.")
    return pose.individuals.index(individual)


def name_parts(pose: Pose, individual: str) -> dict[str, str]:
    """Name the series of an individual: body part -> name of its object."""
    tracked = pose.is_tracked[:, pose.individuals.index(individual)]
    parts = [part for part, there in zip(pose.body_parts, tracked, strict=True) if there]
    return name_objects(parts)


def _give_confidence(pose: Pose, part: int, animal: int) -> dict[str, Any]:
    return {
        "confidence": _compress(pose.likelihood[:, part, animal]),
        "confidence_definition": define_confidence(pose),
    }


def _compress_times(timing: Timing) -> dict[str, Any]:
    if timing.timestamps is None:
        return timing.as_fields()
    return {"timestamps": _compress(timing.timestamps)}


def _compress(array: npt.NDArray[Any]) -> H5DataIO:
    # One array is copied at a time, when it is written: these are views of the pose's arrays.
    hdf5 = import_optional("hdmf.backends.hdf5", EXTRA)
    rows = min(len(array), _CHUNK_ROWS)
    return hdf5.H5DataIO(
        array, compression="gzip", compression_opts=4, shuffle=True, chunks=(rows, *array.shape[1:])
    )
