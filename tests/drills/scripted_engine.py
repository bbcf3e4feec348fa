"""An engine that computes by a script in milliseconds, where faults are wanted and not networks.

It stands in the place of the PyTorch engine, behind the same interface, so that all around it is
the real thing: tables, run store, model store, readers. It decodes the videos it is given. What it
predicts depends on the name of the video, and what it trains on the seed, so that a result found
under a wrong key is noticed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from element_deeplabcut import engines
from element_deeplabcut.engines.base import (
    Analysis,
    FrameErrors,
    InferencePlan,
    OnFrames,
    OnTraining,
    TrainingPlan,
    TrainingProgress,
    Video,
)
from element_deeplabcut.readers.labels import read_labels, read_split
from element_deeplabcut.readers.learning_curve import LEARNING_STATS, LOSS
from element_deeplabcut.readers.snapshots import Snapshot, list_snapshots, pytorch_scorer
from element_deeplabcut.readers.yaml_files import read_yaml
from element_deeplabcut.store.views import ProjectView
from element_deeplabcut.video import read_facts

CALLS = "DRILLS_CALLS"
"""Environment variable that names the file to which each computation adds a line."""

EPOCHS = 4
_STEP_S = 0.005
_NAME = "element_deeplabcut.engines.pytorch"


@contextlib.contextmanager
def in_place_of_pytorch() -> Iterator[None]:
    """Let ``get_engine("pytorch")`` return this module."""
    needs, module = engines._NEEDS["pytorch"], sys.modules.get(_NAME)
    engines._NEEDS["pytorch"] = ("dlc", ("numpy",))
    sys.modules[_NAME] = sys.modules[__name__]
    try:
        yield
    finally:
        engines._NEEDS["pytorch"] = needs
        del sys.modules[_NAME]
        if module is not None:
            sys.modules[_NAME] = module


def note_call(what: str) -> None:
    with Path(os.environ[CALLS]).open("a") as stream:
        stream.write(f"{what} {os.getpid()}\n")


def read_calls(file: Path) -> list[str]:
    """What was computed, a name for each time."""
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.split()[0] for line in lines]


def describe(device: str | None) -> dict[str, str]:
    return {"deeplabcut": "scripted", "numpy": np.__version__}


def resolve_device(device: str | None) -> str:
    return device or "cpu"


def create_dataset(view: ProjectView, plan: TrainingPlan) -> None:
    raise NotImplementedError("the drills' project has its dataset already")


# --- training -------------------------------------------------------------------------------------


def train(
    view: ProjectView,
    plan: TrainingPlan,
    device: str,
    on_progress: OnTraining,
    resume_from: Snapshot | None = None,
) -> None:
    done = resume_from.epochs if resume_from else 0
    note_call(f"train-{plan.seed}")
    curve = view.train_folder / LEARNING_STATS
    if not done:
        curve.write_text(f"step,{LOSS}\n")
    for epoch in range(done + 1, EPOCHS + 1):
        time.sleep(_STEP_S)
        with curve.open("a") as stream:
            stream.write(f"{epoch},{1 / epoch}\n")
        file = view.train_folder / f"snapshot-{epoch:03}.pt"
        file.write_text(expected_weights(plan.seed, epoch))
        on_progress(TrainingProgress(epoch, EPOCHS, {LOSS: 1 / epoch}))


def expected_weights(seed: int, epoch: int) -> str:
    return "".join(f"weight {number} of seed {seed}, epoch {epoch}\n" for number in range(400))


def is_complete(snapshot: Snapshot) -> bool:
    return snapshot.path.read_text().endswith(f"epoch {snapshot.epochs}\n")


# --- evaluation and inference ---------------------------------------------------------------------


def evaluate(view: ProjectView, snapshot: str, device: str) -> FrameErrors:
    note_call("evaluate")
    folder = view.directory / view.project.dataset_folder()
    labels = read_labels(folder / f"CollectedData_{view.project.scorer}.h5")
    split = read_split(
        view.directory / view.project.split_file(view.shuffle, view.trainingsetindex)
    )
    shape = (len(labels.images), len(view.project.body_parts))
    in_test = np.isin(np.arange(shape[0]), split.test)
    return FrameErrors(labels.images, np.full(shape, 1.5), np.ones(shape), in_test)


def infer(
    view: ProjectView,
    video: Video,
    folder: Path,
    plan: InferencePlan,
    device: str,
    on_frames: OnFrames,
) -> Analysis:
    stem = video.path.stem
    note_call(stem)
    n_frames = read_facts(video.path).n_frames
    for done in _work(stem, n_frames):
        on_frames(done)
    values = expected_pose(stem, n_frames, len(view.project.body_parts))
    scorer = _name_scorer(view)
    columns = pd.MultiIndex.from_product(
        [[scorer], view.project.body_parts, ("x", "y", "likelihood")],
        names=["scorer", "bodyparts", "coords"],
    )
    file = folder / f"{stem}{scorer}.h5"
    table = pd.DataFrame(values.reshape(n_frames, -1), columns=columns)
    table.to_hdf(file, key="df_with_missing", format="table", mode="w")
    return Analysis(file, {})


def _work(stem: str, n_frames: int) -> Iterator[int]:
    """Take some milliseconds, or the seconds that the video's name says: ``7-takes-2.5``."""
    _, _, seconds = stem.partition("-takes-")
    until = time.monotonic() + float(seconds or 2 * _STEP_S)
    while time.monotonic() < until:
        time.sleep(min(0.05, _STEP_S if not seconds else 0.05))
        yield 1
    yield n_frames


def _name_scorer(view: ProjectView) -> str:
    net_type = read_yaml(view.engine_config_file, is_ours=True)["net_type"]
    (snapshot,) = list_snapshots(view.train_folder)
    project = view.project
    return pytorch_scorer(net_type, project.task, project.date, view.shuffle, snapshot)


def expected_pose(stem: str, n_frames: int, n_parts: int) -> Any:
    """Float64, shape (n_frames, n_parts, 3), of numbers that float32 holds exactly."""
    random = np.random.default_rng(zlib.crc32(stem.encode()))
    return random.random((n_frames, n_parts, 3), dtype=np.float32).astype(np.float64)
