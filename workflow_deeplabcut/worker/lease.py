"""Leases: who computes a job, for how long it is believed to live, and how often it was tried.

A job is taken in two tables by one transaction. The row in DataJoint's ``~jobs`` keeps away whoever
runs plain ``populate(reserve_jobs=True)``, and says which lease stands behind it. The lease row
says when the job may be taken by somebody else: when the lease runs out that a dead worker does not
renew, or when a failed job may be tried again. All times are the database server's, so the workers'
clocks do not matter.

A result is recorded by the transaction that also deletes the lease, and the lease is deleted by its
token only: whoever lost the lease cannot record anything, and who holds it records once.
"""

from __future__ import annotations

import logging
import os
import platform
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import datajoint as dj
import pymysql
from datajoint.blob import pack, unpack
from datajoint.errors import DuplicateError
from datajoint.hash import key_hash
from datajoint.jobs import ERROR_MESSAGE_LENGTH

from element_deeplabcut.errors import LeaseLost
from element_deeplabcut.tables import read_job_key
from element_deeplabcut.wording import fit_charset

from .server import Server, is_conflict

logger = logging.getLogger(__name__)

SCHEMA = "worker"
"""Name of the workflow's own schema, after the prefix."""

MARK = "worker lease "
"""How the message of a worker's reservation begins; its token follows."""

_THIS_JOB = "WHERE database_name=%s AND table_name=%s AND key_hash=%s"
_OUR_RESERVATION = "WHERE table_name=%s AND key_hash=%s AND status='reserved' AND error_message=%s"
_NOW = "UTC_TIMESTAMP(6)"
_IS_FREE = f"expires_at <= {_NOW}"

_COLUMNS = f"""
    INTO {{table}} (database_name, table_name, key_hash, job_key, token, owner, attempts,
        expires_at)
    VALUES (%s, %s, %s, %s, %s, %s, 1, {_NOW} + INTERVAL %s SECOND)
"""
_TAKE_NEW = f"INSERT IGNORE {_COLUMNS}"

# Assignments happen from left to right, and later ones see what earlier ones did: expires_at, which
# all others ask, comes last.
_TAKE = f"""
    INSERT {_COLUMNS}
    ON DUPLICATE KEY UPDATE
        previous_token = IF({_IS_FREE}, token, previous_token),
        previous_owner = IF({_IS_FREE}, owner, previous_owner),
        token = IF({_IS_FREE}, VALUES(token), token),
        owner = IF({_IS_FREE}, VALUES(owner), owner),
        attempts = IF({_IS_FREE}, attempts + 1, attempts),
        expires_at = IF({_IS_FREE}, VALUES(expires_at), expires_at)
"""
_MOMENT_S = 2
"""Longer than it takes from one look at what is due to the next."""

_STACK_LENGTH = 100_000
"""Characters of a stack that are kept, from its end."""

_INSERTED, _UNTOUCHED = 1, 0  # rows affected; 2 when an existing row was changed


class Lease(dj.Manual):  # type: ignore[misc]
    """Job that a worker computes, or that waits for its next try.

    Attributes:
        database_name (varchar(64)): Schema of the computed table.
        table_name (varchar(64)): Computed table, as the database names it.
        key_hash (char(32)): Name of the job, the same as in ``~jobs``.
        job_key (blob): Key of the job.
        token (varchar(32)): Changes with every taking; '' while nobody holds the job.
        owner (varchar(128)): Worker that holds it, or held it last.
        attempts (int unsigned): How often it was taken and not handed back.
        expires_at (datetime(6)): When others may take it, server's clock, UTC.
        last_error (varchar(2047)): What the last try failed with, or ''.
        previous_token (varchar(32)): Token before the last taking.
        previous_owner (varchar(128)): Likewise.
    """

    definition = """
    # Jobs that workers compute, and jobs that wait for their next try
    database_name     : varchar(64)
    table_name        : varchar(64)
    key_hash          : char(32)       # as in ~jobs
    ---
    job_key           : blob
    token             : varchar(32)    # '' while nobody holds the job
    owner             : varchar(128)   # worker that holds it, or held it last
    attempts          : int unsigned   # how often it was taken and not handed back
    expires_at        : datetime(6)    # when others may take it, UTC by the server's clock
    last_error=''     : varchar(2047)
    previous_token='' : varchar(32)    # before the last taking
    previous_owner='' : varchar(128)
    index (expires_at)
    """


