"""Snapshots of trainings, the best of them, and the leaderboard: real trainings, both engines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import pandas as pd
import pytest

from element_deeplabcut.compute.ranking import pool_errors
from element_deeplabcut.engines import get_engine
from element_deeplabcut.errors import ParameterError, QueryError, ResultError
from element_deeplabcut.model import models
from element_deeplabcut.readers.learning_curve import LOSS, read_learning_curve
from element_deeplabcut.readers.snapshots import list_snapshots
from element_deeplabcut.report import snapshots
from element_deeplabcut.store.bundles import make_bundle_view, open_bundle

from ..conftest import TENSORFLOW_PARAMS, TRAINING_PARAMS, Lab, Trained
from ..workflow.worker.conftest import WorkerProcess

pytestmark = pytest.mark.dlc

PARTS = ["nose", "leftear", "rightear", "tailbase"]


@pytest.fixture(scope="module")
def short(lab: Lab) -> dict[str, Any]:
    """A training of two epochs that keeps each of them: it has learned little.

    Its seed is its own: other tests have trained as briefly, and registered what came of it.
    """
    params = {**TRAINING_PARAMS, "epochs": 2, "save_epochs": 1, "seed": 1010}
    key = lab.add_training(1010, params)
    lab.pipeline.train.ModelTraining.populate(key)
    return key


def measure(lab: Lab, tmp_path: Path, model_name: str, body_parts: list[str]) -> float:
    """Mean distance over labelled test points, straight from the engine's predictions."""
    row = (lab.pipeline.model.Model & {"model_name": model_name}).fetch1()
    bundle = open_bundle(lab.processed, row["bundle_hash"])
    folder = tmp_path / row["bundle_hash"][:8]
    folder.mkdir()
    view = make_bundle_view(bundle, folder, lab.config.parent)
    errors = get_engine(row["engine"]).evaluate(view, row["snapshot"], "cpu")
    columns = [bundle.project.body_parts.index(name) for name in body_parts]
    return float(np.nanmean(errors.distance[errors.in_test][:, columns]))


def test_every_kept_snapshot_with_its_losses(lab: Lab, trained: Trained) -> None:
    report = lab.pipeline.report
    report.Snapshot.populate(trained.training_key)
    rows = (report.Snapshot & trained.training_key).fetch(as_dict=True, order_by="snapshotindex")
    info = (lab.pipeline.train.ModelTraining & trained.training_key).fetch1("run_info")
    (file,) = (lab.processed / info["run_directory"]).rglob("learning_stats.csv")
    assert [row["snapshot"] for row in rows] == [
        snapshot.path.name for snapshot in list_snapshots(file.parent)
    ]
    assert {6, 12} <= {row["epoch"] for row in rows}
    assert [row["snapshot"] for row in rows if row["is_best"]] == [info["best_snapshot"]]
    curve = read_learning_curve(file)
    for row in rows:
        place = list(curve.steps).index(row["epoch"])
        assert row["train_loss"] == pytest.approx(curve.columns[LOSS][place])
        assert (row["engine"], row["net_type"], row["shuffle"]) == ("pytorch", "resnet_50", 1)
        rmse = curve.columns["metrics/test.rmse"][place]
        # Evaluated every fourth epoch: not at the sixth.
        assert (row["test_error"] is None) == (row["epoch"] % 4 != 0)
        assert row["test_error"] is None or row["test_error"] == pytest.approx(rmse)
        assert row["metrics"][LOSS] == row["train_loss"]
    model = (lab.pipeline.model.Model & trained.model_key).fetch1()
    (best,) = (row for row in rows if row["is_best"])
    assert best["snapshot"] == model["snapshot"]


def test_best_model_says_what_is_not_evaluated(lab: Lab, short: dict[str, Any]) -> None:
    report = lab.pipeline.report
    with pytest.raises(QueryError, match=r"snapshots are not evaluated .*evaluate=True"):
        report.best_model(short)
    assert not lab.pipeline.model.Model & "model_name LIKE 'training %-1010 %'"
    with pytest.raises(QueryError, match="None of these snapshots has a test error"):
        report.best_model(short, evaluated_only=True)


