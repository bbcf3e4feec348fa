"""Tables of trained models: what they predict, where they come from, how good they are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import datajoint as dj

from .. import train
from ..blobs import BLOB
from ..compute.evaluation import EvaluationJob, EvaluationResult, run_evaluation
from ..compute.provenance import describe_registration
from ..errors import ParameterError
from ..registration import (
    ModelRecord,
    confirm,
    describe_body_parts,
    read_body_parts,
    register_project,
    register_training,
)
from ..tables import (
    DistinctJobs,
    check_distinct_names,
    check_lengths,
    check_restrictable,
    fetch_one,
)
from .activation import get_roots, schema


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
        run_info (longblob, nullable): Provenance: when, where and from which training it was
            registered; null in rows of earlier versions.
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
        run_info=null        : {BLOB}       # how it came to be
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
            ParameterError: The name is taken, too long, or holds a double quote, or a parameter is
                not valid.
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
            ParameterError: The name is taken, too long, or holds a double quote, or a parameter is
                not valid.
        """
        cls._check_name_is_free(model_name)
        row = fetch_one(train.ModelTraining & training_key, "ModelTraining")
        changes = dict(params or {})
        if snapshotindex is not None:
            changes["snapshotindex"] = snapshotindex
        record = register_training(get_roots(), row["run_info"], changes)
        training = {name: row[name] for name in train.ModelTraining.primary_key}
        return cls._insert_record(
            model_name, record, model_description, row["paramset_idx"], prompt, training
        )

    @classmethod
    def _check_name_is_free(cls, model_name: str) -> None:
        check_lengths(cls(), {"model_name": model_name})
        check_restrictable("model_name", model_name)
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
        training: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        row = cls.draft_row(model_name, record, model_description, paramset_idx, training)
        if not prompt or confirm(record.describe(model_name)):
            with cls.connection.transaction:
                cls.insert_draft(row, record)
        return {"model_name": model_name}

    @classmethod
    def draft_row(
        cls,
        model_name: str,
        record: ModelRecord,
        model_description: str = "",
        paramset_idx: int | None = None,
        training: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Put together and check the row of a model that lies in the store.

        Raises:
            ParameterError: A text is too long.
        """
        row = {
            "model_name": model_name,
            **record.columns,
            "model_description": model_description,
            "paramset_idx": paramset_idx,
            "run_info": describe_registration(training),
        }
        check_lengths(cls(), row)
        same = (cls & {"bundle_hash": record.columns["bundle_hash"]}).fetch("model_name")
        record.warn_if_known(same)
        return row

    @classmethod
    def insert_draft(cls, row: Mapping[str, Any], record: ModelRecord) -> None:
        """Insert a row of `draft_row` with its body parts; the caller opens the transaction."""
        BodyPart.insert_from_config(record.columns["config_template"], prompt=False)
        # Tables that an earlier version declared have no run_info.
        cls.insert1(row, ignore_extra_fields=True)
        key = {"model_name": row["model_name"]}
        cls.BodyPart.insert({**key, "body_part": part} for part in record.body_parts)


@schema
class ModelEvaluation(DistinctJobs, dj.Computed):
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
