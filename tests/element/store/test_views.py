from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import yaml

from element_deeplabcut.errors import PathError, ProjectError
from element_deeplabcut.readers.project import read_project
from element_deeplabcut.store.views import (
    copy_dataset,
    copy_shuffle,
    dataset_files,
    make_view,
    remove_view,
    source_model_folder,
    write_yaml,
)

from ..conftest import DATASET, MODEL, write_model


def take_picture(folder: Path) -> dict[str, tuple]:
    """Everything about a folder that a write could change."""
    state = {}
    for path in (folder, *sorted(folder.rglob("*"))):
        facts = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        name = str(path.relative_to(folder))
        state[name] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ino, content)
    return state


def lock(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        os.chmod(path, 0o555 if path.is_dir() else 0o444)


def unlock(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chmod(path, 0o755 if path.is_dir() else 0o644)


@pytest.fixture
def locked_project(project_dir):
    """A project that nobody may write to (root excepted)."""
    lock(project_dir)
    yield project_dir
    unlock(project_dir)


@pytest.fixture
def place(tmp_path):
    place = tmp_path / "run" / "project"
    place.mkdir(parents=True)
    return place


def make(project_dir, place, prefix="", folders=("m1", "m2")):
    return make_view(
        read_project(project_dir),
        place,
        engine="pytorch",
        shuffle=1,
        trainingsetindex=0,
        model_prefix=prefix,
        frames_of=project_dir,
        folders=folders,
    )


def test_the_users_project_is_left_alone_byte_for_byte(locked_project, place):
    before = take_picture(locked_project)
    view = make(locked_project, place)
    copy_shuffle(read_project(locked_project), view)
    # what DeepLabCut does in a view
    view.config_file.write_text("rewritten")
    view.engine_config_file.write_text("rewritten")
    (view.directory / "training-datasets" / "new").write_text("x")
    (view.train_folder / "snapshot-001.pt").write_text("x")
    for name in dataset_files(read_project(locked_project), 1, 0):
        (view.directory / DATASET.format(0) / name).write_text("rewritten")
    remove_view(view)
    assert take_picture(locked_project) == before


def test_a_view_has_a_config_of_its_own(make_project, place):
    project_dir = make_project(engine="tensorflow", skeleton_color="größe")
    make(project_dir, place)
    theirs = yaml.safe_load((project_dir / "config.yaml").read_text())
    ours = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
    assert ours["project_path"] == str(place)
    assert ours["engine"] == "pytorch"
    assert [Path(name).stem for name in ours["video_sets"]] == ["m1", "m2"]
    changed = ("project_path", "engine", "video_sets")
    assert {k: v for k, v in ours.items() if k not in changed} == {
        k: v for k, v in theirs.items() if k not in changed
    }
    assert list(ours) == list(theirs)


def test_a_view_knows_its_folders(project_dir, place):
    view = make(project_dir, place, prefix="mine")
    assert view.directory == place
    assert view.project.directory == place
    assert view.config_file == place / "config.yaml"
    assert view.log_file.parent == place.parent  # so that it outlives the view
    assert view.train_folder == place / "mine" / MODEL.format(0) / "train"
    assert view.engine_config_file == view.train_folder / "pytorch_config.yaml"


def test_labelled_frames_are_linked(project_dir, place):
    make(project_dir, place)
    for name in ("m1", "m2"):
        link = place / "labeled-data" / name
        assert link.is_symlink()
        assert link.resolve() == (project_dir / "labeled-data" / name).resolve()
    assert (place / "labeled-data" / "m1" / "img00.png").read_bytes() == b"picture 0"


def test_only_the_chosen_folders_are_linked(project_dir, place):
    view = make(project_dir, place, folders=["m2"])
    assert [link.name for link in (place / "labeled-data").iterdir()] == ["m2"]
    assert [Path(name).stem for name in view.project.settings["video_sets"]] == ["m2"]


def test_links_hold_when_the_project_was_named_relatively(project_dir, place, monkeypatch):
    monkeypatch.chdir(project_dir.parent)
    make(Path(project_dir.name), place)
    assert (place / "labeled-data" / "m1" / "img00.png").read_bytes() == b"picture 0"


def test_a_view_without_frames_has_none(project_dir, place):
    make(project_dir, place, folders=())
    assert [path.name for path in place.iterdir()] == ["config.yaml"]


def test_a_view_does_not_write_through_a_planted_link(project_dir, place, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (place / "labeled-data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PathError):
        make(project_dir, place)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_config_that_is_there_is_not_overwritten(project_dir, place):
    (place / "config.yaml").write_text("precious")
    with pytest.raises(FileExistsError):
        make(project_dir, place)
    assert (place / "config.yaml").read_text() == "precious"


# ---- a shuffle that exists -------------------------------------------------------------------


def test_a_shuffle_is_copied_without_its_snapshots(project_dir, place):
    view = make(project_dir, place)
    copy_shuffle(read_project(project_dir), view)
    copied = {
        path.relative_to(place).as_posix()
        for path in place.rglob("*")
        if path.is_file() and "labeled-data" not in path.parts
    }
    dataset, model = DATASET.format(0), MODEL.format(0)
    assert copied == {
        "config.yaml",
        f"{dataset}/CollectedData_ann.h5",
        f"{dataset}/Documentation_data-open_80shuffle1.pickle",
        f"{dataset}/open_ann80shuffle1.mat",
        f"{dataset}/metadata.yaml",
        f"{model}/train/pytorch_config.yaml",
        f"{model}/test/pose_cfg.yaml",
    }
    for name in copied - {"config.yaml"}:
        assert (place / name).read_bytes() == (project_dir / name).read_bytes()
        assert not (place / name).is_symlink()


def test_the_users_settings_of_inference_come_along(project_dir, place):
    (project_dir / MODEL.format(0) / "test" / "inference_cfg.yaml").write_text("variant: 0\n")
    view = make(project_dir, place)
    copy_shuffle(read_project(project_dir), view)
    assert (view.model_folder / "test" / "inference_cfg.yaml").read_text() == "variant: 0\n"


def test_a_shuffle_below_a_model_prefix_is_found_there(project_dir, place):
    folder = write_model(project_dir, prefix="mine")
    (folder / "train" / "pytorch_config.yaml").write_text("net_type: of the prefix\n")
    project = read_project(project_dir)
    view = make(project_dir, place, prefix="mine")
    assert source_model_folder(project, view) == folder
    copy_shuffle(project, view)
    copied = place / "mine" / MODEL.format(0) / "train" / "pytorch_config.yaml"
    assert copied.read_text() == "net_type: of the prefix\n"
    assert not (place / MODEL.format(0)).exists()


def test_without_a_shuffle_below_the_prefix_the_plain_one_is_taken(project_dir, place):
    project = read_project(project_dir)
    view = make(project_dir, place, prefix="mine")
    assert source_model_folder(project, view) == project_dir / MODEL.format(0)
    copy_shuffle(project, view)
    assert (place / "mine" / MODEL.format(0) / "train" / "pytorch_config.yaml").is_file()


@pytest.mark.parametrize(
    "name",
    [
        f"{DATASET.format(0)}/CollectedData_ann.h5",
        f"{DATASET.format(0)}/Documentation_data-open_80shuffle1.pickle",
        f"{DATASET.format(0)}/open_ann80shuffle1.mat",
        f"{MODEL.format(0)}/train/pytorch_config.yaml",
        f"{MODEL.format(0)}/test/pose_cfg.yaml",
    ],
)
def test_a_shuffle_that_lacks_a_file_is_refused_by_name(project_dir, place, name):
    (project_dir / name).unlink()
    view = make(project_dir, place)
    with pytest.raises(ProjectError, match="is missing") as caught:
        copy_shuffle(read_project(project_dir), view)
    assert str(project_dir / name) in str(caught.value)


def test_projects_of_older_versions_have_no_record_of_engines(project_dir, place):
    (project_dir / DATASET.format(0) / "metadata.yaml").unlink()
    copy_dataset(read_project(project_dir), make(project_dir, place))
    assert (place / DATASET.format(0) / "open_ann80shuffle1.mat").is_file()


def test_a_removed_view_takes_no_frames_with_it(project_dir, place):
    view = make(project_dir, place)
    remove_view(view)
    assert not place.exists()
    assert (project_dir / "labeled-data" / "m1" / "img00.png").is_file()


def test_yaml_keeps_order_and_letters(tmp_path):
    content = {"z": 1, "a": {"größe": [1.5, None, True]}, "no": "no"}
    write_yaml(tmp_path / "x.yaml", content)
    text = (tmp_path / "x.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == content
    assert list(yaml.safe_load(text)) == ["z", "a", "no"]
    assert "größe" in text


@pytest.mark.dlc
def test_a_view_is_a_project_to_deeplabcut(dlc_project, place):
    """DeepLabCut loads a copied shuffle in a view, rewrites nothing there and nothing outside."""
    from deeplabcut.pose_estimation_pytorch.data import DLCLoader

    before = take_picture(dlc_project)
    project = read_project(dlc_project)
    view = make_view(project, place, engine="pytorch", shuffle=1, trainingsetindex=0,
                     frames_of=dlc_project, folders=["mouse"])  # fmt: skip
    copy_shuffle(project, view)
    config = view.config_file.read_bytes()
    loader = DLCLoader(config=view.config_file, trainset_index=0, shuffle=1)
    assert len(loader.ground_truth_keypoints("train")) == 9
    assert all(Path(image).is_file() for image in loader.ground_truth_keypoints("test"))
    assert view.config_file.read_bytes() == config
    assert take_picture(dlc_project) == before
    shutil.rmtree(place)
