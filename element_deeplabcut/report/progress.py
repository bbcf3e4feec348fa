"""Tables of progress: where each training and each inference stands, or how it ended.

Rows are written while the work runs, by a thread with a connection of its own (see `recorder`). One
row per task says where its latest attempt stands. Its ``updated_at`` is renewed every few seconds
as long as the process lives, whether an epoch was done or not: a row in the state ``running`` that
is older than `SILENT_AFTER_S` is of a process that was killed, or cut off from the database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import datajoint as dj

from .. import model, train
from ..blobs import BLOB
from ..errors import ParameterError
from .base import GoesWithTask, NeedsTrain, schema
from .choosing import explain_unfit, fit, map_conditions

SILENT_AFTER_S = 60
"""Age from which on nobody believes that the work of a row still runs."""

STATES = ("running", "silent", "finished", "stopped", "failed")
"""What `Progress.state` can be."""

MAX_MESSAGE = 1000

_WHO = f"""
    seconds_left=null : double        # estimate at updated_at, s
    engine            : varchar(16)   # pytorch or tensorflow
    device            : varchar(64)   # cpu, cuda:0, ...
    host              : varchar(255)
    pid               : int unsigned  # process on that host
    message=''        : varchar({MAX_MESSAGE})  # why it stopped or failed
    attempt           : char(32)      # random name of the computation that writes here
    started_at        : datetime(6)   # of this attempt, UTC by the server's clock
    updated_at        : datetime(6)   # latest sign of life, likewise
    index (state, updated_at)
"""
_STATE = "state : enum('running', 'finished', 'stopped', 'failed')"


class TrainingProgress(GoesWithTask, NeedsTrain, dj.Manual):
    """Where a training stands, or how its latest attempt ended.

    Attributes:
        TrainingTask (foreign key): What is trained; the row is deleted with it.
        state (enum): ``running``, ``finished`` (its result is published), ``stopped`` (by a signal;
            it is resumed later), ``failed``.
        epoch (int unsigned): Epochs (PyTorch) or iterations (TensorFlow) done.
        total_epochs (int unsigned, nullable): How many there will be.
        loss (double, nullable): Total loss on training frames, no unit.
        learning_rate (double, nullable): Of the latest epoch or iteration.
        metrics (longblob): The latest losses and metrics, by DeepLabCut's names.
        seconds_left (double, nullable): Estimate at ``updated_at``, s.
        engine (varchar(16)): ``pytorch`` or ``tensorflow``.
        device (varchar(64)): Where it computes.
        host (varchar(255)): Machine.
        pid (int unsigned): Process there.
        message (varchar(1000)): Why it stopped or failed.
        attempt (char(32)): Random name of the computation that writes here.
        started_at (datetime(6)): Start of this attempt, UTC by the server's clock.
        updated_at (datetime(6)): Latest sign of life, likewise.
    """

    definition = f"""
    # Where a training stands, or how it ended
    -> train.TrainingTask
    ---
    {_STATE}
    epoch              : int unsigned  # epochs (PyTorch) or iterations (TensorFlow) done
    total_epochs=null  : int unsigned  # how many there will be
    loss=null          : double        # on training frames
    learning_rate=null : double
    metrics            : {BLOB}      # latest losses and metrics by name
    {_WHO}
    """


@schema
class InferenceProgress(GoesWithTask, dj.Manual):
    """Where an inference stands, or how its latest attempt ended.

    Attributes:
        PoseEstimationTask (foreign key): What is analyzed; the row is deleted with it.
        state (enum): As in `TrainingProgress`.
        frames_done (int unsigned): Frames of the recording, all files together.
        total_frames (int unsigned, nullable): How many it has.
        frames_per_s (double, nullable): Since the first frames were done.
        seconds_left (double, nullable): And all others: as in `TrainingProgress`.
    """

    definition = f"""
    # Where an inference stands, or how it ended
    -> model.PoseEstimationTask
    ---
    {_STATE}
    frames_done       : int unsigned  # of all files
    total_frames=null : int unsigned  # that the recording has
    frames_per_s=null : double
    {_WHO}
    """


@dataclass(frozen=True)
class Progress:
    """Where one training or inference stands.

    Attributes:
        table: Computed table it is for: ``ModelTraining`` or ``PoseEstimation``.
        key: Primary key.
        state: ``running``, ``silent`` (it ought to run, and shows no life), ``finished``,
            ``stopped`` or ``failed``.
        unit: What ``done`` counts: ``epochs``, ``iterations`` or ``frames``.
        done: How many are done.
        total: How many there will be, where that is known.
        per_s: How many are done in a second (frames only).
        loss: Of a training; None where there is none yet.
        learning_rate: Likewise.
        metrics: Latest losses and metrics of a training, by DeepLabCut's names.
        seconds_left: Estimate as of now, s; None where there is none.
        elapsed: Length of the attempt until its latest sign of life, s.
        age: Time since that, s.
        engine: ``pytorch`` or ``tensorflow``.
        device: Where it computes.
        host: Machine.
        pid: Process there.
        message: Why it stopped or failed.
    """

    table: str
    key: dict[str, Any]
    state: str
    unit: str
    done: int
    total: int | None
    per_s: float | None
    loss: float | None
    learning_rate: float | None
    metrics: dict[str, float]
    seconds_left: float | None
    elapsed: float
    age: float
    engine: str
    device: str
    host: str
    pid: int
    message: str


def list_progress(
    restriction: Any = True, *, states: Sequence[str] = (), limit: int = 1000
) -> list[Progress]:
    """List where trainings and inferences stand, the latest sign of life first.

    Args:
        restriction: Of the tasks or of this table, as DataJoint takes it; what names columns of
            trainings lists no inferences, and the other way round.
        states: Names in `STATES`; none lists all.
        limit: How many at most, of trainings and of inferences each.

    Raises:
        ParameterError: There is no such state.
        QueryError: The restriction names columns that neither of the two has.
    """
    unknown = sorted(set(states) - set(STATES))
    if unknown:
        raise ParameterError(
            f"There is no state {', '.join(unknown)}; choose from {', '.join(STATES)}."
        )
    stored = sorted({"running" if state == "silent" else state for state in states})
    # What is recorded is finished, whatever its row says.
    wanted = True if not states or "finished" in states else [{"state": s} for s in stored]
    tables, found = _list_tables(), []
    restriction = _check(restriction, [table for table, _ in tables])
    for table, result in tables:
        rows = _fetch(table & _narrow(restriction, table) & wanted, limit)
        unfinished = [_pick_key(table, row) for row in rows if row["state"] != "finished"]
        recorded = (result & unfinished).fetch("KEY") if unfinished else []
        found += [_describe(table, result, row, recorded) for row in rows]
    shown = [progress for progress in found if not states or progress.state in states]
    return sorted(shown, key=lambda progress: progress.age)


def _list_tables() -> list[tuple[Any, Any]]:
    """Progress tables that are there, each with the table of the results."""
    trainings = [(TrainingProgress(), train.ModelTraining())] if TrainingProgress.database else []
    return [*trainings, (InferenceProgress(), model.PoseEstimation())]


def _check(restriction: Any, tables: Sequence[Any]) -> Any:
    """Insist that each condition of a restriction fits one of the tables."""

    def check(condition: Any) -> Any:
        if all(fit(table, condition) is None for table in tables):
            raise explain_unfit(condition, {_KINDS[type(table)]: table for table in tables})
        return condition

    return map_conditions(restriction, check)


def _narrow(restriction: Any, table: Any) -> Any:
    """Take conditions on the other table for what they are of this one's rows: not fulfilled."""

    def narrow(condition: Any) -> Any:
        fitting = fit(table, condition)
        return False if fitting is None else fitting

    return map_conditions(restriction, narrow)


