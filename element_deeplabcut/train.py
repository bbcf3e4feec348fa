"""Schema ``train``: which networks to train on which labels, and what came of it.

Activate it beside the lab's own tables::

    train.activate("lab_train", linking_module=__name__)

The linking module provides ``get_dlc_root_data_dir()`` and, if it likes,
``get_dlc_processed_data_dir()``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import datajoint as dj

from .blobs import BLOB
from .compute.checking.bench import Bench, Notes, check_each, insist_on_tasks
from .compute.checking.trainings import check_training
from .compute.findings import OK, CheckReport, TaskCheck
from .compute.publishing import publish_training
from .compute.records import TrainingRecord, read_training_records
from .compute.training import TrainingResult, run_training
from .compute.training_source import TrainingJob
from .compute.video_sets import list_label_files
from .errors import ParameterError, SetupError
from .linking import Roots, read_roots
from .param_tables import insert_param_set
from .params import check_training_params
from .progress import TRAINING, announced
from .tables import DistinctJobs, QueryMethod, RelativePaths, activate_linked, fetch_one

_N_RECORDS = 500
"""Earlier trainings that an estimate of time looks at, at most."""

schema = dj.schema()
_linking_module: ModuleType | None = None


def activate(
    train_schema_name: str,
    *,
    create_schema: bool = True,
    create_tables: bool = True,
    linking_module: str | ModuleType | None = None,
) -> None:
    """Activate the schema.

    Args:
        train_schema_name: Name of the database schema.
        create_schema: Create it if it does not exist.
        create_tables: Create tables that do not exist.
        linking_module: Module, or its name, that provides ``get_dlc_root_data_dir()``.

    Raises:
        SetupError: The linking module is missing or lacks something.
    """
    global _linking_module
    _linking_module = activate_linked(
        schema,
        train_schema_name,
        "train",
        linking_module,
        ("get_dlc_root_data_dir",),
        create_schema=create_schema,
        create_tables=create_tables,
    )


def get_roots() -> Roots:
    """Return the lab's directories.

    Raises:
        SetupError: The schema is not active, or a root does not exist.
    """
    if _linking_module is None:
        raise SetupError("Call train.activate(...) first.")
    return read_roots(_linking_module)


@schema
class VideoSet(dj.Manual):
    """Set of labelled videos that a network is trained on.

    Attributes:
        video_set_id (int): Number of the set.
    """

    definition = """
    # Labelled videos that a network is trained on
    video_set_id : int
    """

    class File(RelativePaths, dj.Part):
        """File that stands for a labelled-data folder: a video, or any file of that folder.

        The training set is exactly the folders these files stand for. A set without files stands
        for every labelled folder of the project.

        Attributes:
            VideoSet (foreign key): Set it belongs to.
            file_id (int): Number within the set.
            file_path (varchar(255)): POSIX path relative to a root directory.
        """

        definition = """
        # File that stands for a labelled-data folder of a DeepLabCut project
        -> master
        file_id   : int
        ---
        file_path : varchar(255)  # relative to a root directory
        """

    @classmethod
    def insert_from_project(
        cls,
        config: str | os.PathLike[str],
        video_set_id: int | None = None,
        folders: Sequence[str] | None = None,
    ) -> dict[str, int]:
        """Insert a set that stands for labelled-data folders of a project.

        The set names these folders, by their label tables; a folder that is labelled later does
        not become part of it.

        Args:
            config: The project's config.yaml or folder, absolute or relative to a root directory.
            video_set_id: Number of the set; None takes the set of the same files if there is one,
                else the next free number.
            folders: Names of labelled-data folders; None takes every one that holds labels.

        Returns:
            Primary key of the set. Inserting the same files again changes nothing.

        Raises:
            PathError: The project is missing or outside every root directory.
            ProjectError: It has no labels, or none in a folder that was named.
            ParameterError: The number is taken by a set of other files.
        """
        files = list_label_files(config, folders, get_roots())
        if video_set_id is None:
            video_set_id = cls._find_set(files)
        key = {"video_set_id": video_set_id}
        if cls & key:
            known = tuple(sorted((cls.File & key).fetch("file_path")))
            if known != tuple(sorted(files)):
                raise ParameterError(
                    f"video_set_id {video_set_id} holds other files already "
                    f"({', '.join(known) or 'none'}). Leave it out to take the next free number."
                )
            return key
        with cls.connection.transaction:
            cls.insert1(key)
            cls.File.insert(
                {**key, "file_id": number, "file_path": file}
                for number, file in enumerate(files, start=1)
            )
        return key

    @classmethod
    def _find_set(cls, files: Sequence[str]) -> int:
        """Number of the set of exactly these files, or else the next free one."""
        held: dict[int, list[str]] = {int(number): [] for number in cls.fetch("video_set_id")}
        for number, file in zip(*cls.File.fetch("video_set_id", "file_path"), strict=True):
            held[int(number)].append(file)
        same = [number for number, paths in held.items() if sorted(paths) == sorted(files)]
        return min(same) if same else max(held, default=0) + 1


@schema
class TrainingParamSet(dj.Lookup):
    """Parameters of a training.

    Attributes:
        paramset_idx (smallint): Number of the set.
        paramset_desc (varchar(128)): What it is for, in words.
        param_set_hash (uuid): Hash of ``params``, independent of key order.
        params (longblob): Parameters by their DeepLabCut 3 names; see `element_deeplabcut.params`.
    """

    definition = f"""
    # Parameters of a training
    paramset_idx   : smallint
    ---
    paramset_desc  : varchar(128)  # what it is for
    param_set_hash : uuid          # hash of params
    unique index (param_set_hash)
    params         : {BLOB}      # by DeepLabCut 3 names
    """

    @classmethod
    def insert_new_params(
        cls, paramset_desc: str, params: dict[str, Any], paramset_idx: int | None = None
    ) -> int:
        """Check and insert parameters.

        Args:
            paramset_desc: What they are for, in words.
            params: Parameters; ``shuffle`` and ``trainingsetindex`` are required. The dictionary
                is not changed.
            paramset_idx: Number to use; None takes the next free one.

        Returns:
            The number of the set: that of an existing one when it holds the same parameters.

        Raises:
            ParameterError: A parameter is not valid, the number is taken by other parameters, or
                another number was asked for parameters that are there already.
        """
        checked = check_training_params(params)
        return insert_param_set(cls(), "paramset_idx", paramset_desc, checked, paramset_idx)


@schema
class TrainingTask(RelativePaths, dj.Manual):
    """Training to be done.

    Attributes:
        VideoSet (foreign key): What to train on.
        TrainingParamSet (foreign key): How to train.
        training_id (int): Number that tells repetitions apart.
        model_prefix (varchar(32)): DeepLabCut's model prefix.
        project_path (varchar(255)): Project relative to a root; '' for the one project that holds
            the video set's files.
    """

    definition = """
    # Training to be done
    -> VideoSet
    -> TrainingParamSet
    training_id     : int
    ---
    model_prefix='' : varchar(32)
    project_path='' : varchar(255)  # DeepLabCut project, relative to a root directory
    """

    path_columns = ("project_path", "model_prefix")

    @QueryMethod
    def check(
        self, key: Any = None, *, device: str | None = None, elsewhere: bool = False
    ) -> CheckReport:
        """Say whether trainings can be done on this machine, before they are begun.

        ``TrainingTask.check(key)`` or ``(TrainingTask & key).check()``. Project, labels, engine,
        device, settings, starting weights and disk space are looked at as the training itself
        does, and the time it takes is estimated by earlier ones. Nothing is written.

        Args:
            key: Restriction of the tasks.
            device: Device to ask for; None for the best there is.
            elsewhere: The work is done on another machine: engine, device and weights are not
                asked, only what the database and the files say.

        Returns:
            The findings; true if there is no problem among them.

        Raises:
            ParameterError: The restriction matches no task.
            SetupError: A root directory is not on this machine.
        """
        keys = (self if key is None else self & key).fetch("KEY")
        insist_on_tasks(len(keys), "TrainingTask")
        return check_each(keys, get_roots, _check_task, device=device, elsewhere=elsewhere)


def _check_task(key: Mapping[str, Any], bench: Bench) -> TaskCheck:
    notes = Notes("TrainingTask", key)
    if ModelTraining & key:
        notes.add(OK, "result", "It is trained and recorded; there is nothing to do.")
        return notes.finish(0, 0)
    job = TrainingJob(key, *ModelTraining().make_fetch(key, bench.device))
    return check_training(job, bench, notes, _fetch_records)


def _fetch_records() -> list[TrainingRecord]:
    rows = ModelTraining().fetch("latest_snapshot", "run_info", limit=_N_RECORDS)
    return read_training_records(zip(*rows, strict=True))


@schema
class ModelTraining(DistinctJobs, dj.Computed):
    """Finished training.

    ``populate(make_kwargs={"device": "cuda:1"})`` chooses the device; by default the GPU if there
    is one. The trained network lies in a run directory below the processed directory; register it
    with ``model.Model.insert_from_training``.

    Attributes:
        TrainingTask (foreign key): What was to be done.
        latest_snapshot (int unsigned): Highest number of epochs among the snapshots at the end.
        config_template (longblob): The project's config it was trained with.
        run_info (longblob): Provenance: versions, host, device, duration_s, best_snapshot, split
            (row numbers of the label table), labels_hash, run_directory.
    """

    definition = f"""
    # Finished training
    -> TrainingTask
    ---
    latest_snapshot : int unsigned  # epochs or iterations of the last snapshot
    config_template : {BLOB}      # project config it was trained with
    run_info        : {BLOB}      # how it came to be
    """

    announced_as = TRAINING

    def make_fetch(self, key: dict[str, Any], device: str | None = None) -> tuple[Any, ...]:
        """Fetch what the task says."""
        task = TrainingTask * TrainingParamSet & key
        params, project_path, prefix = task.fetch1("params", "project_path", "model_prefix")
        files = (VideoSet.File & key).fetch("file_path", order_by="file_id")
        return params, project_path, prefix, tuple(files), device

    def make_compute(self, key: dict[str, Any], *task: Any) -> tuple[TrainingResult]:
        """Train, or find the training finished before."""
        with announced(self.announced_as, key):
            return (run_training(TrainingJob(key, *task), get_roots()),)

    def make_insert(self, key: dict[str, Any], result: TrainingResult) -> None:
        """Record the training."""
        self.insert1({**key, **vars(result)})

    @classmethod
    def publish_to_project(cls, key: Mapping[str, Any]) -> Path:
        """Copy a trained model into the project it was trained from.

        DeepLabCut's own functions and its graphical interface find it there as if they had
        trained it: snapshots, learning curve, engine config and, where the project lacks the
        shuffle, its training dataset and an entry in the list of shuffles. Nothing is overwritten;
        publishing the same again changes nothing.

        Args:
            key: Restriction that matches one training.

        Returns:
            Folder of the model in the project.

        Raises:
            QueryError: The restriction does not match exactly one training.
            PathError: The project is not where it was.
            ProjectError: It cannot be written, was changed since, or holds other files in the
                places of the model's.
        """
        row = fetch_one((cls & key).proj("run_info"), "ModelTraining")
        return publish_training(row["run_info"], get_roots())
