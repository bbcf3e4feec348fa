"""The TensorFlow engine through the tables, with the real DeepLabCut and a tiny MobileNet."""

from __future__ import annotations

import csv
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from element_deeplabcut.engines import get_engine, list_engines
from element_deeplabcut.errors import EngineError, ParameterError
from element_deeplabcut.readers.learning_curve import LOSS, read_learning_curve
from element_deeplabcut.store.bundles import make_bundle_view, open_bundle
from element_deeplabcut.store.files import make_folder

from ..conftest import TENSORFLOW_PARAMS, Lab, Trained

pytestmark = pytest.mark.dlc

GOOD_ERROR_PX = {"pytorch": 2, "tensorflow": 6}
ONE_ITERATION = {**TENSORFLOW_PARAMS, "max_iters": 1, "save_iters": 1, "display_iters": 1}


@pytest.fixture(params=["pytorch", "tensorflow"])
def of_engine(request: Any) -> tuple[str, Trained]:
    """Each engine's training: registered, trained and made a model by the same calls."""
    name = {"pytorch": "trained", "tensorflow": "trained_tensorflow"}[request.param]
    return request.param, request.getfixturevalue(name)


def run_directory(lab: Lab, training_key: dict[str, Any]) -> Path:
    info = (lab.pipeline.train.ModelTraining & training_key).fetch1("run_info")
    return lab.processed / info["run_directory"]


def find_curve(lab: Lab, training_key: dict[str, Any]) -> Path:
    (file,) = run_directory(lab, training_key).rglob("learning_stats.csv")
    return file


# --- one script for both engines ------------------------------------------------------------------


