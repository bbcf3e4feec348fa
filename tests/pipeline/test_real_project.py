"""A real project as it is published, from its config to a trajectory.

Nobody completed its config by hand: ``project_path`` and ``video_sets`` hold a notice instead of
paths, the labels are of a video that is not there, and the folder may be read-only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..conftest import Lab
from ..real_project import (
    VIDEO,
    as_root,
    count_frames,
    cut_video,
    find_real_project,
    look_at,
    training_params,
)

pytestmark = pytest.mark.dlc

N_FRAMES = 150


@dataclass(frozen=True)
class Mouse:
    """The real project after a whole pass through the pipeline."""

    project: Path
    before: dict[str, tuple[int, str]]
    training_key: dict[str, Any]
    model_key: dict[str, Any]
    estimation_key: dict[str, Any]
    n_frames: int


@pytest.fixture(scope="module")
def mouse(lab: Lab) -> Iterator[Mouse]:
    """Register, train, evaluate and infer, as a user would."""
    project = find_real_project()
    before = look_at(project)
    train, model = lab.pipeline.train, lab.pipeline.model
    cut = lab.root / "raw" / "mouse.mp4"
    cut_video(project / VIDEO, cut, N_FRAMES)
    with as_root(lab, project.parent):
        video_set = train.VideoSet.insert_from_project(f"{project.name}/config.yaml", 300)
        index = train.TrainingParamSet.insert_new_params("real mouse", training_params(4))
        training = {**video_set, "paramset_idx": index, "training_id": 1}
        train.TrainingTask.insert1(training)
        train.ModelTraining.populate(training)
        model_key = model.Model.insert_from_training(training, "real mouse")
        model.ModelEvaluation.populate(model_key)
        key = {**lab.add_recording(600, "raw/mouse.mp4"), **model_key}
        model.RecordingInfo.populate(key)
        model.PoseEstimationTask.generate(key)
        model.PoseEstimation.populate(key)
        yield Mouse(project, before, training, model_key, key, count_frames(cut))


def test_the_training_set_is_what_was_labelled(lab: Lab, mouse: Mouse) -> None:
    info = (lab.pipeline.train.ModelTraining & mouse.training_key).fetch1("run_info")
    assert info["labelled_folders"] == ["m4s1"]
    assert info["project_path"] == mouse.project.name
    assert (len(info["split"]["train"]), len(info["split"]["test"])) == (110, 6)


def test_its_errors_are_measured(lab: Lab, mouse: Mouse) -> None:
    row = (lab.pipeline.model.ModelEvaluation & mouse.model_key).fetch1()
    info = (lab.pipeline.train.ModelTraining & mouse.training_key).fetch1("run_info")
    print(
        f"\nreal mouse: {info['duration_s']:.0f} s of training, train error "
        f"{row['train_error']:.2f} px, test error {row['test_error']:.2f} px"
    )
    # Far from useful after so few epochs: some 80 px, where a corner would be 400 px off.
    assert 0 < row["train_error"] < 250
    assert 0 < row["test_error"] < 250
    parts = (lab.pipeline.model.ModelEvaluation.BodyPart & mouse.model_key).fetch("body_part")
    assert set(parts) == {"snout", "leftear", "rightear", "tailbase"}


def test_every_frame_has_its_row(lab: Lab, mouse: Mouse) -> None:
    model = lab.pipeline.model
    assert mouse.n_frames == N_FRAMES
    assert (model.RecordingInfo & mouse.estimation_key).fetch1("nframes") == N_FRAMES
    table = model.PoseEstimation.get_trajectory(mouse.estimation_key)
    assert list(table.index) == list(range(N_FRAMES))
    values = table.to_numpy().reshape(N_FRAMES, 4, 3)
    assert np.isfinite(values).all()
    # A coarse network's offsets may lead out of the picture, by less than a cell or two.
    assert -50 < values[..., 0].min() <= values[..., 0].max() < 690
    assert -50 < values[..., 1].min() <= values[..., 1].max() < 530


def test_the_original_is_not_touched(mouse: Mouse) -> None:
    assert look_at(mouse.project) == mouse.before
