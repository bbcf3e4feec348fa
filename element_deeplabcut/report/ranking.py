"""Which snapshot of which training is the best: `best_model`, and the `leaderboard`.

A snapshot is compared by its evaluation, `ModelEvaluation`, as a registered model. Which model is
which snapshot follows from the hash of the weights, whatever the model is called.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from .. import model, train
from ..compute.ranking import LabelCounts, count_labels, pool_errors, read_weights_hash
from ..errors import ParameterError, QueryError
from ..tables import populate_one
from .base import check_train
from .choosing import explain_unfit, fit, map_conditions
from .snapshots import Snapshot, record_snapshots

logger = logging.getLogger(__name__)

_ERRORS = ("train_error", "test_error", "train_error_p", "test_error_p")
_NAME_LENGTH = 64


@dataclass(frozen=True)
class BestModel:
    """The snapshot with the lowest test error, and the model that it is registered as.

    Attributes:
        training_key: Key of `train.ModelTraining`.
        snapshot: File name of the snapshot.
        epoch: Epochs (PyTorch) or iterations (TensorFlow) it was trained for.
        engine: ``pytorch`` or ``tensorflow``.
        model_name: Model it is registered as; use it for a `PoseEstimationTask`.
        test_error: Mean distance to the labels of test frames over the body parts, px.
        body_parts: Body parts it is the best for.
        n_compared: How many snapshots were compared.
    """

    training_key: dict[str, Any]
    snapshot: str
    epoch: int
    engine: str
    model_name: str
    test_error: float
    body_parts: tuple[str, ...]
    n_compared: int

    @property
    def model_key(self) -> dict[str, str]:
        """Key of `model.Model`."""
        return {"model_name": self.model_name}

    @property
    def snapshot_key(self) -> dict[str, Any]:
        """Key of `Snapshot`."""
        return {**self.training_key, "snapshot": self.snapshot}


@dataclass
class _Candidate:
    """A snapshot, and what is known of it as a model."""

    row: dict[str, Any]
    key: dict[str, Any]
    model_name: str | None = None
    evaluation: dict[str, Any] | None = None
    parts: dict[str, dict[str, float | None]] = field(default_factory=dict)
    counts: LabelCounts | None = None

    def pool(self, column: str, body_parts: Sequence[str] | None) -> float | None:
        """An error over body parts, px; None for all of them is the evaluation's own figure."""
        if self.evaluation is None:
            return None
        if body_parts is None:
            return self.evaluation[column]  # type: ignore[no-any-return]
        if self.counts is None:
            bundle = (model.Model & {"model_name": self.model_name}).fetch1("bundle_hash")
            self.counts = count_labels(model.get_roots(), bundle)
        errors = {name: values[column] for name, values in self.parts.items()}
        counts = self.counts.train if column == "train_error" else self.counts.test
        return pool_errors(errors, counts, body_parts)


