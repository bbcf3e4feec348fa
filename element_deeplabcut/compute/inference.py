"""One pose estimation: from a recording and a model to the trajectories of its body parts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..blobs import shorten
from ..engines import get_engine
from ..engines.base import Engine, InferencePlan, OnFrames, Video
from ..errors import ParameterError, ResultError, VideoError
from ..linking import Roots
from ..progress import show_frames
from ..readers.pose import PredictedPose, read_pose
from ..store.bundles import Bundle, check_single_animal, make_bundle_view, open_bundle
from ..store.files import hash_file, make_folder, measure_folder
from ..store.runs import Attempt, Run, RunIdentity, find_run, start_run
from ..store.views import remove_view
from .provenance import Stopwatch
from .vouching import truncate_crop


@dataclass(frozen=True)
class RecordingFile:
    """One file of a recording.

    Attributes:
        file_id: Its number, which gives its place in the recording.
        path: Path relative to a root.
        n_frames: Decoded frames.
        first_frame: Number of its first frame within the recording.
    """

    file_id: int
    path: str
    n_frames: int
    first_frame: int


@dataclass(frozen=True)
class InferenceJob:
    """What the database says of a pose estimation.

    Attributes:
        key: Primary key of the task.
        bundle_hash: Which model bundle.
        files: The recording's files, in the order of `first_frame`.
        width: Frame width, px.
        height: Frame height, px.
        params: Checked pose estimation parameters, without the wish for a labeled video.
        output_dir: Where results go, relative to the processed directory.
        device: Wish of this populate call, or None.
        at_once: Likewise, frames to hold at once.
    """

    key: Mapping[str, Any]
    bundle_hash: str
    files: tuple[RecordingFile, ...]
    width: int
    height: int
    params: Mapping[str, Any]
    output_dir: str
    device: str | None = None
    at_once: int | None = None


@dataclass(frozen=True)
class Trajectory:
    """One body part of one individual over a recording.

    Attributes:
        individual: Name; '' for a single animal.
        body_part: Name.
        x: Floating point, shape (n_frames,), px as DeepLabCut wrote them.
        y: Likewise.
        likelihood: Likewise, in [0, 1].
        z: Third coordinate, where there is one; x and y are then in its unit.
    """

    individual: str
    body_part: str
    x: npt.NDArray[np.floating[Any]]
    y: npt.NDArray[np.floating[Any]]
    likelihood: npt.NDArray[np.floating[Any]]
    z: npt.NDArray[np.floating[Any]] | None = None


class AnyTrajectory(Protocol):
    """A `Trajectory`, or what reads one when its numbers are asked for."""

    @property
    def individual(self) -> str: ...  # noqa: D102
    @property
    def body_part(self) -> str: ...  # noqa: D102
    @property
    def x(self) -> npt.NDArray[np.floating[Any]]: ...  # noqa: D102
    @property
    def y(self) -> npt.NDArray[np.floating[Any]]: ...  # noqa: D102
    @property
    def likelihood(self) -> npt.NDArray[np.floating[Any]]: ...  # noqa: D102
    @property
    def z(self) -> npt.NDArray[np.floating[Any]] | None: ...  # noqa: D102


@dataclass(frozen=True)
class InferenceResult:
    """What a pose estimation leaves in the database.

    Attributes:
        finished_at: When the computation was published, UTC.
        crop: Effective crop [x1, x2, y1, y2] in px, or None for the whole frame.
        frame_index: int32, shape (n_frames,): 0, 1, ... through the recording.
        trajectories: One per individual and body part.
        run_info: Provenance.
    """

    finished_at: datetime.datetime
    crop: list[int] | None
    frame_index: npt.NDArray[np.int32]
    trajectories: Sequence[AnyTrajectory]
    run_info: dict[str, Any]


def run_inference(job: InferenceJob, roots: Roots) -> InferenceResult:
    """Analyze a recording, or find the analysis that was finished before.

    Raises:
        ElementError: The model is damaged, a video is missing or changed, or the parameters do
            not fit the video; nothing is left behind then.
    """
    bundle = open_bundle(roots.processed, job.bundle_hash)
    check_single_animal(bundle)
    videos = [roots.confine(roots.resolve(file.path)) for file in job.files]
    plan = make_plan(job, bundle)
    identity = _identify(job, bundle, videos, plan)
    parent = make_folder(roots.processed, *Path(job.output_dir).parts)
    run = find_run(parent, identity)
    if run is None:
        watch = Stopwatch()
        engine = get_engine(bundle.facts.engine)
        device = engine.resolve_device(job.device)
        with start_run(parent, identity) as attempt:
            results, conditions = _analyze_files(job, bundle, videos, plan, engine, device, attempt)
            provenance = watch.record(
                engine=bundle.facts.engine, device=device, versions=engine.describe(device)
            )
            facts = {"files": results, "provenance": {**provenance, **conditions}}
            run = attempt.finish({**facts, "disk_bytes": measure_folder(attempt.directory)})
    result = _to_result(run, job, bundle, plan, roots)
    result.run_info["videos"] = _describe_videos(job, videos, identity)
    return result


def _describe_videos(
    job: InferenceJob, videos: list[Path], identity: RunIdentity
) -> dict[int, dict[str, Any]]:
    """Say of each file by which path, size and hash it is known again."""
    hashed = identity.plain["inputs"]["videos"]
    return {
        int(file.file_id): {
            "path": file.path,
            "size": video.stat().st_size,
            **hashed[str(file.file_id)],
        }
        for file, video in zip(job.files, videos, strict=True)
    }


def make_plan(job: InferenceJob, bundle: Bundle) -> InferencePlan:
    """Say how a recording is analyzed.

    Raises:
        ParameterError: Crop or batch size do not fit the video, or each other.
    """
    crop = job.params.get("cropping", bundle.project.crop)
    if crop and (crop[1] > job.width or crop[3] > job.height):
        raise ParameterError(
            f"The crop {list(crop)} reaches beyond the video's {job.width} x {job.height} px "
            "(x1, x2, y1, y2). Give one inside the frame, or correct the model's config."
        )
    dynamic = job.params.get("dynamic")
    dynamic = tuple(dynamic) if dynamic and dynamic[0] else None
    batch_size = job.params.get("batch_size")
    if dynamic is not None:
        if batch_size not in (None, 1):
            raise ParameterError(
                f"Dynamic cropping follows the animal frame by frame, so batch_size must be 1, not "
                f"{batch_size}. Leave out batch_size, or dynamic."
            )
        batch_size = 1
    arithmetic = _choose_arithmetic(job, bundle)
    if not crop:
        return InferencePlan(batch_size, None, dynamic, *arithmetic, job.at_once)
    # What is recorded is what DeepLabCut really cuts, or coordinates would be a pixel off.
    if bundle.facts.engine == "pytorch":
        crop = truncate_crop(crop, job.width, job.height)
    x1, x2, y1, y2 = crop
    return InferencePlan(batch_size, (x1, x2, y1, y2), dynamic, *arithmetic, job.at_once)


def _choose_arithmetic(job: InferenceJob, bundle: Bundle) -> tuple[bool, str]:
    """Whether DeepLabCut's own network has to compute every number, and in which precision."""
    exact, precision = job.params.get("exact", False), job.params.get("precision", "float32")
    if precision == "float32":
        return exact, precision
    if exact:
        raise ParameterError(
            "exact asks for DeepLabCut's own numbers, which are computed in float32, and "
            f"precision for {precision}. Leave one of them out."
        )
    if bundle.facts.engine != "pytorch" or job.params.get("dynamic"):
        raise ParameterError(
            f"Only PyTorch models without dynamic cropping can be computed in {precision}. Leave "
            "out precision."
        )
    return exact, precision


