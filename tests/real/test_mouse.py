"""A real mouse: trained until it is of some use, and found in every frame of the whole video.

``make check-real`` runs this; a plain ``make test`` does not. With a GPU it trains DeepLabCut's
default network, without one a network small enough for a processor. Figures are printed, and a
picture to look at is left in ``check_real_output/``.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest

from ..conftest import Lab
from ..real_project import (
    VIDEO,
    as_root,
    count_frames,
    find_real_project,
    look_at,
    training_params,
)

OUTPUT = Path(__file__).parents[2] / "check_real_output"
N_PICTURES = 8


@dataclass(frozen=True)
class Mouse:
    """The real project after a whole pass through the pipeline."""

    video: Path
    training: dict[str, Any]
    evaluation: dict[str, Any]
    estimation: dict[str, Any]
    p_cutoff: float
    table: pd.DataFrame


@pytest.fixture(scope="module")
def mouse(lab: Lab) -> Iterator[Mouse]:
    """Register, train, evaluate and infer, as a user would."""
    project = find_real_project()
    before = look_at(project)
    train, model = lab.pipeline.train, lab.pipeline.model
    with as_root(lab, project.parent):
        video_set = train.VideoSet.insert_from_project(project, 300)
        index = train.TrainingParamSet.insert_new_params("real mouse", choose_params())
        training = {**video_set, "paramset_idx": index, "training_id": 1}
        train.TrainingTask.insert1(training)
        train.ModelTraining.populate(training)
        model_key = model.Model.insert_from_training(training, "real mouse")
        model.ModelEvaluation.populate(model_key)
        key = {**lab.add_recording(300, f"{project.name}/{VIDEO}"), **model_key}
        model.RecordingInfo.populate(key)
        model.PoseEstimationTask.generate(key)
        model.PoseEstimation.populate(key)
        yield Mouse(
            project / VIDEO,
            (train.ModelTraining & training).fetch1("run_info"),
            (model.ModelEvaluation & model_key).fetch1(),
            (model.PoseEstimation & key).fetch1("run_info"),
            (model.ModelEvaluation & model_key).fetch1("p_cutoff"),
            model.PoseEstimation.get_trajectory(key),
        )
    assert look_at(project) == before


def choose_params() -> dict[str, Any]:
    import torch

    if not torch.cuda.is_available():
        return training_params(40)
    return {
        "shuffle": 1,
        "trainingsetindex": 0,
        "engine": "pytorch",
        "net_type": "resnet_50",
        "init_weights": "random",  # tests download nothing
        "epochs": 200,
        "save_epochs": 50,
    }


def test_it_is_of_some_use(mouse: Mouse) -> None:
    errors, n_frames = mouse.evaluation, len(mouse.table)
    print(
        f"\ntrained on {mouse.training['device']} in {mouse.training['duration_s']:.0f} s: "
        f"train error {errors['train_error']:.2f} px, test error {errors['test_error']:.2f} px "
        f"(p >= {errors['p_cutoff']}: {errors['train_error_p']:.2f} and "
        f"{errors['test_error_p']:.2f} px)\n"
        f"{n_frames} frames in {mouse.estimation['duration_s']:.0f} s: "
        f"{n_frames / mouse.estimation['duration_s']:.1f} frames per second"
    )
    assert errors["test_error"] < 20  # a mouse is about 100 px long


def test_every_frame_has_its_row(mouse: Mouse) -> None:
    assert list(mouse.table.index) == list(range(count_frames(mouse.video)))
    assert len(mouse.table) == 2330
    assert np.isfinite(mouse.table.to_numpy()).all()


def test_memory_does_not_grow_with_the_video(mouse: Mouse) -> None:
    """It once reached 23 GB; see element_deeplabcut.engines.pytorch."""
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\nmost memory used: {peak_gb:.1f} GB")
    assert peak_gb < 6


def test_a_picture_is_drawn(mouse: Mouse) -> None:
    OUTPUT.mkdir(exist_ok=True)
    file = OUTPUT / "mouse.png"
    draw(mouse, file)
    print(f"\nlook at {file}")
    assert file.stat().st_size > 100_000


def draw(mouse: Mouse, file: Path) -> None:
    """Draw predictions over frames spread over the video; faint where the network is unsure."""
    import matplotlib.pyplot as plt

    numbers = np.linspace(0, len(mouse.table) - 1, N_PICTURES, dtype=int)
    poses = mouse.table.to_numpy().reshape(len(mouse.table), -1, 3)
    names = list(mouse.table.columns.get_level_values("bodyparts")[::3])
    figure, axes = plt.subplots(2, N_PICTURES // 2, figsize=(16, 6.4), layout="constrained")
    with av.open(mouse.video) as container:
        for number, frame in enumerate(container.decode(video=0)):
            for axis in axes.flat[numbers == number]:
                axis.imshow(frame.to_ndarray(format="rgb24"))
                axis.set_title(f"frame {number}")
                axis.axis("off")
                for name, (x, y, likelihood) in zip(names, poses[number], strict=True):
                    sure = likelihood >= mouse.p_cutoff
                    axis.scatter(x, y, s=30, alpha=1 if sure else 0.25, label=name)
    axes.flat[0].legend(loc="lower left", fontsize="small")
    figure.savefig(file, dpi=80)
    plt.close(figure)
