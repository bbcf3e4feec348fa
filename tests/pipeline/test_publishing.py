"""Publishing a trained model to the user's project, where DeepLabCut itself uses it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from element_deeplabcut.engines.containment import contained
from element_deeplabcut.errors import PathError, ProjectError, QueryError, ResultError
from element_deeplabcut.store import publication

from ..conftest import TRAINING_PARAMS, Lab

pytestmark = pytest.mark.dlc

QUICK = {**TRAINING_PARAMS, "epochs": 2, "save_epochs": 1}
MODEL = "dlc-models-pytorch/iteration-0/syntheticJan1-trainset80shuffle1"
DATASET = "training-datasets/iteration-0/UnaugmentedDataSet_syntheticJan1"


@dataclass(frozen=True)
class Project:
    """A project of its own, and a training of it."""

    directory: Path
    key: dict[str, Any]


@pytest.fixture(scope="module")
def training_key(lab: Lab) -> Iterator[dict[str, Any]]:
    """A training of the project 'publish', from a moment when it had labels only."""
    project = lab.root / "publish"
    shutil.copytree(lab.config.parent, project)
    key = lab.add_training(400, QUICK, project_path=project.name)
    lab.pipeline.train.ModelTraining.populate(key)
    yield key
    shutil.rmtree(project, ignore_errors=True)


@pytest.fixture
def project(lab: Lab, training_key: dict[str, Any]) -> Project:
    """The project as it was when it was trained."""
    directory = lab.root / "publish"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(lab.config.parent, directory)
    return Project(directory, training_key)


def look_at(folder: Path) -> dict[str, tuple[int, str]]:
    """Time stamp and content of every file; folders by name."""
    return {
        path.relative_to(folder).as_posix(): (
            (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
            if path.is_file()
            else (0, "folder")
        )
        for path in sorted(folder.rglob("*"))
    }


@contextmanager
def refused(project: Project, message: str, error: type[Exception] = ProjectError) -> Iterator[Any]:
    """Expect an error that leaves the project as it is."""
    before = look_at(project.directory)
    with pytest.raises(error, match=message) as caught:
        yield caught
    assert look_at(project.directory) == before


def edit_config(project: Project, **changes: Any) -> None:
    file = project.directory / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**settings, **changes}, sort_keys=False))


def create_shuffle(project: Project, shuffle: int, test: range = range(48, 60)) -> None:
    """Create a shuffle as a user does in DeepLabCut."""
    with contained():
        from deeplabcut import Engine, create_training_dataset

        create_training_dataset(
            str(project.directory / "config.yaml"), Shuffles=[shuffle], net_type="resnet_50",
            engine=Engine.PYTORCH, userfeedback=False, testIndices=[list(test)],
            trainIndices=[[row for row in range(60) if row not in test]],
        )  # fmt: skip


def read_shuffles(project: Project) -> dict[str, Any]:
    return yaml.safe_load((project.directory / DATASET / "metadata.yaml").read_text())["shuffles"]


# --- DeepLabCut finds it --------------------------------------------------------------------------


def test_deeplabcut_evaluates_and_analyzes_what_was_published(
    lab: Lab, project: Project, tmp_path: Path
) -> None:
    """Its own functions, on the user's own project, give the numbers of the pipeline."""
    train, model = lab.pipeline.train, lab.pipeline.model
    model_key = model.Model.insert_from_training(project.key, "published")
    model.ModelEvaluation.populate(model_key)
    key = {**lab.add_recording(400, lab.new_video), **model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)

    folder = train.ModelTraining.publish_to_project(project.key)

    assert folder == project.directory / MODEL
    config = str(project.directory / "config.yaml")
    with contained():
        import deeplabcut

        deeplabcut.evaluate_network(config, Shuffles=[1], device="cpu")
        scorer = deeplabcut.analyze_videos(
            config, [str(lab.root / lab.new_video)], shuffle=1, destfolder=str(tmp_path),
            device="cpu",
        )  # fmt: skip
    assert scorer == (model.Model & model_key).fetch1("scorer")
    (file,) = (project.directory / "evaluation-results-pytorch").rglob(f"{scorer}-results.csv")
    theirs, ours = pd.read_csv(file).iloc[-1], (model.ModelEvaluation & model_key).fetch1()
    assert theirs["test rmse"] == pytest.approx(ours["test_error"], abs=0.006)  # theirs is rounded
    assert theirs["train rmse"] == pytest.approx(ours["train_error"], abs=0.006)
    table = pd.read_hdf(tmp_path / f"{Path(lab.new_video).stem}{scorer}.h5")
    mine = model.PoseEstimation.get_trajectory(key)
    bound = 1e-3  # px, of the fast form
    assert np.allclose(table.to_numpy(), mine.to_numpy(), rtol=0, atol=bound)