def best_model(
    trainings: Any = True,
    body_parts: str | Sequence[str] | None = None,
    *,
    evaluate: bool = False,
    evaluated_only: bool = False,
    device: str | None = None,
) -> BestModel:
    """Find the snapshot with the lowest test error among all that a set of trainings kept.

    Args:
        trainings: Any restriction of `train.ModelTraining`, also by paramset_desc, engine, net_type
            and shuffle; all of them by default.
        body_parts: One name or several: the error is the mean distance over all labelled test
            points of these. None takes all body parts.
        evaluate: Register and evaluate the snapshots that are not yet. They get models named after
            training and snapshot, of which those that are not wanted may be deleted.
        evaluated_only: Compare those that are evaluated, and leave the others out.
        device: Where to evaluate: ``cpu``, ``cuda:1``; None takes the best there is.

    Returns:
        The snapshot and its model. Of several with one error, the one trained for the least.

    Raises:
        QueryError: No training matches, or the restriction names a column that trainings do not
            have; snapshots are not evaluated and nothing was said about it; a body part is unknown,
            or there is no labelled test point of them.
        SetupError: Schema `train` or this one is not active.
        ParameterError: ``evaluate`` and ``evaluated_only`` contradict each other.
    """
    check_train("best_model")
    if evaluate and evaluated_only:
        raise ParameterError("Give evaluate or evaluated_only, not both.")
    names = _list_names(body_parts)
    candidates = _collect(_find_trainings(trainings))
    missing = [candidate for candidate in candidates if candidate.evaluation is None]
    if missing and evaluate:
        _evaluate(missing, device)
    elif missing and not evaluated_only:
        raise QueryError(_explain_missing(missing, len(candidates)))
    ranked = []
    for candidate in candidates:
        error = candidate.pool("test_error", names)
        if error is not None:
            ranked.append((error, candidate.row["epoch"], candidate))
    if not ranked:
        raise QueryError(
            "None of these snapshots has a test error: none is evaluated, or no test frame has a "
            "label of these body parts. Give evaluate=True, or other body parts."
        )
    error, epoch, best = min(ranked, key=lambda item: item[:2])
    _warn_of_other_frames([candidate for _, _, candidate in ranked])
    return BestModel(
        best.key, best.row["snapshot"], int(epoch), best.row["engine"], str(best.model_name),
        float(error), tuple(names or best.parts), len(ranked),
    )  # fmt: skip


def leaderboard(
    trainings: Any = True,
    body_parts: str | Sequence[str] | None = None,
    *,
    all_snapshots: bool = False,
) -> pd.DataFrame:
    """List trainings by their test error, over shuffles, parameter sets and engines.

    Args:
        trainings: As for `best_model`.
        body_parts: Body parts that count; None takes all.
        all_snapshots: Give each snapshot a row, and not each training one for its best snapshot.

    Returns:
        One row each, the lowest test error first, those that are not evaluated last; the index
        counts from 1. Columns: the training's key, paramset_desc, engine, net_type, shuffle,
        snapshot, epoch (iterations with TensorFlow), test_error, train_error, p_cutoff,
        test_error_p, train_error_p (px, the last two over predictions with a likelihood >=
        p_cutoff; only without ``body_parts``), model_name, n_frames, n_test_frames (labelled
        frames in all and for testing), duration_s (of the last attempt, where it was resumed),
        resumed (how often), host, device.

    Raises:
        QueryError: No training matches, the restriction names a column that trainings do not have,
            or a body part is unknown.
        SetupError: Schema `train` or this one is not active.
    """
    check_train("leaderboard")
    names = _list_names(body_parts)
    wanted = _find_trainings(trainings)
    rows = [_describe(candidate, names) for candidate in _collect(wanted)]
    facts = _fetch_trainings(wanted)
    key = train.ModelTraining().primary_key
    table = pd.DataFrame([{**facts[tuple(row[name] for name in key)], **row} for row in rows])
    figures = [column for column in (*_ERRORS, "p_cutoff") if column in table]
    table[figures] = table[figures].astype("float64")
    columns = [*key, *_COLUMNS]
    table = table[[column for column in columns if column in table]]
    order = ["test_error", "is_best", *key, "epoch"]
    ascending = [True, False, *[True] * (len(key) + 1)]
    table = table.sort_values(order, ascending=ascending, na_position="last", kind="stable")
    if not all_snapshots:
        table = table.drop_duplicates(key)
    table = table.drop(columns="is_best")
    table.index = pd.RangeIndex(1, len(table) + 1, name="place")
    return table


_COLUMNS = (
    *("paramset_desc", "engine", "net_type", "shuffle", "snapshot", "epoch", "is_best"),
    *("test_error", "train_error", "p_cutoff", "test_error_p", "train_error_p", "model_name"),
    *("n_frames", "n_test_frames", "duration_s", "resumed", "host", "device"),
)


