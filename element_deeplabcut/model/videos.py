"""Table of labeled videos: recordings with their poses drawn in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datajoint as dj

from ..blobs import BLOB, hash_columns, mentions
from ..compute.inference import RecordingFile
from ..compute.labeling import LabelingJob, LabelingResult, check_pose, run_labeling
from ..drawing import resolve_style
from ..errors import ParameterError, QueryError
from ..params import check_inference_params, split_wish
from ..store.files import hash_json
from ..tables import DistinctJobs
from .activation import get_roots, schema
from .models import Model
from .poses import PoseEstimation, PoseEstimationTask
from .recordings import VideoRecording  # noqa: F401 (the definition of File names it)

logger = logging.getLogger(__name__)


@schema
class LabeledVideo(DistinctJobs, dj.Computed):
    """Copy of a recording with its poses drawn in, which plays in every browser.

    Drawn on request only: for tasks whose ``pose_estimation_params`` hold ``labeled_video`` (True,
    or settings; see `vocabulary.LABELED_VIDEO`). Ask for it when the task is queued
    (``PoseEstimationTask.generate(key, params={"labeled_video": True})``) or any time later with
    `request`. To change how it is drawn, delete the row, request again and populate; poses and
    their task stay as they are.

    Attributes:
        PoseEstimation (foreign key): Poses that are drawn.
        run_info (longblob): Provenance, and the complete style.
    """

    definition = f"""
    # Copy of a recording with its poses drawn in
    -> PoseEstimation
    ---
    run_info : {BLOB}  # how it came to be
    """

    class File(dj.Part):
        """Labeled video of one file of the recording: H.264 in MP4, as many frames as the file.

        Attributes:
            LabeledVideo (foreign key): The recording's.
            VideoRecording.File (foreign key): File.
            labeled_video_path (varchar(255)): POSIX path relative to the processed directory.
        """

        definition = """
        # Labeled video of one file
        -> master
        -> VideoRecording.File
        ---
        labeled_video_path : varchar(255)  # relative to the processed directory
        """

    @property
    def key_source(self) -> Any:
        """Pose estimations whose task asks for a labeled video."""
        return PoseEstimation & (
            PoseEstimationTask & mentions("pose_estimation_params", "labeled_video")
        )

    def populate(self, *restrictions: Any, reserve_jobs: bool = False, **options: Any) -> Any:
        """Draw the labeled videos that were asked for; see ``datajoint.AutoPopulate.populate``."""
        # A worker's loop finds nothing to do quite often; a person should know why.
        if restrictions and not reserve_jobs and not self.key_source & dj.AndList(restrictions):
            logger.warning(
                "No labeled video was asked for with this key. Ask for it first: "
                "LabeledVideo.request(key)"
            )
        return super().populate(*restrictions, reserve_jobs=reserve_jobs, **options)

    @classmethod
    def request(
        cls, key: Mapping[str, Any], settings: bool | Mapping[str, Any] | None = True
    ) -> int:
        """Ask for labeled videos of tasks that are queued or done already.

        Nothing but the wish is changed: poses are not computed again.

        Args:
            key: Restriction of ``PoseEstimationTask``; all tasks it matches get the settings.
            settings: True for the model's own (dots, colours and cutoff of its config), or
                settings that differ; False or None withdraws the wish.

        Returns:
            Number of tasks whose wish changed.

        Raises:
            QueryError: The restriction matches no task, or a model lacks a body part.
            ParameterError: A setting is not valid, or a labeled video with other settings is there.
        """
        tasks = (PoseEstimationTask & key).fetch(
            *PoseEstimationTask.primary_key, "pose_estimation_params", as_dict=True
        )
        if not tasks:
            raise QueryError("The restriction matches no PoseEstimationTask. Check the key.")
        changed = [row for row in (cls._change_wish(task, settings) for task in tasks) if row]
        for row in changed:
            PoseEstimationTask.update1(row)
        return len(changed)

    @classmethod
    def _change_wish(
        cls, task: dict[str, Any], settings: bool | Mapping[str, Any] | None
    ) -> dict[str, Any] | None:
        """Give the task's row with its new wish, or None where it is the old one."""
        params, old = split_wish(task.pop("pose_estimation_params"))
        params = check_inference_params({**params, "labeled_video": settings})
        new = params.get("labeled_video")
        if new == old:
            return None
        if cls & task:
            raise ParameterError(
                f"The labeled video of {task} is there already, drawn with other settings. Delete "
                "its row first: (LabeledVideo & key).delete()"
            )
        PoseEstimationTask.check_drawable(task, params)
        return {**task, "pose_estimation_params": params or None}

    @classmethod
    def get_paths(cls, key: Mapping[str, Any]) -> list[Path]:
        """Name the labeled videos that a restriction matches, in the order of their files.

        Raises:
            QueryError: There is none.
        """
        paths = (cls.File & key).fetch("labeled_video_path", order_by=cls.File.primary_key)
        if not len(paths):
            raise QueryError(
                "The restriction matches no labeled video. Check the key; ask for labeled videos "
                "with LabeledVideo.request(key), then LabeledVideo.populate(key)."
            )
        return [get_roots().processed / path for path in paths]

    def make_fetch(self, key: dict[str, Any]) -> tuple[LabelingJob]:
        """Fetch what to draw, and how."""
        _, wish = split_wish((PoseEstimationTask & key).fetch1("pose_estimation_params"))
        config = (Model & key).fetch1("config_template")
        pose = PoseEstimation.get_pose(key, frames=slice(0, 0))
        check_pose(pose)
        positions = PoseEstimation.BodyPartPosition & key
        columns = ("x_pos", "y_pos", "likelihood")
        hashes = hash_columns(positions, ("individual", "body_part"), columns)
        return (
            LabelingJob(
                key=key,
                files=tuple(
                    RecordingFile(file.file_id, file.path, file.nframes, file.first_frame)
                    for file in pose.files
                ),
                rate=pose.rate,
                poses_hash=hash_json({"rows": hashes, "crop": pose.crop}),
                style=resolve_style(wish or {}, config, pose.body_parts, pose.individuals),
            ),
        )

    def make_compute(self, key: dict[str, Any], job: LabelingJob) -> tuple[LabelingResult]:
        """Draw the videos, or find them drawn before."""

        def read_points(start: int, stop: int) -> Any:
            pose = PoseEstimation.get_pose(
                key, job.style.body_parts, job.style.individuals, slice(start, stop)
            )
            return pose.position, pose.likelihood

        return (run_labeling(job, get_roots(), read_points),)

    def make_insert(self, key: dict[str, Any], result: LabelingResult) -> None:
        """Record where the videos are."""
        self.insert1({**key, "run_info": result.run_info})
        self.File.insert(
            {**key, "file_id": number, "labeled_video_path": path}
            for number, path in result.paths.items()
        )