def _identify(
    job: InferenceJob, bundle: Bundle, videos: list[Path], plan: InferencePlan
) -> RunIdentity:
    inputs = {
        "bundle": bundle.hash,
        "batch_size": plan.batch_size,
        "crop": plan.crop,
        "dynamic": plan.dynamic,
        "exact": plan.exact,
        "precision": plan.precision,
        "videos": {
            str(file.file_id): {"n_frames": file.n_frames, "sha256": hash_file(video)}
            for file, video in zip(job.files, videos, strict=True)
        },
    }
    return RunIdentity("inference", job.key, inputs)


def _analyze_files(
    job: InferenceJob,
    bundle: Bundle,
    videos: list[Path],
    plan: InferencePlan,
    engine: Engine,
    device: str,
    attempt: Attempt,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Analyze each file in a folder of its own: DeepLabCut mixes up videos of equal names.

    Returns:
        Prediction files, and under which conditions they were computed.
    """
    view = make_bundle_view(bundle, make_folder(attempt.directory, "project"))
    results: dict[str, str] = {}
    conditions: list[Mapping[str, Any]] = []
    total = sum(file.n_frames for file in job.files)
    what = f"Inference {job.key['model_name']}"
    with show_frames(what, total, bundle.facts.engine, device) as on_frames:
        for file, video in zip(job.files, videos, strict=True):
            folder = make_folder(attempt.directory, f"file-{file.file_id}")
            report = _offset(on_frames, file.first_frame)
            analysis = engine.infer(view, Video(video, file.n_frames), folder, plan, device, report)
            check_prediction(read_pose(analysis.file), file, bundle)
            results[str(file.file_id)] = analysis.file.relative_to(attempt.directory).as_posix()
            conditions.append(analysis.conditions)
    remove_view(view)
    return results, _merge(conditions)


def _merge(conditions: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Say of all files of a recording how they were computed.

    What differs is counted or listed; of differences the largest one counts.
    """
    merged: dict[str, Any] = {}
    for name in conditions[0] if conditions else ():
        values = [each.get(name) for each in conditions]
        distinct = list(dict.fromkeys(values))
        if name == "n_left":
            merged[name] = sum(value or 0 for value in values)
        elif name == "difference_px":
            merged[name] = max((value for value in values if value is not None), default=None)
        else:
            merged[name] = distinct[0] if len(distinct) == 1 else distinct
    return merged


def _offset(on_frames: OnFrames, first_frame: int) -> OnFrames:
    return lambda done: on_frames(first_frame + done)


def check_prediction(pose: PredictedPose, file: RecordingFile, bundle: Bundle) -> None:
    """Insist that a prediction is of this video and this model.

    Raises:
        VideoError: It has another number of frames than the video.
        ResultError: It is of another model.
    """
    if len(pose.values) != file.n_frames:
        raise VideoError(
            f"DeepLabCut read {len(pose.values)} frames of '{file.path}', which has "
            f"{file.n_frames}: the file is damaged, or changed since it was registered. Copy it "
            "again, then delete and populate its RecordingInfo."
        )
    if pose.scorer != bundle.facts.scorer or pose.body_parts != bundle.project.body_parts:
        raise ResultError(
            f"The prediction for '{file.path}' is by '{pose.scorer}' with "
            f"{', '.join(pose.body_parts)}; the registered model is '{bundle.facts.scorer}' with "
            f"{', '.join(bundle.project.body_parts)}."
        )


def _to_result(
    run: Run, job: InferenceJob, bundle: Bundle, plan: InferencePlan, roots: Roots
) -> InferenceResult:
    poses = []
    for file in job.files:
        pose = read_pose(run.directory / run.result["files"][str(file.file_id)])
        check_prediction(pose, file, bundle)
        poses.append(pose)
    values = np.concatenate([pose.values for pose in poses])
    trajectories = [
        Trajectory(individual, part, *(shorten(values[:, i, k, c]) for c in range(3)))
        for i, individual in enumerate(poses[0].individuals)
        for k, part in enumerate(poses[0].body_parts)
    ]
    run_info = {
        **run.result["provenance"],
        "bundle_hash": bundle.hash,
        "scorer": bundle.facts.scorer,
        "dynamic": list(plan.dynamic) if plan.dynamic else None,
        "disk_bytes": run.result.get("disk_bytes"),
        "run_directory": run.directory.relative_to(roots.processed).as_posix(),
    }
    crop = list(plan.crop) if plan.crop else None
    frame_index = np.arange(len(values), dtype=np.int32)
    return InferenceResult(run.finished_at, crop, frame_index, trajectories, run_info)
