"""A training that is killed or stopped goes on from its newest snapshot."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from element_deeplabcut.compute import training
from element_deeplabcut.errors import Stopped
from element_deeplabcut.readers.learning_curve import LOSS, read_learning_curve
from element_deeplabcut.readers.snapshots import list_snapshots

from ..conftest import TENSORFLOW_PARAMS, TINY_NETWORK, TRAINING_PARAMS, Lab
from .conftest import kill_at

pytestmark = [pytest.mark.dlc, pytest.mark.slow]

FIVE_EPOCHS = {
    **TRAINING_PARAMS,
    "epochs": 5,
    "save_epochs": 1,
    "pytorch_cfg_updates": {**TINY_NETWORK, "runner.eval_interval": 1},
}
SIX_ITERATIONS = {**TENSORFLOW_PARAMS, "max_iters": 6, "save_iters": 2, "display_iters": 1}


def find_folder(lab: Lab, key: dict[str, Any]) -> Path:
    info = (lab.pipeline.train.ModelTraining & key).fetch1("run_info")
    (file,) = (lab.processed / info["run_directory"]).rglob("learning_stats.csv")
    return file.parent


def left_behind(lab: Lab, key: dict[str, Any], engine: str = "pytorch") -> list[Path]:
    (attempt,) = lab.attempts(key)
    (folder,) = attempt.glob("project/dlc-models*/iteration-0/*/train")
    return [snapshot.path for snapshot in list_snapshots(folder, engine)]


def epochs_of(history: list[dict[str, Any]]) -> list[int]:
    return [stop["epochs"] for stop in history]


def test_a_killed_training_goes_on(lab: Lab, worker: subprocess.Popen[str]) -> None:
    import torch

    updates = {**FIVE_EPOCHS["pytorch_cfg_updates"], "runner.snapshots.save_optimizer_state": True}
    key = lab.add_training(800, {**FIVE_EPOCHS, "pytorch_cfg_updates": updates})
    kill_at(worker, "ModelTraining", "epoch 4", key)
    assert max(path.stem for path in left_behind(lab, key)).endswith("003")
    train = lab.pipeline.train
    train.ModelTraining.populate(key)

    row = (train.ModelTraining & key).fetch1()
    (stop,) = row["run_info"]["resumed"]
    assert row["latest_snapshot"] == 5
    assert stop["epochs"] == 3
    assert stop["host"] == row["run_info"]["host"]
    folder = find_folder(lab, key)
    curve = read_learning_curve(folder / "learning_stats.csv")
    assert curve.steps.tolist() == [1, 2, 3, 4, 5]
    assert np.isfinite(curve.columns[LOSS]).all()
    # As if it had not stopped: the optimizer has counted all steps, and the best one is the best.
    newest = max(list_snapshots(folder), key=lambda snapshot: snapshot.epochs)
    last = torch.load(newest.path, weights_only=True)
    steps = {int(state["step"]) for state in last["optimizer"]["state"].values()}
    n_batches = len(row["run_info"]["split"]["train"]) // FIVE_EPOCHS["batch_size"]
    assert steps == {5 * n_batches}
    best = list_snapshots(folder)[-1]
    assert best.best
    assert best.epochs == curve.steps[np.argmin(curve.columns["metrics/test.rmse"])]


def test_half_a_snapshot_is_not_used(lab: Lab, worker: subprocess.Popen[str]) -> None:
    key = lab.add_training(801, FIVE_EPOCHS)
    kill_at(worker, "ModelTraining", "epoch 4", key)
    for path in left_behind(lab, key):
        if path.stem.endswith("003"):
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    lab.pipeline.train.ModelTraining.populate(key)
    row = (lab.pipeline.train.ModelTraining & key).fetch1()
    assert epochs_of(row["run_info"]["resumed"]) == [2]
    curve = read_learning_curve(find_folder(lab, key) / "learning_stats.csv")
    assert curve.steps.tolist() == [1, 2, 3, 4, 5]


def test_another_version_of_deeplabcut_starts_over(lab: Lab, worker: subprocess.Popen[str]) -> None:
    key = lab.add_training(802, FIVE_EPOCHS)
    kill_at(worker, "ModelTraining", "epoch 3", key)
    note = lab.attempts(key)[0] / "attempt.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "deeplabcut": "2.3"}))
    lab.pipeline.train.ModelTraining.populate(key)
    assert (lab.pipeline.train.ModelTraining & key).fetch1("run_info")["resumed"] == []


@pytest.mark.parametrize("stopped_by", [KeyboardInterrupt, SystemExit, Stopped])
def test_a_stopped_training_goes_on_and_a_failed_one_starts_over(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, stopped_by: type[BaseException]
) -> None:
    """What SIGINT, DataJoint's SIGTERM and a worker raise, and what a defect raises."""
    import torch

    train = lab.pipeline.train
    number = {KeyboardInterrupt: 803, SystemExit: 804, Stopped: 805}[stopped_by]
    key = lab.add_training(number, {**FIVE_EPOCHS, "epochs": 3})
    original = training.show_training

    def stop_at(epoch: int, error: BaseException) -> Any:
        @contextlib.contextmanager
        def show(*args: Any) -> Any:
            with original(*args) as update:

                def update_or_stop(progress: Any) -> None:
                    update(progress)
                    if progress.epoch == epoch:
                        raise error

                yield update_or_stop

        return show

    monkeypatch.setattr(training, "show_training", stop_at(2, ZeroDivisionError("a defect")))
    with pytest.raises(Exception, match="a defect"):
        train.ModelTraining.populate(key)
    assert not lab.attempts(key)
    monkeypatch.setattr(training, "show_training", stop_at(2, stopped_by("stopped")))
    with pytest.raises(stopped_by):
        train.ModelTraining.populate(key)
    assert left_behind(lab, key)
    monkeypatch.setattr(training, "show_training", original)
    train.ModelTraining.populate(key)
    row = (train.ModelTraining & key).fetch1()
    assert epochs_of(row["run_info"]["resumed"]) == [1]
    assert row["latest_snapshot"] == 3
    for snapshot in list_snapshots(find_folder(lab, key)):
        assert "optimizer" not in torch.load(snapshot.path, weights_only=True)


def test_a_tensorflow_training_goes_on(lab: Lab, worker: subprocess.Popen[str]) -> None:
    """Killed twice: the learning curve and the schedule are those of one training."""
    train = lab.pipeline.train
    schedule = [[0.002, 3], [0.0005, 6]]
    updates = {**SIX_ITERATIONS["pose_cfg_updates"], "multi_step": schedule}
    key = lab.add_training(810, {**SIX_ITERATIONS, "pose_cfg_updates": updates})
    kill_at(worker, "ModelTraining", "epoch 3", key)
    assert [path.name for path in left_behind(lab, key, "tensorflow")] == ["snapshot-2"]
    kill_at(worker, "ModelTraining", "epoch 5", key)
    train.ModelTraining.populate(key)
    row = (train.ModelTraining & key).fetch1()
    assert epochs_of(row["run_info"]["resumed"]) == [2, 4]
    assert row["latest_snapshot"] == 6
    folder = find_folder(lab, key)
    curve = read_learning_curve(folder / "learning_stats.csv")
    assert curve.steps.tolist() == [1, 2, 3, 4, 5, 6]
    rates = curve.columns["learning_rate"].tolist()
    assert rates == [0.002, 0.002, 0.002, 0.0005, 0.0005, 0.0005]
    assert [s.path.name for s in list_snapshots(folder, "tensorflow")] == [
        "snapshot-2", "snapshot-4", "snapshot-6"
    ]  # fmt: skip
