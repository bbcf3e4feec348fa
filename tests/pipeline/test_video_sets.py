"""Video sets filled from a project's labelled folders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from element_deeplabcut.errors import ParameterError, PathError, ProjectError

from ..conftest import TRAINING_PARAMS, Lab


@pytest.fixture
def table(lab: Lab) -> Iterator[Any]:
    """The table; sets made during the test are deleted after it."""
    table = lab.pipeline.train.VideoSet
    before = table.fetch("KEY")
    yield table
    (table - before if before else table).delete(safemode=False)


@pytest.fixture
def project(project_copy: Path) -> Path:
    """A project with the labelled folders 'second' and 'train', and an unlabelled one."""
    labels = project_copy / "labeled-data"
    shutil.copytree(labels / "train", labels / "second")
    (labels / "unlabelled").mkdir()
    return project_copy


def files_of(table: Any, key: dict[str, int]) -> list[str]:
    return list((table.File & key).fetch("file_path", order_by="file_id"))


def test_every_labelled_folder_is_named(table: Any, project: Path) -> None:
    key = table.insert_from_project(f"{project.name}/config.yaml", 40)
    assert key == {"video_set_id": 40}
    assert files_of(table, key) == [
        f"{project.name}/labeled-data/{name}/CollectedData_tester.h5"
        for name in ("second", "train")
    ]


def test_a_project_is_named_by_its_folder_or_config_absolute_or_relative(
    table: Any, project: Path
) -> None:
    names = [project, project / "config.yaml", str(project), project.name]
    assert {table.insert_from_project(name, 41)["video_set_id"] for name in names} == {41}


def test_some_folders_only(table: Any, project: Path) -> None:
    key = table.insert_from_project(project, 42, folders=["second"])
    (file,) = files_of(table, key)
    assert file.endswith("/labeled-data/second/CollectedData_tester.h5")


def test_the_same_again_changes_nothing(table: Any, project: Path) -> None:
    key = table.insert_from_project(project, 43)
    n_rows = len(table.File())
    assert table.insert_from_project(project, 43) == key
    assert table.insert_from_project(project) == key  # whatever its number
    assert len(table.File()) == n_rows


def test_the_next_free_number_is_taken(table: Any, project: Path) -> None:
    highest = max(table.fetch("video_set_id"), default=0)
    table.insert_from_project(project, highest + 10)
    second = table.insert_from_project(project, folders=["train"])
    assert second["video_set_id"] == highest + 11


def test_a_number_of_other_files_is_refused(table: Any, project: Path) -> None:
    table.insert_from_project(project, 44, folders=["train"])
    with pytest.raises(ParameterError, match=r"video_set_id 44 holds other files already.*train/"):
        table.insert_from_project(project, 44)
    table.insert1({"video_set_id": 45})  # without files: stands for all of a project, whichever
    with pytest.raises(ParameterError, match=r"video_set_id 45 holds other files already \(none\)"):
        table.insert_from_project(project, 45)


def test_a_project_without_labels_is_refused(table: Any, project: Path) -> None:
    for file in project.rglob("CollectedData_*"):
        file.unlink()
    with pytest.raises(ProjectError, match=r"holds no labels of 'tester'\. Label frames"):
        table.insert_from_project(project, 46)
    assert not table & {"video_set_id": 46}


@pytest.mark.parametrize("folders", [["unlabelled"], ["train", "nowhere"], ["../train"]])
def test_a_folder_without_labels_is_refused(table: Any, project: Path, folders: list[str]) -> None:
    with pytest.raises(ProjectError, match=f"in {folders[-1]}. Labelled are: second, train"):
        table.insert_from_project(project, 46, folders=folders)
    assert not table & {"video_set_id": 46}


@pytest.mark.parametrize("folders", [[], "train"])
def test_folders_are_a_list_of_names(table: Any, project: Path, folders: Any) -> None:
    with pytest.raises(ParameterError, match="Give folders as a list"):
        table.insert_from_project(project, 46, folders=folders)


def test_a_project_outside_the_roots_is_refused(table: Any, project: Path, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "outside")
    (project.parent / "link").symlink_to(tmp_path / "outside")
    try:
        for name in (tmp_path / "outside", "link", "nowhere"):
            with pytest.raises(PathError):
                table.insert_from_project(name, 46)
    finally:
        (project.parent / "link").unlink()


def test_it_is_inserted_whole_or_not_at_all(
    table: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("the connection is lost")

    monkeypatch.setattr(table.File, "insert", fail)
    with pytest.raises(RuntimeError, match="lost"):
        table.insert_from_project(project, 46)
    assert not table & {"video_set_id": 46}


@pytest.mark.dlc
def test_a_training_needs_nothing_else(lab: Lab, table: Any, project: Path) -> None:
    """The files tell which project it is, and exactly which folders."""
    train = lab.pipeline.train
    video_set = table.insert_from_project(project, folders=["train"])
    params = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1}
    index = train.TrainingParamSet.insert_new_params("test", params)
    key = {**video_set, "paramset_idx": index, "training_id": 1}
    train.TrainingTask.insert1(key)
    train.ModelTraining.populate(key)
    info = (train.ModelTraining & key).fetch1("run_info")
    assert (info["project_path"], info["labelled_folders"]) == (project.name, ["train"])
