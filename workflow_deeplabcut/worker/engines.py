"""Which jobs need which engine, so that a worker takes only those that it can compute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from element_deeplabcut import model, train
from element_deeplabcut.engines import list_engines
from element_deeplabcut.errors import ParameterError

ENGINES = ("pytorch", "tensorflow")


def restrict_to_engines(table: Any, engines: Iterable[str] | None = None) -> list[Any]:
    """Restriction of a table's jobs to those that these engines can compute.

    In a notebook: ``PoseEstimation.populate(restrict_to_engines(PoseEstimation))``.

    A training is known by the engine among its parameters. One that leaves the engine to its
    project is everybody's: the database does not know what the project says. Results that are only
    loaded need no engine, and so do tables of the lab's own.

    Args:
        table: Computed table, class or object.
        engines: Engines to offer; None takes those that are installed here.

    Returns:
        Restriction for ``populate``, a list of alternatives; an empty one matches nothing.

    Raises:
        ParameterError: There is no such engine.
    """
    offered = list_engines() if engines is None else tuple(engines)
    unknown = sorted(set(offered) - set(ENGINES))
    if unknown:
        raise ParameterError(
            f"There is no engine {', '.join(unknown)}; choose from {', '.join(ENGINES)}."
        )
    kind = table if isinstance(table, type) else type(table)
    if kind is model.ModelEvaluation:
        return [_models_of(offered)]
    if kind is model.PoseEstimation:
        return [_models_of(offered), (model.PoseEstimationTask() & {"task_mode": "load"}).proj()]
    if kind is train.ModelTraining:
        return _parameter_sets_of(offered)
    return ["TRUE"]


def _models_of(engines: tuple[str, ...]) -> Any:
    return (model.Model() & [{"engine": name} for name in engines]).proj()


def _parameter_sets_of(engines: tuple[str, ...]) -> list[dict[str, int]]:
    rows = zip(*train.TrainingParamSet().fetch("paramset_idx", "params"), strict=True)
    return [
        {"paramset_idx": int(number)}
        for number, params in rows
        if params.get("engine") in (None, *engines)
    ]


def find_engine(table: Any, key: Mapping[str, Any]) -> str | None:
    """Engine that a job needs, as far as the database knows; None for none or unknown."""
    kind = type(table)
    if kind is train.ModelTraining:
        return (train.TrainingParamSet() & key).fetch1("params").get("engine")
    is_loading = kind is model.PoseEstimation and bool(
        model.PoseEstimationTask() & key & {"task_mode": "load"}
    )
    if is_loading or kind not in (model.PoseEstimation, model.ModelEvaluation):
        return None
    return (model.Model() & key).fetch1("engine")


def has_gpu(device: str | None) -> bool:
    """Whether a worker with this wish for a device computes on a GPU."""
    if device not in (None, "auto"):
        return device != "cpu"
    return Path("/dev/nvidiactl").exists()