def declare_leases(connection: dj.Connection, prefix: str) -> str:
    """Create the lease table where it is missing, and return its full name."""
    schema = dj.Schema(prefix + SCHEMA, connection=connection)
    return str(schema(Lease).full_table_name)


@dataclass
class HeldLease:
    """A job in hand.

    Attributes:
        table: Computed table.
        key: Primary key of the job.
        token: Random name of this taking.
        attempts: The how-manieth try this is.
        lost: Whether the heartbeat found that somebody else holds the job.
    """

    table: Any
    key: dict[str, Any]
    key_hash: str
    token: str
    attempts: int
    lost: bool = field(default=False, compare=False)

    @property
    def row(self) -> tuple[str, str, str]:
        """Primary key of the lease row."""
        return (self.table.database, self.table.table_name, self.key_hash)

    def check(self) -> None:
        """Stop the computation when the lease is gone.

        Raises:
            LeaseLost: Another worker holds the job now.
        """
        if self.lost:
            raise LeaseLost(
                "Another worker has taken over this job, because this one did not renew its lease "
                "in time (it was paused, or cut off from the database)."
            )


def hash_job(table: Any, key: Mapping[str, Any]) -> str:
    """Name of a job in ``~jobs``, the same for workers and for ``populate``."""
    return str(key_hash(table._job_key(dict(key))))


