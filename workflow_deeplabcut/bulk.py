"""Queue many tasks with one call, after saying what will be done.

    from workflow_deeplabcut import bulk
    bulk.queue_inference("mouse top view")          # every recording without poses of that model
    bulk.queue_training([0, 1], video_sets=1)       # train these parameter sets on that video set
    bulk.undo(7)                                    # take back what was not computed yet

``plan_inference`` and ``plan_training`` give the plan alone: print it, then ``plan.execute()``.
"""

from __future__ import annotations

import importlib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from element_deeplabcut.compute.loading import check_task_mode
from element_deeplabcut.compute.training_source import locate_project
from element_deeplabcut.errors import ElementError, ParameterError, QueryError, SetupError
from element_deeplabcut.linking import check_relative
from element_deeplabcut.params import check_inference_params
from element_deeplabcut.wording import show_count

from .batches import Undone, insert_tasks, list_batches, undo_batch
from .worker.tables import PIPELINE

__all__ = [
    "QueuePlan",
    "list_queued",
    "plan_inference",
    "plan_training",
    "queue_inference",
    "queue_training",
    "undo",
]


@dataclass
class QueuePlan:
    """What would be queued.

    Attributes:
        what: What was asked for, in words.
        table: Table of the tasks.
        rows: Rows that it would get.
        notes: What stays as it is, and why, a clause each.
        batch_id: Number of the batch once it is queued; 0 before, and where there is nothing to do.
    """

    what: str
    table: Any
    rows: list[dict[str, Any]]
    notes: Sequence[str] = field(default=())
    batch_id: int = 0

    def __str__(self) -> str:
        lines = [f"{self.what}: {show_count(len(self.rows), 'task')} to queue"]
        lines += [f"  {note}" for note in self.notes]
        return "\n".join(lines)

    def execute(self) -> int:
        """Insert the tasks, all or none.

        Returns:
            Number of the batch, for `undo`; 0 if there was nothing to queue.

        Raises:
            DatabaseError: What the plan goes by has changed; nothing was inserted.
        """
        if self.rows and not self.batch_id:
            self.batch_id = insert_tasks(self.table, self.rows, self.what)
        return self.batch_id


def plan_inference(
    model_name: str, recordings: Any = None, params: Mapping[str, Any] | None = None
) -> QueuePlan:
    """Plan what `queue_inference` queues; arguments and errors are its.

    Recordings whose analysis is queued already, or failed, stay as they are.
    """
    model = importlib.import_module(PIPELINE).model
    if not model.Model & {"model_name": model_name}:
        known = ", ".join(f"'{name}'" for name in model.Model.fetch("model_name")) or "none"
        raise QueryError(f"There is no model '{model_name}'. Registered are: {known}.")
    tasks = model.PoseEstimationTask()
    checked = check_inference_params(params)
    check_task_mode(checked, "trigger")
    tasks.check_drawable({"model_name": model_name}, checked)

    recording = model.VideoRecording()
    selected = recording if recordings is None else recording & recordings
    keys = selected.fetch("KEY")
    if not keys:
        raise QueryError("There is no such recording. Ingest video recordings first, or check the "
                         "restriction.")  # fmt: skip
    names = recording.primary_key
    of_model = {"model_name": model_name}
    queued = _list_keys(tasks & of_model, names)
    done = _list_keys(model.PoseEstimation & of_model, names)
    lacking = [key for key in keys if _values(key, names) not in queued]
    rows = [
        {
            **key,
            **of_model,
            "task_mode": "trigger",
            "pose_estimation_output_dir": str(
                tasks.infer_output_dir({**key, **of_model}, relative=True)
            ),
            "pose_estimation_params": checked or None,
        }
        for key in lacking
    ]
    n_done = sum(_values(key, names) in done for key in keys)
    what = f"Poses of the model '{model_name}' in {show_count(len(keys), 'recording')}"
    notes = _note(n_done, len(keys) - len(rows) - n_done, "poses are")
    return QueuePlan(what, tasks, rows, notes)


