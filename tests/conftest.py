"""Shared ground of all tests: their own database server, and one lab with one trained project.

Whatever DJ_HOST or a dj_local_conf.json says, tests talk to a server they started themselves, in a
folder of their own. The trained project is made once per run, through the pipeline itself, as a
user would.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOREIGN = ("DJ_", "DATABASE_PREFIX", "DLC_")
for name in [
    name for name in os.environ if name.startswith(FOREIGN) and name != "DLC_REAL_PROJECT"
]:
    del os.environ[name]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As whatever a shell starts in the background; commands under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.update(
    OMP_NUM_THREADS="1",  # with more, OpenMP spins on contended cores
    NUMBA_NUM_THREADS="1",  # or numba sets OpenMP's threads to the number of cores
    MPLBACKEND="Agg",
    DLClight="True",
    HF_HUB_OFFLINE="1",
    DATAJOINT_LOG_LEVEL="warning",
)

from hypothesis import settings as hypothesis_settings  # noqa: E402

from workflow_deeplabcut import database, synthetic  # noqa: E402
from workflow_deeplabcut.demo import settings  # noqa: E402

# The same examples each time, on shared and busy machines, where a slow one is no failure.
# --hypothesis-profile=explore looks for new ones.
hypothesis_settings.register_profile("same", deadline=None, derandomize=True)
hypothesis_settings.register_profile("explore", deadline=None, max_examples=1000)
hypothesis_settings.load_profile("same")

TINY_NETWORK = {**settings.TINY_NETWORK, "runner.eval_interval": 4}
"""The demo's network: it learns the synthetic animal to 1 px in 14 s."""

TRAINING_PARAMS = {**settings.PYTORCH_PARAMS, "pytorch_cfg_updates": TINY_NETWORK}
TENSORFLOW_PARAMS = {**settings.TENSORFLOW_PARAMS, "shuffle": 2}
"""The demo's MobileNet: about a minute to 4 px."""


@dataclass(frozen=True)
class Lab:
    """A lab with data and a pipeline.

    Attributes:
        root: Root data directory.
        processed: Processed directory.
        server: Database server of this test run.
        config: The synthetic project's config.yaml.
        training_video: Video the project's labels are from, relative to the root.
        new_video: Unseen video, relative to the root.
        truth: float64, shape (n_frames, 4, 2): true positions in the unseen video, px.
        pipeline: The module workflow_deeplabcut.pipeline.
    """

    root: Path
    processed: Path
    server: database.Server
    config: Path
    training_video: str
    new_video: str
    truth: np.ndarray
    pipeline: Any

    @property
    def session_key(self) -> dict[str, Any]:
        return {"subject": "mouse1", "session_datetime": "2026-02-01 10:00:00"}

    def add_recording(self, recording_id: int, *files: str) -> dict[str, Any]:
        """Register a recording and return its key."""
        key = {**self.session_key, "recording_id": recording_id}
        model = self.pipeline.model
        model.VideoRecording.insert1({**key, "device": "Camera1"})
        model.VideoRecording.File.insert(
            {**key, "file_id": number, "file_path": file} for number, file in enumerate(files, 1)
        )
        return key

    def attempts(self, key: dict[str, Any]) -> list[Path]:
        """Unfinished folders of a training (other tests kill workers, which leave theirs)."""
        name = "-".join(str(value) for _, value in sorted(key.items()))
        return list((self.processed / "trainings" / ".attempts").glob(f"{name}-*"))

    def add_training(self, training_id: int, params: dict[str, Any], **task: Any) -> dict[str, Any]:
        """Queue a training on the synthetic project and return its key."""
        train = self.pipeline.train
        train.VideoSet.insert1({"video_set_id": 1}, skip_duplicates=True)
        index = train.TrainingParamSet.insert_new_params("test", params)
        key = {"video_set_id": 1, "paramset_idx": index, "training_id": training_id}
        task.setdefault("project_path", self.config.parent.name)
        train.TrainingTask.insert1({**key, **task})
        return key


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[database.Server]:
    with database.running(tmp_path_factory.mktemp("database")) as started:
        yield started


@pytest.fixture(scope="session")
def lab(server: database.Server, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A lab with a labelled project and an unseen video; nothing trained yet."""
    folder = tmp_path_factory.mktemp("lab")
    root, processed = folder / "data", folder / "processed"
    (root / "raw").mkdir(parents=True)
    training_video, new_video = root / "raw" / "train.mp4", root / "raw" / "new.mp4"
    labelled = synthetic.render_video(training_video, 300, seed=0)
    truth = synthetic.render_video(new_video, 100, seed=77)
    config = synthetic.write_project(root, {training_video: labelled})
    os.environ["DLC_ROOT_DATA_DIR"] = str(root)
    os.environ["DLC_PROCESSED_DATA_DIR"] = str(processed)
    os.environ["DATABASE_PREFIX"] = "test_"
    server.configure_datajoint()
    from workflow_deeplabcut import pipeline

    pipeline.subject.Subject.insert1(
        {"subject": "mouse1", "sex": "F", "subject_birth_date": "2026-01-01",
         "subject_description": ""}
    )  # fmt: skip
    built = Lab(root, processed, server, config, "raw/train.mp4", "raw/new.mp4", truth, pipeline)
    pipeline.session.Session.insert1(built.session_key)
    return built


@dataclass(frozen=True)
class Trained:
    """A finished training and the model registered from it."""

    training_key: dict[str, Any]
    model_key: dict[str, Any]


@pytest.fixture(scope="session")
def trained(lab: Lab) -> Trained:
    """One real training, shared by all tests that need a model."""
    key = lab.add_training(1, TRAINING_PARAMS)
    lab.pipeline.train.ModelTraining.populate(key)
    model_key = lab.pipeline.model.Model.insert_from_training(key, "tiny")
    return Trained(key, model_key)


@pytest.fixture(scope="session")
def trained_tensorflow(lab: Lab) -> Trained:
    """The same with the TensorFlow engine."""
    key = lab.add_training(2, TENSORFLOW_PARAMS)
    lab.pipeline.train.ModelTraining.populate(key)
    return Trained(key, lab.pipeline.model.Model.insert_from_training(key, "tiny tensorflow"))


@pytest.fixture(scope="session")
def estimated(lab: Lab, trained: Trained) -> dict[str, Any]:
    """The unseen video analyzed with the trained model; returns the key of the estimation."""
    model = lab.pipeline.model
    key = {**lab.add_recording(1, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)
    return key


@pytest.fixture
def project_copy(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    """A fresh copy of the labelled project below the root, for tests that change it."""
    target = lab.root / f"copy-{tmp_path.name}"
    shutil.copytree(lab.config.parent, target)
    yield target
    shutil.rmtree(target, ignore_errors=True)
