"""The snapshots that a finished training kept, with what its learning curve says of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import ResultError
from ..linking import Roots
from ..readers.learning_curve import (
    LEARNING_RATE,
    LEARNING_STATS,
    LOSS,
    LearningCurve,
    read_learning_curve,
)
from ..readers.project import read_project
from ..readers.snapshots import list_snapshots
from ..readers.yaml_files import read_yaml
from ..store.files import hash_file
from ..store.runs import Run, open_run
from ..store.views import ProjectView
from .training import VIEW

TEST_LOSS, TEST_ERROR = "losses/eval.total_loss", "metrics/test.rmse"
"""What DeepLabCut calls them; its rmse is a mean of Euclidean distances."""


@dataclass(frozen=True)
class KeptSnapshot:
    """A snapshot of a finished training.

    Attributes:
        snapshot: File name, for instance ``snapshot-best-010.pt``; with TensorFlow what its three
            files have in common.
        snapshotindex: By which DeepLabCut and ``Model.insert_from_training`` name it, from 0.
        epoch: Epochs (PyTorch) or iterations (TensorFlow) trained.
        is_best: Whether it is the one that DeepLabCut takes unless it is told otherwise.
        train_loss: Total loss on training frames, no unit; None where the curve has none.
        test_loss: The same on test frames; measured in some epochs, never with TensorFlow.
        test_error: Mean distance to the labels of test frames that DeepLabCut measured while it
            trained, px; likewise.
        learning_rate: At that time, where the curve holds it (TensorFlow).
        metrics: All that the curve holds of it, by DeepLabCut's names.
        weights_hash: SHA-256 of the weights' file.
    """

    snapshot: str
    snapshotindex: int
    epoch: int
    is_best: bool
    train_loss: float | None
    test_loss: float | None
    test_error: float | None
    learning_rate: float | None
    metrics: dict[str, float]
    weights_hash: str


def list_kept_snapshots(
    run_info: Mapping[str, Any], roots: Roots
) -> tuple[str, list[KeptSnapshot]]:
    """List the snapshots of a finished training, in DeepLabCut's order.

    Returns:
        The network's type, and the snapshots.

    Raises:
        ResultError: The training's run directory is missing or damaged.
    """
    run = open_run(roots.processed / run_info["run_directory"])
    view = _open_view(run, str(run_info["engine"]))
    curve = read_learning_curve(view.train_folder / LEARNING_STATS)
    found = []
    for index, snapshot in enumerate(list_snapshots(view.train_folder, view.engine)):
        name = snapshot.path.name
        metrics = _read_step(curve, snapshot.epochs, view.engine)
        found.append(
            KeptSnapshot(
                name,
                index,
                snapshot.epochs,
                name == run_info["best_snapshot"],
                metrics.get(LOSS),
                metrics.get(TEST_LOSS),
                metrics.get(TEST_ERROR),
                metrics.get(LEARNING_RATE),
                metrics,
                hash_file(snapshot.weights_file),
            )
        )
    if not found:
        raise ResultError(f"The run directory '{run.directory}' holds no snapshot. Train again.")
    engine_config = read_yaml(view.engine_config_file, is_ours=True)
    return str(engine_config.get("net_type") or ""), found


def _open_view(run: Run, engine: str) -> ProjectView:
    facts = run.result
    return ProjectView(
        read_project(run.directory / VIEW),
        engine,
        facts["shuffle"],
        facts["trainingsetindex"],
        facts["model_prefix"],
    )


def _read_step(curve: LearningCurve, epoch: int, engine: str) -> dict[str, float]:
    """What was measured at a step; of TensorFlow's iterations, at the report before or at it."""
    rows = np.flatnonzero(curve.steps == epoch if engine == "pytorch" else curve.steps <= epoch)
    if not len(rows):
        return {}
    values = {name: float(column[rows[-1]]) for name, column in curve.columns.items()}
    return {name: value for name, value in values.items() if np.isfinite(value)}
