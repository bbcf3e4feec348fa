"""A small project on disk as DeepLabCut leaves it after a training, made without DeepLabCut.

The snapshots, frames and the .mat file are made-up bytes: the plain layers copy, link and hash
them, and never look inside.
"""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from workflow_deeplabcut import synthetic

SCORER = "ann"
PARTS = ("nose", "tail")
IMAGES = tuple(
    [f"labeled-data/m1/img{number:02d}.png" for number in range(6)]
    + [f"labeled-data/m2/img{number:02d}.png" for number in range(4)]
)
TRAIN, TEST = (0, 1, 2, 3, 4, 5, 6, 8), (7, 9)
DATASET = "training-datasets/iteration-{}/UnaugmentedDataSet_openJan1"
MODEL = "dlc-models-pytorch/iteration-{}/openJan1-trainset80shuffle1"

MakeProject = Callable[..., Path]


def true_positions(seed: int = 0) -> np.ndarray:
    positions = np.random.default_rng(seed).uniform(0, 200, (len(IMAGES), len(PARTS), 2))
    positions[3, 1] = np.nan  # the tail was not visible
    return positions


def write_labels(
    file: Path, positions: np.ndarray, images: tuple[str, ...] = IMAGES, scorer: str = SCORER
) -> None:
    columns = pd.MultiIndex.from_product(
        [[scorer], PARTS, ["x", "y"]], names=["scorer", "bodyparts", "coords"]
    )
    index = pd.MultiIndex.from_tuples([tuple(image.split("/")) for image in images])
    table = pd.DataFrame(positions.reshape(len(images), -1), index, columns)
    table.to_hdf(file, key="df_with_missing", mode="w")


def write_split(
    file: Path,
    *,
    train: Any = TRAIN,
    test: Any = TEST,
    images: tuple[str, ...] = IMAGES,
    protocol: int = pickle.HIGHEST_PROTOCOL,
) -> None:
    """Write a shuffle's record with the types that DeepLabCut uses."""
    joints = np.array([[0, 10.5, 20.5], [1, 30.0, 40.0]])
    data = [
        {"image": tuple(images[row].split("/")), "size": (3, 200, 200), "joints": [joints]}
        for row in train
    ]
    with file.open("wb") as stream:
        pickle.dump([data, np.array(train), np.array(test), 0.8], stream, protocol=protocol)


def write_dataset(project: Path, iteration: int = 0, seed: int = 0) -> Path:
    folder = project / DATASET.format(iteration)
    folder.mkdir(parents=True)
    write_labels(folder / f"CollectedData_{SCORER}.h5", true_positions(seed))
    write_split(folder / "Documentation_data-open_80shuffle1.pickle")
    (folder / f"open_{SCORER}80shuffle1.mat").write_bytes(b"matlab %d" % seed)
    entry = {"train_fraction": 0.8, "index": 1, "split": 1, "engine": "pytorch"}
    record = {"shuffles": {"openJan1-trainset80shuffle1": entry}}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(record))
    return folder


def write_model(project: Path, iteration: int = 0, prefix: str = "") -> Path:
    folder = project / prefix / MODEL.format(iteration)
    (folder / "train").mkdir(parents=True)
    (folder / "test").mkdir()
    engine_config = {
        "net_type": "resnet_50",
        "metadata": {
            "project_path": str(project),
            "pose_config_path": str(folder / "train" / "pytorch_config.yaml"),
            "bodyparts": list(PARTS),
        },
        "runner": {"type": "PoseTrainingRunner"},
        "resume_training_from": None,
        "train_settings": {"epochs": 12, "batch_size": 2},
    }
    (folder / "train" / "pytorch_config.yaml").write_text(yaml.safe_dump(engine_config))
    pose_config = {"dataset": str(project / "x.mat"), "net_type": "resnet_50"}
    (folder / "test" / "pose_cfg.yaml").write_text(yaml.safe_dump(pose_config))
    for name in ("snapshot-006", "snapshot-012", "snapshot-best-010"):
        content = f"weights of {name}, iteration {iteration}"
        (folder / "train" / f"{name}.pt").write_text(content)
    return folder


def write_fake_project(project: Path, **settings: Any) -> Path:
    """Write a project with labels, one dataset and one trained shuffle; return its folder."""
    for folder, number in (("m1", 6), ("m2", 4)):
        place = project / "labeled-data" / folder
        place.mkdir(parents=True)
        chosen = [row for row, image in enumerate(IMAGES) if f"/{folder}/" in image]
        for row in chosen:
            (project / IMAGES[row]).write_bytes(b"picture %d" % row)
        assert len(chosen) == number
        labelled = tuple(IMAGES[row] for row in chosen)
        write_labels(place / f"CollectedData_{SCORER}.h5", true_positions()[chosen], labelled)
    config = {
        "Task": "open",
        "scorer": SCORER,
        "date": "Jan1",
        "multianimalproject": False,
        "project_path": str(project),
        "engine": "pytorch",
        "video_sets": {str(project / "videos" / "m1.mp4"): {"crop": "0, 200, 0, 200"}},
        "bodyparts": list(PARTS),
        "skeleton": [["nose", "tail"]],
        "pcutoff": 0.4,
        "TrainingFraction": [0.8],
        "iteration": 0,
        "snapshotindex": -1,
        "cropping": False,
        **settings,
    }
    (project / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    write_dataset(project)
    write_model(project)
    for file in project.rglob("*.yaml"):
        os.utime(file, (1, 1))  # at rest for long, so that reading it does not wait
    return project


@pytest.fixture
def project_dir(tmp_path: Path) -> Path:
    return write_fake_project(tmp_path / "open-ann-2026-01-01")


@pytest.fixture
def make_project(tmp_path: Path) -> MakeProject:
    """A function that writes a fake project with settings of the test's choice."""

    def make(name: str = "project", **settings: Any) -> Path:
        return write_fake_project(tmp_path / name, **settings)

    return make


@pytest.fixture(scope="session")
def filmed_project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A labelled project made from a real video, and the true positions in its 12 frames."""
    folder = tmp_path_factory.mktemp("filmed")
    truth = synthetic.render_video(folder / "mouse.mp4", 12, seed=3)
    config = synthetic.write_project(folder, {folder / "mouse.mp4": truth}, n_labelled=12)
    return config.parent, truth


@pytest.fixture(scope="session")
def dlc_project(
    filmed_project: tuple[Path, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The same project with a training dataset created by the real DeepLabCut."""
    import deeplabcut

    project = tmp_path_factory.mktemp("dlc") / filmed_project[0].name
    shutil.copytree(filmed_project[0], project)
    deeplabcut.create_training_dataset(
        str(project / "config.yaml"),
        Shuffles=[1],
        net_type="resnet_50",
        augmenter_type="albumentations",
        engine=deeplabcut.Engine.PYTORCH,
        userfeedback=False,
    )
    return project
