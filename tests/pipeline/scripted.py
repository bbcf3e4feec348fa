"""Poses with scripted motion, loaded through the pipeline as a user would load DeepLabCut's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from workflow_deeplabcut import synthetic

from ..conftest import Lab
from ..dlc_results import tensorflow_meta, write_meta
from ..motions import make_pose

PARTS = ("nose", "tailbase")
SCORER = "DLC_resnet50_scriptedOct30shuffle1_10"
_ids = itertools.count(3000)


def register_model(lab: Lab, name: str = "scripted", **config: Any) -> dict[str, Any]:
    """Register a model of a project with two body parts and a skeleton; it cannot be run."""
    project = lab.root / f"project-{name}"
    folder = project / "dlc-models" / "iteration-0" / "scriptedOct30-trainset80shuffle1"
    for part in ("train", "test"):
        (folder / part).mkdir(parents=True)
    settings = {
        "Task": "scripted", "scorer": "tester", "date": "Oct30", "iteration": 0,
        "multianimalproject": False, "TrainingFraction": [0.8], "bodyparts": list(PARTS),
        "snapshotindex": -1, "pcutoff": 0.6, "project_path": "/nowhere", "video_sets": {},
        "skeleton": [["nose", "tailbase"], ["nose", "unknown"]], **config,
    }  # fmt: skip
    (project / "config.yaml").write_text(yaml.safe_dump(settings))
    (folder / "train" / "pose_cfg.yaml").write_text(yaml.safe_dump({"net_type": "resnet_50"}))
    (folder / "test" / "pose_cfg.yaml").write_text(yaml.safe_dump({"init_weights": "x"}))
    for end in ("index", "meta", "data-00000-of-00001"):
        (folder / "train" / f"snapshot-10.{end}").write_bytes(end.encode())
    return lab.pipeline.model.Model.insert_new_model(
        name, project / "config.yaml", shuffle=1, trainingsetindex=0, prompt=False
    )


def load_pose(
    lab: Lab,
    tracks: Any,
    likelihood: Any = 1.0,
    *,
    lengths: Sequence[int] | None = None,
    rate: Fraction = Fraction(30),
    crop: Sequence[int] | None = None,
    dtype: str = "float32",
) -> dict[str, Any]:
    """Record files of the given lengths, write their poses, and load them.

    Args:
        lab: The lab.
        tracks: Shape (n_frames, n_body_parts, 2), px.
        likelihood: One number, or shape (n_frames, n_body_parts).
        lengths: Frames of each video file; None for one file.
        rate: Frames per second.
        crop: Crop that the notes state.
        dtype: Of the numbers in the file.

    Returns:
        Key of the pose estimation.
    """
    number = next(_ids)
    pose = make_pose(tracks, likelihood, dtype=dtype, scorer=SCORER)
    table = pose.to_dataframe()
    folder = Path("scripted", str(number))
    (lab.root / folder).mkdir(parents=True)
    files, first = [], 0
    for place, length in enumerate(lengths or [pose.n_frames], 1):
        stem = f"v{place}"
        files.append((folder / f"{stem}.mp4").as_posix())
        synthetic.render_video(lab.root / files[-1], length, fps=rate, seed=place)
        part = table.iloc[first : first + length].reset_index(drop=True)
        part.to_hdf(lab.root / folder / f"{stem}{SCORER}.h5", key="df_with_missing", mode="w",
                    format="table")  # fmt: skip
        notes = {} if crop is None else {
            "cropping": True, "cropping_parameters": list(crop),
            "frame_dimensions": (crop[3] - crop[2], crop[1] - crop[0]),
        }  # fmt: skip
        meta = tensorflow_meta(SCORER, length, **{"fps": float(rate), **notes})
        write_meta(meta, lab.root / folder / f"{stem}{SCORER}_meta.pickle")
        first += length
    model = lab.pipeline.model
    key = {**lab.add_recording(number, *files), "model_name": "scripted"}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, "load", output_dir=lab.root / folder)
    model.PoseEstimation.populate(key)
    return key


def random_tracks(n_frames: int, seed: int = 0) -> np.ndarray:
    """Shape (n_frames, 2, 2): anything."""
    return np.random.default_rng(seed).uniform(20, 180, (n_frames, len(PARTS), 2))
