"""DeepLabCut 3's PyTorch engine."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DeviceError, EngineError
from ..readers.snapshots import Snapshot
from ..readers.yaml_files import read_yaml
from ..store.views import ProjectView
from . import pytorch_training as training
from .base import (
    Analysis,
    Forecast,
    FrameErrors,
    InferencePlan,
    OnFrames,
    OnTraining,
    TrainingPlan,
    Video,
)
from .containment import contained
from .forks import settle_threads
from .loaded import MODELS
from .messages import explained
from .pytorch_inference import analyze
from .shared import create_shuffle

# --- the machine ----------------------------------------------------------------------------------


def describe(device: str | None) -> dict[str, str]:
    """Versions of everything that computes, and the device's name."""
    import torch

    facts = {name: importlib.metadata.version(name) for name in ("deeplabcut", "torch", "numpy")}
    if device and device.startswith("cuda"):
        facts["cuda"] = str(torch.version.cuda)
        facts["device_name"] = torch.cuda.get_device_name(torch.device(device))
    return facts


def resolve_device(device: str | None) -> str:
    """Turn a wish (None: the best there is) into a device that exists here.

    Raises:
        DeviceError: It does not exist.
    """
    import torch

    if device in (None, "auto"):
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        n_gpus = torch.cuda.device_count()
        raise DeviceError(
            f"The device '{device}' is not on this machine ({n_gpus} CUDA devices; "
            f"{str(error).splitlines()[0]}). Choose 'cpu', or 'cuda:N' with N below that number."
        ) from error
    return str(device)


# --- training -------------------------------------------------------------------------------------


def create_dataset(view: ProjectView, plan: TrainingPlan) -> None:
    """Create dataset, split and engine config of the view's shuffle from its labels."""
    with contained(view.log_file):
        create_shuffle(view, plan)


def train(
    view: ProjectView,
    plan: TrainingPlan,
    device: str,
    on_progress: OnTraining,
    resume_from: Snapshot | None = None,
) -> None:
    """Train the view's shuffle; an exception raised by ``on_progress`` stops it cleanly.

    While it runs, snapshots hold the optimizer's state, so that a stopped training goes on as if it
    had not been; it is left out of those that remain, as DeepLabCut does.

    Raises:
        EngineError: Training failed, or pretrained weights were wanted and cannot be had.
    """
    MODELS.release()  # a training needs a GPU's memory for itself
    settle_threads()
    with contained(view.log_file):
        _check_version(view)
        training.run(view, plan, device, on_progress, resume_from)


def rehearse(view: ProjectView, plan: TrainingPlan) -> Forecast:
    """Go through what comes before a training, without training or downloading.

    Raises:
        EngineError: A setting is not valid, or starting weights cannot be had.
    """
    with contained(view.log_file):
        _check_version(view)
        return training.rehearse(view, plan)


def is_complete(snapshot: Snapshot) -> bool:
    """Whether a snapshot was written to its end."""
    try:
        return {"model", "metadata"} <= training.load(snapshot.path).keys()
    except training.UNLOADABLE:
        return False


def check_model(view: ProjectView) -> None:
    """Insist that the installed engine can run the model of a view or bundle.

    Raises:
        EngineError: A newer one made it.
    """
    _check_version(view)


def _check_version(view: ProjectView) -> None:
    """Refuse an engine config that a newer DeepLabCut wrote.

    Raises:
        EngineError: Its schema is newer than the installed DeepLabCut knows.
    """
    from deeplabcut.core.config.versioning import CURRENT_CONFIG_VERSION

    written = read_yaml(view.engine_config_file, is_ours=True).get("config_version") or 0
    if written > CURRENT_CONFIG_VERSION:
        raise EngineError(
            f"This model's engine config has version {written}, and the installed DeepLabCut "
            f"{importlib.metadata.version('deeplabcut')} knows versions up to "
            f"{CURRENT_CONFIG_VERSION}: a newer DeepLabCut made it. Install that one on this "
            "worker, or run this on a worker that has it."
        )


# --- evaluation -----------------------------------------------------------------------------------


def evaluate(view: ProjectView, snapshot: str, device: str) -> FrameErrors:
    """Predict every labelled frame of the view with one of its snapshots.

    Raises:
        EngineError: DeepLabCut failed.
    """
    settle_threads()
    with contained(view.log_file), explained("evaluate the model"):
        from deeplabcut.pose_estimation_pytorch.apis.evaluation import predict
        from deeplabcut.pose_estimation_pytorch.apis.utils import get_inference_runners

        _check_version(view)
        loader = _make_loader(view)
        parameters = loader.get_dataset_parameters()
        # As DeepLabCut's own evaluation builds it, so that the figures are the same.
        runner, _ = get_inference_runners(
            model_config=loader.model_cfg,
            snapshot_path=view.train_folder / snapshot,
            max_individuals=parameters.max_num_animals,
            num_bodyparts=parameters.num_joints,
            num_unique_bodyparts=parameters.num_unique_bpts,
            device=device,
        )
        parts = [
            _compare(loader, predict(runner, loader, mode), mode) for mode in ("train", "test")
        ]
    return FrameErrors(
        tuple(_relative_image(view, name) for names, _, _ in parts for name in names),
        np.concatenate([distance for _, distance, _ in parts]),
        np.concatenate([likelihood for _, _, likelihood in parts]),
        np.repeat([False, True], [len(names) for names, _, _ in parts]),
    )


def _make_loader(view: ProjectView) -> Any:
    from deeplabcut.pose_estimation_pytorch.data import DLCLoader

    return DLCLoader(
        config=view.config_file,
        trainset_index=view.trainingsetindex,
        shuffle=view.shuffle,
        modelprefix=view.model_prefix,
    )


def _compare(loader: Any, predictions: dict[str, Any], mode: str) -> tuple[Any, Any, Any]:
    truth = loader.ground_truth_keypoints(mode)
    names = list(truth)
    labels = np.stack([truth[name][0] for name in names]).astype(np.float64)
    predicted = np.stack([predictions[name]["bodyparts"][0] for name in names]).astype(np.float64)
    labels[labels[..., 2] <= 0] = np.nan  # DeepLabCut marks points that were not labelled so
    distance = np.linalg.norm(predicted[..., :2] - labels[..., :2], axis=-1)
    return names, distance, predicted[..., 2]


def _relative_image(view: ProjectView, image: str) -> str:
    return Path(image).relative_to(view.directory).as_posix()


# --- inference ------------------------------------------------------------------------------------


def infer(
    view: ProjectView,
    video: Video,
    folder: Path,
    plan: InferencePlan,
    device: str,
    on_frames: OnFrames,
) -> Analysis:
    """Analyze a video; the prediction file is written to ``folder``.

    Raises:
        EngineError: DeepLabCut failed, or wrote no prediction.
    """
    settle_threads()
    with contained(view.log_file), explained(f"analyze '{video.path.name}'"):
        _check_version(view)
        return analyze(view, video, folder, plan, device, on_frames)