def _fetch(query: Any, limit: int) -> list[dict[str, Any]]:
    return list(
        query.proj(
            ...,
            age="TIMESTAMPDIFF(MICROSECOND, updated_at, UTC_TIMESTAMP(6)) / 1e6",
            elapsed="TIMESTAMPDIFF(MICROSECOND, started_at, updated_at) / 1e6",
        ).fetch(as_dict=True, order_by="updated_at DESC", limit=limit)
    )


def _pick_key(table: Any, row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in table.primary_key}


def _describe(
    table: Any, result: Any, row: dict[str, Any], recorded: Sequence[dict[str, Any]]
) -> Progress:
    key, state, age = _pick_key(table, row), row["state"], float(row["age"])
    if state != "finished" and key in recorded:
        # Its last word was lost with the database, or with its process; or a later attempt was
        # where nothing is recorded of progress, and is what counts.
        state, row = "finished", {**row, "message": "", "seconds_left": None}
    elif state == "running" and age > SILENT_AFTER_S:
        state = "silent"
    is_training = "epoch" in row
    names = ("epoch", "total_epochs") if is_training else ("frames_done", "total_frames")
    done, total = (row[name] for name in names)
    unit = "frames" if not is_training else _UNITS.get(row["engine"], "epochs")
    left = row["seconds_left"] if state == "running" else None
    return Progress(
        table=type(result).__name__, key=key, state=state, unit=unit,
        done=int(done), total=None if total is None else int(total),
        per_s=row.get("frames_per_s"), loss=row.get("loss"),
        learning_rate=row.get("learning_rate"), metrics=row.get("metrics") or {},
        seconds_left=None if left is None else max(float(left) - age, 0.0),
        elapsed=float(row["elapsed"]), age=age,
        **{name: row[name] for name in ("engine", "device", "host", "pid", "message")},
    )  # fmt: skip


_KINDS = {TrainingProgress: "a training", InferenceProgress: "an inference"}
_UNITS = {"pytorch": "epochs", "tensorflow": "iterations"}
