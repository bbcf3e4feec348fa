"""Every make once, in the order in which tables depend on each other.

    from workflow_deeplabcut import process
    process.run()

For machines that go on and on there is `workflow_deeplabcut.worker`.
"""

from __future__ import annotations

import inspect
import random
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tqdm import tqdm

from element_deeplabcut.errors import ElementError, ParameterError
from element_deeplabcut.wording import show_key

from .worker.tables import PIPELINE, check_restrictions, list_tables, show_job

ORDERS = ("original", "reverse", "random")

_USUAL_ORDER = (
    "RecordingInfo", "ModelTraining", "ModelEvaluation", "PoseEstimation", "PoseQuality",
    "ProcessedPose", "Kinematics", "LabeledVideo",
)  # fmt: skip
"""Where tables do not depend on each other; a lab's own come last."""


@dataclass(frozen=True)
class Failure:
    """A make that failed.

    Attributes:
        key: Primary key.
        error: Kind of error.
        message: What went wrong, in a sentence where it is known.
    """

    key: Mapping[str, Any]
    error: str
    message: str


@dataclass
class TableRun:
    """What came of one table.

    Attributes:
        table: Name of its class.
        made: Rows made.
        failures: Makes that failed.
        taken: Jobs left to others, who had taken them or made them failed before.
        left: Jobs not begun, because of ``max_calls``.
        why_idle: What is missing upstream, where there was nothing to do; '' otherwise.
    """

    table: str
    made: int = 0
    failures: list[Failure] = field(default_factory=list)
    taken: int = 0
    left: int = 0
    why_idle: str = ""

    @property
    def begun(self) -> int:
        """Makes that were begun, whatever came of them."""
        return self.made + len(self.failures)

    def __str__(self) -> str:
        parts = [f"{self.made} made"] if self.made else []
        parts += [f"{len(self.failures)} failed"] if self.failures else []
        parts += [f"{self.taken} left to others"] if self.taken else []
        parts += [f"{self.left} left for the next run"] if self.left else []
        idle = "nothing to do" + (f" ({self.why_idle})" if self.why_idle else "")
        lines = [f"{self.table}: {', '.join(parts) or idle}"]
        for failure in self.failures:
            lines.append(f"  {show_key(failure.key)}: {failure.message}")
        return "\n".join(lines)


@dataclass(frozen=True)
class RunSummary:
    """What came of a run.

    Attributes:
        tables: In the order in which they were made.
    """

    tables: list[TableRun]

    @property
    def made(self) -> int:
        """Rows made in all."""
        return sum(table.made for table in self.tables)

    @property
    def failed(self) -> int:
        """Makes that failed in all."""
        return sum(len(table.failures) for table in self.tables)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.tables), f"{self.made} made, {self.failed} failed"])

    @property
    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {
            "made": self.made,
            "failed": self.failed,
            "tables": [
                {
                    **vars(table),
                    "failures": [
                        {
                            **vars(failure),
                            "key": {name: str(value) for name, value in failure.key.items()},
                        }
                        for failure in table.failures
                    ],
                }
                for table in self.tables
            ],
        }


def run(
    *restrictions: Any,
    tables: Iterable[Any] | None = None,
    display_progress: bool = True,
    reserve_jobs: bool = False,
    suppress_errors: bool = True,
    max_calls: int | None = None,
    order: str = "original",
    make_kwargs: Mapping[str, Any] | None = None,
    verbose: bool = True,
    pipeline: str = PIPELINE,
) -> RunSummary:
    """Make everything that is queued, once, each table after those that it depends on.

    A failed make does not stop the others; what depends on it is not made. Ctrl-C ends the run at
    once.

    Args:
        *restrictions: Of the jobs of every table, as for ``populate``. A dictionary counts where a
            table has its attributes.
        tables: Computed tables (classes or names); None takes all of the pipeline.
        display_progress: Show progress bars.
        reserve_jobs: Share the work with others, as ``populate`` does.
        suppress_errors: Go on after a make that failed; otherwise its error is raised.
        max_calls: Begin at most so many makes of every table.
        order: ``original``, ``reverse`` or ``random`` order of the jobs of a table.
        make_kwargs: Further arguments of the makes that take them: ``{"device": "cuda:1"}``.
        verbose: Print what came of every table.
        pipeline: Module that activates the schemas.

    Returns:
        What was made, what failed, and why.

    Raises:
        ParameterError: An argument is not valid, or no table has the attribute of a restriction.
        SetupError: There is no such table or pipeline.
    """
    if order not in ORDERS:
        raise ParameterError(f"order is '{order}'; it must be one of {', '.join(ORDERS)}.")
    if max_calls is not None and max_calls < 1:
        raise ParameterError("max_calls must be 1 or more; leave it out for no limit.")
    summary = RunSummary([])
    wanted = sort_tables(_find(tables, pipeline))
    check_restrictions(wanted, restrictions)
    for table in wanted:
        keys = _list_keys(table, restrictions, order)
        done = TableRun(table.__name__)
        summary.tables.append(done)
        if not keys:
            done.why_idle = _explain_idleness(table)
        options = {"reserve_jobs": reserve_jobs, "make_kwargs": _pick(table, make_kwargs)}
        is_silent = not display_progress or not keys
        for key in tqdm(keys, table.__name__, disable=is_silent, leave=False):
            if done.begun == max_calls:  # what others have taken does not count
                done.left = len(keys) - done.begun - done.taken
                break
            _make(table, key, done, suppress_errors, options)
        if verbose:
            print(done)
    if verbose:
        print(f"{summary.made} made, {summary.failed} failed")
    return summary


