"""What was queued together, so that it can be taken back together.

Every bulk call leaves a row that names its tasks, written in the transaction that inserts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import datajoint as dj
from datajoint.errors import DuplicateError, IntegrityError

from element_deeplabcut.errors import DatabaseError, ParameterError
from element_deeplabcut.wording import show_count

from .paths import get_database_prefix

SCHEMA = "queue"
CHUNK = 500
"""Tasks of one DELETE statement."""

_TRIES = 5


class Batch(dj.Manual):  # type: ignore[misc]
    """Tasks that one call queued.

    Attributes:
        batch_id (int): Number.
        queued_at (datetime): When, by the server's clock.
        queued_by (varchar(255)): Database user and machine.
        what (varchar(1000)): What was asked for, in words.
        task_table (varchar(64)): Class of the tasks' table.
        n_tasks (int): How many there were.
        task_keys (longblob): Their primary keys.
    """

    definition = """
    # Tasks that one call queued
    batch_id   : int auto_increment
    ---
    queued_at=CURRENT_TIMESTAMP : datetime
    queued_by  : varchar(255)   # database user and machine
    what       : varchar(1000)
    task_table : varchar(64)
    n_tasks    : int
    task_keys  : longblob       # primary keys
    """


@dataclass(frozen=True)
class Undone:
    """What became of a batch that was taken back.

    Attributes:
        removed: Tasks that were removed.
        computed: Tasks that stay because their results are there.
        running: Tasks that stay because somebody computes them now.
        gone: Tasks that were not there any more.
    """

    removed: int
    computed: int
    running: int
    gone: int

    def __str__(self) -> str:
        parts = [f"{show_count(self.removed, 'task')} taken back"]
        if self.computed:
            parts.append(f"{self.computed} kept, as their results are there")
        if self.running:
            parts.append(f"{self.running} kept, as somebody computes them now")
        if self.gone:
            parts.append(f"{self.gone} gone before")
        return "; ".join(parts)


def declare_batches(connection: dj.Connection) -> Any:
    """Create the table of batches where it is missing, and return it."""
    schema = dj.Schema(get_database_prefix() + SCHEMA, connection=connection)
    return schema(Batch)()


def _are_declared(connection: dj.Connection) -> bool:
    """Whether anything was queued in bulk: who only looks creates no schema."""
    return (get_database_prefix() + SCHEMA) in dj.list_schemas(connection)


def insert_tasks(task_table: Any, rows: Sequence[Mapping[str, Any]], what: str) -> int:
    """Insert tasks, all or none, and note that they belong together.

    Args:
        task_table: Table of tasks.
        rows: Its rows; none of them is there yet.
        what: What was asked for, in words.

    Returns:
        Number of the batch.

    Raises:
        DatabaseError: Somebody else has queued one of them meanwhile; nothing was inserted.
    """
    connection = task_table.connection
    batches = declare_batches(connection)
    names = task_table.primary_key
    keys = [[str(row[name]) for name in names] for row in rows]
    note = {
        "queued_by": connection.get_user()[:255],
        "what": what[:1000],
        "task_table": type(task_table).__name__,
        "n_tasks": len(rows),
        "task_keys": {"names": names, "keys": keys},
    }
    try:
        with connection.transaction:
            for start in range(0, len(rows), 1000):  # more might exceed the server's packet
                task_table.insert(rows[start : start + 1000])
            batches.insert1(note)
            (number,) = connection.query("SELECT LAST_INSERT_ID()").fetchone()
    except (DuplicateError, IntegrityError) as error:
        raise DatabaseError(
            "The queue or what it refers to has changed since the plan was made, so nothing was "
            f"queued ({error.args[-1]}). Make the plan again."
        ) from error
    return int(number)


def list_batches(connection: dj.Connection) -> list[dict[str, Any]]:
    """List what was queued in bulk, the newest first, without the keys."""
    columns = ("batch_id", "queued_at", "queued_by", "what", "task_table", "n_tasks")
    if not _are_declared(connection):
        return []
    batches = declare_batches(connection)
    rows: list[dict[str, Any]] = batches.fetch(*columns, as_dict=True, order_by="batch_id DESC")
    return rows


def undo_batch(batch_id: int, tables: Mapping[str, tuple[Any, Any]]) -> Undone:
    """Take back the tasks of a batch that nobody has computed or computes.

    Results are never deleted: where one comes in meanwhile, its task stays. Errors and retries of
    the tasks are forgotten with them.

    Args:
        batch_id: Number of the batch.
        tables: Name of a table of tasks -> that table, and the one that computes them.

    Returns:
        What became of the tasks. The batch is forgotten once none of them is left to be taken back.

    Raises:
        ParameterError: There is no such batch.
        DatabaseError: It is being taken back, or computed, by others just now.
    """
    connection = next(iter(tables.values()))[0].connection
    there = {row["batch_id"] for row in list_batches(connection)}
    if batch_id not in there:
        known = ", ".join(str(number) for number in sorted(there)) or "none"
        raise ParameterError(f"There is no batch {batch_id} to take back. There are: {known}.")
    batches = declare_batches(connection)
    rows = (batches & {"batch_id": batch_id}).fetch(as_dict=True)
    if not rows:
        raise DatabaseError(f"Batch {batch_id} has just been taken back by somebody else.")
    names, keys = rows[0]["task_keys"]["names"], rows[0]["task_keys"]["keys"]
    tasks, computed = tables[rows[0]["task_table"]]
    for _ in range(_TRIES):
        wanted, outcome = _sort(names, keys, tasks, computed)
        try:
            with connection.transaction:
                _remove([dict(zip(names, key, strict=True)) for key in wanted], tasks, computed)
                if not outcome.computed and not outcome.running:
                    (batches & {"batch_id": batch_id}).delete_quick()
            return outcome
        except Exception as error:
            if not _may_pass(error):
                raise
    raise DatabaseError("Workers are recording results of these tasks just now. Try again.")


def _remove(wanted: Sequence[Mapping[str, str]], tasks: Any, computed: Any) -> None:
    """Delete tasks, and what is said about their jobs: keys of new tasks may be the same."""
    from .worker.listing import forget_jobs

    for start in range(0, len(wanted), CHUNK):
        chunk = tasks & wanted[start : start + CHUNK]
        removed = chunk.fetch("KEY")
        chunk.delete_quick()
        forget_jobs(computed, removed)


def _may_pass(error: Exception) -> bool:
    """Whether a result came in, whose task is kept at the next try, or two transactions met."""
    from .worker.server import is_conflict

    return isinstance(error, IntegrityError) or is_conflict(error)


def _sort(
    names: Sequence[str], keys: Sequence[Sequence[str]], tasks: Any, computed: Any
) -> tuple[list[tuple[str, ...]], Undone]:
    """Find the keys whose tasks can be removed, and count the others."""
    from .worker.listing import list_jobs

    batch = [tuple(key) for key in keys]
    common = {
        name: batch[0][place]
        for place, name in enumerate(names)
        if len({key[place] for key in batch}) == 1
    }
    there = _list_keys(tasks & common, names)
    done = _list_keys(computed & common, names)
    jobs = list_jobs([type(computed)], states=("running", "reserved"))
    busy = {tuple(str(job.key.get(name)) for name in names) for job in jobs}
    wanted = [key for key in batch if key in there and key not in done and key not in busy]
    kept = [key for key in batch if key in done]
    n_busy = sum(key in busy and key in there and key not in done for key in batch)
    gone = sum(key not in there for key in batch)
    return wanted, Undone(len(wanted), len(kept), n_busy, gone)


def _list_keys(query: Any, names: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(str(row[name]) for name in names) for row in query.fetch(*names, as_dict=True)}
