"""What DeepLabCut does in the same way with either engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import EngineError
from ..store.views import ProjectView
from .base import TrainingPlan, Video
from .messages import explained, last_messages


def create_shuffle(view: ProjectView, plan: TrainingPlan) -> None:
    """Create dataset, split and engine config of the view's shuffle from its labels.

    Raises:
        EngineError: DeepLabCut failed, or found no labels.
    """
    import deeplabcut

    engine = {"pytorch": deeplabcut.Engine.PYTORCH, "tensorflow": deeplabcut.Engine.TF}
    # DeepLabCut splits with numpy's global generator. Shuffles of one seed must differ.
    np.random.seed([plan.split_seed, view.shuffle])
    with explained("create the training dataset"):
        deeplabcut.create_training_dataset(
            str(view.config_file),
            Shuffles=[view.shuffle],
            net_type=plan.net_type,
            augmenter_type=plan.augmenter_type,
            engine=engine[view.engine],
            userfeedback=False,
        )
    created = view.project.model_folder(view.engine, view.shuffle, view.trainingsetindex)
    if view.model_prefix:
        view.model_folder.parent.mkdir(parents=True, exist_ok=True)
        (view.directory / created).rename(view.model_folder)
    if not view.engine_config_file.is_file():
        raise EngineError(
            "DeepLabCut created no training dataset. Check that the labelled folders hold labels. "
            f"Its last messages: {last_messages(view)}"
        )


def find_prediction(view: ProjectView, video: Video, folder: Path, scorer: str) -> Path:
    """Name the prediction file that DeepLabCut wrote for a video.

    Raises:
        EngineError: It wrote none.
    """
    file = folder / f"{video.path.stem}{scorer}.h5"
    if not file.is_file():
        raise EngineError(
            f"DeepLabCut wrote no prediction for '{video.path}'. Check that it plays; DeepLabCut's "
            f"last messages: {last_messages(view)}"
        )
    return file
