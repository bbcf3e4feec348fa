"""How many jobs of each table are done, wait, run or failed; counted by the server."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from datajoint.autopopulate import AutoPopulate
from datajoint.blob import unpack

from element_deeplabcut.tables import read_job_key

from ..worker.lease import jobs_of
from ..worker.listing import count_jobs

_SHARE = 0.1
"""Part of its time that a watching screen may let the server count: long queues take a while."""

_ERRORS_AT_MOST = 500
"""Errors of a table whose keys are looked at."""


@dataclass(frozen=True)
class Queue:
    """The jobs of one table, by numbers.

    Attributes:
        table: Name of the computed table's class.
        recorded: Rows that are there.
        waiting: Jobs that anybody may take now.
        retrying: Jobs that failed in passing and wait for their next try.
        taken: Jobs in the hands of workers or notebooks, alive or not.
        failed: Jobs in error.
        ignored: Jobs that somebody told to be left alone.
    """

    table: str
    recorded: int
    waiting: int
    retrying: int
    taken: int
    failed: int
    ignored: int


class QueueCounter:
    """Counts again and again, but never so often that the server does little else."""

    def __init__(self, tables: Iterable[Any]) -> None:
        self._tables = [kind() if isinstance(kind, type) else kind for kind in tables]
        self._counted: list[Queue] = []
        self._due_at = float("-inf")

    def count(self) -> list[Queue]:
        """The queues, as they are or were a short while ago."""
        if time.monotonic() >= self._due_at:
            began = time.monotonic()
            self._counted = [count_queue(table) for table in self._tables]
            took = time.monotonic() - began
            self._due_at = time.monotonic() + took * (1 / _SHARE - 1)
        return self._counted


def count_queue(table: Any) -> Queue:
    """Count one table's jobs."""
    counts = count_jobs(table)
    recorded = _count(table, f"SELECT COUNT(*) FROM {table.target.full_table_name}")
    set_aside = counts["error"] + counts["ignore"]
    if set_aside:
        set_aside -= _count_outdated(table)
    busy = counts["reserved"] + counts["waiting"] + set_aside
    return Queue(
        table=type(table).__name__,
        recorded=recorded,
        waiting=max(_count_open(table, recorded) - busy, 0),
        retrying=counts["waiting"],
        taken=counts["reserved"],
        failed=counts["error"],
        ignored=counts["ignore"],
    )


def _count_outdated(table: Any) -> int:
    """Errors of jobs that are not to be done any more: deleted since, or computed all the same.

    Where there are thousands of errors they are not read; then all of them count as current.
    """
    rows = table.connection.query(
        f"SELECT `key` FROM {jobs_of(table)} WHERE table_name=%s AND status IN ('error', 'ignore') "
        f"AND `key` IS NOT NULL LIMIT {_ERRORS_AT_MOST + 1}",
        args=(table.table_name,),
    ).fetchall()
    if len(rows) > _ERRORS_AT_MOST:
        return 0
    keys = [read_job_key(unpack(blob)) for (blob,) in rows]
    there = (table._jobs_to_do([]) & keys).fetch("KEY") if keys else []
    return len(keys) - len(there) + (len(table.target & there) if there else 0)


def _count_open(table: Any, recorded: int) -> int:
    """Jobs that are not recorded.

    What is recorded has its parents, so two counts do for a table whose jobs are all that its
    parents allow; they take a tenth of the time. For others there is a left join, because for
    NOT IN MariaDB would read all.
    """
    todo = table._jobs_to_do([])
    if type(table).key_source is AutoPopulate.key_source and table.target.primary_key == list(
        todo.primary_key
    ):
        return _count(table, f"SELECT COUNT(*) FROM ({todo.make_sql()}) AS todo") - recorded
    names = todo.primary_key
    join = " AND ".join(f"done.`{name}`=todo.`{name}`" for name in names)
    return _count(
        table,
        f"SELECT COUNT(*) FROM ({todo.make_sql()}) AS todo "
        f"LEFT JOIN {table.target.full_table_name} AS done ON {join} "
        f"WHERE done.`{names[0]}` IS NULL",
    )


def _count(table: Any, sql: str) -> int:
    return int(table.connection.query(sql).fetchone()[0])
