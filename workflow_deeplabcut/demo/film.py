"""Films the demo's animal: the video to train on, the unseen recordings, the labelled project."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import synthetic
from . import settings

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Film:
    """What was filmed: where the body parts truly are, px, shape (n_frames, body parts, 2).

    Attributes:
        training: In the training video.
        recordings: Per unseen recording, its files one after another.
    """

    training: FloatArray
    recordings: dict[int, FloatArray]


def render_film(data: Path) -> Film:
    """Render the videos into ``videos/`` of a folder.

    Args:
        data: Root directory to write into; it must not hold ``videos/`` yet.

    Returns:
        The animal's true positions in them.
    """
    (data / settings.TRAINING_VIDEO).parent.mkdir()
    training = synthetic.render_video(
        data / settings.TRAINING_VIDEO, settings.TRAINING_FRAMES, seed=settings.TRAINING_SEED
    )
    recordings = {
        number: np.concatenate(
            [
                synthetic.render_video(
                    data / file, n_frames, seed=seed, recorded_at=settings.RECORDED_AT
                )
                for file, (n_frames, seed) in files.items()
            ]
        )
        for number, files in settings.RECORDINGS.items()
    }
    return Film(training, recordings)


def write_project(data: Path, film: Film) -> Path:
    """Write a DeepLabCut project with labelled frames of the training video.

    Returns:
        Its folder.
    """
    videos = {data / settings.TRAINING_VIDEO: film.training}
    return synthetic.write_project(
        data, videos, task=settings.PROJECT_TASK, scorer=settings.PROJECT_SCORER
    ).parent
