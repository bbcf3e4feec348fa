"""Table of the snapshots that finished trainings kept."""

from __future__ import annotations

import dataclasses
from typing import Any

import datajoint as dj

from .. import train
from ..blobs import BLOB
from ..compute.snapshots import KeptSnapshot, list_kept_snapshots
from ..tables import DistinctJobs, populate_one
from .base import NeedsTrain

_FACTS = ("run_directory", "engine", "best_snapshot", "shuffle")


class Snapshot(NeedsTrain, DistinctJobs, dj.Computed):
    """Snapshot that a finished training kept; one ``populate`` reads all of a training.

    ``Snapshot & "is_best=1"`` names one per training: the one that DeepLabCut takes, and that
    ``Model.insert_from_training`` registers, unless another is asked for. It is the one with the
    highest test mAP where DeepLabCut evaluated while it trained, else the last. Which one has the
    lowest error over the body parts that matter, `best_model` says.

    Attributes:
        ModelTraining (foreign key): Training.
        snapshot (varchar(64)): File name, for instance ``snapshot-best-010.pt``.
        snapshotindex (smallint): Number by which ``Model.insert_from_training`` takes it.
        epoch (int unsigned): Epochs (PyTorch) or iterations (TensorFlow) trained.
        is_best (tinyint): 1 for DeepLabCut's choice, 0 for others.
        engine (varchar(16)): ``pytorch`` or ``tensorflow``.
        net_type (varchar(64)): Network, by DeepLabCut's name.
        shuffle (int): Shuffle.
        train_loss (double, nullable): Total loss on training frames, no unit.
        test_loss (double, nullable): On test frames, where it was measured at that epoch.
        test_error (double, nullable): Mean distance to the labels of test frames, px, as
            DeepLabCut measured it while it trained; likewise. `ModelEvaluation` measures it after.
        learning_rate (double, nullable): Where the learning curve holds it (TensorFlow).
        metrics (longblob): All that the learning curve holds of it, by DeepLabCut's names.
        weights_hash (char(64)): SHA-256 of the weights' file, by which a `Model` is recognised.
    """

    definition = f"""
    # Snapshot that a finished training kept
    -> train.ModelTraining
    snapshot           : varchar(64)   # file name
    ---
    snapshotindex      : smallint      # to name it by
    epoch              : int unsigned  # epochs or iterations trained
    is_best            : tinyint       # 1 for the one that DeepLabCut takes
    engine             : varchar(16)   # pytorch or tensorflow
    net_type           : varchar(64)   # network
    shuffle            : int
    train_loss=null    : double        # on training frames
    test_loss=null     : double        # on test frames, where measured
    test_error=null    : double        # px, on test frames, where measured
    learning_rate=null : double
    metrics            : {BLOB}      # from the learning curve, by name
    weights_hash       : char(64)      # of the weights' file
    index (weights_hash)
    """

    @property
    def key_source(self) -> Any:
        """Finished trainings."""
        return train.ModelTraining()

    def make_fetch(self, key: dict[str, Any]) -> tuple[dict[str, Any]]:
        """Fetch where the training lies."""
        info = (train.ModelTraining & key).fetch1("run_info")
        return ({name: info[name] for name in _FACTS},)

    def make_compute(
        self, key: dict[str, Any], info: dict[str, Any]
    ) -> tuple[dict[str, Any], list[KeptSnapshot]]:
        """Read snapshots and learning curve."""
        net_type, snapshots = list_kept_snapshots(info, train.get_roots())
        common = {"engine": info["engine"], "net_type": net_type, "shuffle": info["shuffle"]}
        return common, snapshots

    def make_insert(
        self, key: dict[str, Any], common: dict[str, Any], snapshots: list[KeptSnapshot]
    ) -> None:
        """Record them."""
        self.insert({**key, **common, **dataclasses.asdict(found)} for found in snapshots)


def record_snapshots(trainings: Any) -> None:
    """Record the snapshots of those trainings of which none is recorded yet.

    Args:
        trainings: `train.ModelTraining`, restricted.
    """
    for key in (trainings.proj() - Snapshot()).fetch("KEY"):
        populate_one(Snapshot, key)
