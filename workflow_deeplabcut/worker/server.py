"""The worker's connection to the database: it survives restarts, outages and time-outs.

A connection that a killed or stopped worker left behind may hold a transaction open, with its
locks. So each worker holds a named lock of the server on its connection; whoever takes over a job
asks the server which connection holds the dead worker's lock, and ends it. The lock follows the
worker through reconnections, where a noted connection number would name a stranger's connection
after a restart of the server.

A network that falls silent without closing anything would keep a statement waiting for as long as
the kernel likes (15 minutes to for ever) while the heartbeat, on a connection of its own, keeps
the job. So the kernel is told to probe a silent connection; long statements are not touched by it.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import datajoint as dj
import pymysql
from datajoint.connection import connect_host_hook
from datajoint.errors import LostConnectionError

logger = logging.getLogger(__name__)

AWAY = frozenset({0, 1040, 1053, 1077, 1079, 1317, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031})
"""Numbers of errors after which the connection is gone, or the server says that it will be."""

CONFLICTS = frozenset({1020, 1205, 1213})
"""Changed since read (MariaDB 11), lock wait timeout, deadlock: the transaction may be repeated."""

FULL = frozenset({1021, 1114, 3})
"""The server's disk is full."""

SILENCE_S = 60
"""Seconds after which a connection whose other end answers no probe counts as lost."""

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0


def is_away(error: BaseException) -> bool:
    """Whether an error means that the connection or the server is gone."""
    if isinstance(error, (LostConnectionError, pymysql.err.InterfaceError)):
        return True
    return _number(error) in AWAY


def is_conflict(error: BaseException) -> bool:
    """Whether an error means that two transactions met, and this one may be repeated."""
    return _number(error) in CONFLICTS


def is_full(error: BaseException) -> bool:
    """Whether an error means that the server's disk is full."""
    return _number(error) in FULL


def _number(error: BaseException) -> Any:
    is_ours = isinstance(error, pymysql.err.Error) and error.args
    return error.args[0] if is_ours else None


class Server:
    """The database server as one worker sees it, through DataJoint's connection.

    Attributes:
        owner: Name of the worker, unique in the world.
        connection: DataJoint's connection.
        returned_at: ``time.monotonic()`` when the server was there again after it was away.
    """

    def __init__(self, connection: dj.Connection, owner: str) -> None:
        self.connection = connection
        self.owner = owner
        self.returned_at = float("-inf")
        self._known: Any = None

    def query(self, sql: str, *args: Any) -> Any:
        """Run a statement; its values go through ``%s``."""
        return self.connection.query(sql, args=args)

    def mark_connection(self) -> None:
        """Take the named lock, if DataJoint has reconnected silently since it was taken."""
        if self.connection._conn is self._known:
            return
        self.connection.connection_id = self.query("SELECT CONNECTION_ID()").fetchone()[0]
        if self.query("SELECT GET_LOCK(%s, 0)", _lock_name(self.owner)).fetchone() != (1,):
            # The connection before broke off, and the server does not miss it yet. What it left
            # open would block its own worker.
            self.end_connection_of(self.owner)
            self.query("SELECT GET_LOCK(%s, 1)", _lock_name(self.owner)).fetchall()
        # With this on, MariaDB refuses to lock a row that a heartbeat renewed since our snapshot.
        if self.query("SHOW VARIABLES LIKE 'innodb_snapshot_isolation'").fetchall():
            self.query("SET SESSION innodb_snapshot_isolation=OFF")
        _probe_silence(self.connection._conn)
        self._known = self.connection._conn

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does, or nothing of it."""
        self.mark_connection()
        self.connection.start_transaction()
        try:
            self.mark_connection()  # beginning a transaction may have reconnected, too
            yield
            self.connection.commit_transaction()
        except BaseException:
            self.roll_back()
            raise

    def roll_back(self) -> None:
        """End an open transaction; a connection that cannot is closed, which ends it as well."""
        if not self.connection._in_transaction:
            return
        try:
            self.connection.cancel_transaction()
        except Exception:
            self.drop_connection()

    def drop_connection(self) -> None:
        """Close the connection, which rolls back; the next statement opens another one."""
        with contextlib.suppress(Exception):
            self.connection.close()
        # DataJoint would believe for ever that a transaction is open.
        self.connection._in_transaction = False

    @contextlib.contextmanager
    def trying_alone(self, name: str) -> Iterator[bool]:
        """Whether no other worker is inside a block of this name; waits for nobody."""
        (got,) = self.query("SELECT GET_LOCK(%s, 0)", _lock_name(name)).fetchone()
        try:
            yield bool(got)
        finally:
            if got:
                self.query("SELECT RELEASE_LOCK(%s)", _lock_name(name)).fetchall()

    def end_connection_of(self, owner: str) -> None:
        """End the connection of a worker whose job was taken over, with what it left open."""
        try:
            (number,) = self.query("SELECT IS_USED_LOCK(%s)", _lock_name(owner)).fetchone()
            if number not in (None, self.connection.connection_id):
                self.query(f"KILL {int(number)}")
                logger.info("ended the database connection of %s", owner)
        except Exception as error:
            # Whoever holds no lease records nothing, so this is about waiting locks only.
            if is_away(error):
                raise
            logger.warning("cannot end the database connection of %s: %s", owner, error)

    def reconnect(self, pause: Callable[[float], None]) -> None:
        """Come back to the server, however long it is away.

        Args:
            pause: Waits; raises when this worker must end.
        """
        self.connection._in_transaction = False
        seconds, was_away = _FIRST_PAUSE_S, False
        while True:
            try:
                with contextlib.suppress(Exception):
                    self.connection.close()
                connect_host_hook(self.connection)
                self.mark_connection()
            except (pymysql.err.Error, dj.DataJointError, OSError) as error:
                if not was_away:
                    logger.warning("the database is away (%s); waiting for it", _in_words(error))
                was_away = True
                pause(seconds)
                seconds = min(2 * seconds, _LONGEST_PAUSE_S)
            else:
                logger.info("connected to the database again")
                if was_away:
                    self.returned_at = time.monotonic()
                return


def _probe_silence(connection: Any) -> None:
    end = getattr(connection, "_sock", None)
    if not isinstance(end, socket.socket) or end.family == socket.AF_UNIX:
        return
    wanted = {
        "TCP_KEEPIDLE": SILENCE_S // 2,  # then three probes
        "TCP_KEEPINTVL": max(SILENCE_S // 6, 1),
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": 1000 * SILENCE_S,  # where data was sent and nobody acknowledges it
    }
    # Where a system or a sandbox has no such option a worker works without; where the connection
    # has just been closed, the next statement finds out.
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in wanted.items():
        if hasattr(socket, name):  # the last is Linux's
            with contextlib.suppress(OSError):
                end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _lock_name(owner: str) -> str:
    return f"dlc-worker {owner[-48:]}"  # a lock's name has 64 characters at most


def _in_words(error: BaseException) -> str:
    return str(error.args[-1]) if error.args else type(error).__name__
