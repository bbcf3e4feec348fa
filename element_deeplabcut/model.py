"""Schema ``model``: recordings, trained models, and the poses they predict.

Activate it beside the lab's own tables, after ``train`` if that is used::

    model.activate("lab_model", linking_module=__name__)

The linking module provides the tables ``Session`` and ``Device``, ``get_dlc_root_data_dir()`` and,
if it likes, ``get_dlc_processed_data_dir()``. None of DeepLabCut, torch and TensorFlow is needed
to import this, to register, to queue, or to fetch.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import datajoint as dj
import pandas as pd

from . import train
from .blobs import BLOB, check_fits, insert_row
from .compute.evaluation import EvaluationJob, EvaluationResult, run_evaluation
from .compute.inference import InferenceJob, InferenceResult, RecordingFile, run_inference
from .compute.loading import LoadingJob, check_task_mode, run_loading
from .compute.recording import RecordingJob, run_recording
from .compute.vouching import describe_model
from .errors import ParameterError, QueryError, SetupError
from .linking import Roots, check_linking_module, read_roots
from .params import check_inference_params
from .registration import (
    ModelRecord,
    confirm,
    describe_body_parts,
    read_body_parts,
    register_project,
    register_training,
)
from .tables import (
    RelativePaths,
    check_collation,
    check_distinct_names,
    check_lengths,
    fetch_one,
    load_linking_module,
)
from .trajectories import build_table, name_output_dir, pick_body_parts

schema = dj.schema()
_linking_module: ModuleType | None = None


def activate(
    model_schema_name: str,
    *,
    create_schema: bool = True,
    create_tables: bool = True,
    linking_module: str | ModuleType | None = None,
) -> None:
    """Activate the schema.

    Args:
        model_schema_name: Name of the database schema.
        create_schema: Create it if it does not exist.
        create_tables: Create tables that do not exist.
        linking_module: Module, or its name, that provides ``Session``, ``Device`` and
            ``get_dlc_root_data_dir()``.

    Raises:
        SetupError: The linking module is missing or lacks something.
    """
    global _linking_module
    module = load_linking_module(linking_module, "model")
    check_linking_module(module, ("Session", "Device", "get_dlc_root_data_dir"))
    _linking_module = module
    schema.activate(
        model_schema_name,
        create_schema=create_schema,
        create_tables=create_tables,
        add_objects=module.__dict__,
    )
    check_collation(schema)


def get_roots() -> Roots:
    """Return the lab's directories.

    Raises:
        SetupError: The schema is not active, or a root does not exist.
    """
    if _linking_module is None:
        raise SetupError("Call model.activate(...) first.")
    return read_roots(_linking_module)


# --- recordings -----------------------------------------------------------------------------------


@schema
class VideoRecording(dj.Manual):
    """Recording of a session by one camera, in one or more video files.

    Attributes:
        Session (foreign key): Session it was made in.
        recording_id (int): Number within the session.
        Device (foreign key): Camera.
    """

    definition = """
    # Recording of a session by one camera
    -> Session
    recording_id : int
    ---
    -> Device
    """

    class File(RelativePaths, dj.Part):
        """Video file of a recording. Files follow each other in the order of ``file_id``.

        Attributes:
            VideoRecording (foreign key): Recording it belongs to.
            file_id (int): Place in the recording.
            file_path (varchar(255)): POSIX path relative to a root directory.
        """

        definition = """
        # Video file of a recording, in the order of file_id
        -> master
        file_id   : int
        ---
        file_path : varchar(255)  # relative to a root directory
        """


@schema
class RecordingInfo(dj.Imported):
    """Exact facts of a recording; every frame has been decoded.

    Attributes:
        VideoRecording (foreign key): Recording.
        px_height (smallint): Height of a displayed frame, px.
        px_width (smallint): Width of a displayed frame, px.
        nframes (int): Decoded frames of all files together.
        fps (double, nullable): Frames per second; `File` has it as an exact ratio.
        recording_datetime (datetime, nullable): Creation time in the first file's metadata, UTC.
        recording_duration (float): Seconds, all files end to end.
    """

    definition = """
    # Exact facts of a recording
    -> VideoRecording
    ---
    px_height               : smallint  # px
    px_width                : smallint  # px
    nframes                 : int       # decoded frames, all files
    fps=null                : double    # frames per second
    recording_datetime=null : datetime  # from the first file's metadata, UTC
    recording_duration      : float     # s
    """

    class File(dj.Part):
        """Exact facts of one file.

        Attributes:
            RecordingInfo (foreign key): Recording.
            VideoRecording.File (foreign key): File.
            nframes (int): Decoded frames.
            first_frame (int): Number of its first frame within the recording.
            fps_numerator (int unsigned): Frame rate, with the denominator (29.97: 30000 / 1001).
            fps_denominator (int unsigned): See fps_numerator.
        """

        definition = """
        # Exact facts of one file of a recording
        -> master
        -> VideoRecording.File
        ---
        nframes         : int           # decoded frames
        first_frame     : int           # its first frame's number within the recording
        fps_numerator   : int unsigned  # frame rate as a ratio, frames
        fps_denominator : int unsigned  # per this many seconds
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the files' paths."""
        ids, paths = (VideoRecording.File & key).fetch("file_id", "file_path", order_by="file_id")
        if not len(ids):
            raise QueryError(f"The recording {key} has no files; insert VideoRecording.File first.")
        return ({int(number): path for number, path in zip(ids, paths, strict=True)},)

    def make_compute(self, key: dict[str, Any], files: dict[int, str]) -> tuple[Any, ...]:
        """Decode every frame."""
        return run_recording(RecordingJob(key, files), get_roots())

    def make_insert(self, key: dict[str, Any], recording: Any, files: dict[int, Any]) -> None:
        """Record the facts."""
        self.insert1(
            {
                **key,
                "px_height": recording.height,
                "px_width": recording.width,
                "nframes": recording.n_frames,
                "fps": float(recording.rate),
                "recording_datetime": recording.recorded_at,
                "recording_duration": recording.duration,
            }
        )
        self.File.insert(
            {
                **key,
                "file_id": number,
                "nframes": facts.n_frames,
                "first_frame": first_frame,
                "fps_numerator": facts.rate.numerator,
                "fps_denominator": facts.rate.denominator,
            }
            for (number, facts), first_frame in zip(
                files.items(), recording.first_frames, strict=True
            )
        )