def test_evaluate_analyze_and_fetch(lab: Lab, of_engine: tuple[str, Trained]) -> None:
    """The engines' jobs run one after another in one process here, in either order."""
    engine, trained = of_engine
    model = lab.pipeline.model
    model.ModelEvaluation.populate(trained.model_key)
    evaluation = (model.ModelEvaluation & trained.model_key).fetch1()
    number = 700 + list(GOOD_ERROR_PX).index(engine)
    key = {**lab.add_recording(number, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)
    poses = model.PoseEstimation.get_trajectory(key).droplevel("scorer", axis=1)
    parts = poses.columns.get_level_values("bodyparts").unique()
    found = np.stack([poses[part][["x", "y"]] for part in parts], axis=1)

    assert evaluation["test_error"] < GOOD_ERROR_PX[engine]
    assert len(model.ModelEvaluation.BodyPart & trained.model_key) == 4
    assert found.shape == lab.truth.shape
    assert np.linalg.norm(found - lab.truth, axis=-1).mean() < GOOD_ERROR_PX[engine]
    assert (model.Model & trained.model_key).fetch1("engine") == engine
    info = (model.PoseEstimation & key).fetch1("run_info")
    assert (info["engine"], info["device"]) == (engine, "cpu")
    assert {"pytorch": "torch", "tensorflow": "tensorflow"}[engine] in info  # its version


# --- training -------------------------------------------------------------------------------------


def test_a_training_keeps_snapshots_and_a_learning_curve(
    lab: Lab, trained_tensorflow: Trained
) -> None:
    row = (lab.pipeline.train.ModelTraining & trained_tensorflow.training_key).fetch1()
    last = TENSORFLOW_PARAMS["max_iters"]
    assert row["latest_snapshot"] == last
    assert row["run_info"]["best_snapshot"] == f"snapshot-{last}"
    curve = read_learning_curve(find_curve(lab, trained_tensorflow.training_key))
    interval = TENSORFLOW_PARAMS["display_iters"]
    assert curve.steps.tolist() == list(range(interval, last + 1, interval))
    assert curve.columns[LOSS][-1] < curve.columns[LOSS][0] / 3
    folder = find_curve(lab, trained_tensorflow.training_key).parent
    assert not [file for file in folder.iterdir() if "initial" in file.name]
    assert not (folder / "checkpoint").exists()


def test_a_training_starts_from_a_given_snapshot(lab: Lab, trained_tensorflow: Trained) -> None:
    """One iteration that changes next to nothing leaves the weights that were given."""
    folder = find_curve(lab, trained_tensorflow.training_key).parent
    given = lab.root / "weights"
    shutil.copytree(folder, given)
    last = TENSORFLOW_PARAMS["max_iters"]
    updates = {**ONE_ITERATION["pose_cfg_updates"], "multi_step": [[1e-7, 1]]}
    params = {**ONE_ITERATION, "pose_cfg_updates": updates}
    key = lab.add_training(30, {**params, "init_weights": f"weights/snapshot-{last}.index"})
    lab.pipeline.train.ModelTraining.populate(key)
    assert (lab.pipeline.train.ModelTraining & key).fetch1("latest_snapshot") == 1
    before = read_convolutions(given / f"snapshot-{last}")
    after = read_convolutions(find_curve(lab, key).parent / "snapshot-1")
    assert before.keys() == after.keys()
    assert len(before) > 10
    for name, weights in before.items():
        np.testing.assert_allclose(after[name], weights, rtol=0, atol=1e-5, err_msg=name)


def test_the_same_seed_gives_the_same_training(lab: Lab) -> None:
    """Also the second time in a process, where generators have moved on."""
    losses = []
    for number in (35, 36):
        key = lab.add_training(number, ONE_ITERATION)
        lab.pipeline.train.ModelTraining.populate(key)
        losses.append(read_learning_curve(find_curve(lab, key)).columns[LOSS].tolist())
    assert losses[0] == losses[1]


def read_convolutions(snapshot: Path) -> dict[str, Any]:
    import tensorflow as tf

    names = [name for name, _ in tf.train.list_variables(str(snapshot))]
    reader = tf.train.load_checkpoint(str(snapshot))
    return {name: reader.get_tensor(name) for name in names if name.endswith("weights")}


def test_a_moved_project_trains_as_it_is(lab: Lab, project_copy: Path) -> None:
    """DeepLabCut stores absolute paths in pose_cfg.yaml and fails on them after a move."""
    import deeplabcut
    from deeplabcut.utils import auxfun_models

    download, auxfun_models.check_for_weights = auxfun_models.check_for_weights, lambda *_: "none"
    try:
        deeplabcut.create_training_dataset(
            str(project_copy / "config.yaml"), Shuffles=[5], net_type="mobilenet_v2_0.35",
            augmenter_type="imgaug", engine=deeplabcut.Engine.TF, userfeedback=False,
        )  # fmt: skip
    finally:
        auxfun_models.check_for_weights = download
    moved = project_copy.rename(project_copy.with_name(f"{project_copy.name}-moved"))
    (config,) = moved.rglob("train/pose_cfg.yaml")
    before = config.read_bytes()
    assert str(project_copy).encode() in before
    params = {**ONE_ITERATION, "shuffle": 5}
    del params["engine"]  # DeepLabCut's own record says it; config.yaml says pytorch
    key = lab.add_training(31, params, project_path=moved.name)
    lab.pipeline.train.ModelTraining.populate(key)
    row = (lab.pipeline.train.ModelTraining & key).fetch1()
    assert row["run_info"]["engine"] == "tensorflow"
    assert config.read_bytes() == before
    shutil.rmtree(moved)


def test_pretrained_weights_that_cannot_be_had_are_an_error_with_a_way_out(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nothing listens there
    params = {**ONE_ITERATION, "net_type": "mobilenet_v2_0.5", "init_weights": "pretrained"}
    key = lab.add_training(32, {**params, "shuffle": 8})
    with pytest.raises(EngineError, match="init_weights to 'random'"):
        lab.pipeline.train.ModelTraining.populate(key)
    assert not lab.attempts(key)


@pytest.mark.parametrize(
    ("updates", "error", "message"),
    [
        ({"scale_jitter_low": 0.8}, EngineError, "Did you mean 'scale_jitter_lo'"),
        ({"init_weights": "/x"}, ParameterError, "may not set 'init_weights'"),
        ({"dataset": "x.mat"}, ParameterError, "may not set 'dataset'"),
    ],
)
def test_settings_that_do_not_work_are_refused(
    lab: Lab, updates: dict[str, Any], error: type[Exception], message: str
) -> None:
    params = {**ONE_ITERATION, "shuffle": 9, "pose_cfg_updates": updates}
    with pytest.raises(error, match=message):
        lab.pipeline.train.ModelTraining.populate(lab.add_training(33, params))


def test_the_process_is_as_it_was(lab: Lab, tmp_path: Path) -> None:
    """DeepLabCut reloads logging, closes its handlers, changes the directory, leaves threads."""
    root, logger = logging.getLogger(), logging.getLogger("a lab's own")
    handler = logging.FileHandler(tmp_path / "log.txt")
    logger.addHandler(handler)
    before = (
        os.getcwd(),
        root,
        root.handlers[:],
        logging.Logger,
        list_threads(),
    )
    try:
        key = lab.add_training(34, ONE_ITERATION)
        lab.pipeline.train.ModelTraining.populate(key)
        after = (os.getcwd(), logging.getLogger(), root.handlers[:], logging.Logger)
        logger.warning("still heard")
    finally:
        logger.removeHandler(handler)
    assert (*after, list_threads()) == before
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert (tmp_path / "log.txt").read_text() == "still heard\n"


def list_threads() -> set[str]:
    """Names of the threads, but for the one that may still write the last row of progress."""
    return {thread.name for thread in threading.enumerate()} - {"progress"}


# --- evaluation -----------------------------------------------------------------------------------


def test_an_evaluation_is_deeplabcuts_own(
    lab: Lab, trained_tensorflow: Trained, project_copy: Path
) -> None:
    """Also of a snapshot that DeepLabCut evaluated before, which it would skip."""
    import deeplabcut

    run = run_directory(lab, trained_tensorflow.training_key) / "project"
    for name in ("dlc-models", "training-datasets"):
        shutil.copytree(run / name, project_copy / name, dirs_exist_ok=True)
    deeplabcut.evaluate_network(
        str(project_copy / "config.yaml"), Shuffles=[2], per_keypoint_evaluation=True,
        show_errors=False,
    )  # fmt: skip
    folder = project_copy / "evaluation-results"
    (results,) = (f for f in folder.rglob("*-results.csv")
                  if "keypoint" not in f.name and "Combined" not in f.name)  # fmt: skip
    (written,) = csv.DictReader(results.open())
    model = lab.pipeline.model
    key = model.Model.insert_new_model(
        "evaluated before", project_copy / "config.yaml", shuffle=2, trainingsetindex=0,
        prompt=False,
    )  # fmt: skip
    model.ModelEvaluation.populate(key)
    row = (model.ModelEvaluation & key).fetch1()
    assert row["train_iterations"] == int(written["Training iterations:"])
    for ours, theirs in {
        "train_error": " Train error(px)",
        "test_error": " Test error(px)",
        "train_error_p": "Train error with p-cutoff",
        "test_error_p": "Test error with p-cutoff",
    }.items():
        assert round(row[ours], 2) == float(written[theirs])
    (keypoints,) = folder.rglob("*-keypoint-results.csv")
    by_kind = {next(iter(r.values())): r for r in csv.DictReader(keypoints.open())}
    parts = (model.ModelEvaluation.BodyPart & key).fetch(as_dict=True)
    assert len(parts) == 4
    for part in parts:
        name = part["body_part"]
        assert part["test_error"] == pytest.approx(
            float(by_kind["Test error (px)"][name]), abs=6e-3
        )
    (model.Model & key).delete(safemode=False)


# --- inference ------------------------------------------------------------------------------------


def test_a_crop_is_where_it_was_asked_for(lab: Lab, trained_tensorflow: Trained) -> None:
    """TensorFlow cuts at the very pixels; PyTorch loses one now and then."""
    model = lab.pipeline.model
    key = {**lab.add_recording(702, lab.new_video), **trained_tensorflow.model_key}
    model.RecordingInfo.populate(key)
    crop = [29, 200, 0, 199]
    model.PoseEstimationTask.generate(key, params={"cropping": crop, "batch_size": 8})
    model.PoseEstimation.populate(key)
    assert (model.PoseEstimation & key).fetch1("crop") == crop
    whole = model.PoseEstimation.get_trajectory(key)
    raw = model.PoseEstimation.get_trajectory(key, full_frame=False)
    shift = (whole - raw).droplevel("scorer", axis=1)["nose"]
    np.testing.assert_allclose(shift["x"], 29, atol=1e-4)
    np.testing.assert_allclose(shift["y"], 0, atol=1e-4)


def test_its_result_is_that_of_analyze_videos(
    lab: Lab, trained_tensorflow: Trained, tmp_path: Path
) -> None:
    import deeplabcut
    import pandas as pd

    model = lab.pipeline.model
    key = {**lab.add_recording(703, lab.new_video), **trained_tensorflow.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)
    ours = model.PoseEstimation.get_trajectory(key)
    row = (model.Model & trained_tensorflow.model_key).fetch1()
    view = make_bundle_view(
        open_bundle(lab.processed, row["bundle_hash"]), make_folder(tmp_path, "view")
    )
    scorer = deeplabcut.analyze_videos(
        str(view.config_file), [str(lab.root / lab.new_video)], shuffle=2,
        destfolder=str(tmp_path / "theirs"),
    )  # fmt: skip
    theirs = pd.read_hdf(tmp_path / "theirs" / f"new{scorer}.h5")
    assert scorer == row["scorer"]
    np.testing.assert_array_equal(ours.to_numpy(), theirs.to_numpy())


# --- where it is not installed --------------------------------------------------------------------


def test_what_is_installed_is_listed() -> None:
    assert list_engines() == ("pytorch", "tensorflow")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineError, match="'cuda:7'"):
        get_engine("tensorflow").resolve_device("cuda:7")
    assert get_engine("tensorflow").resolve_device("cpu") == "cpu"