def queue_inference(
    model_name: str,
    recordings: Any = None,
    *,
    params: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    verbose: bool = True,
) -> QueuePlan:
    """Queue the analysis of every recording that lacks poses of a model.

    Args:
        model_name: Model.
        recordings: Restriction of ``VideoRecording``, as DataJoint takes them; None takes all.
        params: Parameters of the analysis, as for ``PoseEstimationTask.generate``.
        dry_run: Print the plan, and do nothing.
        verbose: Print the plan first, and what was done.

    Returns:
        The plan; its ``batch_id`` goes to `undo`.

    Raises:
        QueryError: There is no such model, or no such recording.
        ParameterError: A parameter is not valid.
    """
    return _carry_out(plan_inference(model_name, recordings, params), dry_run, verbose)


def plan_training(
    paramsets: Any = None,
    video_sets: Any = None,
    *,
    project: str = "",
    model_prefix: str = "",
    repeat: bool = False,
) -> QueuePlan:
    """Plan what `queue_training` queues; arguments and errors are its.

    A pair that has a task already (of the same project and prefix) gets no second one.
    """
    train = importlib.import_module(PIPELINE).train
    tasks = train.TrainingTask()
    listed = _select(train.TrainingParamSet(), paramsets)
    pairs = [
        {"video_set_id": video_set, "paramset_idx": paramset}
        for video_set in _select(train.VideoSet(), video_sets)
        for paramset in listed
    ]
    where = {"project_path": _project_folder(project), "model_prefix": model_prefix}
    _check_project(train, {pair["video_set_id"] for pair in pairs}, where["project_path"])
    names = ("video_set_id", "paramset_idx")
    queued = _list_keys(tasks & where, names)
    done = _list_keys((tasks & where) & train.ModelTraining(), names)
    following = int(max(tasks.fetch("training_id"), default=0)) + 1
    new = [pair for pair in pairs if repeat or _values(pair, names) not in queued]
    rows = [{**pair, "training_id": following + place, **where} for place, pair in enumerate(new)]
    n_known = 0 if repeat else len(pairs) - len(rows)
    n_done = sum(_values(pair, names) in done for pair in pairs) if n_known else 0
    n_sets = len({pair["video_set_id"] for pair in pairs})
    what = (
        f"Trainings with {show_count(len(pairs) // n_sets, 'parameter set')} on "
        f"{show_count(n_sets, 'video set')}"
    )
    notes = _note(n_done, n_known - n_done, "it is")
    return QueuePlan(what, tasks, rows, [*_list_new(rows), *notes])


def queue_training(
    paramsets: Any = None,
    video_sets: Any = None,
    *,
    project: str = "",
    model_prefix: str = "",
    repeat: bool = False,
    dry_run: bool = False,
    verbose: bool = True,
) -> QueuePlan:
    """Queue a training with every one of some parameter sets on every one of some video sets.

    Args:
        paramsets: Numbers of parameter sets, one or several, or a restriction of
            ``TrainingParamSet``; None takes all.
        video_sets: Likewise, of ``VideoSet``.
        project: DeepLabCut project relative to a root, its folder or config.yaml; '' is the one
            that holds the files of the video set.
        model_prefix: DeepLabCut's model prefix.
        repeat: Queue pairs again that have a task already.
        dry_run: Print the plan, and do nothing.
        verbose: Print the plan first, and what was done.

    Returns:
        The plan; its ``batch_id`` goes to `undo`.

    Raises:
        QueryError: There is no such parameter set or video set.
        ParameterError: A video set without files is to be trained on, and no project was named.
    """
    plan = plan_training(
        paramsets, video_sets, project=project, model_prefix=model_prefix, repeat=repeat
    )
    return _carry_out(plan, dry_run, verbose)


def undo(batch_id: int) -> Undone:
    """Take back the tasks of a batch that nobody has computed or computes; no result is touched.

    Raises:
        ParameterError: There is no such batch.
    """
    pipeline = importlib.import_module(PIPELINE)
    tables = {
        "PoseEstimationTask": (
            pipeline.model.PoseEstimationTask(), pipeline.model.PoseEstimation(),
        ),
        "TrainingTask": (pipeline.train.TrainingTask(), pipeline.train.ModelTraining()),
    }  # fmt: skip
    return undo_batch(batch_id, tables)