# --- models ---------------------------------------------------------------------------------------


@schema
class BodyPart(dj.Lookup):
    """Point of the body that models predict.

    Attributes:
        body_part (varchar(32)): Name.
        body_part_description (varchar(1000)): Description.
    """

    definition = """
    # Point of the body that models predict
    body_part                : varchar(32)
    ---
    body_part_description='' : varchar(1000)
    """

    @classmethod
    def extract_new_body_parts(
        cls, config: str | os.PathLike[str] | Mapping[str, Any]
    ) -> list[str]:
        """Name the body parts of a project's config that are not in this table yet.

        Args:
            config: Path of a ``config.yaml`` (absolute, or relative to a root), or its content.
        """
        known = set(cls().fetch("body_part"))
        names = read_body_parts(config, get_roots)
        return [name for name in names if name not in known]

    @classmethod
    def insert_from_config(
        cls,
        config: str | os.PathLike[str] | Mapping[str, Any],
        descriptions: Sequence[str] | Mapping[str, str] | None = None,
        prompt: bool = True,
    ) -> list[str]:
        """Insert the body parts of a project's config that are not there yet.

        Args:
            config: Path of a ``config.yaml`` (absolute, or relative to a root), or its content.
            descriptions: Of the new body parts, in their order or by name.
            prompt: Ask before inserting, where somebody can answer.

        Returns:
            Names that were inserted.

        Raises:
            ParameterError: The descriptions do not match the new body parts.
            DatabaseError: Names differ in case only and the database cannot tell them apart.
        """
        names = cls.extract_new_body_parts(config)
        rows = describe_body_parts(names, descriptions)
        check_distinct_names(cls(), "body_part", (*cls().fetch("body_part"), *names))
        for row in rows:
            check_lengths(cls(), row)
        if not rows or (prompt and not confirm(f"Insert the body parts {', '.join(names)}?")):
            return []
        cls().insert(rows)
        return names