def sort_tables(tables: Iterable[Any]) -> list[Any]:
    """Sort tables so that each comes after those that it depends on, directly or through others."""
    listed = sorted(dict.fromkeys(tables), key=_rank)
    if not listed:
        return []
    dependencies = listed[0].connection.dependencies
    dependencies.load()
    names = {table.full_table_name: table for table in listed}
    ancestors = {name: set(dependencies.ancestors(name)) & names.keys() - {name} for name in names}
    done: list[str] = []
    while len(done) < len(names):  # foreign keys have no cycles
        done.append(
            next(name for name in names if name not in done and ancestors[name] <= set(done))
        )
    return [names[name] for name in done]


def _rank(table: Any) -> int:
    name = table.__name__
    return _USUAL_ORDER.index(name) if name in _USUAL_ORDER else len(_USUAL_ORDER)


def _find(tables: Iterable[Any] | None, pipeline: str) -> list[Any]:
    if tables is None:
        return list_tables(pipeline)
    found = []
    for table in tables:
        found += list_tables(pipeline, [table]) if isinstance(table, str) else [table]
    return found


def _list_keys(table: Any, restrictions: tuple[Any, ...], order: str) -> list[dict[str, Any]]:
    instance = table()
    keys: list[dict[str, Any]] = (
        instance._jobs_to_do(restrictions) - instance.target
    ).fetch("KEY")  # fmt: skip
    if order == "reverse":
        keys.reverse()
    elif order == "random":
        random.shuffle(keys)
    return keys


def _make(
    table: Any, key: dict[str, Any], done: TableRun, suppress_errors: bool, options: dict[str, Any]
) -> None:
    """Make one row.

    One ``populate`` per key, because with ``suppress_errors`` DataJoint takes Ctrl-C for a failed
    make and goes on.
    """
    try:
        outcome = table.populate(keys=[key], **options)
    except Exception as error:
        if not suppress_errors:
            raise
        done.failures.append(_describe(table, key, error))
    else:
        done.made += outcome["success_count"]
        done.taken += 1 - outcome["success_count"]


def _describe(table: Any, key: Mapping[str, Any], error: Exception) -> Failure:
    kind = type(error).__name__
    said = " ".join(str(error).split())
    if not isinstance(error, ElementError):  # a sentence of ours needs no name
        said = f"{kind}: {said}" if said else kind
    tqdm.write(f"failed {show_job(table, key)}: {said}", file=sys.stderr)
    return Failure(dict(key), kind, said)


def _pick(table: Any, make_kwargs: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Those arguments that a table's make takes: reading a video knows no device."""
    if not make_kwargs:
        return None
    make = table.make_fetch if hasattr(table, "make_fetch") else table.make
    parameters = inspect.signature(make).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return dict(make_kwargs)
    return {name: value for name, value in make_kwargs.items() if name in parameters}


def _explain_idleness(table: Any) -> str:
    """Say which table upstream is empty, if one is."""
    empty = [parent for parent in table().parents(as_objects=True) if not parent]
    if not empty:
        return ""
    names = [parent.table_name.strip("_#~") for parent in empty]
    camel = ["".join(part.title() for part in name.split("_")) for name in names]
    return f"{' and '.join(camel)} {'is' if len(camel) == 1 else 'are'} empty"