def test_deeplabcut_goes_on_training_what_was_published(lab: Lab, project: Project) -> None:
    folder = lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    with contained():
        import deeplabcut

        deeplabcut.train_network(
            str(project.directory / "config.yaml"), shuffle=1, epochs=1, device="cpu",
            snapshot_path=str(folder / "train" / "snapshot-002.pt"),
        )  # fmt: skip
    assert (folder / "train" / "snapshot-best-003.pt").is_file() or (
        folder / "train" / "snapshot-003.pt"
    ).is_file()


def test_everything_of_the_training_is_there(lab: Lab, project: Project) -> None:
    folder = lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    info = (lab.pipeline.train.ModelTraining & project.key).fetch1("run_info")
    run = lab.processed / info["run_directory"] / "project"
    names = {path.name for path in (folder / "train").iterdir()}
    assert names == {path.name for path in (run / MODEL / "train").iterdir()}
    assert names > {*info["snapshots"], "learning_stats.csv", "pytorch_config.yaml"}
    for name in info["snapshots"]:
        assert (folder / "train" / name).read_bytes() == (run / MODEL / "train" / name).read_bytes()
    dataset = {path.name for path in (project.directory / DATASET).iterdir()}
    assert dataset == {path.name for path in (run / DATASET).iterdir()}
    assert not [name for name in os.listdir(project.directory) if name.startswith(".")]


def test_its_paths_are_those_of_the_project(lab: Lab, project: Project) -> None:
    folder = lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    config = yaml.safe_load((folder / "train" / "pytorch_config.yaml").read_text())
    assert config["metadata"]["project_path"] == str(project.directory)
    assert config["metadata"]["pose_config_path"] == str(folder / "train" / "pytorch_config.yaml")
    for file in project.directory.rglob("*.yaml"):
        assert str(lab.processed) not in file.read_text()


def test_the_config_of_the_project_is_not_touched(lab: Lab, project: Project) -> None:
    before = look_at(project.directory)
    lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    after = look_at(project.directory)
    assert {name: after[name] for name in before} == before


def test_a_model_prefix_is_kept(lab: Lab, project: Project) -> None:
    key = lab.add_training(401, QUICK, project_path=project.directory.name, model_prefix="ours")
    lab.pipeline.train.ModelTraining.populate(key)
    folder = lab.pipeline.train.ModelTraining.publish_to_project(key)
    assert folder == project.directory / "ours" / MODEL
    assert (folder / "train" / "snapshot-002.pt").is_file()
    assert not (project.directory / MODEL).exists()


# --- beside what is there -------------------------------------------------------------------------


def test_publishing_the_same_again_changes_nothing(lab: Lab, project: Project) -> None:
    publish = lab.pipeline.train.ModelTraining.publish_to_project
    folder = publish(project.key)
    before = look_at(project.directory)
    assert publish(project.key) == folder
    assert look_at(project.directory) == before


def test_other_shuffles_stay(lab: Lab, project: Project) -> None:
    create_shuffle(project, 5)
    before = look_at(project.directory)
    known = read_shuffles(project)
    lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    after = look_at(project.directory)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {f"{DATASET}/metadata.yaml"}
    shuffles = read_shuffles(project)
    assert shuffles == {
        **known,
        "syntheticJan1-trainset80shuffle1": {
            "train_fraction": 0.8, "index": 1, "split": 2, "engine": "pytorch"
        },
    }  # fmt: skip
    with contained():
        from deeplabcut.generate_training_dataset.metadata import TrainingDatasetMetadata

        loaded = TrainingDatasetMetadata.load(project.directory / "config.yaml", load_splits=True)
    assert [shuffle.index for shuffle in loaded.shuffles] == [1, 5]