def test_best_model_over_named_body_parts(
    lab: Lab, trained: Trained, short: dict[str, Any], tmp_path: Path
) -> None:
    """The best of two trainings, by the distances that the engine itself predicts."""
    report, model = lab.pipeline.report, lab.pipeline.model
    both = [trained.training_key, short]
    best = report.best_model(both, ["nose", "tailbase"], evaluate=True)
    n_snapshots = len(report.Snapshot & both)
    assert best.n_compared == n_snapshots >= 4
    assert best.training_key == trained.training_key
    assert best.model_key["model_name"] in model.Model.fetch("model_name")
    assert (report.Snapshot & best.snapshot_key).fetch1("epoch") == best.epoch

    # What was registered before, as "tiny" was, was not registered anew.
    names = report.leaderboard(both, all_snapshots=True)["model_name"]
    truth = {name: measure(lab, tmp_path, name, ["nose", "tailbase"]) for name in names}
    assert "tiny" in truth
    assert len(truth) == n_snapshots
    assert best.test_error == pytest.approx(min(truth.values()))
    assert truth[best.model_name] == min(truth.values())
    assert report.best_model(both, ["nose", "tailbase"]) == best
    assert (report.best_model(both).test_error) == pytest.approx(
        min((model.ModelEvaluation & [{"model_name": name} for name in truth]).fetch("test_error"))
    )
    all_named = report.best_model(both, PARTS)
    assert all_named.test_error == pytest.approx(report.best_model(both).test_error)
    assert report.best_model(trained.training_key, "nose").body_parts == ("nose",)


def test_best_model_of_mistakes(lab: Lab, trained: Trained) -> None:
    report = lab.pipeline.report
    with pytest.raises(QueryError, match="matches no finished training"):
        report.best_model({"training_id": 1019})
    with pytest.raises(ParameterError, match="not both"):
        report.best_model(trained.training_key, evaluate=True, evaluated_only=True)
    with pytest.raises(ParameterError, match="at least one body part"):
        report.best_model(trained.training_key, [])
    lab.pipeline.model.ModelEvaluation.populate(trained.model_key)
    with pytest.raises(QueryError, match=r"does not predict 'noze'\. Choose from"):
        report.best_model(trained.training_key, "noze", evaluated_only=True)


def test_the_leaderboard_over_engines(
    lab: Lab, trained: Trained, trained_tensorflow: Trained, short: dict[str, Any]
) -> None:
    report, model = lab.pipeline.report, lab.pipeline.model
    keys = [trained.training_key, trained_tensorflow.training_key, short]
    model.ModelEvaluation.populate([trained.model_key, trained_tensorflow.model_key])
    table = report.leaderboard(keys)
    assert list(table.index) == [1, 2, 3]
    evaluated = table.dropna(subset="test_error")
    assert evaluated.test_error.is_monotonic_increasing
    assert table.loc[1, "engine"] == "pytorch"
    assert table.loc[1, "training_id"] == trained.training_key["training_id"]
    row = table[table.engine == "tensorflow"].iloc[0]
    assert (row.net_type, row["shuffle"]) == ("mobilenet_v2_0.35", 2)
    assert row.epoch == TENSORFLOW_PARAMS["max_iters"]
    first = (model.ModelEvaluation & trained_tensorflow.model_key).fetch1()
    for name in ("train_error", "test_error", "train_error_p", "test_error_p", "p_cutoff"):
        assert row[name] == pytest.approx(first[name])
    assert (row.n_frames, row.n_test_frames) == (60, 12)
    info = (lab.pipeline.train.ModelTraining & trained_tensorflow.training_key).fetch1("run_info")
    assert (row.duration_s, row.host) == (info["duration_s"], info["host"])
    assert row.paramset_desc == "test"
    every = report.leaderboard(keys, all_snapshots=True)
    assert len(every) == len(report.Snapshot & keys) > 3
    nose = report.leaderboard(keys, "nose")
    assert "test_error_p" not in nose
    parts = model.ModelEvaluation.BodyPart & trained_tensorflow.model_key & "body_part='nose'"
    (found,) = nose[nose.engine == "tensorflow"].test_error
    assert found == pytest.approx(parts.fetch1("test_error"))


def test_trainings_are_chosen_by_what_the_leaderboard_shows(lab: Lab, trained: Trained) -> None:
    """By engine, network, shuffle and description, though a training's own row has none of them."""
    report, ours = lab.pipeline.report, trained.training_key
    params = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1, "shuffle": 1216}
    other = lab.add_training(1216, params)
    lab.pipeline.train.ModelTraining.populate(other)

    def choose(restriction: Any) -> set[int]:
        return set(report.leaderboard(restriction)["training_id"])

    assert choose({"shuffle": 1216}) == choose("shuffle=1216") == {1216}
    assert choose({**ours, "shuffle": 1}) == choose({**ours, "engine": "pytorch"}) == {1}
    assert choose("training_id IN (1, 1216) AND engine='pytorch'") == {1, 1216}
    assert choose([{"shuffle": 1216}, ours]) == {1, 1216}
    assert choose(part for part in ({"shuffle": 1216}, ours)) == {1, 1216}
    assert choose(dj.AndList([[other, ours], {"net_type": "resnet_50"}, {"shuffle": 1}])) == {1}
    assert choose(dj.AndList([[other, ours], dj.Not({"shuffle": 1})])) == {1216}
    assert choose(dj.AndList([[other, ours], {"paramset_desc": "test"}])) == {1, 1216}
    lab.pipeline.model.ModelEvaluation.populate(trained.model_key)
    best = report.best_model(dj.AndList([[other, ours], {"shuffle": 1}]), evaluated_only=True)
    assert best.training_key == ours
    for nothing in ({**ours, "shuffle": 1216}, {**ours, "engine": "tensorflow"}):
        with pytest.raises(QueryError, match="matches no finished training"):
            report.leaderboard(nothing)


