"""A private MariaDB or MySQL server, for the demo, the tests or a user who asks for one.

It runs as the user who starts it, answers on 127.0.0.1 and a Unix socket only, and goes on after
the process that started it has ended. Everything it owns lives in one directory (mode 0700):

============= =====================================================================================
``data/``     the tables; complete or absent, because it is made beside its place and then renamed
``password``  of the account ``element``, the only one that can log in
``first.sql`` makes the accounts; it goes once the server has let us in
``server.*``  state (port, socket), pid files, socket, logs of this start and of the one before
``*.lock``    held while a server starts or stops
``tmp/``      the server's scratch space
============= =====================================================================================

Nothing is started unless :func:`start` or :func:`running` is called, no option file of the system
is read, and no process is signalled unless it is seen to serve this very directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from element_deeplabcut.errors import DatabaseError

from .home import Home, locked, pause
from .install import USER, find, initialise
from .process import HOST, end, launch, live_pid

__all__ = ["Server", "running", "start", "status", "stop"]

LAUNCH_ATTEMPTS = 4


@dataclass(frozen=True)
class Server:
    """A server that answered.

    Attributes:
        data_dir: Directory that it owns; what :func:`stop` and :func:`status` take.
        socket: Its Unix socket.
        host: Address it listens on, always 127.0.0.1.
        port: TCP port.
        user: Account with all privileges.
        password: Password of that account, left out of the ``repr``.
        pid: Its process.
    """

    data_dir: Path
    socket: Path
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    pid: int

    def connect(self, **options: Any) -> pymysql.connections.Connection:
        """Open a plain connection.

        Args:
            **options: Further arguments of ``pymysql.connect``, such as ``database``.

        Returns:
            A PyMySQL connection, to be closed by the caller.
        """
        login: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "charset": "utf8mb4",
            "ssl_disabled": True,
        }
        return pymysql.connect(**(login | options))

    def configure_datajoint(self) -> None:
        """Make DataJoint use this server in the current process.

        A connection that DataJoint already holds to another server is closed; schemas that were
        activated over it have to be activated again.
        """
        import datajoint as dj

        login = {
            "database.host": self.host,
            "database.port": self.port,
            "database.user": self.user,
            "database.password": self.password,
            # PyMySQL insists on TLS unless told otherwise; here nothing leaves the machine.
            "database.use_tls": False,
        }
        dj.config.update(login)
        held = getattr(dj.conn, "connection", None)
        if held is None:
            return
        known = tuple(held.conn_info.get(name) for name in ("host", "port", "user", "passwd"))
        if known == tuple(login.values())[:4] and held.is_connected:
            return  # activated schemas go on sharing the connection, and its transaction
        del dj.conn.connection
        with contextlib.suppress(Exception):  # it may be lost already
            held.close()


def start(data_dir: Path | None = None, *, timeout: float = 60) -> Server:
    """Start the server of a directory, or find the one that is running.

    Args:
        data_dir: Directory for the server to own; by default ``DLC_DATABASE_DIR``, or else
            ``element-deeplabcut/database`` in the user's data directory.
        timeout: Seconds to wait until it answers.

    Returns:
        The running server.

    Raises:
        SetupError: No server program is installed, or no directory can be named.
        PathError: The directory cannot be used, or holds something else.
        DatabaseError: The server ended, or did not answer in time.
    """
    return _start(Home.of(data_dir), timeout)[0]


def stop(data_dir: Path | None = None, *, timeout: float = 60) -> bool:
    """Shut the server of a directory down, and wait until it has ended.

    Args:
        data_dir: As for :func:`start`.
        timeout: Seconds it has to shut down before it is killed. What was committed survives that.

    Returns:
        Whether one was running.

    Raises:
        DatabaseError: It could not be ended.
    """
    home = Home.of(data_dir)
    if not os.path.exists(home.lock):  # False as well where we may not look
        return False
    deadline = time.monotonic() + timeout
    with locked(home, deadline):
        pid = live_pid(home)
        if pid is None:
            return False
        if home.read_state().get("pid") != pid:
            # MariaDB hangs for good when it is told to end while it starts: let it finish first.
            with contextlib.suppress(DatabaseError, _PortTakenError):
                _await(home, deadline)
        for number, until in ((signal.SIGTERM, deadline), (signal.SIGKILL, deadline + 10)):
            if end(home, pid, number, until):
                return True
    raise DatabaseError(f"The database server (process {pid}) does not end, even when killed.")


def status(data_dir: Path | None = None) -> Server | None:
    """Look whether the server of a directory is running. Nothing is created or started.

    Args:
        data_dir: As for :func:`start`.

    Returns:
        The server if it answers, otherwise None.

    Raises:
        DatabaseError: It runs, but refuses the password kept in the directory.
    """
    return _probe(Home.of(data_dir))


@contextlib.contextmanager
def running(data_dir: Path | None = None, *, timeout: float = 60) -> Iterator[Server]:
    """Have a server for the length of a ``with`` block.

    Args:
        data_dir: As for :func:`start`.
        timeout: Seconds to wait until it answers.

    Yields:
        The server. It is stopped at the end only if this call started it.
    """
    server, started = _start(Home.of(data_dir), timeout)
    try:
        yield server
    finally:
        if started:
            stop(server.data_dir)


def _start(home: Home, timeout: float) -> tuple[Server, bool]:
    """Find or start the server; also say whether it was this call that started it."""
    found = _probe(home)
    if found:
        return found, False
    deadline = time.monotonic() + timeout
    program = find("mariadbd", "mysqld")
    home.claim()
    with locked(home, deadline) as lock:
        for _ in range(LAUNCH_ATTEMPTS):
            missing = live_pid(home) is None  # else: a starter was killed before it answered
            if missing:
                if not home.data.is_dir():
                    initialise(home, program, deadline)
                _password(home)
                launch(home, program, lock)
            try:
                return _await(home, deadline), missing
            except _PortTakenError:
                continue  # somebody took the port between our look at it and the server's
    raise DatabaseError(f"No free port was found for the database server. {home.log_tail()}")


class _PortTakenError(Exception):
    """The server ended because its port was in use."""


def _await(home: Home, deadline: float) -> Server:
    """Wait until the server answers or has ended."""
    while True:
        server = _probe(home)
        if server:
            home.write_state(port=server.port, socket=str(server.socket), pid=server.pid)
            home.first.unlink(missing_ok=True)
            return server
        if live_pid(home) is None:
            if "Bind on TCP/IP port" in home.log_tail():
                raise _PortTakenError
            raise DatabaseError(f"The database server did not start. {home.log_tail()}")
        # Not killed: it may be recovering a large database, and would begin again next time.
        pause(deadline, f"The database server of {home.path} does not answer yet.")


def _probe(home: Home) -> Server | None:
    """Ask the server who it is; None if it has ended or does not answer (yet)."""
    pid, state = live_pid(home), home.read_state()
    if pid is None or not {"port", "socket"} <= state.keys():
        return None
    path = Path(state["socket"])
    server = Server(home.path, path, HOST, state["port"], USER, _password(home), pid)
    options: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 5, "write_timeout": 5}
    if path.exists():
        options["unix_socket"] = str(path)
    elif state.get("pid") != pid:
        # Until it has answered on its socket, its port may be a stranger's: no password goes there.
        return None
    try:
        with server.connect(**options) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@datadir, @@port")
            data, port = cursor.fetchone()
    except (pymysql.err.OperationalError, pymysql.err.InterfaceError) as error:
        if error.args[0] == 1045:  # access denied
            raise DatabaseError(
                f"The server of {home.path} refuses the password in {home.password}: put the "
                "right one back, or stop the server and begin with an empty directory."
            ) from error
        return None
    return server if (Path(data), port) == (home.data, server.port) else None


def _password(home: Home) -> str:
    try:
        return home.password.read_text()
    except FileNotFoundError:
        raise DatabaseError(
            f"{home.password} is gone, and the tables in {home.path} cannot be reached without it: "
            "put it back, or begin with an empty directory."
        ) from None
