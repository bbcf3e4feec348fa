"""What became of jobs: lists, clears and retries what ``~jobs`` and the leases say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datajoint.blob import unpack

from element_deeplabcut.errors import ParameterError
from element_deeplabcut.tables import read_job_key

from ..paths import get_database_prefix
from .choosing import choose_by, fits
from .lease import MARK, declare_leases, hash_job, jobs_of, mark
from .life import SignsOfLife

STATES = ("running", "waiting", "expired", "reserved", "dead", "error", "ignore")
"""What `Job.state` can be."""

_WITHOUT_LEASE = ("error", "ignore")
"""States that stand in ``~jobs`` alone, by the names they have there."""

_RETRIED = ("error", "waiting")
"""States in which a job has failed and is not in anybody's hands."""


@dataclass(frozen=True)
class Job:
    """Job that is taken, waits for its next try, or failed; others stand in no list.

    Attributes:
        table: Name of the computed table's class.
        key: Primary key.
        state: ``running`` (a worker renews its lease), ``waiting`` (for its next try), ``expired``
            (its worker shows no life; the next one takes it over), ``reserved`` (by ``populate`` in
            a notebook, which lives as far as can be known here), ``dead`` (so, but its process is
            gone from this machine, or its connection has ended and nothing shows life), ``error``
            or ``ignore``.
        age: Time in this state, s.
        owner: Worker or database user that holds or held it.
        host: Machine.
        pid: Process there.
        attempts: How often workers have begun it; None where no worker has.
        due_in: Time until the lease ends or the next try may begin, s; None where there is none.
        message: Error, in a sentence.
        stack: Where it was raised.
    """

    table: str
    key: dict[str, Any]
    state: str
    age: float | None
    owner: str
    host: str
    pid: int
    attempts: int | None
    due_in: float | None
    message: str
    stack: str

    @property
    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**vars(self), "key": {name: _to_plain(value) for name, value in self.key.items()}}


def list_jobs(
    tables: Iterable[Any],
    *,
    key: Mapping[str, Any] | None = None,
    message: str | None = None,
    states: Sequence[str] = (),
    newest: int | None = None,
) -> list[Job]:
    """List the jobs of tables that are taken, wait or failed.

    Args:
        tables: Computed tables.
        key: Attributes of the tables' primary keys, and the values, typed or as texts, that they
            must have.
        message: Text that the message must hold.
        states: States to list; none lists all.
        newest: Look at so many reservations and errors of each table only, the newest first.

    Raises:
        ParameterError: None of the tables has such an attribute in its primary key, or a value is
            none that its column can hold.
    """
    return [job for _, _, job in _find(tables, key, message, states, newest)]


def count_jobs(table: Any) -> dict[str, int]:
    """Count what stands about a table's jobs, without reading it.

    Returns:
        How many are ``reserved`` (in anybody's hands, alive or not), in ``error`` or ``ignore``,
        and ``waiting`` for their next try.
    """
    counts = {"reserved": 0, "error": 0, "ignore": 0, "waiting": 0}
    _declare_jobs(table)
    counts.update(
        table.connection.query(
            f"SELECT status, COUNT(*) FROM {jobs_of(table)} WHERE table_name=%s GROUP BY status",
            args=(table.table_name,),
        ).fetchall()
    )
    ((counts["waiting"],),) = table.connection.query(
        f"SELECT COUNT(*) FROM {_leases(table)} "
        "WHERE database_name=%s AND table_name=%s AND token=''",
        args=(table.database, table.table_name),
    ).fetchall()
    return {name: int(number) for name, number in counts.items()}


def clear_jobs(tables: Iterable[Any], **selection: Any) -> list[Job]:
    """Forget what stands about jobs, so that they are free to be taken.

    A job that a living worker computes is left alone: its worker would compute it in vain.

    Args:
        tables: Computed tables.
        **selection: As for `list_jobs`.

    Returns:
        The jobs that were cleared.

    Raises:
        ParameterError: As `list_jobs`.
    """
    cleared = []
    for table, key_hash, job in _find(tables, **selection):
        if job.state == "running":
            continue
        leases = _leases(table)  # DataJoint creates no table inside a transaction
        with table.connection.transaction:
            deleted = _forget(table, leases, [key_hash])
        if deleted or job.state == "waiting":
            cleared.append(job)
    return cleared


