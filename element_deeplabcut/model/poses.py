"""Tables of poses: what to analyze with which model, and the trajectories that came of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datajoint as dj
import pandas as pd

from ..blobs import BLOB, check_fits, insert_row
from ..compute.checking.bench import check_each, insist_on_tasks
from ..compute.findings import CheckReport
from ..compute.inference import InferenceJob, InferenceResult, RecordingFile, run_inference
from ..compute.loading import LoadingJob, check_task_mode, run_loading
from ..compute.vouching import describe_model
from ..drawing import resolve_style
from ..errors import ParameterError
from ..params import check_inference_params, split_wish
from ..pose import Pose
from ..pose.facts import PoseTables, fetch_facts
from ..pose.reading import read_pose
from ..pose.table import build_table
from ..progress import INFERENCE, announced
from ..tables import (
    DistinctJobs,
    QueryMethod,
    RelativePaths,
    check_distinct_names,
    explain_not_one,
    fetch_one,
    pick_primary_key,
)
from ..trajectories import list_body_parts, name_output_dir
from .activation import get_roots, schema
from .models import Model
from .recordings import RecordingInfo, VideoRecording


@schema
class PoseEstimationTask(RelativePaths, dj.Manual):
    """Recording to be analyzed with a model.

    Attributes:
        VideoRecording (foreign key): Recording.
        Model (foreign key): Model.
        task_mode (enum): ``trigger`` computes; ``load`` takes existing results.
        pose_estimation_output_dir (varchar(255)): Folder of the results, relative to the processed
            directory (of those to load: or to a root directory); '' for one of the task's own.
        pose_estimation_params (longblob, nullable): batch_size, cropping, dynamic, exact,
            precision; to load: filtered, cropping; labeled_video (True, or settings) asks for a
            `LabeledVideo`. See `element_deeplabcut.params`.
    """

    definition = f"""
    # Recording to be analyzed with a model
    -> VideoRecording
    -> Model
    ---
    task_mode='load'              : enum('load', 'trigger')
    pose_estimation_output_dir='' : varchar(255)  # relative to the processed directory
    pose_estimation_params=null   : {BLOB}      # parameters of the analysis
    """

    path_columns = ("pose_estimation_output_dir",)

    @classmethod
    def infer_output_dir(
        cls, key: Mapping[str, Any], relative: bool = False, mkdir: bool = False
    ) -> Path:
        """Name the folder that holds a task's results unless it says otherwise.

        Distinct keys have distinct folders, however alike their names are.

        Args:
            key: Primary key of the task.
            relative: Give it relative to the processed directory.
            mkdir: Create it.
        """
        folder = name_output_dir(pick_primary_key(cls(), key))
        if mkdir:
            (get_roots().processed / folder).mkdir(parents=True, exist_ok=True)
        return folder if relative else get_roots().processed / folder

    @classmethod
    def generate(
        cls,
        key: Mapping[str, Any],
        task_mode: str = "trigger",
        params: Mapping[str, Any] | None = None,
        relative: bool = True,
        mkdir: bool = False,
        output_dir: str | os.PathLike[str] | None = None,
    ) -> dict[str, Any]:
        """Queue the analysis of a recording with a model.

        Args:
            key: Primary key of the task: that of a recording, and ``model_name``.
            task_mode: ``trigger`` to compute, ``load`` to take existing results.
            params: Parameters of the analysis, checked here. To load: ``filtered`` takes
                DeepLabCut's filtered results, ``cropping`` names the crop where DeepLabCut noted
                none.
            relative: Kept for callers of old; output folders are always stored relative.
            mkdir: Create the output folder now.
            output_dir: Folder of the results to load, absolute below a root directory or relative
                to one. None is the task's own folder.

        Returns:
            Primary key of the task. Queueing the same again changes nothing.

        Raises:
            ParameterError: A parameter is not valid, the key is not complete, or the task is there
                with other parameters.
        """
        if not relative:
            raise ParameterError("Output folders are stored relative; leave out relative=False.")
        key = pick_primary_key(cls(), key)
        checked = check_inference_params(params)
        check_task_mode(checked, task_mode)
        if output_dir is not None and task_mode != "load":
            raise ParameterError("output_dir is for task_mode 'load'; leave it out to compute.")
        row = {
            **key,
            "task_mode": task_mode,
            "pose_estimation_output_dir": str(
                cls.infer_output_dir(key, relative=True, mkdir=mkdir)
                if output_dir is None
                else get_roots().relativize(output_dir)
            ),
            "pose_estimation_params": checked or None,
        }
        cls.check_drawable(key, checked)
        existing = (cls & key).fetch(as_dict=True)
        if not existing:
            cls.insert1(row)
            return key
        compared = (
            ["task_mode"] if output_dir is None else ["task_mode", "pose_estimation_output_dir"]
        )
        analysis, wish = split_wish(checked)
        known_analysis, known_wish = split_wish(existing[0]["pose_estimation_params"])
        if analysis != known_analysis or any(existing[0][name] != row[name] for name in compared):
            raise ParameterError(
                f"The task {key} is there already with other settings. Delete it first, or "
                "register the model under a second name to keep both results."
            )
        if wish is not None and wish != known_wish:
            raise ParameterError(
                f"The task {key} is there already. To have a labeled video drawn, or drawn "
                "otherwise, call LabeledVideo.request(key, settings)."
            )
        return key

    @classmethod
    def check_drawable(cls, key: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Insist that a labeled video can be drawn as checked parameters wish it.

        Args:
            key: Key that names the model.
            params: Parameters of the task, checked.

        Raises:
            QueryError: The model lacks a body part.
            ParameterError: There is no such colormap or colour, or no skeleton to draw.
        """
        _, wish = split_wish(params)
        for config in (Model & {"model_name": key["model_name"]}).fetch("config_template"):
            if wish is not None:
                # Individuals are known once there are poses.
                settings = {k: v for k, v in wish.items() if k != "displayedindividuals"}
                resolve_style(settings, config, list_body_parts(config))

    insert_estimation_task = generate

    @QueryMethod
    def check(
        self, key: Any = None, *, device: str | None = None, elsewhere: bool = False
    ) -> CheckReport:
        """Say whether analyses can be done on this machine, before they are begun.

        ``PoseEstimationTask.check(key)`` or ``(PoseEstimationTask & key).check()``. The model is
        compared with its hash, the videos' first and last frames are decoded, parameters, engine,
        device and disk space are looked at as the analysis itself does, and the time it takes is
        estimated by earlier ones. Results to load are loaded, and thrown away. Nothing is written.

        Args:
            key: Restriction of the tasks.
            device: Device to ask for; None for the best there is.
            elsewhere: The work is done on another machine: engine and device are not asked.

        Returns:
            The findings; true if there is no problem among them.

        Raises:
            ParameterError: The restriction matches no task.
            SetupError: A root directory is not on this machine.
        """
        from .checks import check_task  # it needs the tables declared below

        keys = (self if key is None else self & key).fetch("KEY")
        insist_on_tasks(len(keys), "PoseEstimationTask")
        return check_each(keys, get_roots, check_task, device=device, elsewhere=elsewhere)


