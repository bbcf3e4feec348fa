"""How the PyTorch engine is made to train in a project view, from whichever weights are wanted.

DeepLabCut looks for pretrained weights whatever its config says, unless it is handed a snapshot; so
random weights are one, too. It counts the epochs it is asked for from those that a snapshot has.
"""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..params import PRETRAINED, RANDOM
from ..readers.learning_curve import LEARNING_RATE, LOSS
from ..readers.project import ENGINE_CONFIG
from ..readers.snapshots import Snapshot, list_snapshots
from ..store.views import ProjectView
from .base import OnTraining, TrainingPlan, TrainingProgress
from .messages import explained

_HUB_TIMEOUT_S = 5
_INITIAL_WEIGHTS = "initial-weights.pt"  # not "snapshot-...": DeepLabCut would take it for one
_SAVE_OPTIMIZER = "runner.snapshots.save_optimizer_state"
UNLOADABLE = (
    AttributeError, EOFError, KeyError, OSError, RuntimeError, TypeError, ValueError,
    pickle.UnpicklingError,
)  # fmt: skip
"""What torch raises for a file that is no snapshot, or half of one."""


def run(
    view: ProjectView,
    plan: TrainingPlan,
    device: str,
    on_progress: OnTraining,
    resume_from: Snapshot | None,
) -> None:
    """Train the view's shuffle inside a contained block."""
    from deeplabcut.pose_estimation_pytorch.apis import train_network

    arguments = dict(plan.arguments)
    updates = {"train_settings.seed": plan.seed, **arguments.pop("pytorch_cfg_updates", {})}
    _apply_updates(view, updates)
    settings = _read_config(view)
    total = arguments.get("epochs") or settings["train_settings"]["epochs"]
    keeps_state = settings["runner"]["snapshots"]["save_optimizer_state"]
    weights = resume_from.path if resume_from else _prepare_weights(view, plan)
    arguments["epochs"] = total - (resume_from.epochs if resume_from else 0)
    _apply_updates(view, {_SAVE_OPTIMIZER: True})
    with _reporting(on_progress, total), _remembered_best(), explained("train the model"):
        if plan.init_weights == PRETRAINED and not resume_from:
            _download_or_explain(view)
        if arguments["epochs"] > 0:
            train_network(
                str(view.config_file),
                modelprefix=view.model_prefix,
                device=device,
                snapshot_path=weights,
                **arguments,
            )
    _apply_updates(view, {_SAVE_OPTIMIZER: keeps_state, "train_settings.epochs": total})
    if not keeps_state:
        _drop_optimizer_states(view)
    (view.train_folder / _INITIAL_WEIGHTS).unlink(missing_ok=True)


# --- settings -------------------------------------------------------------------------------------


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


# --- weights --------------------------------------------------------------------------------------


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
    try:
        return load(file)["model"]
    except UNLOADABLE as error:
        raise EngineError(
            f"'{file}' is not a snapshot of DeepLabCut's PyTorch engine "
            f"({str(error).splitlines()[0]}). Give init_weights a snapshot-*.pt file."
        ) from error


def load(file: Path) -> Any:
    """Load a snapshot without letting it run code."""
    import torch

    return torch.load(file, map_location="cpu", weights_only=True)


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


# --- watching -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _reporting(on_progress: OnTraining, total: int) -> Iterator[None]:
    """Report each epoch. DeepLabCut's config accepts no logger of ours, so its own is wrapped."""
    from deeplabcut.pose_estimation_pytorch.runners.logger import CSVLogger
    from deeplabcut.pose_estimation_pytorch.runners.train import TrainingRunner

    original: Callable[..., None] = CSVLogger.log
    fit: Callable[..., None] = TrainingRunner.fit
    runners: list[Any] = []

    def fit_known(self: Any, *args: Any, **kwargs: Any) -> None:
        runners.append(self)
        fit(self, *args, **kwargs)

    def log(self: Any, metrics: dict[str, Any], step: int | None = None) -> None:
        original(self, metrics, step)
        numbers = {name: float(value) for name, value in metrics.items() if value is not None}
        if LOSS in numbers and runners:  # after the evaluation it is that of the next epoch
            numbers[LEARNING_RATE] = float(runners[-1].optimizer.param_groups[0]["lr"])
        on_progress(TrainingProgress(step or 0, total, numbers))

    CSVLogger.log, TrainingRunner.fit = log, fit_known
    try:
        yield
    finally:
        CSVLogger.log, TrainingRunner.fit = original, fit


@contextlib.contextmanager
def _remembered_best() -> Iterator[None]:
    """Let a resumed training know how good its best snapshot is.

    DeepLabCut forgets, takes the first evaluation for the best, and deletes the one before.
    """
    from deeplabcut.pose_estimation_pytorch.runners.snapshots import TorchSnapshotManager

    original: Callable[[Any], None] = TorchSnapshotManager.__post_init__

    def remember(self: Any) -> None:
        original(self)
        best = self.best()
        if best is not None:
            self._best_metric = load(best.path)["metadata"]["metrics"].get(self._key)

    TorchSnapshotManager.__post_init__ = remember
    try:
        yield
    finally:
        TorchSnapshotManager.__post_init__ = original


def _drop_optimizer_states(view: ProjectView) -> None:
    """Rewrite snapshots without the optimizer's state, two thirds of their size."""
    import torch

    for snapshot in list_snapshots(view.train_folder):
        content = load(snapshot.path)
        if content.pop("optimizer", None) is not None:
            rewritten = snapshot.path.with_suffix(".rewritten")
            torch.save(content, rewritten)
            rewritten.replace(snapshot.path)
