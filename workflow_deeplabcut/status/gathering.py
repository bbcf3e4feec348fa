"""All that is known of a pipeline's jobs at one moment."""

from __future__ import annotations

import dataclasses
import datetime
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from element_deeplabcut import report
from element_deeplabcut.report import Progress, Throughput

from ..worker.life import identify
from ..worker.listing import Job, list_jobs
from ..worker.tables import PIPELINE, list_tables
from .queue import Queue, QueueCounter

TAKEN = ("running", "expired", "reserved", "dead")
"""States of jobs that are in somebody's hands; see `Job`."""

MOST_ERRORS = 10


@dataclass(frozen=True)
class Running:
    """Job in somebody's hands.

    Attributes:
        table: Name of the computed table's class.
        key: Primary key.
        state: ``running``; or ``silent``, ``expired`` or ``dead`` for one whose process seems to
            be gone, ``reserved`` for a notebook's that tells nothing of itself.
        host: Machine.
        pid: Process there.
        age: Since when it is in these hands, s; None where nobody knows.
        attempts: How often workers have begun it; None for a notebook's.
        progress: How far it is; None where it does not say (only trainings and inferences do).
    """

    table: str
    key: dict[str, Any]
    state: str
    host: str
    pid: int
    age: float | None
    attempts: int | None
    progress: Progress | None


@dataclass(frozen=True)
class Status:
    """A pipeline at one moment.

    Attributes:
        at: When, UTC.
        queues: Jobs of each table by numbers, in the order in which workers turn to them.
        running: Jobs in somebody's hands.
        throughput: What was finished in the last `hours`, per host and device.
        hours: Hours that count for the throughput.
        errors: The newest errors, the newest first.
    """

    at: datetime.datetime
    queues: list[Queue]
    running: list[Running]
    throughput: list[Throughput]
    hours: float
    errors: list[Job]

    @property
    def n_errors(self) -> int:
        """How many jobs are in error, listed or not."""
        return sum(queue.failed for queue in self.queues)

    @property
    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON; stacks are left to ``workflow-deeplabcut jobs show``."""
        plain = _to_plain(dataclasses.asdict(self))
        for job in plain["errors"]:
            del job["stack"]
        return {**plain, "n_errors": self.n_errors}


def gather_status(
    tables: Sequence[Any] | None = None,
    *,
    hours: float = 24,
    errors: int = MOST_ERRORS,
    counter: QueueCounter | None = None,
) -> Status:
    """Look at a pipeline.

    Args:
        tables: Computed tables; None takes those of this workflow's pipeline.
        hours: Hours that count for the throughput.
        errors: How many errors to list.
        counter: Keeps counts between two calls that are close to each other.

    Raises:
        SetupError: There is no pipeline.
    """
    chosen = list_tables(PIPELINE) if tables is None else list(tables)
    names = {_name(table) for table in chosen}
    is_reported = report.schema.is_activated()
    progress = report.list_progress(states=("running", "silent")) if is_reported else []
    measured = report.measure_throughput(hours) if is_reported else []
    failed = list_jobs(chosen, states=("error",), newest=errors) if errors else []
    return Status(
        at=datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0),
        queues=(counter or QueueCounter(chosen)).count(),
        running=merge(
            list_jobs(chosen, states=TAKEN), [found for found in progress if found.table in names]
        ),
        throughput=[found for found in measured if found.table in names],
        hours=hours,
        errors=sorted(failed, key=lambda job: job.age or 0.0)[:errors],
    )


def merge(jobs: Iterable[Job], progress: Iterable[Progress]) -> list[Running]:
    """Bring together what is said of jobs, and what they say of themselves.

    A ``populate`` without reservation says only how far it is. What somebody else said who had the
    job before, and shows no life, is not how far it is now.
    """
    by_key = {identify(found.table, found.key): found for found in progress}
    running = []
    for job in jobs:
        found = by_key.get(identify(job.table, job.key))
        is_theirs = found is not None and (found.host, found.pid) == (job.host, job.pid)
        if found is not None and (is_theirs or found.state == "silent"):
            del by_key[identify(job.table, job.key)]
        found = found if is_theirs else None
        state = job.state
        if found is not None and state == "reserved":
            state = found.state  # a notebook that shows life
        running.append(
            Running(job.table, job.key, state, job.host, job.pid, job.age, job.attempts, found)
        )
    for found in by_key.values():
        since = found.elapsed + found.age
        running.append(
            Running(found.table, found.key, found.state, found.host, found.pid, since, None, found)
        )
    return sorted(running, key=lambda job: (job.state != "running", job.table, -(job.age or 0)))


def _name(table: Any) -> str:
    return table.__name__ if isinstance(table, type) else type(table).__name__


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _to_plain(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON knows neither NaN nor infinity, which a loss may be
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
