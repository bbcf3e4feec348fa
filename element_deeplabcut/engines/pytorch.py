"""DeepLabCut 3's PyTorch engine."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.metadata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EngineError
from ..params import PRETRAINED, RANDOM
from ..readers.project import ENGINE_CONFIG
from ..readers.yaml_files import read_yaml
from ..store.views import ProjectView
from .base import (
    FrameErrors,
    InferencePlan,
    OnFrames,
    OnTraining,
    TrainingPlan,
    TrainingProgress,
)
from .containment import contained

_HUB_TIMEOUT_S = 5
_M_MMAP_THRESHOLD = -3  # of mallopt(3)
_INITIAL_WEIGHTS = "initial-weights.pt"  # not "snapshot-...": DeepLabCut would take it for one


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
        EngineError: It does not exist.
    """
    import torch

    if device in (None, "auto"):
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        n_gpus = torch.cuda.device_count()
        raise EngineError(
            f"The device '{device}' is not on this machine ({n_gpus} CUDA devices; "
            f"{str(error).splitlines()[0]}). Choose 'cpu', or 'cuda:N' with N below that number."
        ) from error
    return str(device)


# --- training -------------------------------------------------------------------------------------


def create_dataset(view: ProjectView, plan: TrainingPlan) -> None:
    """Create dataset, split and engine config of the view's shuffle from its labels."""
    with contained(view.log_file):
        import deeplabcut

        # DeepLabCut splits with numpy's global generator. Shuffles of one seed must differ.
        np.random.seed([plan.split_seed, view.shuffle])
        with _explained("create the training dataset", view):
            deeplabcut.create_training_dataset(
                str(view.config_file),
                Shuffles=[view.shuffle],
                net_type=plan.net_type,
                augmenter_type=plan.augmenter_type,
                engine=deeplabcut.Engine.PYTORCH,
                userfeedback=False,
            )
    created = view.project.model_folder("pytorch", view.shuffle, view.trainingsetindex)
    if view.model_prefix:
        view.model_folder.parent.mkdir(parents=True, exist_ok=True)
        (view.directory / created).rename(view.model_folder)
    if not view.engine_config_file.is_file():
        raise EngineError(
            "DeepLabCut created no training dataset. Check that the labelled folders hold labels. "
            f"Its last messages: {_last_messages(view)}"
        )


def train(view: ProjectView, plan: TrainingPlan, device: str, on_progress: OnTraining) -> None:
    """Train the view's shuffle; an exception raised by ``on_progress`` stops it cleanly.

    Raises:
        EngineError: Training failed, or pretrained weights were wanted and cannot be had.
    """
    with contained(view.log_file):
        from deeplabcut.pose_estimation_pytorch.apis import train_network

        _check_version(view)
        arguments = dict(plan.arguments)
        updates = {"train_settings.seed": plan.seed, **arguments.pop("pytorch_cfg_updates", {})}
        _apply_updates(view, updates)
        weights = _prepare_weights(view, plan)
        total = arguments.get("epochs") or _read_config(view)["train_settings"]["epochs"]
        with _reporting(on_progress, total), _explained("train the model", view):
            if plan.init_weights == PRETRAINED:
                _download_or_explain(view)
            train_network(
                str(view.config_file),
                modelprefix=view.model_prefix,
                device=device,
                snapshot_path=weights,
                **arguments,
            )
    if weights is not None:
        weights.unlink()


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


def _read_config(view: ProjectView) -> Any:
    from deeplabcut.pose_estimation_pytorch.config.pose import PoseConfig

    return PoseConfig.from_any(view.engine_config_file)


def _apply_updates(view: ProjectView, updates: dict[str, Any]) -> None:
    """Write settings into the view's engine config, before anything is built from it."""
    config = _read_config(view)
    for path, value in updates.items():
        try:
            config.set_nested(path, value)
        except (KeyError, AttributeError, TypeError, ValueError) as error:
            raise EngineError(
                f"pytorch_cfg_updates holds '{path}', which {ENGINE_CONFIG['pytorch']} of this "
                f"network does not take ({' '.join(str(error).split())[:300]}). Correct the name "
                "or the value."
            ) from error
    config.to_yaml(view.engine_config_file)


def _prepare_weights(view: ProjectView, plan: TrainingPlan) -> Path | None:
    """Write the weights training starts from, or return None for pretrained ones.

    The epoch is set to 0: DeepLabCut adds the epochs it is asked for to those a snapshot has.
    """
    import torch
    from deeplabcut.pose_estimation_pytorch.models import PoseModel

    if plan.init_weights == PRETRAINED:
        return None
    if plan.init_weights == RANDOM:
        torch.manual_seed(plan.seed)
        model = PoseModel.build(_read_config(view)["model"], pretrained_backbone=False)
        state = model.state_dict()
    else:
        state = _load_weights(Path(plan.init_weights))
    file = view.train_folder / _INITIAL_WEIGHTS
    torch.save({"model": state, "metadata": {"epoch": 0, "metrics": {}, "losses": {}}}, file)
    return file