@schema
class Model(dj.Manual):
    """Trained model, copied into the model store when it was registered.

    Attributes:
        model_name (varchar(64)): The lab's name for it.
        task (varchar(32)): Task in the project's config.
        date (varchar(16)): Date in the project's config.
        iteration (int): Round of active learning.
        snapshotindex (int): Snapshot that was asked for; -1 is the best one if there is one, else
            the last.
        shuffle (int): Shuffle it was trained on.
        trainingsetindex (int): Index of its training fraction.
        engine (varchar(16)): ``pytorch`` or ``tensorflow``.
        scorer (varchar(255)): DeepLabCut's name for it in result files.
        config_template (longblob): The project's config.
        project_path (varchar(255)): Project that holds the labelled frames, relative to a root.
        model_prefix (varchar(32)): DeepLabCut's model prefix.
        model_description (varchar(1000)): What it is for.
        paramset_idx (smallint, nullable): Training parameters. A foreign key if `train` was active
            when the table was created.
        snapshot (varchar(64)): Snapshot file, for instance ``snapshot-best-010.pt``.
        bundle_hash (varchar(64)): Name of the bundle in the model store: a hash of all of it.
    """

    @property
    def definition(self) -> str:
        """Table definition; the parameter set is a foreign key where `train` is active."""
        reference = (
            "-> [nullable] train.TrainingParamSet"
            if train.schema.is_activated()
            else "paramset_idx=null : smallint"
        )
        return f"""
        # Trained model
        model_name           : varchar(64)
        ---
        task                 : varchar(32)    # in the project's config
        date                 : varchar(16)    # in the project's config
        iteration            : int            # round of active learning
        snapshotindex        : int            # which snapshot was asked for
        shuffle              : int            # which shuffle it was trained on
        trainingsetindex     : int            # which training fraction
        engine               : varchar(16)    # pytorch or tensorflow
        scorer               : varchar(255)   # DeepLabCut's name for it
        config_template      : {BLOB}       # the project's config
        project_path         : varchar(255)   # relative to a root directory
        model_prefix=''      : varchar(32)
        model_description='' : varchar(1000)
        {reference}
        snapshot             : varchar(64)    # file name
        bundle_hash          : varchar(64)    # name in the model store
        """

    class BodyPart(dj.Part):
        """Body part that a model predicts.

        Attributes:
            Model (foreign key): Model.
            BodyPart (foreign key): Body part.
        """

        definition = """
        # Body part that a model predicts
        -> master
        -> BodyPart
        """

    @classmethod
    def insert_new_model(
        cls,
        model_name: str,
        dlc_config: str | os.PathLike[str] | Mapping[str, Any],
        *,
        shuffle: int,
        trainingsetindex: int,
        model_description: str = "",
        model_prefix: str = "",
        paramset_idx: int | None = None,
        prompt: bool = True,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Register a model trained in a DeepLabCut project, by DataJoint or outside it.

        What inference needs is copied; the project may change or go afterwards. (An evaluation
        needs its labelled frames.)

        Args:
            model_name: The lab's name for it.
            dlc_config: The project's ``config.yaml`` (absolute below a root, or relative to one),
                or its content with a ``project_path``.
            shuffle: Shuffle to take.
            trainingsetindex: Index of its training fraction.
            model_description: What it is for.
            model_prefix: DeepLabCut's model prefix.
            paramset_idx: Training parameters, where they are known.
            prompt: Show what would be inserted and ask, where somebody can answer.
            params: Entries that replace those of the config: snapshotindex, iteration, pcutoff,
                batch_size, cropping, x1, x2, y1, y2.

        Returns:
            Key of the model.

        Raises:
            ProjectError: The project or the shuffle is incomplete.
            ModelError: There is no such snapshot.
            ParameterError: The name is taken, too long, or a parameter is not valid.
        """
        cls._check_name_is_free(model_name)
        record = register_project(
            get_roots(),
            dlc_config,
            shuffle=shuffle,
            trainingsetindex=trainingsetindex,
            model_prefix=model_prefix,
            params=params or {},
        )
        return cls._insert_record(model_name, record, model_description, paramset_idx, prompt)

    @classmethod
    def insert_from_training(
        cls,
        training_key: Mapping[str, Any],
        model_name: str,
        *,
        snapshotindex: int | None = None,
        model_description: str = "",
        prompt: bool = False,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Register the result of a training.

        Args:
            training_key: Key of `train.ModelTraining` that matches one training.
            model_name: The lab's name for it.
            snapshotindex: Which snapshot; None takes the config's (DeepLabCut's default is the
                best or last).
            model_description: What it is for.
            prompt: Show what would be inserted and ask, where somebody can answer.
            params: As for `insert_new_model`.

        Returns:
            Key of the model.

        Raises:
            QueryError: The key matches no training, or several.
            ResultError: The training's run directory is missing or damaged.
            ModelError: There is no such snapshot.
            ParameterError: The name is taken, too long, or a parameter is not valid.
        """
        cls._check_name_is_free(model_name)
        row = fetch_one(train.ModelTraining & training_key, "ModelTraining")
        changes = dict(params or {})
        if snapshotindex is not None:
            changes["snapshotindex"] = snapshotindex
        record = register_training(get_roots(), row["run_info"], changes)
        return cls._insert_record(
            model_name, record, model_description, row["paramset_idx"], prompt
        )

    @classmethod
    def _check_name_is_free(cls, model_name: str) -> None:
        check_lengths(cls(), {"model_name": model_name})
        if not model_name.strip() or cls & {"model_name": model_name}:
            raise ParameterError(
                f"The model name '{model_name}' is empty or taken already. Choose another one."
            )

    @classmethod
    def _insert_record(
        cls,
        model_name: str,
        record: ModelRecord,
        model_description: str,
        paramset_idx: int | None,
        prompt: bool,
    ) -> dict[str, str]:
        row = {
            "model_name": model_name,
            **record.columns,
            "model_description": model_description,
            "paramset_idx": paramset_idx,
        }
        check_lengths(cls(), row)
        same = (cls & {"bundle_hash": record.columns["bundle_hash"]}).fetch("model_name")
        record.warn_if_known(same)
        key = {"model_name": model_name}
        if prompt and not confirm(record.describe(model_name)):
            return key
        with cls.connection.transaction:
            BodyPart.insert_from_config(record.columns["config_template"], prompt=False)
            cls.insert1(row)
            cls.BodyPart.insert({**key, "body_part": part} for part in record.body_parts)
        return key


@schema
class ModelEvaluation(dj.Computed):
    """How far a model's predictions are from the labels.

    Errors are mean Euclidean distances in px, unrounded; DeepLabCut calls the same figures rmse.
    They are null where there is nothing to average.

    Attributes:
        Model (foreign key): Model.
        train_iterations (int): Epochs or iterations of the snapshot.
        train_error (double, nullable): Over training frames, px.
        test_error (double, nullable): Over test frames, px.
        p_cutoff (float): Likelihood from which on a prediction counts in the next two.
        train_error_p (double, nullable): Over training frames, likelihood >= p_cutoff, px.
        test_error_p (double, nullable): Over test frames, likelihood >= p_cutoff, px.
        run_info (longblob): Provenance.
    """

    definition = f"""
    # How far a model's predictions are from the labels
    -> Model
    ---
    train_iterations   : int     # epochs or iterations of the snapshot
    train_error=null   : double  # px
    test_error=null    : double  # px
    p_cutoff           : float   # likelihood threshold of the next two
    train_error_p=null : double  # px
    test_error_p=null  : double  # px
    run_info           : {BLOB}  # how it came to be
    """

    class BodyPart(dj.Part):
        """The same errors per body part.

        Attributes:
            ModelEvaluation (foreign key): Evaluation.
            Model.BodyPart (foreign key): Body part.
            train_error (double, nullable): px.
            test_error (double, nullable): px.
            train_error_p (double, nullable): px.
            test_error_p (double, nullable): px.
        """

        definition = """
        # Errors per body part
        -> master
        -> Model.BodyPart
        ---
        train_error=null   : double  # px
        test_error=null    : double  # px
        train_error_p=null : double  # px
        test_error_p=null  : double  # px
        """

    def make_fetch(self, key: dict[str, Any], device: str | None = None) -> tuple[Any, ...]:
        """Fetch which bundle to evaluate on which labels."""
        return (*(Model & key).fetch1("bundle_hash", "project_path"), device)

    def make_compute(self, key: dict[str, Any], *model: Any) -> tuple[EvaluationResult]:
        """Evaluate, or find the evaluation finished before."""
        return (run_evaluation(EvaluationJob(key, *model), get_roots()),)

    def make_insert(self, key: dict[str, Any], result: EvaluationResult) -> None:
        """Record the errors."""
        self.insert1(
            {
                **key,
                "train_iterations": result.train_iterations,
                "p_cutoff": result.p_cutoff,
                **vars(result.overall),
                "run_info": result.run_info,
            }
        )
        self.BodyPart.insert(
            {**key, "body_part": name, **vars(errors)} for name, errors in result.body_parts.items()
        )


# --- poses ----------------------------------------------------------------------------------------


@schema
class PoseEstimationTask(RelativePaths, dj.Manual):
    """Recording to be analyzed with a model.

    Attributes:
        VideoRecording (foreign key): Recording.
        Model (foreign key): Model.
        task_mode (enum): ``trigger`` computes; ``load`` takes existing results.
        pose_estimation_output_dir (varchar(255)): Folder of the results, relative to the processed
            directory (of those to load: or to a root directory); '' for one of the task's own.
        pose_estimation_params (longblob, nullable): batch_size, cropping, dynamic; to load:
            filtered, cropping. See `element_deeplabcut.params`.
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
        folder = name_output_dir({name: key[name] for name in cls.primary_key})
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
            ParameterError: A parameter is not valid, or the task is there with other parameters.
        """
        if not relative:
            raise ParameterError("Output folders are stored relative; leave out relative=False.")
        key = {name: key[name] for name in cls.primary_key}
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
        existing = (cls & key).fetch(as_dict=True)
        if not existing:
            cls.insert1(row)
            return key
        compared = ["task_mode", "pose_estimation_params"]
        if output_dir is not None:
            compared.append("pose_estimation_output_dir")
        if any(existing[0][name] != row[name] for name in compared):
            raise ParameterError(
                f"The task {key} is there already with other settings. Delete it first, or "
                "register the model under a second name to keep both results."
            )
        return key

    insert_estimation_task = generate


@schema
class PoseEstimation(dj.Computed):
    """Trajectories of a recording, predicted by a model.

    Tasks wait until ``RecordingInfo`` of their recording is there.
    ``populate(make_kwargs={"device": "cuda:1"})`` chooses the device.

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

    @property
    def key_source(self) -> Any:
        """Tasks whose recording has been read."""
        return PoseEstimationTask & RecordingInfo

    def make_fetch(self, key: dict[str, Any], device: str | None = None) -> tuple[Any, ...]:
        """Fetch what to analyze with what, and make sure that the result can be stored."""
        task = fetch_one(PoseEstimationTask & key, "PoseEstimationTask")
        info = (RecordingInfo & key).fetch1()
        files = (RecordingInfo.File * VideoRecording.File & key).fetch(
            "file_id", "file_path", "nframes", "first_frame", order_by="file_id"
        )
        check_fits(self.connection, info["nframes"])
        params = check_inference_params(task["pose_estimation_params"])
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
        return (InferenceJob(key, model["bundle_hash"], *common, device),)

    def make_compute(
        self, key: dict[str, Any], job: InferenceJob | LoadingJob
    ) -> tuple[InferenceResult]:
        """Analyze the recording, or find the analysis finished before, or load its results."""
        run = run_loading if isinstance(job, LoadingJob) else run_inference
        return (run(job, get_roots()),)

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
            insert_row(
                self.BodyPartPosition(),
                {**key, "individual": part.individual, "body_part": part.body_part},
                {
                    "frame_index": result.frame_index,
                    "x_pos": part.x,
                    "y_pos": part.y,
                    "likelihood": part.likelihood,
                    **({} if part.z is None else {"z_pos": part.z}),
                },
            )

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
        row = fetch_one(cls & key, "PoseEstimation")
        key = {name: row[name] for name in cls.primary_key}
        model = (Model & key).fetch1()
        parts = pick_body_parts(model["config_template"], body_parts)
        rows = cls.BodyPartPosition & key & [{"body_part": part} for part in parts]
        crop = row["crop"] if full_frame else None
        return build_table(rows.fetch(as_dict=True), model["scorer"], parts, crop)