def test_shuffles_of_deeplabcut_2_are_recorded(lab: Lab, project: Project) -> None:
    """It kept no list of shuffles; one that names this model alone would hide the others."""
    create_shuffle(project, 5)
    (project.directory / DATASET / "metadata.yaml").unlink()
    shutil.rmtree(project.directory / "dlc-models-pytorch")
    lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    engines = {name[-1]: entry["engine"] for name, entry in read_shuffles(project).items()}
    assert engines == {"1": "pytorch", "5": "tensorflow"}


def test_a_shuffle_that_the_user_created_becomes_trained(lab: Lab, project: Project) -> None:
    """Its engine config from before the training is kept beside the one of the training."""
    create_shuffle(project, 1)
    start = (project.directory / MODEL / "train" / "pytorch_config.yaml").read_text()
    key = lab.add_training(402, QUICK, project_path=project.directory.name)
    lab.pipeline.train.ModelTraining.populate(key)
    publish = lab.pipeline.train.ModelTraining.publish_to_project
    train_folder = publish(key) / "train"
    assert (train_folder / "pytorch_config.untrained.yaml").read_text() == start
    config = yaml.safe_load((train_folder / "pytorch_config.yaml").read_text())
    assert config["train_settings"]["epochs"] == 2
    assert (train_folder / "snapshot-002.pt").is_file()
    before = look_at(project.directory)
    publish(key)
    assert look_at(project.directory) == before
    with refused(project, r"another split into training and test frames"):
        publish(project.key)


@pytest.mark.parametrize("there", ["dataset", "snapshots"])
def test_what_a_killed_publication_left_is_completed(
    lab: Lab, project: Project, there: str
) -> None:
    """Files get their names one after the other; a kill in between leaves the first of them."""
    create_shuffle(project, 1)
    start = (project.directory / MODEL / "train" / "pytorch_config.yaml").read_text()
    training_id = {"dataset": 405, "snapshots": 406}[there]
    key = lab.add_training(training_id, QUICK, project_path=project.directory.name)
    lab.pipeline.train.ModelTraining.populate(key)
    publish = lab.pipeline.train.ModelTraining.publish_to_project
    train_folder = publish(key) / "train"
    before = look_at(project.directory)
    if there == "dataset":
        shutil.rmtree(train_folder.parent)
    else:
        (train_folder / "pytorch_config.yaml").write_text(start)
    (project.directory / ".publishing").mkdir()
    publish(key)
    contents = {name: content for name, (_, content) in look_at(project.directory).items()}
    expected = {name: content for name, (_, content) in before.items()}
    if there == "dataset":
        del expected[f"{MODEL}/train/pytorch_config.untrained.yaml"]
        for name in ("train/pytorch_config.yaml", "test/pose_cfg.yaml"):
            expected[f"{MODEL}/{name}"] = contents[f"{MODEL}/{name}"]
    assert contents == expected


def test_a_shuffle_edited_since_is_refused(lab: Lab, project: Project) -> None:
    create_shuffle(project, 1)
    key = lab.add_training(403, QUICK, project_path=project.directory.name)
    lab.pipeline.train.ModelTraining.populate(key)
    file = project.directory / MODEL / "train" / "pytorch_config.yaml"
    file.write_text(file.read_text().replace("gaussian_noise: 12.75", "gaussian_noise: 3.5"))
    with refused(project, r"holds other files than this model's: train/pytorch_config\.yaml"):
        lab.pipeline.train.ModelTraining.publish_to_project(key)


def test_another_training_of_the_same_shuffle_is_refused(lab: Lab, project: Project) -> None:
    params = {**QUICK, "seed": 7, "split_seed": 42}
    key = lab.add_training(404, params, project_path=project.directory.name)
    lab.pipeline.train.ModelTraining.populate(key)
    publish = lab.pipeline.train.ModelTraining.publish_to_project
    publish(project.key)
    with refused(project, r"holds other files than this model's: .*snapshot-.*shuffle number"):
        publish(key)


