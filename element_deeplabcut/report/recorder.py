"""Writes progress to the database while the work runs, without ever being in its way.

Each piece of work has a thread of its own with a connection of its own: neither the make's
connection nor its transaction is touched, and a thread or a connection that a fork has copied is
never used. The work leaves its latest figures in memory, which costs it a microsecond; the thread
writes them every `INTERVAL_S`. Every statement has a time limit. What fails is tried again at the
next round, and said once, at the end.

A row belongs to the attempt that began last: a worker that was paused, or cut off from the
database, and whose job another one has taken over, finds that attempt there and falls silent. And
where the result is recorded there is nothing left to say: who was paused before its attempt began,
and begins when another one has done the work, writes nothing either.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import math
import os
import socket
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pymysql

from ..blobs import encode_value
from ..connections import connect_plainly
from ..progress import INFERENCE, TRAINING, Observation
from ..wording import fit_charset
from .progress import MAX_MESSAGE
from .standing import Standing, describe_inference, describe_training, finite

logger = logging.getLogger(__name__)

INTERVAL_S = 5.0
"""How often a row is written while the work runs."""

_TIMEOUT_S = 3
"""How long a connection, or a statement, may take."""

_END_WAIT_S = 2.0
"""How long the end of the work waits for its last row to be written."""

_RETRY_S, _GIVE_UP_AFTER_S = 1.0, 600.0
"""How often, and for how long after the end of the work, the last row is tried."""

_TASK_IS_GONE = 1452
_HOPELESS = frozenset({1044, 1054, 1142, 1143, 1146, 1364, 1406, _TASK_IS_GONE})
"""Denied, no such table or column, a value that does not fit: no later try will do better."""

_NOW = "UTC_TIMESTAMP(6)"


@dataclass(frozen=True)
class Target:
    """Table that progress is written to, known without asking the server again.

    Attributes:
        connection: DataJoint's connection, of which only the settings are used.
        name: Full name.
        primary_key: Names of the key's columns.
        describe: Spells the columns of one kind of work.
        done: Name of the column that says how much is done.
        total: Name of the one that says of how much.
        result: Full name of the table that results are recorded in.
    """

    connection: Any
    name: str
    primary_key: tuple[str, ...]
    describe: Callable[[Standing], dict[str, Any]]
    done: str
    total: str
    result: str


_COLUMNS = {
    TRAINING: (describe_training, "epoch", "total_epochs"),
    INFERENCE: (describe_inference, "frames_done", "total_frames"),
}

_targets: dict[str, Target] = {}


def record_in(kind: str, table: Any, result: Any) -> None:
    """Record one kind of work in a table from now on, if it and that of the results are there."""
    if table.is_declared and result.is_declared:
        _targets[kind] = Target(
            table.connection, table.full_table_name, tuple(table.primary_key), *_COLUMNS[kind],
            result.full_table_name,
        )  # fmt: skip


def observe(kind: str, key: Mapping[str, Any]) -> Observation | None:
    """Record the progress of a piece of work, if there is a table for it."""
    target = _targets.get(kind)
    return None if target is None else Recorder(target, key)


class Recorder:
    """Records one piece of work; see `Observation`."""

    def __init__(self, target: Target, key: Mapping[str, Any]) -> None:
        self._target = target
        self._key = {name: encode_value(key[name]) for name in target.primary_key}
        self._attempt = uuid.uuid4().hex
        self._pid = os.getpid()
        self._standing: Standing | None = None
        self._outcome: tuple[str, str] | None = None
        self._is_there = False  # whether the row of this attempt has been written
        self._connection: Any = None
        self._failure: BaseException | None = None
        self._is_failing = False
        self._has_ended, self._is_written = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    # --- in the thread of the work ----------------------------------------------------------------

    def begin(self, engine: str, device: str, done: int, total: int | None) -> None:
        """Write from now on."""
        if self._standing is None and os.getpid() == self._pid:
            self._standing = Standing(engine, device, done, total)
            self._thread.start()

    def update(self, done: int, total: int | None, metrics: Mapping[str, float]) -> None:
        """Take note of the latest figures."""
        if self._standing is not None:
            self._standing.update(done, total, metrics)

    def end(self, outcome: str, sentence: str) -> None:
        """Write the last row; do not wait long for it.

        In a process that was forked from the one that computes, there is nothing to end.
        """
        if os.getpid() != self._pid:
            return
        # Parts of file names may have no place in UTF-8.
        self._outcome = (outcome, fit_charset(sentence)[:MAX_MESSAGE])
        self._has_ended.set()
        if self._standing is None:
            self._thread.start()
        if not self._is_failing:
            self.wait(_END_WAIT_S)
        if not self._is_written.is_set():
            _unwritten.add(self)
        if not self._is_written.is_set() or self._failure is not None:
            logger.warning(
                "The progress of %s could not be recorded all the time (%s); its result is not "
                "concerned.",
                self._target.name, self._failure or "the database does not answer",
            )  # fmt: skip

    def wait(self, seconds: float) -> None:
        """Wait for the last row, but no longer; in a fork nobody writes it."""
        if os.getpid() == self._pid and self._is_written.wait(max(seconds, 0)):
            self._thread.join()  # it has nothing left to do

    # --- in the thread that writes ----------------------------------------------------------------

    def _run(self) -> None:
        give_up_at = math.inf
        with contextlib.suppress(_GivenUpError):
            while time.monotonic() < give_up_at:
                outcome = self._outcome
                is_written = self._try_to_write(outcome)
                if outcome is None:
                    self._has_ended.wait(INTERVAL_S)
                elif is_written:
                    break
                else:
                    give_up_at = min(give_up_at, time.monotonic() + _GIVE_UP_AFTER_S)
                    time.sleep(_RETRY_S)
        self._disconnect()
        self._is_written.set()

    def _try_to_write(self, outcome: tuple[str, str] | None) -> bool:
        """Write the row, if the database takes it.

        Raises:
            _GivenUpError: Nothing is to be written any more.
        """
        is_used = self._connection is not None  # and may have been ended since
        try:
            self._write(outcome)
        except _GivenUpError:
            raise
        except Exception as error:
            self._disconnect()
            if _number(error) == _TASK_IS_GONE:
                raise _GivenUpError from None
            if _is_passing(error) and is_used:
                return self._try_to_write(outcome)
            self._failure = self._failure or error
            if not _is_passing(error):
                raise _GivenUpError from None
            self._is_failing = True
            return False
        self._is_failing = False
        return True

    def _write(self, outcome: tuple[str, str] | None) -> None:
        if self._connection is None:
            self._connection = connect_plainly(
                self._target.connection, connect_timeout=_TIMEOUT_S, read_timeout=_TIMEOUT_S,
                write_timeout=_TIMEOUT_S,
                init_command=f"SET SESSION innodb_lock_wait_timeout={_TIMEOUT_S - 1}, "
                f"lock_wait_timeout={_TIMEOUT_S - 1}",  # or a late one follows the last row
            )  # fmt: skip
        try:
            self._write_row(outcome)
        except pymysql.err.DataError:
            if outcome is None:
                raise
            # The column may be of a character set that lacks some letters of the message.
            self._write_row((outcome[0], fit_charset(outcome[1], "ascii")[:MAX_MESSAGE]))

    def _write_row(self, outcome: tuple[str, str] | None) -> None:
        if self._standing is None:
            if outcome is not None:
                self._settle(*outcome)
            return
        state, message = outcome or ("running", "")
        is_last = outcome is not None and state != "finished"
        if is_last or not self._is_there:
            self._give_up_if_recorded()
        row = self._build_row(self._standing, state, message)
        if self._is_there and self._update(row):
            return
        self._insert(row, self._standing.elapsed)
        self._is_there = True

    def _build_row(self, standing: Standing, state: str, message: str) -> dict[str, Any]:
        return {
            "state": state,
            **self._target.describe(standing),
            "seconds_left": 0.0 if state == "finished" else finite(standing.seconds_left),
            "engine": standing.engine[:16],
            "device": standing.device[:64],
            "host": socket.gethostname()[:255],
            "pid": self._pid,
            "message": message,
            "attempt": self._attempt,
        }

    def _insert(self, row: Mapping[str, Any], elapsed: float) -> None:
        """Take the row, unless the result is recorded or an attempt has it that began later.

        One statement, because this process may be stopped between two and another one do the work.

        Raises:
            _GivenUpError: The row is not for this attempt any more.
        """
        values = {**self._key, **row}
        columns = ", ".join(f"`{name}`" for name in values)
        places = ", ".join(["%s"] * len(values))
        # Assigned from left to right: once the attempt is this one, the times follow it.
        mine = "attempt=VALUES(attempt)"
        is_due = f"{mine} OR started_at <= VALUES(started_at)"
        names = sorted(row, key=lambda name: name == "attempt")
        changes = [f"`{name}`=IF({is_due}, VALUES(`{name}`), `{name}`)" for name in names]
        changes += [f"{at}=IF({mine}, VALUES({at}), {at})" for at in ("started_at", "updated_at")]
        if not self._execute(
            f"INSERT INTO {self._target.name} ({columns}, started_at, updated_at) "
            f"SELECT {places}, {_NOW} - INTERVAL %s MICROSECOND, {_NOW} FROM DUAL "
            f"WHERE NOT EXISTS (SELECT 1 FROM {self._target.result} WHERE {self._this_row()}) "
            f"ON DUPLICATE KEY UPDATE {', '.join(changes)}",
            *(*values.values(), int(elapsed * 1e6), *self._key.values()),
        ):
            self._give_up_if_recorded()
            raise _GivenUpError

    def _update(self, row: Mapping[str, Any]) -> int:
        changes = ", ".join(f"`{name}`=%s" for name in row)
        return self._execute(
            f"UPDATE {self._target.name} SET {changes}, updated_at={_NOW} "
            f"WHERE {self._this_row()} AND attempt=%s AND state<>'finished'",
            *(*row.values(), *self._key.values(), self._attempt),
        )

    def _give_up_if_recorded(self) -> None:
        """Leave the work to whoever has done it: this attempt began too late, or stopped too late.

        Raises:
            _GivenUpError: The result is recorded.
        """
        if self._execute(
            f"SELECT 1 FROM {self._target.result} WHERE {self._this_row()}", *self._key.values()
        ):
            self._settle("finished", "")
            raise _GivenUpError

    def _settle(self, state: str, message: str) -> None:
        """Bring the row of an earlier attempt, if there is one, to what is known of the work now.

        Whoever wrote it died after its result was published, or before it could say why.
        """
        done, total = self._target.done, self._target.total
        is_done = f", `{done}`=COALESCE(`{total}`, `{done}`), seconds_left=0"
        self._execute(
            f"UPDATE {self._target.name} SET state=%s, message=%s"
            f"{is_done if state == 'finished' else ''} WHERE {self._this_row()} "
            "AND state<>'finished'",
            *(state, message, *self._key.values()),
        )

    def _this_row(self) -> str:
        return " AND ".join(f"`{name}`=%s" for name in self._key)

    def _execute(self, sql: str, *values: Any) -> int:
        with self._connection.cursor() as cursor:
            return int(cursor.execute(sql, values))

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection = None


def _number(error: Exception) -> Any:
    return error.args[0] if isinstance(error, pymysql.err.Error) and error.args else None


def _is_passing(error: Exception) -> bool:
    passing = (pymysql.err.OperationalError, pymysql.err.InterfaceError, pymysql.err.InternalError)
    return isinstance(error, (*passing, OSError)) and _number(error) not in _HOPELESS


_unwritten: weakref.WeakSet[Recorder] = weakref.WeakSet()
"""Recorders whose work has ended and whose last row is still being tried."""


@atexit.register
def wait_for_last_rows(seconds: float = _END_WAIT_S) -> None:
    """Have the last rows written that an outage has held up, if that is quick.

    A process that ends calls it by itself, but not one that was forked: whatever works there calls
    it when it is done. What has been waited for once is not waited for again.
    """
    until = time.monotonic() + seconds
    for recorder in tuple(_unwritten):
        _unwritten.discard(recorder)
        recorder.wait(until - time.monotonic())


class _GivenUpError(Exception):
    """Nothing is to be written any more: the task is gone, or it is somebody else's now."""
