"""Registering models, and evaluating them, with the real engine."""

from __future__ import annotations

import csv
import os
import re
import shutil
from pathlib import Path

import pytest

from element_deeplabcut.errors import (
    ModelError,
    ParameterError,
    PathError,
    ProjectError,
    QueryError,
    ResultError,
)
from element_deeplabcut.store.bundles import open_bundle

from ..conftest import Lab, Trained

pytestmark = pytest.mark.dlc


@pytest.fixture
def trained_project(lab: Lab, trained: Trained, project_copy: Path) -> Path:
    """The project as if it had been trained outside DataJoint: with dataset, model, snapshots."""
    info = (lab.pipeline.train.ModelTraining & trained.training_key).fetch1("run_info")
    run = lab.processed / info["run_directory"] / "project"
    for folder in ("dlc-models-pytorch", "training-datasets"):
        shutil.copytree(run / folder, project_copy / folder, dirs_exist_ok=True)
    return project_copy


def test_a_model_of_a_training_is_registered(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    row = (model.Model & trained.model_key).fetch1()
    assert row["engine"] == "pytorch"
    assert row["paramset_idx"] == trained.training_key["paramset_idx"]
    assert row["project_path"] == lab.config.parent.name
    assert row["snapshot"].startswith("snapshot-best-")
    assert set((model.Model.BodyPart & trained.model_key).fetch("body_part")) == {
        "nose", "leftear", "rightear", "tailbase",
    }  # fmt: skip
    bundle = open_bundle(lab.processed, row["bundle_hash"])
    assert bundle.facts.has_labels


def test_the_scorer_is_deeplabcuts_own(lab: Lab, trained: Trained) -> None:
    from deeplabcut.pose_estimation_pytorch.data import DLCLoader

    row = (lab.pipeline.model.Model & trained.model_key).fetch1()
    info = (lab.pipeline.train.ModelTraining & trained.training_key).fetch1("run_info")
    view = lab.processed / info["run_directory"] / "project"
    loader = DLCLoader(view / "config.yaml", trainset_index=0, shuffle=1)
    assert row["scorer"] == loader.scorer(Path(row["snapshot"]))


def test_a_model_trained_elsewhere_registers_the_same_way(
    lab: Lab, trained: Trained, trained_project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same model from a moved project is the same bundle, and is named in a warning."""
    model = lab.pipeline.model
    key = model.Model.insert_new_model(
        "elsewhere", trained_project / "config.yaml", shuffle=1, trainingsetindex=0
    )
    row, known = (model.Model & key).fetch1(), (model.Model & trained.model_key).fetch1()
    assert row["bundle_hash"] == known["bundle_hash"]
    assert row["scorer"] == known["scorer"]
    assert row["paramset_idx"] is None
    assert re.search(r"registered already as .*'tiny'", caplog.text)


def test_another_snapshot_is_another_model(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    key = model.Model.insert_from_training(trained.training_key, "early", snapshotindex=0)
    row = (model.Model & key).fetch1()
    assert row["snapshot"] == "snapshot-006.pt"
    assert row["snapshotindex"] == 0
    assert row["scorer"].endswith("snapshot_6")
    assert row["bundle_hash"] != (model.Model & trained.model_key).fetch1("bundle_hash")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"shuffle": 9}, ProjectError, "no trained shuffle 9"),
        ({"trainingsetindex": 4}, ProjectError, "trainingsetindex 4 is out of range"),
        ({"params": {"snapshotindex": 7}}, ModelError, "snapshotindex 7 is out of range"),
        ({"params": {"dotsize": 7}}, ParameterError, "dotsize; it may hold"),
        ({"model_name": "x" * 65}, ParameterError, "model_name has 65 characters"),
        ({"model_description": "x" * 1001}, ParameterError, "model_description has 1001"),
        ({"model_name": "tiny"}, ParameterError, "taken already"),
        ({"dlc_config": "/etc/hosts"}, PathError, "outside every root directory"),
        ({"dlc_config": "raw/train.mp4"}, ProjectError, "cannot be read as plain YAML"),
        ({"dlc_config": "nowhere/config.yaml"}, PathError, "exists below none of the root"),
    ],
)
def test_what_cannot_be_registered_is_refused(
    lab: Lab, trained_project: Path, arguments: dict, error: type, message: str
) -> None:
    model = lab.pipeline.model
    before = len(model.Model())
    given = {
        "model_name": "refused",
        "dlc_config": trained_project / "config.yaml",
        "shuffle": 1,
        "trainingsetindex": 0,
        **arguments,
    }
    with pytest.raises(error, match=message):
        model.Model.insert_new_model(given.pop("model_name"), given.pop("dlc_config"), **given)
    assert len(model.Model()) == before


def test_an_ambiguous_training_is_refused(lab: Lab, trained: Trained) -> None:
    with pytest.raises(QueryError, match="matches 0 rows of ModelTraining"):
        lab.pipeline.model.Model.insert_from_training({"training_id": 999}, "none")


def test_a_damaged_training_is_not_registered(lab: Lab, trained: Trained) -> None:
    info = (lab.pipeline.train.ModelTraining & trained.training_key).fetch1("run_info")
    (snapshot,) = (lab.processed / info["run_directory"]).rglob("snapshot-006.pt")
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[:-1])
    try:
        with pytest.raises(ResultError, match=r"missing or damaged .*snapshot-006.pt"):
            lab.pipeline.model.Model.insert_from_training(trained.training_key, "damaged")
    finally:
        snapshot.write_bytes(content)


def test_body_parts_are_inserted_once(lab: Lab, trained: Trained) -> None:
    table = lab.pipeline.model.BodyPart
    assert table.extract_new_body_parts(lab.config) == []
    config = {**(lab.pipeline.model.Model & trained.model_key).fetch1("config_template")}
    config["bodyparts"] = ["nose", "paw", "Paw"]
    assert table.extract_new_body_parts(config) == ["paw", "Paw"]
    with pytest.raises(ParameterError, match="1 descriptions for 2 new body parts"):
        table.insert_from_config(config, ["left"], prompt=False)
    assert table.insert_from_config(config, {"paw": "left"}, prompt=False) == ["paw", "Paw"]
    assert (table & "body_part='paw'").fetch1("body_part_description") == "left"


def test_evaluation_is_deeplabcuts_own(lab: Lab, trained: Trained, trained_project: Path) -> None:
    """Equal, after rounding, to what DeepLabCut writes for the same snapshot."""
    from deeplabcut.pose_estimation_pytorch.apis import evaluate_network

    model = lab.pipeline.model
    model.ModelEvaluation.populate(trained.model_key)
    row = (model.ModelEvaluation & trained.model_key).fetch1()
    evaluate_network(
        str(trained_project / "config.yaml"), shuffles=[1], per_keypoint_evaluation=True,
        device="cpu",
    )  # fmt: skip
    folder = trained_project / "evaluation-results-pytorch"
    (results,) = (f for f in folder.rglob("*-results.csv")
                  if "keypoint" not in f.name and "Combined" not in f.name)  # fmt: skip
    (written,) = csv.DictReader(results.open())
    assert row["train_iterations"] == int(written["Training epochs"])
    for ours, theirs in {
        "train_error": "train rmse",
        "test_error": "test rmse",
        "train_error_p": "train rmse_pcutoff",
        "test_error_p": "test rmse_pcutoff",
    }.items():
        assert round(row[ours], 2) == float(written[theirs])
        assert row[ours] != round(row[ours], 2)  # unrounded
    assert row["test_error"] < 2

    (keypoints,) = folder.rglob("*-keypoint-results.csv")
    by_part = {r["Error Type"] if "Error Type" in r else r[""]: r
               for r in csv.DictReader(keypoints.open())}  # fmt: skip
    rows = (model.ModelEvaluation.BodyPart & trained.model_key).fetch(as_dict=True)
    assert len(rows) == 4
    for part in rows:
        name = part["body_part"]
        assert part["train_error"] == pytest.approx(
            float(by_part["Train error (px)"][name]), abs=6e-3
        )
        assert part["test_error"] == pytest.approx(
            float(by_part["Test error (px)"][name]), abs=6e-3
        )


def test_a_damaged_bundle_is_an_error_before_any_work(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    key = model.Model.insert_from_training(trained.training_key, "to damage", snapshotindex=0)
    bundle = lab.processed / "models" / (model.Model & key).fetch1("bundle_hash")
    (snapshot,) = bundle.rglob("snapshot-006.pt")
    os.chmod(snapshot, 0o644)
    content = snapshot.read_bytes()
    snapshot.write_bytes(content[:100] + b"\0" + content[101:])
    try:
        with pytest.raises(ModelError, match=r"snapshot-006\.pt changed since the model was"):
            model.ModelEvaluation.populate(key)
    finally:
        snapshot.write_bytes(content)
    assert not model.ModelEvaluation & key


def test_a_model_without_labels_cannot_be_evaluated(
    lab: Lab, trained: Trained, trained_project: Path
) -> None:
    model = lab.pipeline.model
    shutil.rmtree(trained_project / "training-datasets")
    key = model.Model.insert_new_model(
        "unlabelled", trained_project / "config.yaml", shuffle=1, trainingsetindex=0
    )
    with pytest.raises(ModelError, match="registered without a label table"):
        model.ModelEvaluation.populate(key)
