"""What the demo makes of the poses: a verdict, the motion, a labeled video, an NWB file."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from element_deeplabcut.errors import SetupError

from . import settings
from .folder import DemoFolder
from .tracks import Track


@dataclass(frozen=True)
class Motion:
    """How fast the animal moved in a recording.

    Attributes:
        times: float64, shape (n_frames,), s since the first frame.
        speed: Of the centroid of the tracked body parts, in `unit` per second.
        true_speed: Likewise, of where they truly were.
        unit: Unit of length.
        files: Per file of the recording, which frames are its own.
    """

    times: npt.NDArray[np.float64]
    speed: npt.NDArray[np.floating[Any]]
    true_speed: npt.NDArray[np.float64]
    unit: str
    files: tuple[slice, ...]


def check_installed() -> None:
    """Insist on what the last steps need, before minutes are spent on the first.

    Raises:
        SetupError: Something is not installed.
    """
    for module, extra in (("scipy", "analysis"), ("xarray", "analysis"), ("ndx_pose", "nwb")):
        if importlib.util.find_spec(module) is None:
            raise SetupError(
                f"The demo's last steps need {module}. Install it with: "
                f"pip install 'element-deeplabcut[{extra}]'"
            )


def find_best(pipeline: ModuleType, training_key: dict[str, Any], folder: DemoFolder) -> Any:
    """Evaluate every snapshot that the training kept, write them down, and return the best one."""
    report = pipeline.report
    best = report.best_model(training_key, evaluate=True)
    report.leaderboard(training_key, all_snapshots=True).to_csv(folder.leaderboard)
    return best


def judge(pipeline: ModuleType, model_key: dict[str, str]) -> pd.DataFrame:
    """Judge every pose of the model by the default thresholds.

    Returns:
        One row per recording and body part.
    """
    report = pipeline.report
    report.QualityParamSet.insert_default()
    report.PoseQuality.populate(model_key)
    rows = report.PoseQuality.BodyPart & model_key
    return pd.DataFrame(rows.fetch(as_dict=True)).drop(columns=[*settings.SESSION, "individual"])


def measure(pipeline: ModuleType, key: dict[str, Any], track: Track) -> Motion:
    """Clean a pose and measure its motion, in the unit of the recording's calibration."""
    kinematics = pipeline.kinematics
    recording = {name: key[name] for name in pipeline.model.VideoRecording.primary_key}
    kinematics.Calibration.insert1({**recording, **settings.CALIBRATION})
    kinematics.KinematicsParamSet.insert_default()
    kinematics.ProcessedPose.populate(key)
    kinematics.Kinematics.populate(key)
    table = kinematics.Kinematics.get_dataframe(key)
    speed = table.xs("speed", axis=1, level=-1).iloc[:, 0].to_numpy()
    scale = float(settings.CALIBRATION["units_per_px"])
    true_path = track.true.mean(axis=1) * scale
    bounds = (*track.first_frames, len(true_path))
    files = tuple(slice(first, end) for first, end in pairwise(bounds))
    # Two films of two walks: between them the animal did not move, it was somewhere else.
    velocities = [np.gradient(true_path[file], 1 / track.fps, axis=0) for file in files]
    true_speed = np.linalg.norm(np.concatenate(velocities), axis=1)
    return Motion(track.times, speed, true_speed, str(settings.CALIBRATION["unit"]), files)


def draw_video(pipeline: ModuleType, key: dict[str, Any], folder: DemoFolder) -> Path:
    """Draw the poses into the recording's video, and put the first file in the demo's folder."""
    labeled = pipeline.model.LabeledVideo
    labeled.request(key, {"trailpoints": 10})
    labeled.populate(key)
    shutil.copyfile(labeled.get_paths(key)[0], folder.labeled_video)
    return folder.labeled_video


def export(key: dict[str, Any], folder: DemoFolder) -> Path:
    """Write the poses of a recording to an NWB file."""
    from element_deeplabcut.export.nwb import export_pose_nwb

    (file,) = export_pose_nwb(key, folder.nwb, timezone="UTC", subject={"species": "Mus musculus"})
    return file
