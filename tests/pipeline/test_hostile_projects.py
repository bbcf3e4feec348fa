"""What is wrong with a project is said in a sentence, and nothing is left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml

from element_deeplabcut.errors import (
    ElementError,
    EngineError,
    ModelError,
    ParameterError,
    PathError,
    ProjectError,
)

from ..conftest import TRAINING_PARAMS, Lab

pytestmark = pytest.mark.dlc

QUICK = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1}
_ids = iter(range(400, 500))


def attempt(lab: Lab, project: Path, **params: object) -> None:
    """Queue and populate a training; whatever happens, no half-written folder may remain."""
    given = {name: value for name, value in {**QUICK, **params}.items() if value is not None}
    key = lab.add_training(next(_ids), given, project_path=project.name)
    try:
        lab.pipeline.train.ModelTraining.populate(key)
    finally:
        assert not lab.attempts(key)


def edit_config(project: Path, **entries: object) -> None:
    file = project / "config.yaml"
    config = yaml.safe_load(file.read_text())
    for name, value in entries.items():
        if value is None:
            del config[name]
        else:
            config[name] = value
    file.write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda p: edit_config(p, bodyparts=None), ProjectError, "lacks bodyparts"),
        (lambda p: edit_config(p, TrainingFraction=None), ProjectError, "lacks TrainingFraction"),
        (lambda p: edit_config(p, TrainingFraction=[80]), ProjectError, "not between 0 and 1"),
        (lambda p: edit_config(p, iteration="x"), ProjectError, "value of the wrong kind"),
        (lambda p: edit_config(p, bodyparts=["nose"]), ProjectError, "holds labels of leftear"),
        (lambda p: edit_config(p, scorer="nobody"), ProjectError, "holds no labels of 'nobody'"),
        (lambda p: edit_config(p, multianimalproject=True, multianimalbodyparts=["a"]),
         ProjectError, "multi-animal project"),
        (lambda p: (p / "config.yaml").unlink(), ProjectError, "does not exist"),
        (lambda p: (p / "config.yaml").write_text("a: !!python/object/apply:os.getcwd []"),
         ProjectError, "cannot be read as plain YAML"),
        (lambda p: (p / "config.yaml").write_text(""), ProjectError, "is empty"),
        (lambda p: (p / "config.yaml").write_text("- a\n- b"), ProjectError, "is not a mapping"),
        (lambda p: next(p.rglob("img000.png")).unlink(), ProjectError, "The labels name"),
        (lambda p: next(p.rglob("CollectedData*.h5")).write_text("text"), ProjectError,
         "not a label table"),
    ],
)  # fmt: skip
def test_a_broken_project(
    lab: Lab,
    project_copy: Path,
    damage: Callable[[Path], object],
    error: type[Exception],
    message: str,
) -> None:
    damage(project_copy)
    with pytest.raises(error, match=message):
        attempt(lab, project_copy)


def test_an_engine_nobody_knows(lab: Lab, project_copy: Path) -> None:
    edit_config(project_copy, engine="caffe")
    with pytest.raises(ElementError, match="caffe engine"):
        attempt(lab, project_copy, engine=None)


def test_a_fraction_out_of_range(lab: Lab, project_copy: Path) -> None:
    with pytest.raises(ProjectError, match=r"trainingsetindex 3 is out of range.*\[0.8\]"):
        attempt(lab, project_copy, trainingsetindex=3)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("runner.load_weights_only=False", "which lets a snapshot run code"),
        ("resume_training_from=/etc/hostname", "outside every root directory"),
        ("train_settings.weight_init={'snapshot_path': '/etc/hostname'}", "outside every root"),
    ],
)
def test_an_engine_config_that_reaches_outside(
    lab: Lab, project_copy: Path, entry: str, message: str
) -> None:
    from deeplabcut import Engine, create_training_dataset

    create_training_dataset(
        str(project_copy / "config.yaml"), Shuffles=[1], net_type="resnet_50",
        engine=Engine.PYTORCH, userfeedback=False,
    )  # fmt: skip
    (file,) = project_copy.rglob("pytorch_config.yaml")
    config = yaml.safe_load(file.read_text())
    path, value = entry.split("=", 1)
    place = config
    for name in path.split(".")[:-1]:
        place = place[name]
    place[path.split(".")[-1]] = yaml.safe_load(value)
    file.write_text(yaml.safe_dump(config))
    with pytest.raises(ModelError, match=message):
        attempt(lab, project_copy)


@pytest.mark.parametrize("weights", ["../start.pt", "/etc/hostname", "nowhere.pt"])
def test_starting_weights_outside_the_roots(lab: Lab, project_copy: Path, weights: str) -> None:
    with pytest.raises(PathError):
        attempt(lab, project_copy, init_weights=weights)


def test_starting_weights_that_would_run_code(lab: Lab, project_copy: Path) -> None:
    import pickle

    canary = lab.root / "canary"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {canary}",)

    (lab.root / "bomb.pt").write_bytes(pickle.dumps({"model": Bomb()}))
    with pytest.raises(ElementError, match="is not a snapshot of DeepLabCut's PyTorch engine"):
        attempt(lab, project_copy, init_weights="bomb.pt")
    assert not canary.exists()


def test_labels_that_changed_since_the_shuffle_was_made(lab: Lab, project_copy: Path) -> None:
    """DeepLabCut's shuffles share one label table; row numbers of older ones then lie."""
    from deeplabcut import Engine, create_training_dataset

    options = {"net_type": "resnet_50", "engine": Engine.PYTORCH, "userfeedback": False}
    create_training_dataset(str(project_copy / "config.yaml"), Shuffles=[1], **options)
    file = next((project_copy / "labeled-data").rglob("CollectedData*.h5"))
    pd.read_hdf(file).iloc[5:].to_hdf(file, key="df_with_missing", mode="w")
    create_training_dataset(str(project_copy / "config.yaml"), Shuffles=[2], **options)
    with pytest.raises(ProjectError, match="was made from other labels"):
        attempt(lab, project_copy, shuffle=1)