# --- candidates -----------------------------------------------------------------------------------


def _list_names(body_parts: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if body_parts is None:
        return None
    names = (body_parts,) if isinstance(body_parts, str) else tuple(dict.fromkeys(body_parts))
    if not names:
        raise ParameterError("Name at least one body part, or leave body_parts out for all.")
    return names


def _find_trainings(trainings: Any) -> Any:
    """Trainings that a restriction chooses, also by what the leaderboard shows of them."""
    return train.ModelTraining & map_conditions(trainings, _choose)


def _choose(condition: Any) -> Any:
    """Spell a condition on trainings as one on `train.ModelTraining`."""
    table = train.ModelTraining()
    fitting = fit(table, condition)
    if fitting is not None:
        return fitting
    shown = _show_trainings()
    fitting = fit(shown, condition)
    if fitting is None:
        raise explain_unfit(condition, {"a training": shown})
    own = {}
    if isinstance(condition, Mapping):  # spares reading the folders of other trainings
        own = {name: value for name, value in condition.items() if name in table.heading.names}
    record_snapshots(table & own)
    return (shown & fitting).proj()


def _show_trainings() -> Any:
    """Trainings with what the leaderboard shows of each; of those whose snapshots are recorded."""
    names = ("engine", "net_type", "shuffle")  # the same of all snapshots of a training
    facts = {name: f"MAX({name})" for name in names}
    trainings = train.ModelTraining.proj("latest_snapshot")
    described = trainings * train.TrainingParamSet.proj("paramset_desc")
    return described * trainings.proj().aggr(Snapshot, **facts)


def _collect(wanted: Any) -> list[_Candidate]:
    """Snapshots of trainings, with their evaluations where there are any."""
    if not wanted:
        raise QueryError(
            "The restriction matches no finished training. Check it, or populate ModelTraining."
        )
    record_snapshots(wanted)
    key = wanted.primary_key
    candidates = [
        _Candidate(row, {name: row[name] for name in key})
        for row in (Snapshot & wanted.proj()).fetch(as_dict=True, order_by="KEY")
    ]
    _find_models(candidates)
    return candidates


def _find_models(candidates: Sequence[_Candidate]) -> None:
    """Find the model that each snapshot is registered as, an evaluated one before others."""
    names = {(candidate.row["engine"], candidate.row["snapshot"]) for candidate in candidates}
    known = model.Model & [{"engine": engine, "snapshot": name} for engine, name in names]
    rows = known.proj("bundle_hash").fetch(as_dict=True, order_by="model_name")
    evaluations = _fetch_evaluations(known)
    roots, by_weights = model.get_roots(), {}
    for row in sorted(rows, key=lambda row: row["model_name"] in evaluations):
        by_weights[read_weights_hash(roots, row["bundle_hash"])] = row["model_name"]
    parts = _fetch_parts(list(by_weights.values()))
    for candidate in candidates:
        name = by_weights.get(candidate.row["weights_hash"])
        if name is not None:
            candidate.model_name = name
            candidate.evaluation = evaluations.get(name)
            candidate.parts = parts.get(name, {})


def _fetch_evaluations(models: Any) -> dict[str, dict[str, Any]]:
    query = (model.ModelEvaluation & models.proj()).proj(*_ERRORS, "p_cutoff")
    return {row["model_name"]: row for row in query.fetch(as_dict=True)}


def _fetch_parts(names: Sequence[str]) -> dict[str, dict[str, dict[str, float | None]]]:
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    query = model.ModelEvaluation.BodyPart & [{"model_name": name} for name in names]
    for row in query.fetch(as_dict=True):
        errors = {column: row[column] for column in _ERRORS}
        found.setdefault(row["model_name"], {})[row["body_part"]] = errors
    return found


def _explain_missing(missing: Sequence[_Candidate], n_snapshots: int) -> str:
    shown = [_name_snapshot(candidate) for candidate in missing[:3]]
    names = ", ".join(f"'{name}'" for name in shown) + (", ..." if len(missing) > 3 else "")
    return (
        f"{len(missing)} of {n_snapshots} snapshots are not evaluated ({names}). Give "
        "evaluate=True to register and evaluate them now, or evaluated_only=True to leave them out."
    )


def _name_snapshot(candidate: _Candidate) -> str:
    numbers = "-".join(str(value) for value in candidate.key.values())
    return f"training {numbers} {candidate.row['snapshot'].removesuffix('.pt')}"


def _evaluate(candidates: Sequence[_Candidate], device: str | None) -> None:
    """Register what is not registered, and evaluate it."""
    for candidate in candidates:
        if candidate.model_name is None:
            candidate.model_name = _choose_name(_name_snapshot(candidate))
            model.Model.insert_from_training(
                candidate.key,
                candidate.model_name,
                snapshotindex=int(candidate.row["snapshotindex"]),
                model_description="Registered by best_model, to be compared.",
            )
        # One by one: what is done stays done if a later one fails.
        populate_one(
            model.ModelEvaluation,
            {"model_name": candidate.model_name},
            make_kwargs={"device": device},
        )
    names = [{"model_name": candidate.model_name} for candidate in candidates]
    evaluations = _fetch_evaluations(model.Model & names)
    parts = _fetch_parts([str(candidate.model_name) for candidate in candidates])
    for candidate in candidates:
        candidate.evaluation = evaluations[str(candidate.model_name)]
        candidate.parts = parts[str(candidate.model_name)]


def _choose_name(wanted: str) -> str:
    """A free name; the wanted one may be that of a model with other weights."""
    name, number = wanted[:_NAME_LENGTH], 1
    while model.Model & {"model_name": name}:
        number += 1
        name = f"{wanted[: _NAME_LENGTH - 6]} ({number})"
    return name


def _warn_of_other_frames(candidates: Sequence[_Candidate]) -> None:
    """Say so when errors are of different test frames: they are not strictly comparable."""
    hashes = model.Model & [{"model_name": candidate.model_name} for candidate in candidates]
    roots = model.get_roots()
    frames = {count_labels(roots, name).test_frames for name in hashes.fetch("bundle_hash")}
    if len(frames) > 1:
        logger.warning(
            "These trainings were tested on %d different sets of test frames, so that their errors "
            "are not strictly comparable. Train with one split_seed, on the same labels.",
            len(frames),
        )


# --- rows of the leaderboard ----------------------------------------------------------------------


def _describe(candidate: _Candidate, names: tuple[str, ...] | None) -> dict[str, Any]:
    figures = _ERRORS if names is None else ("train_error", "test_error")
    evaluation = candidate.evaluation or {}
    cutoff = {} if names is not None else {"p_cutoff": evaluation.get("p_cutoff")}
    return {
        **candidate.key,
        **{name: candidate.row[name] for name in ("engine", "net_type", "shuffle", "snapshot",
                                                  "epoch", "is_best")},
        **{name: candidate.pool(name, names) for name in figures},
        **cutoff,
        "model_name": candidate.model_name if candidate.evaluation else None,
    }  # fmt: skip


def _fetch_trainings(wanted: Any) -> dict[tuple[Any, ...], dict[str, Any]]:
    described = wanted.proj("run_info") * train.TrainingParamSet.proj("paramset_desc")
    key = wanted.primary_key
    found = {}
    for row in described.fetch(as_dict=True):
        info = row["run_info"]
        n_test = len(info["split"]["test"])
        found[tuple(row[name] for name in key)] = {
            "paramset_desc": row["paramset_desc"],
            "n_frames": len(info["split"]["train"]) + n_test,
            "n_test_frames": n_test,
            "duration_s": info["duration_s"],
            "resumed": len(info.get("resumed") or ()),
            "host": info["host"],
            "device": info["device"],
        }
    return found
