"""The labeled videos of one pose estimation: one per file of its recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..drawing.film import draw_labeled_video
from ..drawing.style import DrawingStyle
from ..errors import ResultError
from ..linking import Roots
from ..pose.data import PIXELS, Pose
from ..progress import show_frames
from ..store.files import hash_file, make_folder, slugify
from ..store.runs import RunIdentity, find_run, start_run
from .inference import RecordingFile
from .provenance import Stopwatch

VIDEOS = "videos"
_STEM_LENGTH = 60

FloatArray = npt.NDArray[np.floating[Any]]
ReadPoints = Callable[[int, int], tuple[FloatArray, FloatArray]]
"""First frame of the recording and the one after the last -> position, shape (n_frames,
n_body_parts, n_individuals, 2), px of the whole frame, and likelihood, without the last axis."""


@dataclass(frozen=True)
class LabelingJob:
    """What the database says of labeled videos to be drawn.

    Attributes:
        key: Primary key of the pose estimation.
        files: The recording's files, in the order of `first_frame`.
        rate: Frames per second of the recording, exact.
        poses_hash: Hash of the poses that are drawn.
        style: What to draw, and how.
    """

    key: Mapping[str, Any]
    files: tuple[RecordingFile, ...]
    rate: Fraction
    poses_hash: str
    style: DrawingStyle


@dataclass(frozen=True)
class LabelingResult:
    """What drawing leaves in the database.

    Attributes:
        paths: file_id -> labeled video, POSIX path relative to the processed directory.
        run_info: Provenance, and the style.
    """

    paths: dict[int, str]
    run_info: dict[str, Any]


def check_pose(pose: Pose) -> None:
    """Insist that a pose can be drawn into its videos.

    Raises:
        ResultError: It is not in pixels, or its recording has no frame rate.
    """
    if pose.unit != PIXELS:
        raise ResultError(
            f"The pose of {dict(pose.key)} is three-dimensional, in the unit of its calibration, "
            "so it has no place in a picture. Draw the poses of the single cameras."
        )
    if pose.rate is None:
        raise ResultError(
            f"The recording of {dict(pose.key)} has no facts of its files. Populate RecordingInfo "
            "first."
        )


def run_labeling(job: LabelingJob, roots: Roots, read_points: ReadPoints) -> LabelingResult:
    """Draw the labeled videos of a recording, or find those drawn before.

    Args:
        job: What to draw.
        roots: The lab's directories.
        read_points: Reads the points of a range of frames of the recording.

    Raises:
        VideoError: A video is damaged, or not the one that was registered.
        PathError: A video is missing or leads out of the roots.
    """
    videos = [roots.confine(roots.resolve(file.path)) for file in job.files]
    identity = RunIdentity("labeling", job.key, _list_inputs(job, videos))
    parent = make_folder(roots.processed, VIDEOS)
    run = find_run(parent, identity)
    if run is None:
        watch = Stopwatch()
        with start_run(parent, identity) as attempt:
            files = _draw_files(job, videos, attempt.directory, read_points)
            provenance = watch.record(engine="", device="cpu", versions=_list_versions())
            run = attempt.finish({"files": files, "provenance": provenance})
    folder = run.directory.relative_to(roots.processed)
    return LabelingResult(
        paths={
            file.file_id: (folder / run.result["files"][str(file.file_id)]).as_posix()
            for file in job.files
        },
        run_info={
            **run.result["provenance"],
            "style": job.style.plain,
            "poses_hash": job.poses_hash,
            "run_directory": folder.as_posix(),
        },
    )


def _list_inputs(job: LabelingJob, videos: list[Path]) -> dict[str, Any]:
    return {
        "poses": job.poses_hash,
        "style": job.style.plain,
        "rate": str(job.rate),
        "videos": {
            str(file.file_id): {"n_frames": file.n_frames, "sha256": hash_file(video)}
            for file, video in zip(job.files, videos, strict=True)
        },
    }


def _draw_files(
    job: LabelingJob, videos: list[Path], folder: Path, read_points: ReadPoints
) -> dict[str, str]:
    names = {}
    total = sum(file.n_frames for file in job.files)
    with show_frames("Drawing", total) as on_frames:
        for file, video in zip(job.files, videos, strict=True):
            # Two files of a recording may have one name, in different folders.
            name = f"{file.file_id}-{slugify(video.stem, _STEM_LENGTH)}-labeled.mp4"
            draw_labeled_video(
                video,
                folder / name,
                _offset(read_points, file.first_frame),
                job.style,
                n_frames=file.n_frames,
                rate=job.rate,
                progress=_shift(on_frames, file.first_frame),
            )
            names[str(file.file_id)] = name
    return names


def _offset(read_points: ReadPoints, first_frame: int) -> ReadPoints:
    return lambda start, stop: read_points(first_frame + start, first_frame + stop)


def _shift(on_frames: Callable[[int], None], first_frame: int) -> Callable[[int], None]:
    return lambda done: on_frames(first_frame + done)


def _list_versions() -> dict[str, str]:
    import av

    return {"av": av.__version__}
