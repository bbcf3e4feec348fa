"""Rows of poses whose every number is known, in whatever lab's tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from element_deeplabcut.blobs import insert_row

PARTS = ("whisker pad", "tail base")
N_FRAMES = 24


def numbers(seed: int) -> np.ndarray:
    """One coordinate of a trajectory, float32, px."""
    return np.random.default_rng(seed).uniform(0, 200, N_FRAMES).astype(np.float32)


class ScriptedSession:
    """A session with estimations that nobody had to compute.

    x of body part p of individual i is ``numbers(100 * i + 10 * p)``, y that of the next seed, and
    the likelihood that of the one after it, by 200.

    Attributes:
        model: The activated schema.
        session: Key of the session.
    """

    def __init__(self, model: Any, session: dict[str, Any]) -> None:
        self.model = model
        self.session = session

    def add_model(self, name: str) -> None:
        config = {"bodyparts": list(PARTS), "skeleton": [list(PARTS)], "pcutoff": 0.4}
        self.model.BodyPart.insert(
            [("whisker pad", "Where whiskers are"), ("tail base", "")], skip_duplicates=True
        )
        self.model.Model.insert1(
            {"model_name": name, "task": "open", "date": "Jan1", "iteration": 0,
             "snapshotindex": -1, "shuffle": 1, "trainingsetindex": 0, "engine": "pytorch",
             "scorer": f"DLC_{name}", "config_template": config, "project_path": "open-ann",
             "snapshot": "snapshot-010.pt", "bundle_hash": "f00d"},
            skip_duplicates=True,
        )  # fmt: skip
        self.model.Model.BodyPart.insert([(name, part) for part in PARTS], skip_duplicates=True)

    def add(
        self,
        recording_id: int,
        *,
        model: str = "nwb-model",
        device: str | dict[str, Any] = "Camera1",
        individuals: tuple[str, ...] = ("",),
        video: str = "raw/new.mp4",
        crop: list[int] | None = None,
        run_info: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Add a recording with an estimation of it; return the key."""
        self.add_model(model)
        recording = {**self.session, "recording_id": recording_id}
        if not self.model.VideoRecording & recording:
            named = device if isinstance(device, dict) else {"device": device}
            self._add_recording(recording, named, video)
        key = {**recording, "model_name": model}
        self.model.PoseEstimationTask.insert1(key)
        info = {"deeplabcut": "3.0.2", "bundle_hash": "f00d"} if run_info is None else run_info
        self.model.PoseEstimation.insert1(
            {**key, "pose_estimation_time": "2026-03-02 10:00:00", "crop": crop, "run_info": info},
            allow_direct_insert=True,
        )
        for animal, individual in enumerate(individuals):
            for part, body_part in enumerate(PARTS):
                seed = 100 * animal + 10 * part
                insert_row(
                    self.model.PoseEstimation.BodyPartPosition(),
                    {**key, "individual": individual, "body_part": body_part},
                    {
                        "frame_index": np.arange(N_FRAMES, dtype=np.int32),
                        "x_pos": numbers(seed),
                        "y_pos": numbers(seed + 1),
                        "likelihood": numbers(seed + 2) / 200,
                    },
                )
        return key

    def _add_recording(self, recording: dict[str, Any], device: dict[str, Any], video: str) -> None:
        self.model.VideoRecording.insert1({**recording, **device})
        file = {**recording, "file_id": 1}
        self.model.VideoRecording.File.insert1({**file, "file_path": video})
        self.model.RecordingInfo.insert1(
            {**recording, "px_height": 200, "px_width": 200, "nframes": N_FRAMES,
             "fps": 30000 / 1001, "recording_duration": N_FRAMES * 1001 / 30000},
            allow_direct_insert=True,
        )  # fmt: skip
        self.model.RecordingInfo.File.insert1(
            {**file, "nframes": N_FRAMES, "first_frame": 0,
             "fps_numerator": 30000, "fps_denominator": 1001},
            allow_direct_insert=True,
        )  # fmt: skip