def retry_jobs(tables: Iterable[Any], **selection: Any) -> list[Job]:
    """Let failed jobs, and those that wait for their next try, be tried at once.

    Args:
        tables: Computed tables.
        **selection: As for `list_jobs`; only jobs in the states ``error`` and ``waiting`` count.

    Returns:
        The jobs that are free again.

    Raises:
        ParameterError: Jobs in another state are asked for, or as `list_jobs`.
    """
    states = selection.pop("states", ()) or _RETRIED
    if others := [state for state in states if state not in _RETRIED]:
        raise ParameterError(
            f"Jobs in the state {', '.join(others)} cannot be retried, only those in "
            f"{' or '.join(_RETRIED)}. To let go of others, clear them."
        )
    return clear_jobs(tables, states=states, **selection)


def forget_jobs(table: Any, keys: Iterable[Mapping[str, Any]]) -> None:
    """Forget what stands about jobs whose tasks the open transaction removes.

    Else tasks of the same keys, queued later, would be taken for those that failed or wait. What
    somebody has reserved stays, unless it is a worker whose lease ran out.

    Args:
        table: Computed table, whose jobs have been listed before: no table is created here.
        keys: Primary keys of the jobs, as the server gives them.
    """
    if hashes := [hash_job(table, key) for key in keys]:
        # A worker's reservation and its lease come and go together; half of it is dead.
        which = "(status<>'reserved' OR error_message LIKE %s)"
        _forget(table, _leases(table), hashes, which, f"{MARK}%")


def _forget(
    table: Any, leases: str, hashes: Sequence[str], which: str = "TRUE", *values: str
) -> int:
    """Delete leases that no living worker holds, and entries in ``~jobs`` that have none.

    Args:
        table: Computed table.
        leases: Full name of the lease table.
        hashes: Names of the jobs.
        which: Condition of the entries.
        *values: Values in it.

    Returns:
        How many entries were deleted.
    """
    # A worker that took one in this moment has renewed the lease: then it is left alone.
    table.connection.query(
        f"DELETE FROM {leases} WHERE database_name=%s AND table_name=%s AND key_hash IN %s AND "
        "(token='' OR expires_at <= UTC_TIMESTAMP(6))",
        args=(table.database, table.table_name, hashes),
    )
    deleted = table.connection.query(
        f"DELETE FROM {jobs_of(table)} WHERE table_name=%s AND key_hash IN %s AND {which} AND "
        f"NOT EXISTS (SELECT 1 FROM {leases} AS lease WHERE lease.database_name=%s AND "
        f"lease.table_name=%s AND lease.key_hash={jobs_of(table)}.key_hash)",
        args=(table.table_name, hashes, *values, table.database, table.table_name),
    ).rowcount
    return int(deleted)


# --- reading --------------------------------------------------------------------------------------


def _leases(table: Any) -> str:
    return declare_leases(table.connection, get_database_prefix())


def _find(
    tables: Iterable[Any],
    key: Mapping[str, Any] | None = None,
    message: str | None = None,
    states: Sequence[str] = (),
    newest: int | None = None,
) -> list[tuple[Any, str, Job]]:
    chosen = [kind() if isinstance(kind, type) else kind for kind in tables]
    found = []
    for table, wanted in zip(chosen, choose_by(chosen, key), strict=True):
        if wanted is None:
            continue
        for key_hash, job in _read(table, states, newest):
            is_said = message is None or message.lower() in job.message.lower()
            if fits(table, job.key, wanted) and is_said and (not states or job.state in states):
                found.append((table, key_hash, job))
    return found


