"""Training through populate(), with the real engine."""

from __future__ import annotations

import hashlib
import logging
import os
import random
import time
from pathlib import Path

import numpy as np
import pymysql
import pytest

from element_deeplabcut.errors import EngineError, ParameterError, PathError, ProjectError
from element_deeplabcut.readers.learning_curve import read_learning_curve

from ..conftest import TRAINING_PARAMS, Lab, Trained

pytestmark = pytest.mark.dlc

QUICK = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1}
"""One epoch: a real training in about two seconds, for tests of what surrounds it."""


def snapshot_of(folder: Path) -> dict[str, str]:
    """Content and time stamps of every file below a folder."""
    return {
        str(file): f"{file.stat().st_mtime_ns} {hashlib.sha256(file.read_bytes()).hexdigest()}"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_training_records_what_it_did(lab: Lab, trained: Trained) -> None:
    row = (lab.pipeline.train.ModelTraining & trained.training_key).fetch1()
    info = row["run_info"]
    assert row["latest_snapshot"] == 12
    assert row["config_template"]["bodyparts"] == ["nose", "leftear", "rightear", "tailbase"]
    assert info["best_snapshot"].startswith("snapshot-")
    assert sorted(info["split"]["train"] + info["split"]["test"]) == list(range(60))
    assert len(info["split"]["train"]) == 48
    assert info["engine"] == "pytorch"
    assert info["device"] == "cpu"
    assert info["deeplabcut"].startswith("3.")
    assert len(info["labels_hash"]) == 64
    assert info["duration_s"] > 1


def test_the_learning_curve_is_kept(lab: Lab, trained: Trained) -> None:
    info = (lab.pipeline.train.ModelTraining & trained.training_key).fetch1("run_info")
    (file,) = (lab.processed / info["run_directory"]).rglob("learning_stats.csv")
    curve = read_learning_curve(file)
    loss = curve.columns["losses/train.total_loss"]
    assert list(curve.steps) == list(range(1, 13))
    assert loss[-1] < loss[0] / 5


def test_the_project_is_not_touched(lab: Lab, capfd: pytest.CaptureFixture[str]) -> None:
    project = lab.config.parent
    before = snapshot_of(project)
    directory, environment = os.getcwd(), dict(os.environ)
    handlers, state = logging.getLogger().handlers[:], random.getstate()
    numpy_state = np.random.get_state()[1].copy()
    key = lab.add_training(20, QUICK)

    lab.pipeline.train.ModelTraining.populate(key)

    assert snapshot_of(project) == before
    assert os.getcwd() == directory
    assert dict(os.environ) == environment
    assert logging.getLogger().handlers == handlers
    assert random.getstate() == state
    assert (np.random.get_state()[1] == numpy_state).all()
    shown = capfd.readouterr()
    assert "Training with configuration" not in shown.out + shown.err
    assert "epoch" in shown.err  # the progress bar
    assert "loss" in shown.err


def test_no_transaction_is_open_while_it_computes(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = lab.pipeline.train
    seen = {}

    def count_transactions() -> int:
        with lab.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id=%s",
                (train.schema.connection.query("SELECT connection_id()").fetchone()[0],),
            )
            return cursor.fetchone()[0]

    original_run, original_insert = train.run_training, train.ModelTraining.make_insert

    def run(*args: object) -> object:
        seen["compute"] = count_transactions()
        return original_run(*args)

    def insert(self: object, *args: object) -> None:
        original_insert(self, *args)
        seen["insert"] = count_transactions()

    monkeypatch.setattr(train, "run_training", run)
    monkeypatch.setattr(train.ModelTraining, "make_insert", insert)
    train.ModelTraining.populate(lab.add_training(21, QUICK))
    assert seen == {"compute": 0, "insert": 1}


def test_a_finished_training_is_found_again(lab: Lab, trained: Trained) -> None:
    train = lab.pipeline.train
    key = lab.add_training(22, QUICK)
    train.ModelTraining.populate(key)
    first = (train.ModelTraining & key).fetch1()
    (train.ModelTraining & key).delete(safemode=False)
    train.ModelTraining.populate(key)
    assert (train.ModelTraining & key).fetch1() == first  # a second training has another duration


def test_other_labels_are_another_training(lab: Lab, project_copy: Path) -> None:
    train = lab.pipeline.train
    key = lab.add_training(23, QUICK, project_path=project_copy.name)
    train.ModelTraining.populate(key)
    first = (train.ModelTraining & key).fetch1("run_info")
    (train.ModelTraining & key).delete(safemode=False)
    image = next((project_copy / "labeled-data").rglob("*.png"))
    image.write_bytes(image.read_bytes() + b"\0")
    train.ModelTraining.populate(key)
    second = (train.ModelTraining & key).fetch1("run_info")
    assert first["labels_hash"] != second["labels_hash"]
    assert first["run_directory"] != second["run_directory"]


def test_two_trainings_with_one_seed_are_identical(lab: Lab) -> None:
    train = lab.pipeline.train
    weights = []
    for training_id in (24, 25):
        key = lab.add_training(training_id, QUICK)
        train.ModelTraining.populate(key)
        info = (train.ModelTraining & key).fetch1("run_info")
        (file,) = (lab.processed / info["run_directory"]).rglob(info["best_snapshot"])
        weights.append(load_weights(file))
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])


