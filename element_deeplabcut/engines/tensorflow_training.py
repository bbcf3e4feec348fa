"""How the TensorFlow engine is made to train in a project view.

DeepLabCut keeps a training's settings in ``train/pose_cfg.yaml``, with absolute paths of the
machine it was made on. They are written anew for each training, so a moved project trains as it is.
Its train function reloads the logging module, closes every log handler of the process, reports to
a file only, and leaves a thread behind when it is stopped; here it is watched through the functions
it calls.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import itertools
import logging
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..errors import EngineError
from ..params import PRETRAINED, RANDOM
from ..readers.engine_config import name_network
from ..readers.learning_curve import EARLIER_CURVE, LEARNING_RATE, LEARNING_STATS, LOSS
from ..readers.snapshots import Snapshot, list_snapshots
from ..readers.yaml_files import read_yaml, replace_yaml
from ..store.views import ProjectView
from . import tensorflow_weights as weights
from .base import Forecast, OnTraining, TrainingPlan, TrainingProgress

_USUALLY_KEPT = 5  # DeepLabCut's own default
_SHARED_SETTINGS = ("global_scale", "location_refinement", "locref_stdev")
"""Entries of the training's settings that analyses must share."""


def run(
    view: ProjectView, plan: TrainingPlan, on_progress: OnTraining, resume_from: Snapshot | None
) -> None:
    """Train the view's shuffle inside a contained block."""
    import imgaug
    from deeplabcut.pose_estimation_tensorflow import training

    arguments = dict(plan.arguments)
    settings = _prepare_settings(view, arguments)
    schedule, origin = settings["multi_step"], plan.init_weights
    schedule_end = int(settings["multi_step"][-1][1])
    total = min(schedule_end, arguments.get("maxiters") or schedule_end)
    done = resume_from.epochs if resume_from else 0
    if done >= total:
        return
    if resume_from is None:
        settings["init_weights"] = str(weights.prepare_weights(view, plan, settings))
    else:
        settings["init_weights"] = str(resume_from.path)
        settings["multi_step"] = [
            [rate, end - done] for rate, end in settings["multi_step"] if end > done
        ]
        arguments["keepdeconvweights"] = True
    arguments["maxiters"] = total - done
    replace_yaml(view.engine_config_file, settings)
    interval = arguments.get("displayiters") or int(settings["display_iters"])
    random.seed(plan.seed)
    np.random.seed(plan.seed)
    # By itself it takes a seed from numpy once in a process; its own seed() leaves a part as it is.
    imgaug.random.GLOBAL_RNG = imgaug.random.RNG(plan.seed)
    with (
        _kept_logging(),
        _continued_curve(view, done),
        _watched(on_progress, done, total, interval),
    ):
        training.train_network(
            str(view.config_file),
            modelprefix=view.model_prefix,
            **arguments,
        )
    settings.update(multi_step=schedule, init_weights="" if origin == RANDOM else str(origin))
    replace_yaml(view.engine_config_file, settings)
    _tidy(view, arguments.get("max_snapshots_to_keep"))


def rehearse(view: ProjectView, plan: TrainingPlan) -> Forecast:
    """Go through the settings, and look for the starting weights."""
    arguments = dict(plan.arguments)
    settings = _prepare_settings(view, arguments)
    schedule_end = int(settings["multi_step"][-1][1])
    must_download = False
    if plan.init_weights == PRETRAINED:
        must_download = not weights.are_here(str(settings["net_type"]))
    elif plan.init_weights != RANDOM:
        weights.check_snapshot(Path(plan.init_weights))
    return Forecast(
        network=name_network(settings),
        length=min(schedule_end, arguments.get("maxiters") or schedule_end),
        snapshot_bytes=None,
        n_snapshots=int(arguments.get("max_snapshots_to_keep") or _USUALLY_KEPT),
        must_download=must_download,
    )


# --- settings -------------------------------------------------------------------------------------


def _prepare_settings(view: ProjectView, arguments: dict[str, Any]) -> dict[str, Any]:
    """Give the settings their places in the view and the parameters' changes.

    What is no argument of DeepLabCut's function is taken out of ``arguments``.
    """
    settings = read_yaml(view.engine_config_file, is_ours=True)
    updates = dict(arguments.pop("pose_cfg_updates", {}))
    _check_names(updates, settings)
    if "batch_size" in arguments:
        updates["batch_size"] = arguments.pop("batch_size")
    settings.update(updates)
    split = view.project.split_file(view.shuffle, view.trainingsetindex)
    stem = f"{view.project.task}_{view.project.scorer}{view.project.percent(view.trainingsetindex)}"
    settings.update(
        project_path=str(view.directory),
        dataset=str(view.project.dataset_folder() / f"{stem}shuffle{view.shuffle}.mat"),
        metadataset=str(split),
    )
    test_file = view.model_folder / "test" / "pose_cfg.yaml"
    shared = {name: settings[name] for name in _SHARED_SETTINGS if name in settings}
    replace_yaml(test_file, {**read_yaml(test_file, is_ours=True), **shared})
    return settings


