"""Housekeeping for a lab: what lies in the processed directory that no row needs, and removing it.

For any pipeline that activates ``model`` (and ``train``, if it trains)::

    from element_deeplabcut import housekeeping

    found = housekeeping.list_unneeded(min_age_days=7)
    for outcome in housekeeping.remove_unneeded(found.candidates, min_age_days=7):
        print(outcome.candidate.path, outcome.problem or "removed")

What is kept, and how removing is made safe beside living workers, stands in `store.pruning`. What
rows need is known of the active pipeline only: **where several databases share a processed
directory, results of the others look unneeded.** Tables of the lab's own that name folders of the
processed directory are not known either; give these folders as ``keep``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import model, train
from .errors import DatabaseError, PathError, SetupError
from .linking import Roots
from .store.pruning import (
    VIDEOS,
    Candidate,
    Key,
    References,
    RowKeys,
    Survey,
    check_days,
    make_key,
    remove,
    survey,
)


@dataclass(frozen=True)
class Outcome:
    """What came of removing a candidate.

    Attributes:
        candidate: What was to be removed.
        kept: Why it was kept after all; '' otherwise.
        problem: Why it could not be removed; '' otherwise.
    """

    candidate: Candidate
    kept: str = ""
    problem: str = ""

    @property
    def is_removed(self) -> bool:
        """Whether it is gone."""
        return not (self.kept or self.problem)


def list_unneeded(
    min_age_days: float = 1,
    *,
    keep: Iterable[str | os.PathLike[str]] = (),
    on_progress: Callable[[str], None] = lambda path: None,
) -> Survey:
    """List what the processed directory holds that no row of the active pipeline needs.

    Args:
        min_age_days: Days since anything in it was modified; 1 or more.
        keep: Further folders to keep, absolute or relative to the processed directory.
        on_progress: Called with each path before it is looked at.

    Raises:
        SetupError: ``model`` is not active.
        ParameterError: ``min_age_days`` is less than one.
        PathError: The processed directory cannot be written, so the storage's time is unknown.
    """
    min_age, roots = check_days(min_age_days), _get_roots()
    return survey(roots.processed, collect_references(keep=keep), min_age, on_progress)


def remove_unneeded(
    candidates: Iterable[Candidate],
    min_age_days: float = 1,
    *,
    keep: Iterable[str | os.PathLike[str]] = (),
) -> Iterator[Outcome]:
    """Remove candidates one by one; right before each, the rows are asked again.

    Args:
        candidates: From `list_unneeded`.
        min_age_days: As there.
        keep: As there.

    Yields:
        What came of each. One that cannot be removed does not stop the others.

    Raises:
        SetupError: ``model`` is not active.
        ParameterError: ``min_age_days`` is less than one.
        DatabaseError: The pipeline is empty, or a transaction is open.
    """
    min_age, roots, kept_folders = check_days(min_age_days), _get_roots(), tuple(keep)
    _check_is_in_use(roots)
    known = collect_references(keep=kept_folders)
    for candidate in candidates:
        fresh = collect_references(candidate.key, keep=kept_folders)
        try:
            kept = remove(roots.processed, candidate, (known, fresh), min_age)
        except PathError as error:
            yield Outcome(candidate, problem=str(error))
        else:
            yield Outcome(candidate, kept=kept)


def collect_references(
    key: Mapping[str, Any] | None = None, *, keep: Iterable[str | os.PathLike[str]] = ()
) -> References:
    """Ask the active schemas what they need of the processed directory.

    Args:
        key: Ask only for what the rows of this key are recorded with (paths are asked of all).
        keep: Further folders to keep, absolute or relative to the processed directory.

    Raises:
        SetupError: ``model`` is not active.
        DatabaseError: A transaction is open, which would hide rows of others.
    """
    roots = _get_roots()
    if model.schema.connection.in_transaction:
        raise DatabaseError(
            "Housekeeping must see every row there is, and inside a transaction rows of others "
            "are hidden. Call it outside of one."
        )
    rows: dict[str, RowKeys] = {}
    run_infos: list[Mapping[str, Any]] = []
    for kind, tasks, results in _list_tables():
        # Results first: what is recorded in between then counts as pending, and is kept.
        recorded = None
        if results is not None:
            recorded, infos = _read_results(results, key or {})
            run_infos += infos
        rows[kind] = RowKeys(_read_keys(tasks & (key or {})), recorded)
    bundles = {*model.Model.fetch("bundle_hash")}
    bundles.update(info["bundle_hash"] for info in run_infos if info.get("bundle_hash"))
    paths = {info["run_directory"] for info in run_infos if info.get("run_directory")}
    paths.update(_locate_all(_read_paths(), roots))
    modes, folders = model.PoseEstimationTask.fetch("task_mode", "pose_estimation_output_dir")
    loaded = folders[modes == "load"]
    kept = (os.path.join(roots.processed, folder) for folder in keep)
    return References(
        rows=rows,
        bundles=frozenset(bundles),
        paths=frozenset(paths),
        trees=frozenset(_locate_all((*loaded, *kept), roots)),
        output_dirs=frozenset(str(folder) for folder in folders[modes != "load"] if folder),
    )


def _list_tables() -> Iterator[tuple[str, Any, Any]]:
    """Kind of run, the tables (or query) of its tasks, and the table of its results."""
    if train.schema.is_activated():
        yield "training", train.TrainingTask(), train.ModelTraining()
    yield "evaluation", model.Model(), model.ModelEvaluation()
    # A recording's run is small, and what decoding every frame of it again would cost: it stays
    # as long as the recording.
    yield "recording", model.VideoRecording(), None
    yield "inference", model.PoseEstimationTask(), model.PoseEstimation()
    videos = getattr(model, "LabeledVideo", None)
    if videos is not None:
        yield VIDEOS, videos().key_source, videos()


def _read_keys(query: Any) -> frozenset[Key]:
    return frozenset(make_key(row) for row in query.proj().fetch(as_dict=True))


def _read_results(
    table: Any, key: Mapping[str, Any]
) -> tuple[frozenset[Key], list[Mapping[str, Any]]]:
    columns = [name for name in ("run_info",) if name in table.heading.names]
    rows = (table & key).fetch(*table.primary_key, *columns, as_dict=True)
    infos = [row.pop("run_info") for row in rows if columns]
    return frozenset(map(make_key, rows)), [info for info in infos if isinstance(info, Mapping)]


def _read_paths() -> Iterator[str]:
    """Paths in tables that may lead into the processed directory: somebody may film a result."""
    yield from model.VideoRecording.File.fetch("file_path")
    yield from model.Model.fetch("project_path")
    videos = getattr(model, "LabeledVideo", None)
    if videos is not None:
        yield from videos.File.fetch("labeled_video_path")
    if train.schema.is_activated():
        yield from train.TrainingTask.fetch("project_path")
        yield from train.VideoSet.File.fetch("file_path")


def _locate_all(paths: Iterable[str], roots: Roots) -> Iterator[str]:
    """Express paths of the database, below whichever root, relative to the processed directory."""
    processed = os.path.realpath(roots.processed)
    for path in {str(path) for path in paths} - {""}:
        for root in (*roots.data, roots.processed):
            for real in {os.path.realpath(root / path), os.path.normpath(root / path)}:
                for base in {processed, os.path.normpath(roots.processed)}:
                    relative = os.path.relpath(real, base)
                    if relative != "." and relative.split(os.sep)[0] != os.pardir:
                        yield Path(relative).as_posix()


def _get_roots() -> Roots:
    roots = model.get_roots()
    if not model.schema.is_activated():
        raise SetupError("Call model.activate(...) first.")
    if train.schema.is_activated() and train.get_roots().processed != roots.processed:
        raise SetupError(
            f"train writes to '{train.get_roots().processed}' and model to '{roots.processed}'. "
            "Give both schemas one linking module before pruning."
        )
    return roots


def _check_is_in_use(roots: Roots) -> None:
    """Refuse to take an empty pipeline's word: most likely it is not the one that was meant."""
    tables: list[Any] = [model.VideoRecording(), model.Model()]
    if train.schema.is_activated():
        tables.append(train.TrainingTask())
    if not any(len(table) for table in tables):
        raise DatabaseError(
            f"The pipeline in `{model.schema.database}` has no recording, no model and no "
            "training task, so everything would be removed. Check that it is the right database "
            f"(DATABASE_PREFIX); if it is, remove '{roots.processed}' by hand."
        )