def list_queued() -> list[dict[str, Any]]:
    """List the batches that were queued in bulk, the newest first."""
    return list_batches(importlib.import_module(PIPELINE).train.schema.connection)


# --- details --------------------------------------------------------------------------------------


def _carry_out(plan: QueuePlan, dry_run: bool, verbose: bool) -> QueuePlan:
    if verbose:
        print(plan)
    if not dry_run and plan.execute() and verbose:
        print(f"Queued as batch {plan.batch_id}; bulk.undo({plan.batch_id}) takes it back.")
    return plan


def _list_new(rows: Sequence[Mapping[str, Any]], limit: int = 20) -> list[str]:
    new = [f"training_id {row['training_id']}: parameter set {row['paramset_idx']} on video "
           f"set {row['video_set_id']}" for row in rows[:limit]]  # fmt: skip
    return new if len(rows) <= limit else [*new, f"and {len(rows) - limit} more"]


def _list_keys(query: Any, names: Sequence[str]) -> set[tuple[Any, ...]]:
    return {_values(row, names) for row in query.fetch(*names, as_dict=True)}


def _values(row: Mapping[str, Any], names: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _note(n_done: int, n_waiting: int, what: str) -> list[str]:
    notes = []
    if n_done:
        notes.append(f"{n_done} left out, as {what} there already")
    if n_waiting:
        notes.append(f"{n_waiting} left out, as a task is there that waits, runs or failed "
                     "(see workflow-deeplabcut jobs)")  # fmt: skip
    return notes


def _select(table: Any, wanted: Any) -> list[int]:
    """List the numbers of rows that are named by number or by a restriction.

    Raises:
        QueryError: There is no such row.
    """
    name, column = type(table).__name__, table.primary_key[0]
    if isinstance(wanted, numbers.Integral):
        wanted = [wanted]
    is_list = isinstance(wanted, Iterable) and not isinstance(wanted, (str, Mapping))
    listed = list(wanted) if is_list and not hasattr(wanted, "fetch") else []
    if listed and all(isinstance(number, numbers.Integral) for number in listed):
        known = {int(number) for number in table.fetch(column)}
        missing = [str(number) for number in listed if number not in known]
        if missing:
            there = ", ".join(str(number) for number in sorted(known)) or "none"
            raise QueryError(
                f"There is no {column} {', '.join(missing)} in {name}. There are: {there}."
            )
        return sorted({int(number) for number in listed})
    query = table if wanted is None else table & wanted
    found = sorted(int(number) for number in query.fetch(column))
    if not found:
        raise QueryError(f"There is no such row of {name}. Ingest it first, or check the "
                         "restriction.")  # fmt: skip
    return found


def _project_folder(project: str) -> str:
    """Name a project by its folder, as ``TrainingTask.project_path`` has it."""
    if not project:
        return ""
    path = PurePosixPath(check_relative(project))
    return str(path.parent if path.suffix in (".yaml", ".yml") else path)


def _check_project(train: Any, video_sets: set[int], project_path: str) -> None:
    """Insist that it is known of which project every video set is."""
    files: dict[int, list[str]] = {number: [] for number in video_sets}
    for number, path in zip(*train.VideoSet.File.fetch("video_set_id", "file_path"), strict=True):
        files.setdefault(int(number), []).append(path)
    without = ", ".join(str(number) for number in sorted(video_sets) if not files[number])
    if without and not project_path:
        raise ParameterError(
            f"Video set {without} names no files, so nobody can know of which project it is. Name "
            "the project, for instance project='reaching-Ada-2026-01-01'."
        )
    try:
        roots = train.get_roots()
    except SetupError:  # the data are not on this machine, which may queue all the same
        return
    for number in sorted(video_sets):
        try:
            locate_project(project_path, tuple(files[number]), roots)
        except ElementError as error:
            raise ParameterError(
                f"Video set {number} cannot be trained on: {error} In a bulk call, that is "
                "project=... (--project on the command line)."
            ) from error