def test_a_worker_may_be_first(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It records snapshots and evaluations of its own accord, also those that are asked for."""
    train, model, report = lab.pipeline.train, lab.pipeline.model, lab.pipeline.report
    key = lab.add_training(1217, {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1, "seed": 1217})
    train.ModelTraining.populate(key)
    for module, name, table, chosen in (
        (snapshots, "list_kept_snapshots", report.Snapshot, key),
        (models, "run_evaluation", model.ModelEvaluation, "model_name LIKE 'training 1-%-1217 %'"),
    ):
        let_a_worker_be_first(monkeypatch, module, name, table, chosen, tmp_path / name)
    best = report.best_model(key, evaluate=True)
    for log in tmp_path.iterdir():
        assert log.read_text().count("done ") == 1
    assert best.n_compared == len(report.Snapshot & key) == 1
    assert (model.ModelEvaluation & best.model_key).fetch1("test_error") == best.test_error
    assert len(model.ModelEvaluation.BodyPart & best.model_key) == len(PARTS)


def let_a_worker_be_first(
    patch: pytest.MonkeyPatch, module: Any, name: str, table: Any, chosen: Any, log: Path
) -> None:
    """While this process computes, a real worker in a process of its own does all of the job."""
    original, here = getattr(module, name), os.getpid()

    def compute(*args: Any) -> Any:
        if os.getpid() == here:
            options = {"restrictions": [chosen], "stop_when_idle": True}
            assert WorkerProcess([table], log, options).wait(120) == 0
        return original(*args)

    patch.setattr(module, name, compute)


def test_a_training_that_is_not_evaluated_comes_last(lab: Lab, trained: Trained) -> None:
    # With another's seed its snapshot would be that one's, byte for byte, and so be evaluated.
    params = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1, "seed": 1011}
    key = lab.add_training(1011, params)
    lab.pipeline.train.ModelTraining.populate(key)
    lab.pipeline.model.ModelEvaluation.populate(trained.model_key)
    table = lab.pipeline.report.leaderboard([key, trained.training_key])
    assert list(table.training_id) == [trained.training_key["training_id"], 1011]
    assert pd.isna(table.loc[2, "test_error"])
    assert table.loc[2, "model_name"] is None
    with pytest.raises(QueryError, match="matches no finished training"):
        lab.pipeline.report.leaderboard({"training_id": 1019})


def test_other_test_frames_are_pointed_out(
    lab: Lab, trained: Trained, caplog: pytest.LogCaptureFixture
) -> None:
    params = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1, "split_seed": 7, "shuffle": 9}
    key = lab.add_training(1012, params)
    lab.pipeline.train.ModelTraining.populate(key)
    lab.pipeline.model.ModelEvaluation.populate(trained.model_key)
    best = lab.pipeline.report.best_model([key], evaluate=True)
    assert not [record for record in caplog.records if "test frames" in record.getMessage()]
    both = lab.pipeline.report.best_model([key, trained.training_key], evaluated_only=True)
    assert both.test_error < best.test_error
    assert "2 different sets of test frames" in caplog.text


def test_a_run_directory_that_is_gone_is_named(lab: Lab) -> None:
    key = lab.add_training(1013, {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1})
    train = lab.pipeline.train
    train.ModelTraining.populate(key)
    info = (train.ModelTraining & key).fetch1("run_info")
    folder = lab.processed / info["run_directory"]
    hidden = folder.rename(folder.with_name("hidden-1013"))
    try:
        with pytest.raises(ResultError, match="is missing or damaged"):
            lab.pipeline.report.Snapshot.populate(key)
        assert not lab.pipeline.report.Snapshot & key
    finally:
        hidden.rename(folder)


def test_deleting_a_training_deletes_its_snapshots(lab: Lab) -> None:
    key = lab.add_training(1014, {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1})
    report, train = lab.pipeline.report, lab.pipeline.train
    train.ModelTraining.populate(key)
    report.Snapshot.populate(key)
    assert report.Snapshot & key
    (train.TrainingTask & key).delete(safemode=False)
    assert not report.Snapshot & key
    assert not report.TrainingProgress & key


def test_errors_are_pooled_over_points_and_not_over_body_parts() -> None:
    errors = {"nose": 1.0, "ear": 4.0, "tail": None}
    counts = {"nose": 3, "ear": 1, "tail": 0}
    assert pool_errors(errors, counts, ["nose", "ear"]) == pytest.approx((3 * 1 + 4) / 4)
    assert pool_errors(errors, counts, ["tail"]) is None
    assert pool_errors(errors, counts, ["tail", "ear"]) == 4