def _load_weights(file: Path) -> Any:
    import pickle

    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)["model"]
    except (OSError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise EngineError(
            f"'{file}' is not a snapshot of DeepLabCut's PyTorch engine "
            f"({str(error).splitlines()[0]}). Give init_weights a snapshot-*.pt file."
        ) from error


def _download_or_explain(view: ProjectView) -> None:
    """Make sure within seconds that pretrained weights can be had.

    Without a network, DeepLabCut retries for most of a minute before it fails. So the hub is asked
    once with a short time-out; if it is out of reach, only weights downloaded before are used.
    """
    from deeplabcut.pose_estimation_pytorch.models import PoseModel
    from huggingface_hub import constants, get_session

    was_offline = constants.HF_HUB_OFFLINE
    try:
        if not was_offline:
            get_session().head(constants.ENDPOINT, timeout=_HUB_TIMEOUT_S)
    except Exception:  # whatever kind of unreachable it is
        constants.HF_HUB_OFFLINE = True
    try:
        PoseModel.build(_read_config(view)["model"], pretrained_backbone=True)
    except Exception as error:
        raise EngineError(
            "The pretrained weights are neither on this machine nor to be downloaded "
            f"({str(error).splitlines()[0]}). Connect it to the internet once, or set the "
            "parameter init_weights to 'random' or to a snapshot file below a root directory."
        ) from error
    finally:
        constants.HF_HUB_OFFLINE = was_offline


@contextlib.contextmanager
def _reporting(on_progress: OnTraining, total: int) -> Iterator[None]:
    """Report each epoch. DeepLabCut's config accepts no logger of ours, so its own is wrapped."""
    from deeplabcut.pose_estimation_pytorch.runners.logger import CSVLogger

    original: Callable[..., None] = CSVLogger.log

    def log(self: Any, metrics: dict[str, Any], step: int | None = None) -> None:
        original(self, metrics, step)
        numbers = {name: float(value) for name, value in metrics.items() if value is not None}
        on_progress(TrainingProgress(step or 0, total, numbers))

    CSVLogger.log = log
    try:
        yield
    finally:
        CSVLogger.log = original


@contextlib.contextmanager
def _explained(what: str, view: ProjectView) -> Iterator[None]:
    """Turn DeepLabCut's exceptions into one that says what was being done and where to look."""
    try:
        yield
    except EngineError:
        raise
    except (ArithmeticError, AttributeError, ImportError, LookupError, OSError, RuntimeError,
            TypeError, ValueError) as error:  # fmt: skip
        detail = " ".join(str(error).split())[:500]
        raise EngineError(
            f"DeepLabCut could not {what}: {type(error).__name__}: {detail}"
        ) from error


def _last_messages(view: ProjectView, lines: int = 5) -> str:
    """Quote the end of the log, which goes away with a failed run."""
    text = view.log_file.read_text(encoding="utf-8", errors="replace")
    return " | ".join(text.split("\n")[-lines - 1 :]).strip(" |")


# --- evaluation -----------------------------------------------------------------------------------


def evaluate(view: ProjectView, snapshot: str, device: str) -> FrameErrors:
    """Predict every labelled frame of the view with one of its snapshots.

    Raises:
        EngineError: DeepLabCut failed.
    """
    with contained(view.log_file), _explained("evaluate the model", view):
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
    video: Path,
    folder: Path,
    plan: InferencePlan,
    device: str,
    on_frames: OnFrames,
) -> Path:
    """Analyze a video and return the prediction file written to ``folder``.

    Raises:
        EngineError: DeepLabCut failed, or wrote no prediction.
    """
    with contained(view.log_file), _explained(f"analyze '{video.name}'", view):
        from deeplabcut.pose_estimation_pytorch.apis import videos as api

        _check_version(view)
        with _counting(api, on_frames):
            scorer = api.analyze_videos(
                str(view.config_file),
                [str(video)],
                shuffle=view.shuffle,
                trainingsetindex=view.trainingsetindex,
                modelprefix=view.model_prefix,
                snapshot_index=-1,  # the view holds one snapshot
                device=device,
                destfolder=str(folder),
                batch_size=plan.batch_size,
                cropping=list(plan.crop) if plan.crop else None,
                dynamic=plan.dynamic or (False, 0.5, 10),
                inference_cfg=_choose_threads(view, device),
            )
    file = folder / f"{video.stem}{scorer}.h5"
    if not file.is_file():
        raise EngineError(
            f"DeepLabCut wrote no prediction for '{video}'. Check that it plays; DeepLabCut's last "
            f"messages: {_last_messages(view)}"
        )
    return file


def _choose_threads(view: ProjectView, device: str) -> dict[str, Any] | None:
    """Say in which settings DeepLabCut shall run: with a thread of its own to prepare frames?

    glibc keeps what one thread allocates and another frees: measured on 640 x 480 px, DeepLabCut's
    two threads grew to 23 GB within 1,650 frames. On a processor they are also a third slower than
    one, so one does all. A GPU needs the second; there large buffers are taken from the system and
    given back to it, which keeps the memory constant.

    Returns:
        Settings in place of the engine config's, or None to leave them.
    """
    if device != "cpu":
        with contextlib.suppress(OSError, AttributeError):  # no glibc, no such habit
            ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 1 << 20)
        return None
    settings = read_yaml(view.engine_config_file, is_ours=True).get("inference") or {}
    threads = settings.get("multithreading") or {}
    return {**settings, "multithreading": {**threads, "enabled": False}}


@contextlib.contextmanager
def _counting(api: Any, on_frames: OnFrames) -> Iterator[None]:
    """Report frames as they are read, in place of DeepLabCut's own progress bar."""
    original = api.tqdm

    def count(frames: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        for number, frame in enumerate(frames, start=1):
            yield frame
            on_frames(number)

    api.tqdm = count
    try:
        yield
    finally:
        api.tqdm = original