class LeaseStore:
    """Takes, renews and ends leases for one worker."""

    def __init__(self, server: Server, prefix: str, seconds: float) -> None:
        self.server = server
        self.seconds = seconds
        self.table_name = declare_leases(server.connection, prefix)
        self._user = server.connection.get_user()

    # --- taking -----------------------------------------------------------------------------------

    def take(self, table: Any, key: dict[str, Any]) -> HeldLease | None:
        """Take a job; None when somebody else has it, or it failed, or it has to wait."""
        job_key = table._job_key(dict(key))
        lease = HeldLease(table, key, str(key_hash(job_key)), uuid.uuid4().hex, 1)
        try:
            with self.server.transaction():
                previous_owner = self._take(lease, pack(job_key))
        except _TakenError:
            return None
        except pymysql.err.Error as error:
            if is_conflict(error):  # somebody else was taking it at this moment
                return None
            raise
        if previous_owner:
            logger.warning("%s does not renew its lease; taking over its job", previous_owner)
            if previous_owner != self.server.owner:
                self.server.end_connection_of(previous_owner)
        return lease

    def take_along(self, table: Any, key: dict[str, Any]) -> HeldLease | None:
        """Take a further job within the open transaction, if nobody has ever begun it.

        What is taken by the transaction that records the job before costs no commit of its own.
        """
        job_key = table._job_key(dict(key))
        lease = HeldLease(table, key, str(key_hash(job_key)), uuid.uuid4().hex, 1)
        inserted = self.server.query(
            _TAKE_NEW.format(table=self.table_name),
            *(*lease.row, pack(job_key), lease.token, self.server.owner, self.seconds),
        ).rowcount
        if not inserted:
            return None
        try:
            self._reserve(lease, pack(job_key))
        except _TakenError:
            self.server.query(f"DELETE FROM {self.table_name} {_THIS_JOB}", *lease.row)
            return None
        return lease

    def _take(self, lease: HeldLease, job_key: bytes) -> str:
        """Take the lease, then the reservation; return who held them and is gone, or ''."""
        affected = self.server.query(
            _TAKE.format(table=self.table_name),
            *(*lease.row, job_key, lease.token, self.server.owner, self.seconds),
        ).rowcount
        if affected == _UNTOUCHED:
            raise _TakenError
        if affected == _INSERTED:
            self._reserve(lease, job_key)
            return ""
        lease.attempts, token, owner = self.server.query(
            f"SELECT attempts, previous_token, previous_owner FROM {self.table_name} {_THIS_JOB}",
            *lease.row,
        ).fetchone()
        if token and self._replace_reservation(lease, token):
            return str(owner)
        self._reserve(lease, job_key)
        return ""

    def _reserve(self, lease: HeldLease, job_key: bytes) -> None:
        try:
            self.server.query(
                f"INSERT INTO {jobs_of(lease.table)} (table_name, key_hash, status, `key`, "
                "error_message, user, host, pid, connection_id) "
                "VALUES (%s, %s, 'reserved', %s, %s, %s, %s, %s, %s)",
                *(*lease.row[1:], job_key, mark(lease.token), *self._who()),
            )
        except DuplicateError:
            raise _TakenError from None

    def _replace_reservation(self, lease: HeldLease, token: str) -> bool:
        replaced = self.server.query(
            f"UPDATE {jobs_of(lease.table)} SET error_message=%s, user=%s, host=%s, pid=%s, "
            f"connection_id=%s, timestamp=CURRENT_TIMESTAMP {_OUR_RESERVATION}",
            *(mark(lease.token), *self._who(), *lease.row[1:], mark(token)),
        ).rowcount
        return bool(replaced)

    def _who(self) -> tuple[Any, ...]:
        return (self._user, platform.node(), os.getpid(), self.server.connection.connection_id)

    # --- ending (each inside a transaction) -------------------------------------------------------

    def end(self, lease: HeldLease) -> None:
        """Delete lease and reservation: the job is recorded by the same transaction.

        Raises:
            LeaseLost: Another worker holds the job; the transaction must be rolled back.
        """
        deleted = self.server.query(
            f"DELETE FROM {self.table_name} {_THIS_JOB} AND token=%s", *lease.row, lease.token
        ).rowcount
        if not deleted:
            lease.lost = True
            lease.check()
        self._clear_reservation(lease)

    def end_with_error(self, lease: HeldLease, message: str, stack: str) -> None:
        """Turn the reservation into an error entry, as ``populate`` leaves it.

        Raises:
            LeaseLost: Another worker holds the job.
        """
        self._mark_error(lease, message, stack)
        self.end(lease)

    def _mark_error(self, lease: HeldLease, message: str, stack: str) -> None:
        self._write(
            message,
            f"UPDATE {jobs_of(lease.table)} SET status='error', error_message=%s, error_stack=%s, "
            f"timestamp=CURRENT_TIMESTAMP {_OUR_RESERVATION}",
            *(pack(fit_charset(stack)[-_STACK_LENGTH:]), *lease.row[1:], mark(lease.token)),
        )

    def _write(self, message: str, sql: str, *values: Any) -> None:
        """Run a statement whose first value is a message, which must not fail for its letters."""
        try:
            self.server.query(sql, shorten(fit_charset(message)), *values)
        except pymysql.err.DataError:  # the column is of a character set that lacks some
            self.server.query(sql, shorten(fit_charset(message, "ascii")), *values)

    def postpone(self, lease: HeldLease, delay: float, message: str) -> None:
        """Give the job back to be tried again, by anybody, after a delay (s)."""
        self._write(
            message,
            f"UPDATE {self.table_name} SET token='', last_error=%s, "
            f"expires_at={_NOW} + INTERVAL %s SECOND {_THIS_JOB} AND token=%s",
            *(delay, *lease.row, lease.token),
        )
        self._clear_reservation(lease)

    def hand_back(self, lease: HeldLease) -> None:
        """Give the job back as if it had not been taken."""
        self.server.query(
            f"UPDATE {self.table_name} SET token='', attempts=attempts-1, expires_at={_NOW} "
            f"{_THIS_JOB} AND token=%s",
            *(*lease.row, lease.token),
        )
        self.server.query(
            f"DELETE FROM {self.table_name} {_THIS_JOB} AND token='' AND attempts=0", *lease.row
        )
        self._clear_reservation(lease)

    def hand_back_all(self) -> None:
        """Give back whatever is still in this worker's name."""
        held = self.server.query(
            f"SELECT database_name, table_name, key_hash, token, attempts FROM {self.table_name} "
            "WHERE owner=%s AND token<>''",
            self.server.owner,
        ).fetchall()
        for database, name, hashed, token, attempts in held:
            table = SimpleNamespace(database=database, table_name=name)
            self.hand_back(HeldLease(table, {}, hashed, token, attempts))

    def _clear_reservation(self, lease: HeldLease) -> None:
        self.server.query(
            f"DELETE FROM {jobs_of(lease.table)} {_OUR_RESERVATION}",
            *(*lease.row[1:], mark(lease.token)),
        )

    def renewal(self, lease: HeldLease) -> tuple[str, tuple[Any, ...]]:
        """Statement and values that renew a lease; it changes one row, or none when it is lost."""
        sql = (
            f"UPDATE {self.table_name} SET expires_at={_NOW} + INTERVAL %s SECOND "
            f"{_THIS_JOB} AND token=%s"
        )
        return sql, (self.seconds, *lease.row, lease.token)

    # --- asking -----------------------------------------------------------------------------------

    def holds(self, lease: HeldLease) -> bool:
        """Whether the lease is still this worker's."""
        found = self.server.query(
            f"SELECT token FROM {self.table_name} {_THIS_JOB}", *lease.row
        ).fetchone()
        return found == (lease.token,)

    def list_due(self, table: Any) -> list[dict[str, Any]]:
        """Keys of a table's jobs whose lease ran out, or whose time to be tried again has come."""
        keys = self._list_keys(table, _IS_FREE)
        if keys and self._is_patient():
            return self._list_keys(table, f"{_IS_FREE} AND token=''")
        return keys

    def list_waiting(self, table: Any) -> list[dict[str, Any]]:
        """Keys of a table's jobs that can be tried later: they failed, or may still be renewed."""
        # One whose time came a moment ago may have come between two looks at what is due; and
        # patience may have ended between them.
        waiting = f"token='' AND expires_at > {_NOW} - INTERVAL {_MOMENT_S} SECOND"
        if self._is_patient(_MOMENT_S):
            waiting = f"({waiting} OR token<>'' AND {_IS_FREE})"
        return self._list_keys(table, waiting)

    def _is_patient(self, longer: float = 0) -> bool:
        """Whether the server was away just now, so that nobody could renew a lease.

        Jobs are left to those who had them for the time of a lease, or an outage would cost what
        they have computed.
        """
        return self._count_seconds_up() < self.seconds + longer

    def _count_seconds_up(self) -> float:
        """For how long the server has been there, as far as is known here."""
        (_, uptime) = self.server.query("SHOW GLOBAL STATUS LIKE 'Uptime'").fetchone()
        return min(float(uptime), time.monotonic() - self.server.returned_at)

    def _list_keys(self, table: Any, condition: str) -> list[dict[str, Any]]:
        rows = self.server.query(
            f"SELECT job_key FROM {self.table_name} WHERE {condition} "
            "AND database_name=%s AND table_name=%s ORDER BY expires_at LIMIT 100",
            *(table.database, table.table_name),
        ).fetchall()
        return [read_job_key(unpack(blob)) for (blob,) in rows]

    def find_busy(self, table: Any, hashes: list[str]) -> set[str]:
        """Which of these jobs are reserved, failed, ignored, or wait for their next try."""
        if not hashes:
            return set()
        busy = self.server.query(
            f"SELECT key_hash FROM {jobs_of(table)} WHERE table_name=%s AND key_hash IN %s "
            f"UNION ALL SELECT key_hash FROM {self.table_name} WHERE database_name=%s "
            f"AND table_name=%s AND key_hash IN %s AND NOT ({_IS_FREE})",
            *(table.table_name, hashes, table.database, table.table_name, hashes),
        ).fetchall()
        return {found for (found,) in busy}

    def find_outcome(self, table: Any, key: Mapping[str, Any]) -> str:
        """What has become of a job, a name in `Summary`; '' where nothing has."""
        if table & key:
            return "done"
        hashed = hash_job(table, key)
        if table.connection.schemas[table.database].jobs & {
            "table_name": table.table_name, "key_hash": hashed, "status": "error",
        }:  # fmt: skip
            return "failed"
        waits = self.server.query(
            f"SELECT 1 FROM {self.table_name} {_THIS_JOB} AND token=''",
            *(table.database, table.table_name, hashed),
        ).fetchone()
        return "postponed" if waits else ""

    def count_held(self, table: Any | None = None) -> int:
        """How many jobs (of one table) are in the hands of living workers."""
        where = "" if table is None else " AND database_name=%s AND table_name=%s"
        values = () if table is None else (table.database, table.table_name)
        return int(
            self.server.query(
                f"SELECT COUNT(*) FROM {self.table_name} WHERE token<>'' AND NOT ({_IS_FREE})"
                + where,
                *values,
            ).fetchone()[0]
        )


class _TakenError(Exception):
    """Somebody else has the job; rolls the transaction back."""


def shorten(message: str) -> str:
    """Cut a message to what its column holds."""
    if len(message) <= ERROR_MESSAGE_LENGTH:
        return message
    return message[: ERROR_MESSAGE_LENGTH - 3] + "..."


def jobs_of(table: Any) -> str:
    """Full name of the ``~jobs`` table that is responsible for a computed table."""
    return f"`{table.database}`.`~jobs`"


def mark(token: str) -> str:
    """What a reservation says in ``~jobs`` while the job is in a worker's hands."""
    return f"{MARK}{token}"
