"""A private database with a pipeline in it, and recordings whose every number is known."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SCORER = "DLC_Resnet50_benchmarkFeb1shuffle1_snapshot_best-10"
SESSION = {"subject": "mouse1", "session_datetime": "2026-02-01 10:00:00"}
RATE = 100


@dataclass(frozen=True)
class BenchLab:
    """A pipeline on a server of its own.

    Attributes:
        root: Root data directory.
        server: The server.
        model: The activated schema.
        pipeline: The module ``workflow_deeplabcut.pipeline``.
    """

    root: Path
    server: Any
    model: Any
    pipeline: Any

    def add_model(self, name: str, body_parts: list[str]) -> dict[str, Any]:
        """Register a model as if it had been trained."""
        config = {
            "Task": "benchmark", "scorer": "ann", "date": "Feb1", "TrainingFraction": [0.95],
            "multianimalproject": False, "bodyparts": body_parts, "pcutoff": 0.6,
        }  # fmt: skip
        self.model.BodyPart.insert(((part, "") for part in body_parts), skip_duplicates=True)
        self.model.Model.insert1(
            {"model_name": name, "task": "benchmark", "date": "Feb1", "iteration": 0,
             "snapshotindex": -1, "shuffle": 1, "trainingsetindex": 0, "engine": "pytorch",
             "scorer": SCORER, "config_template": config, "project_path": "benchmark-ann",
             "snapshot": "snapshot-best-10.pt", "bundle_hash": "f00d"}
        )  # fmt: skip
        self.model.Model.BodyPart.insert((name, part) for part in body_parts)
        return {"model_name": name}

    def add_recording(self, recording_id: int, n_frames: int) -> dict[str, Any]:
        """Register a recording as if its video had been read; the video need not exist."""
        key = {**SESSION, "recording_id": recording_id}
        file = {**key, "file_id": 1}
        self.model.VideoRecording.insert1({**key, "device": "Camera1"})
        self.model.VideoRecording.File.insert1({**file, "file_path": f"{recording_id}.mp4"})
        self.model.RecordingInfo.insert1(
            {**key, "px_height": 480, "px_width": 640, "nframes": n_frames, "fps": RATE,
             "recording_duration": n_frames / RATE},
            allow_direct_insert=True,
        )  # fmt: skip
        self.model.RecordingInfo.File.insert1(
            {**file, "nframes": n_frames, "first_frame": 0,
             "fps_numerator": RATE, "fps_denominator": 1},
            allow_direct_insert=True,
        )  # fmt: skip
        return key


@contextlib.contextmanager
def open_lab(folder: Path | None = None) -> Iterator[BenchLab]:
    """Start a server in a folder of its own, activate the pipeline on it; stop it at the end.

    Only once in a process: DataJoint's schemas are activated for good.
    """
    from workflow_deeplabcut import database

    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root = folder / "data"
        root.mkdir()
        server = stack.enter_context(database.running(folder / "database"))
        os.environ.update(
            DATABASE_PREFIX="benchmark_",
            DLC_ROOT_DATA_DIR=str(root),
            DLC_PROCESSED_DATA_DIR=str(folder / "processed"),
        )
        server.configure_datajoint()
        from workflow_deeplabcut import pipeline

        pipeline.subject.Subject.insert1(
            {"subject": "mouse1", "sex": "F", "subject_birth_date": "2026-01-01",
             "subject_description": ""}
        )  # fmt: skip
        pipeline.session.Session.insert1(SESSION)
        yield BenchLab(root, server, pipeline.model, pipeline)


def name_parts(number: int) -> list[str]:
    """Name body parts."""
    return [f"part{index:03}" for index in range(number)]


def make_values(n_frames: int, n_parts: int, seed: int = 0) -> npt.NDArray[np.float64]:
    """Invent trajectories as a network would predict them: float32 numbers in float64.

    Returns:
        Shape (n_frames, 3 * n_parts): x, y (px) and likelihood of each part in turn.
    """
    rng = np.random.default_rng(seed)
    values = np.empty((n_frames, n_parts, 3))
    values[:] = rng.random(values.shape, np.float32)
    values[..., :2] *= 400
    return values.astype(np.float32).astype(np.float64).reshape(n_frames, -1)