def _check_names(updates: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Refuse a misspelt entry, which DeepLabCut would ignore.

    Raises:
        EngineError: A name nearly is one that is known.
    """
    from deeplabcut.pose_estimation_tensorflow.default_config import cfg

    known = {*settings, *cfg}
    for name in updates:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if name not in known and near:
            raise EngineError(
                f"pose_cfg_updates holds '{name}', which DeepLabCut would ignore. Did you mean "
                f"'{near[0]}'?"
            )


# --- watching -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _kept_logging() -> Iterator[None]:
    """Keep DeepLabCut from reloading the logging module, which orphans every logger there is."""
    reload, shutdown = importlib.reload, logging.shutdown

    def reload_others(module: ModuleType) -> ModuleType:
        return module if module is logging else reload(module)

    importlib.reload, logging.shutdown = reload_others, lambda *_: None
    try:
        yield
    finally:
        importlib.reload, logging.shutdown = reload, shutdown


@contextlib.contextmanager
def _watched(on_progress: OnTraining, done: int, total: int, interval: int) -> Iterator[None]:
    """Report every iteration, and stop what a failed or stopped training leaves running.

    DeepLabCut fetches (train operation, loss, summary) once per iteration, through the session that
    it hands to its preloading thread.
    """
    from deeplabcut.pose_estimation_tensorflow.core import train as core
    from tensorflow.compat.v1 import summary

    start_preloading, open_writer = core.start_preloading, summary.FileWriter
    started: list[Any] = []
    writers: list[Any] = []

    def open_known_writer(*arguments: Any) -> Any:
        writers.append(open_writer(*arguments))
        return writers[-1]

    def start_watched(session: Any, *arguments: Any) -> Any:
        session.run = _count_iterations(session.run, on_progress, done, total, interval)
        coordinator, thread = start_preloading(session, *arguments)
        started.append((session, coordinator, thread))
        return coordinator, thread

    core.start_preloading, summary.FileWriter = start_watched, open_known_writer
    try:
        yield
    finally:
        core.start_preloading, summary.FileWriter = start_preloading, open_writer
        for writer in writers:
            writer.close()  # DeepLabCut does not, and its thread would stay
        for session, coordinator, thread in started:
            coordinator.request_stop()
            session.close()  # wakes the thread
            thread.join()


def _count_iterations(
    compute: Callable[..., Any], on_progress: OnTraining, done: int, total: int, interval: int
) -> Callable[..., Any]:
    """Wrap a session's run: report each iteration with the mean loss of the latest ones."""
    from tensorflow import errors

    losses: deque[float] = deque(maxlen=interval)
    iterations = itertools.count(done)  # DeepLabCut counts the first one as done before it is

    def run_and_report(fetches: Any, *args: Any, **kwargs: Any) -> Any:
        is_iteration = isinstance(fetches, list) and len(fetches) == 3
        try:
            found = compute(fetches, *args, **kwargs)
        except (errors.CancelledError, RuntimeError) as error:
            was_closed = isinstance(error, errors.CancelledError) or "closed Session" in str(error)
            if is_iteration or not was_closed:
                raise
            return None  # the session was closed under the preloading thread, which ends now
        if not is_iteration:
            return found
        operation, loss, summary = found
        number = next(iterations)
        losses.append(float(loss))
        metrics = {LOSS: sum(losses) / len(losses), **_read_rate(kwargs)}
        on_progress(TrainingProgress(number, total, metrics))
        return [operation, loss * _weigh_loss(number, done, interval), summary]

    return run_and_report


def _read_rate(arguments: Mapping[str, Any]) -> dict[str, float]:
    """The learning rate, where it is fed to the graph (EfficientNets compute it inside)."""
    fed = list((arguments.get("feed_dict") or {}).values())
    is_rate = len(fed) == 1 and isinstance(fed[0], float)
    return {LEARNING_RATE: fed[0]} if is_rate else {}


def _weigh_loss(iteration: int, done: int, interval: int) -> float:
    """Weigh a loss so that DeepLabCut's first mean after a resume is one.

    It sums the losses since the start, the one before the first iteration among them, and divides
    by the interval of its reports. What it returns is used for nothing else.
    """
    if done == 0:
        return 1
    if iteration == done:
        return 0  # it was counted before the stop
    first_report = (done // interval + 1) * interval
    return interval / (first_report - done) if iteration <= first_report else 1


@contextlib.contextmanager
def _continued_curve(view: ProjectView, done: int) -> Iterator[None]:
    """Keep the learning curve of a resumed training, which DeepLabCut starts afresh."""
    curve, before = view.train_folder / LEARNING_STATS, view.train_folder / EARLIER_CURVE
    if done and curve.is_file():
        curve.rename(before)
    try:
        yield
    finally:
        if before.is_file():
            later = curve.read_text(encoding="utf-8") if curve.is_file() else ""
            curve.write_text(before.read_text(encoding="utf-8") + later, encoding="utf-8")
            before.unlink()


def _tidy(view: ProjectView, max_snapshots: int | None) -> None:
    """Remove the starting weights, snapshots from before a resume that are too many, and paths.

    TensorFlow's list of checkpoints names the folder of this attempt; DeepLabCut never reads it.
    """
    for file in (*view.train_folder.glob(f"{weights.INITIAL}.*"), view.train_folder / "checkpoint"):
        file.unlink(missing_ok=True)
    for snapshot in list_snapshots(view.train_folder, view.engine)[: -(max_snapshots or 5)]:
        for file in snapshot.files:
            file.unlink()