@schema
class PoseEstimation(DistinctJobs, dj.Computed):
    """Trajectories of a recording, predicted by a model.

    Tasks wait until ``RecordingInfo`` of their recording is there.
    ``populate(make_kwargs={"device": "cuda:1"})`` chooses the device, and ``"at_once": 4`` how many
    frames it is to hold at once, for a GPU of little memory.

    PyTorch models run in a faster form of the same network, whose poses are within 1e-3 px (on a
    GPU, 1e-2 px) of DeepLabCut's; ``run_info`` says how far they were on frames that both computed.
    The parameter ``exact`` asks for DeepLabCut's own numbers to the last bit, ``precision`` for
    ``bfloat16``, which may move a pose by some pixels.

    Attributes:
        PoseEstimationTask (foreign key): What was to be done.
        pose_estimation_time (datetime): When the result was published, or loaded results were
            made, UTC.
        crop (longblob, nullable): Effective crop [x1, x2, y1, y2], px; null for the whole frame.
        run_info (longblob): Provenance.
    """

    definition = f"""
    # Trajectories of a recording, predicted by a model
    -> PoseEstimationTask
    ---
    pose_estimation_time : datetime  # when the result was published, UTC
    crop=null            : {BLOB}  # x1, x2, y1, y2 in px
    run_info             : {BLOB}  # how it came to be
    """

    class BodyPartPosition(dj.Part):
        """Trajectory of one body part of one individual.

        x and y are DeepLabCut's own numbers: with a crop, relative to the crop's corner.
        ``get_trajectory`` gives them in full-frame pixels. Results with z are in the unit of their
        calibration and never cropped.

        Attributes:
            PoseEstimation (foreign key): Estimation.
            individual (varchar(32)): Name of the animal; '' in single-animal projects; ``single``
                for body parts that only one thing has.
            Model.BodyPart (foreign key): Body part.
            frame_index (longblob): int32, shape (nframes,): counts through the recording from 0.
            x_pos (longblob): float32 or float64, shape (nframes,), px, to the right.
            y_pos (longblob): Likewise, down.
            likelihood (longblob): Likewise, in [0, 1]; NaN in results that have none.
            z_pos (longblob, nullable): Third coordinate, where there is one.
        """

        definition = f"""
        # Trajectory of one body part of one individual
        -> master
        individual='' : varchar(32)
        -> Model.BodyPart
        ---
        frame_index   : {BLOB}  # 0, 1, ... through the recording
        x_pos         : {BLOB}  # px
        y_pos         : {BLOB}  # px
        z_pos=null    : {BLOB}
        likelihood    : {BLOB}  # 0 to 1
        """

    announced_as = INFERENCE

    @property
    def key_source(self) -> Any:
        """Tasks whose recording has been read."""
        return PoseEstimationTask & RecordingInfo

    def make_fetch(
        self, key: dict[str, Any], device: str | None = None, at_once: int | None = None
    ) -> tuple[Any, ...]:
        """Fetch what to analyze with what, and make sure that the result can be stored."""
        task = fetch_one(PoseEstimationTask & key, "PoseEstimationTask")
        info = (RecordingInfo & key).fetch1()
        files = (RecordingInfo.File * VideoRecording.File & key).fetch(
            "file_id", "file_path", "nframes", "first_frame", order_by="file_id"
        )
        check_fits(self.connection, info["nframes"])
        # A labeled video may be asked for at any time: poses do not change with the wish, and what
        # is fetched here must not either.
        params, _ = split_wish(task["pose_estimation_params"])
        check_task_mode(params, task["task_mode"])
        common = (
            tuple(RecordingFile(*file) for file in zip(*files, strict=True)),
            info["px_width"],
            info["px_height"],
            params,
            task["pose_estimation_output_dir"] or str(name_output_dir(key)),
        )
        model = (Model & key).fetch1()
        if task["task_mode"] == "load":
            return (LoadingJob(key, describe_model(model), *common),)
        return (InferenceJob(key, model["bundle_hash"], *common, device, at_once),)

    def make_compute(
        self, key: dict[str, Any], job: InferenceJob | LoadingJob
    ) -> tuple[InferenceResult]:
        """Analyze the recording, or find the analysis finished before, or load its results."""
        if isinstance(job, LoadingJob):
            return (run_loading(job, get_roots()),)
        with announced(self.announced_as, key):
            return (run_inference(job, get_roots()),)

    def make_insert(self, key: dict[str, Any], result: InferenceResult) -> None:
        """Record the trajectories."""
        names = {part.individual for part in result.trajectories}
        check_distinct_names(self.BodyPartPosition(), "individual", names)
        self.insert1(
            {
                **key,
                "pose_estimation_time": result.finished_at,
                "crop": result.crop,
                "run_info": result.run_info,
            }
        )
        for part in result.trajectories:
            z = part.z
            insert_row(
                self.BodyPartPosition(),
                {**key, "individual": part.individual, "body_part": part.body_part},
                {
                    "frame_index": result.frame_index,
                    "x_pos": part.x,
                    "y_pos": part.y,
                    "likelihood": part.likelihood,
                    **({} if z is None else {"z_pos": z}),
                },
            )

    @classmethod
    def get_pose(
        cls,
        key: Mapping[str, Any],
        body_parts: str | Sequence[str] | None = None,
        individuals: str | Sequence[str] | None = None,
        frames: slice | None = None,
        *,
        full_frame: bool = True,
    ) -> Pose:
        """Fetch poses with all that is needed to understand them.

        Args:
            key: Restriction that matches exactly one pose estimation.
            body_parts: One name or several, in the order they are to have; None for all, in the
                order of the model's config.
            individuals: One name or several; None for all.
            frames: Range of frames; only these travel from the server. Negative ends count from
                the end of the recording.
            full_frame: Give x and y in pixels of the whole frame, origin at the top left; False
                gives them as DeepLabCut wrote them (relative to the crop, where there was one).

        Returns:
            The pose; see `element_deeplabcut.pose.Pose`.

        Raises:
            QueryError: The key matches none or several, or there is no such body part or
                individual.
            ParameterError: ``frames`` is no slice, or has a step.
        """
        tables = PoseTables(
            cls(), cls.BodyPartPosition(), Model(), RecordingInfo(), RecordingInfo.File(),
            VideoRecording.File(),
        )  # fmt: skip
        facts = fetch_facts(tables, cls & key)
        if facts is None:
            raise explain_not_one(cls & key, "PoseEstimation")
        return read_pose(tables, facts, body_parts, individuals, frames, full_frame)

    @classmethod
    def get_trajectory(
        cls,
        key: Mapping[str, Any],
        body_parts: str | Sequence[str] = "all",
        *,
        full_frame: bool = True,
    ) -> pd.DataFrame:
        """Fetch trajectories as one table, in DeepLabCut's own layout.

        Args:
            key: Restriction that matches exactly one pose estimation.
            body_parts: ``"all"``, one name, or several.
            full_frame: Give x and y in pixels of the whole frame, origin at the top left; False
                gives them as DeepLabCut wrote them (relative to the crop, where there was one).

        Returns:
            One row per frame of the recording. Columns (scorer, bodyparts, coords) with coords x,
            y (px) and likelihood.

        Raises:
            QueryError: The key matches none or several, or the model has no such body part.
        """
        wanted = None if isinstance(body_parts, str) and body_parts == "all" else body_parts
        return build_table(cls.get_pose(key, wanted, full_frame=full_frame), copy=False)