def _read(table: Any, states: Sequence[str], newest: int | None) -> list[tuple[str, Job]]:
    """Read what stands about a table's jobs, in ``~jobs`` and in the leases."""
    stored = sorted({state if state in _WITHOUT_LEASE else "reserved" for state in states})
    has_leases = not states or "reserved" in stored
    leases = {row["key_hash"]: row for row in _read_leases(table)} if has_leases else {}
    signs = SignsOfLife(table)
    jobs = []
    for row in _read_reservations(table, stored, newest):
        lease = leases.pop(row["key_hash"], None)
        jobs.append((row["key_hash"], _describe_reservation(table, row, lease, signs)))
    waiting = {name: _describe_lease(table, row) for name, row in leases.items()}
    return jobs + [(name, job) for name, job in waiting.items() if not table & job.key]


def _declare_jobs(table: Any) -> None:
    table.connection.schemas[table.database].jobs  # noqa: B018 -- declares ~jobs if missing


def _read_reservations(
    table: Any, statuses: Sequence[str], newest: int | None
) -> list[dict[str, Any]]:
    _declare_jobs(table)
    only = f" AND status IN ({', '.join(['%s'] * len(statuses))})" if statuses else ""
    return list(
        table.connection.query(
            "SELECT key_hash, status, `key`, error_message, error_stack, user, host, pid, "
            "connection_id, TIMESTAMPDIFF(SECOND, timestamp, CURRENT_TIMESTAMP) AS age "
            f"FROM {jobs_of(table)} WHERE table_name=%s{only} ORDER BY timestamp"
            + ("" if newest is None else f" DESC LIMIT {int(newest)}"),
            args=(table.table_name, *statuses),
            as_dict=True,
        )
    )


def _read_leases(table: Any) -> list[dict[str, Any]]:
    return list(
        table.connection.query(
            "SELECT key_hash, job_key, token, owner, attempts, last_error, "
            "TIMESTAMPDIFF(MICROSECOND, UTC_TIMESTAMP(6), expires_at) / 1e6 AS due_in "
            f"FROM {_leases(table)} WHERE database_name=%s AND table_name=%s",
            args=(table.database, table.table_name),
            as_dict=True,
        )
    )


def _describe_reservation(
    table: Any, row: Mapping[str, Any], lease: Mapping[str, Any] | None, signs: SignsOfLife
) -> Job:
    is_leased = lease is not None and row["error_message"] == mark(lease["token"])
    message = "" if row["error_message"].startswith(MARK) else row["error_message"]
    key = read_job_key(unpack(row["key"])) if row["key"] else {}
    return Job(
        table=_name(table),
        key=key,
        state=_name_state(row, key, lease if is_leased else None, signs),
        age=float(row["age"]),
        owner=lease["owner"] if lease is not None and is_leased else row["user"],
        host=row["host"],
        pid=int(row["pid"]),
        attempts=None if lease is None else int(lease["attempts"]),
        due_in=float(lease["due_in"]) if lease is not None and is_leased else None,
        message=message or (lease["last_error"] if lease is not None else ""),
        stack=str(unpack(row["error_stack"])) if row["error_stack"] else "",
    )


def _name_state(
    row: Mapping[str, Any],
    key: Mapping[str, Any],
    lease: Mapping[str, Any] | None,
    signs: SignsOfLife,
) -> str:
    if row["status"] != "reserved":
        return str(row["status"])
    if lease is not None:
        return "running" if lease["due_in"] > 0 else "expired"
    return "dead" if signs.is_dead(row, key) else "reserved"


def _describe_lease(table: Any, row: Mapping[str, Any]) -> Job:
    """Describe a lease whose reservation is gone: the job waits, or somebody deleted that."""
    held = "running" if row["due_in"] > 0 else "expired"
    host, pid, _ = (*row["owner"].split(":"), "", "")[:3]
    return Job(
        table=_name(table),
        key=read_job_key(unpack(row["job_key"])),
        state=held if row["token"] else "waiting",
        age=None,
        owner=row["owner"],
        host=host,
        pid=int(pid) if pid.isdigit() else 0,
        attempts=int(row["attempts"]),
        due_in=max(float(row["due_in"]), 0.0),
        message=row["last_error"],
        stack="",
    )


def _name(table: Any) -> str:
    return table.__name__ if isinstance(table, type) else type(table).__name__


def _to_plain(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