def load_weights(file: Path) -> dict:
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)["model"]


def test_an_existing_shuffle_is_trained_as_the_user_edited_it(lab: Lab, project_copy: Path) -> None:
    from deeplabcut import Engine, create_training_dataset

    create_training_dataset(
        str(project_copy / "config.yaml"), Shuffles=[3], net_type="resnet_50",
        engine=Engine.PYTORCH, userfeedback=False, trainIndices=[list(range(48))],
        testIndices=[list(range(48, 60))],
    )  # fmt: skip
    (engine_config,) = project_copy.rglob("pytorch_config.yaml")
    engine_config.write_text(engine_config.read_text().replace("gaussian_noise: 12.75",
                                                               "gaussian_noise: 3.5"))  # fmt: skip
    before = snapshot_of(project_copy)
    params = {name: value for name, value in QUICK.items() if name != "engine"}
    key = lab.add_training(26, {**params, "shuffle": 3}, project_path=project_copy.name)
    lab.pipeline.train.ModelTraining.populate(key)
    info = (lab.pipeline.train.ModelTraining & key).fetch1("run_info")
    (used,) = (lab.processed / info["run_directory"]).rglob("pytorch_config.yaml")
    assert "gaussian_noise: 3.5" in used.read_text()
    assert sorted(info["split"]["test"]) == list(range(48, 60))
    assert snapshot_of(project_copy) == before


def test_an_existing_shuffle_of_another_network_is_refused(lab: Lab, project_copy: Path) -> None:
    from deeplabcut import Engine, create_training_dataset

    create_training_dataset(
        str(project_copy / "config.yaml"), Shuffles=[1], net_type="resnet_101",
        engine=Engine.PYTORCH, userfeedback=False,
    )  # fmt: skip
    key = lab.add_training(27, QUICK, project_path=project_copy.name)
    with pytest.raises(ParameterError, match=r"network resnet_101.*resnet_50"):
        lab.pipeline.train.ModelTraining.populate(key)


def test_training_goes_on_from_a_snapshot(lab: Lab, trained: Trained) -> None:
    train = lab.pipeline.train
    info = (train.ModelTraining & trained.training_key).fetch1("run_info")
    (file,) = (lab.processed / info["run_directory"]).rglob(info["best_snapshot"])
    (lab.root / "start.pt").write_bytes(file.read_bytes())
    key = lab.add_training(28, {**QUICK, "init_weights": "start.pt"})
    train.ModelTraining.populate(key)
    row = (train.ModelTraining & key).fetch1()
    (curve_file,) = (lab.processed / row["run_info"]["run_directory"]).rglob("learning_stats.csv")
    first_loss = read_learning_curve(curve_file).columns["losses/train.total_loss"][0]
    assert row["latest_snapshot"] == 1
    assert first_loss < 5e-3  # 1.9e-3; from random weights the first epoch ends at 1.5e-2


