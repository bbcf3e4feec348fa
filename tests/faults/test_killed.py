"""SIGKILL at every phase of a make: the next populate ends in exactly one complete row."""

from __future__ import annotations

import datetime
import os
import signal
import subprocess
import time
from typing import Any

import pytest

from element_deeplabcut.model import poses
from workflow_deeplabcut import database

from ..conftest import TRAINING_PARAMS, Lab, Trained
from .conftest import kill_at
from .dying_worker import MOMENTS

pytestmark = [pytest.mark.dlc, pytest.mark.slow]

COMPUTED_BEFORE_DEATH = ("published", "insert", "commit")


def started_before(run_info: dict[str, Any], moment: datetime.datetime) -> bool:
    return datetime.datetime.fromisoformat(run_info["started_at"]) < moment


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_training(lab: Lab, worker: subprocess.Popen[str], moment: str) -> None:
    train = lab.pipeline.train
    params = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1}
    key = lab.add_training(100 + MOMENTS.index(moment), params)
    kill_at(worker, "ModelTraining", moment, key)
    died = datetime.datetime.now(datetime.timezone.utc)
    assert len(train.ModelTraining & key) == (moment == "commit")

    train.ModelTraining.populate(key)

    (row,) = (train.ModelTraining & key).fetch(as_dict=True)
    assert row["latest_snapshot"] == 1
    assert started_before(row["run_info"], died) == (moment in COMPUTED_BEFORE_DEATH)
    assert (lab.processed / row["run_info"]["run_directory"] / "manifest.json").is_file()


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_inference(
    lab: Lab, trained: Trained, worker: subprocess.Popen[str], moment: str
) -> None:
    model = lab.pipeline.model
    key = lab.add_recording(100 + MOMENTS.index(moment), lab.new_video)
    key = {**key, **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    kill_at(worker, "PoseEstimation", moment, key)
    died = datetime.datetime.now(datetime.timezone.utc)
    assert len(model.PoseEstimation & key) == (moment == "commit")
    if moment != "commit":
        assert not model.PoseEstimation.BodyPartPosition & key

    model.PoseEstimation.populate(key)

    (row,) = (model.PoseEstimation & key).fetch(as_dict=True)
    assert len(model.PoseEstimation.BodyPartPosition & key) == 4
    assert model.PoseEstimation.get_trajectory(key).shape == (100, 12)
    assert started_before(row["run_info"], died) == (moment in COMPUTED_BEFORE_DEATH)


def test_a_lost_connection_costs_nothing(lab: Lab, trained: Trained, monkeypatch: Any) -> None:
    """The server ends the connection while the model computes; the result is kept."""
    model = lab.pipeline.model
    key = {**lab.add_recording(120, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    original = poses.run_inference
    calls = []

    def run(*args: Any) -> Any:
        result = original(*args)
        calls.append(1)
        (own,) = model.schema.connection.query("SELECT connection_id()").fetchone()
        with lab.server.connect() as other, other.cursor() as cursor:
            cursor.execute(f"KILL {own}")
        return result

    monkeypatch.setattr(poses, "run_inference", run)
    model.PoseEstimation.populate(key)
    assert calls == [1]
    assert len(model.PoseEstimation.BodyPartPosition & key) == 4


def test_a_restarted_server_costs_nothing(lab: Lab, trained: Trained, monkeypatch: Any) -> None:
    """The database server is killed while the model computes, and started again."""
    model = lab.pipeline.model
    key = {**lab.add_recording(122, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    original = poses.run_inference
    calls = []

    def run(*args: Any) -> Any:
        result = original(*args)
        calls.append(1)
        os.kill(database.status(lab.server.data_dir).pid, signal.SIGKILL)
        while database.status(lab.server.data_dir):  # it answers until it is gone
            time.sleep(0.01)
        assert database.start(lab.server.data_dir).port == lab.server.port
        return result

    monkeypatch.setattr(poses, "run_inference", run)
    model.PoseEstimation.populate(key)
    assert calls == [1]
    assert len(model.PoseEstimation.BodyPartPosition & key) == 4


def test_a_connection_lost_during_the_insert_costs_no_computation(
    lab: Lab, trained: Trained, monkeypatch: Any
) -> None:
    import datajoint as dj

    model = lab.pipeline.model
    key = {**lab.add_recording(121, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    original = model.insert_row

    def insert(table: Any, row: dict[str, Any], arrays: Any) -> None:
        original(table, row, arrays)
        (own,) = table.connection.query("SELECT connection_id()").fetchone()
        with lab.server.connect() as other, other.cursor() as cursor:
            cursor.execute(f"KILL {own}")

    with monkeypatch.context() as patch:
        patch.setattr(model, "insert_row", insert)
        with pytest.raises(dj.errors.LostConnectionError):
            model.PoseEstimation.populate(key)
    died = datetime.datetime.now(datetime.timezone.utc)
    assert not model.PoseEstimation & key
    model.PoseEstimation.populate(key)
    (info,) = (model.PoseEstimation & key).fetch("run_info")
    assert started_before(info, died)
    assert len(model.PoseEstimation.BodyPartPosition & key) == 4