def test_a_snapshot_that_is_not_ours_is_refused(lab: Lab, project: Project) -> None:
    publish = lab.pipeline.train.ModelTraining.publish_to_project
    folder = publish(project.key)
    (folder / "train" / "snapshot-100.pt").write_bytes(b"of the user")
    with refused(project, r"train/snapshot-100\.pt"):
        publish(project.key)


@pytest.mark.parametrize("name", ["snapshot-001.pt", "learning_stats.csv", "pytorch_config.yaml"])
def test_a_changed_file_is_refused(lab: Lab, project: Project, name: str) -> None:
    publish = lab.pipeline.train.ModelTraining.publish_to_project
    file = publish(project.key) / "train" / name
    with file.open("ab") as stream:
        stream.write(b"\nchanged: 1\n")
    with refused(project, f"train/{name}"):
        publish(project.key)


def test_a_dataset_of_other_labels_is_refused(lab: Lab, project: Project) -> None:
    (labels,) = (project.directory / "labeled-data").rglob("CollectedData_*.h5")
    pd.read_hdf(labels).add(1.0).to_hdf(labels, key="df_with_missing", mode="w")
    create_shuffle(project, 5)
    with refused(project, r"holds other labels than this model was trained on"):
        lab.pipeline.train.ModelTraining.publish_to_project(project.key)


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("iteration", 1),
        ("Task", "other"),
        ("date", "Feb2"),
        ("scorer", "someone"),
        ("TrainingFraction", [0.7]),
        ("bodyparts", ["nose", "leftear", "rightear", "tail"]),
    ],
)
def test_a_config_that_names_the_model_otherwise_is_refused(
    lab: Lab, project: Project, entry: str, value: Any
) -> None:
    edit_config(project, **{entry: value})
    with refused(project, rf"has changed since this model was trained: {entry}.* was .* and is"):
        lab.pipeline.train.ModelTraining.publish_to_project(project.key)


def test_a_project_that_moved_is_refused(lab: Lab, project: Project) -> None:
    project.directory.rename(lab.root / "moved")
    try:
        with pytest.raises(PathError, match=r"'publish', is not where it was.*move the project"):
            lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    finally:
        (lab.root / "moved").rename(project.directory)


@pytest.mark.parametrize("name", ["dlc-models-pytorch", "training-datasets"])
def test_a_planted_link_is_refused(lab: Lab, project: Project, tmp_path: Path, name: str) -> None:
    shutil.rmtree(project.directory / name, ignore_errors=True)
    (project.directory / name).symlink_to(tmp_path)
    with pytest.raises(ProjectError, match=f"{name}' exists already"):
        lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_read_only_project_is_refused(lab: Lab, project: Project) -> None:
    folder = str(project.directory)
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", folder, folder]).returncode:
        pytest.skip("no right to mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        with refused(project, r"\(Read-only file system\)\. Nothing in it has changed"):
            lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_failure_in_between_leaves_the_project_as_it_was(
    lab: Lab, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = publication.publish

    def fail_at_the_model(staged: Path, target: Path) -> bool:
        if target.name == "dlc-models-pytorch":
            raise OSError(28, "No space left on device")
        return original(staged, target)

    monkeypatch.setattr(publication, "publish", fail_at_the_model)
    with refused(project, r"No space left on device"):
        lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    monkeypatch.undo()
    lab.pipeline.train.ModelTraining.publish_to_project(project.key)


def test_one_training_at_a_time(lab: Lab, project: Project) -> None:
    with pytest.raises(QueryError, match="matches 0 rows of ModelTraining"):
        lab.pipeline.train.ModelTraining.publish_to_project({"training_id": 4444})


def test_a_damaged_run_is_refused(lab: Lab, project: Project) -> None:
    info = (lab.pipeline.train.ModelTraining & project.key).fetch1("run_info")
    file = lab.processed / info["run_directory"] / "project" / MODEL / "train" / "snapshot-001.pt"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with refused(project, "missing or damaged", ResultError):
            lab.pipeline.train.ModelTraining.publish_to_project(project.key)
    finally:
        file.write_bytes(content)