def test_pretrained_without_a_network_fails_soon_and_says_what_else(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    key = lab.add_training(29, {**QUICK, "init_weights": "pretrained"})
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"init_weights to 'random' or to a snapshot"):
        lab.pipeline.train.ModelTraining.populate(key)
    assert time.monotonic() - started < 60
    assert not lab.pipeline.train.ModelTraining & key
    assert not lab.attempts(key)


def test_a_device_that_is_not_there_is_refused(lab: Lab) -> None:
    key = lab.add_training(30, QUICK)
    with pytest.raises(EngineError, match=r"cuda:7.*not on this machine"):
        lab.pipeline.train.ModelTraining.populate(key, make_kwargs={"device": "cuda:7"})


def test_a_failed_training_leaves_nothing(lab: Lab) -> None:
    updates = {**TRAINING_PARAMS["pytorch_cfg_updates"], "data.train.crop_sampling.width": -5}
    key = lab.add_training(31, {**QUICK, "pytorch_cfg_updates": updates})
    with pytest.raises(EngineError):
        lab.pipeline.train.ModelTraining.populate(key)
    assert not lab.pipeline.train.ModelTraining & key
    assert not lab.attempts(key)


def test_video_sets_stand_for_exactly_their_folders(lab: Lab, project_copy: Path) -> None:
    train = lab.pipeline.train
    name = project_copy.name
    train.VideoSet.insert1({"video_set_id": 2})
    train.VideoSet.File.insert1(
        {"video_set_id": 2, "file_id": 1, "file_path": f"{name}/labeled-data/train/img000.png"}
    )
    index = train.TrainingParamSet.insert_new_params("test", QUICK)
    key = {"video_set_id": 2, "paramset_idx": index, "training_id": 1}
    train.TrainingTask.insert1(key)  # no project_path: the files tell
    second = project_copy / "labeled-data" / "second"
    second.mkdir()
    for file in (project_copy / "labeled-data" / "train").iterdir():
        (second / file.name).write_bytes(file.read_bytes())
    train.ModelTraining.populate(key)
    info = (train.ModelTraining & key).fetch1("run_info")
    assert info["labelled_folders"] == ["train"]
    assert len(info["split"]["train"]) + len(info["split"]["test"]) == 60


def test_a_file_without_labels_is_an_error(lab: Lab) -> None:
    train = lab.pipeline.train
    train.VideoSet.insert1({"video_set_id": 3})
    train.VideoSet.File.insert1({"video_set_id": 3, "file_id": 1, "file_path": lab.new_video})
    index = train.TrainingParamSet.insert_new_params("test", QUICK)
    key = {"video_set_id": 3, "paramset_idx": index, "training_id": 1}
    train.TrainingTask.insert1({**key, "project_path": lab.config.parent.name})
    with pytest.raises(ProjectError, match=r"'new', which has no labels.*Labelled are: train"):
        train.ModelTraining.populate(key)


def test_a_project_that_is_not_there_is_an_error(lab: Lab) -> None:
    key = lab.add_training(32, QUICK, project_path="nowhere")
    with pytest.raises(PathError, match=r"'nowhere' exists below none of the root directories"):
        lab.pipeline.train.ModelTraining.populate(key)


def test_parameter_sets_are_recognised(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    table = lab.pipeline.train.TrainingParamSet
    params = {"shuffle": 8, "trainingsetindex": 0, "epochs": 5}
    index = table.insert_new_params("first", params)
    assert table.insert_new_params("again", dict(reversed(params.items()))) == index
    assert f"paramset_idx {index} already holds these parameters" in caplog.text
    with pytest.raises(ParameterError, match=f"paramset_idx {index} already holds"):
        table.insert_new_params("other number", params, paramset_idx=index + 1)
    with pytest.raises(ParameterError, match="holds other parameters"):
        table.insert_new_params("taken", {**params, "epochs": 6}, paramset_idx=index)
    with pytest.raises(ParameterError, match="paramset_desc has 200"):
        table.insert_new_params("x" * 200, {**params, "epochs": 7})


def test_wait_for_the_server(lab: Lab) -> None:
    """The server of the tests is their own, whatever the environment says."""
    connection = lab.pipeline.train.schema.connection
    assert connection.conn_info["port"] == lab.server.port
    assert isinstance(lab.server.connect(), pymysql.connections.Connection)