def test_a_shuffle_made_by_a_newer_deeplabcut(lab: Lab, project_copy: Path) -> None:
    from deeplabcut import Engine, create_training_dataset

    create_training_dataset(
        str(project_copy / "config.yaml"), Shuffles=[1], net_type="resnet_50",
        engine=Engine.PYTORCH, userfeedback=False,
    )  # fmt: skip
    (file,) = project_copy.rglob("pytorch_config.yaml")
    file.write_text(file.read_text().replace("config_version: 0", "config_version: 99"))
    with pytest.raises(EngineError, match="version 99, and the installed DeepLabCut 3"):
        attempt(lab, project_copy)


def test_a_link_out_of_the_roots(lab: Lab, project_copy: Path, tmp_path: Path) -> None:
    (project_copy / "linked").symlink_to(tmp_path)
    (tmp_path / "config.yaml").write_bytes((project_copy / "config.yaml").read_bytes())
    train = lab.pipeline.train
    index = train.TrainingParamSet.insert_new_params("quick", QUICK)
    key = {"video_set_id": 1, "paramset_idx": index, "training_id": next(_ids)}
    train.VideoSet.insert1({"video_set_id": 1}, skip_duplicates=True)
    train.TrainingTask.insert1({**key, "project_path": f"{project_copy.name}/linked"})
    with pytest.raises(PathError, match=f"outside every root directory. Add '{tmp_path.parent}'"):
        train.ModelTraining.populate(key)


def test_tasks_with_bad_paths_are_not_inserted(lab: Lab) -> None:
    train = lab.pipeline.train
    index = train.TrainingParamSet.insert_new_params("quick", QUICK)
    key = {"video_set_id": 1, "paramset_idx": index, "training_id": 499}
    train.VideoSet.insert1({"video_set_id": 1}, skip_duplicates=True)
    for task in (
        {"project_path": "/absolute"},
        {"project_path": "a/../../b"},
        {"model_prefix": "../up"},
    ):
        with pytest.raises(PathError):
            train.TrainingTask.insert1({**key, **task})
    with pytest.raises(ParameterError, match="project_path has 300 characters"):
        train.TrainingTask.insert1({**key, "project_path": "x" * 300})
    assert not train.TrainingTask & key


def test_a_config_that_is_being_rewritten(lab: Lab, project_copy: Path) -> None:
    """Another process rewrites config.yaml in place, as DeepLabCut does."""
    file = project_copy / "config.yaml"
    content = file.read_text()
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            file.write_text("")
            time.sleep(0.02)
            file.write_text(content[: len(content) // 2])
            time.sleep(0.02)
            file.write_text(content)
            time.sleep(0.02)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        key = lab.add_training(next(_ids), QUICK, project_path=project_copy.name)
        lab.pipeline.train.ModelTraining.populate(key)
    finally:
        stop.set()
        writer.join()
    assert lab.pipeline.train.ModelTraining & key
