"""Trying out settings before they are written: does the server answer, are directories there?"""

from __future__ import annotations

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from element_deeplabcut.errors import DatabaseError, ParameterError, PathError
from element_deeplabcut.linking import PROCESSED_DIR_NAME

from .login import REFUSED, has_no_tls

TIMEOUT_S = 10.0
OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0)}

_PREFIX = re.compile(r"[A-Za-z0-9_$-]{0,40}")
_Answer = TypeVar("_Answer")


class NoTlsError(DatabaseError):
    """The server offers no encryption, which DataJoint insists on unless told otherwise."""


@dataclass(frozen=True)
class ServerFacts:
    """What a server said when it was tried.

    Attributes:
        version: For people: ``MariaDB 10.11.6``.
        is_encrypted: Whether the connection was.
        schemas: Names of schemas that are there and begin with the prefix.
        is_old: Whether it is older than what this package is made for.
    """

    version: str
    is_encrypted: bool
    schemas: tuple[str, ...]
    is_old: bool


def try_login(
    login: Mapping[str, Any], *, prefix: str = "", timeout: float = TIMEOUT_S
) -> ServerFacts:
    """Connect as DataJoint would, ask the server who it is, and disconnect.

    Args:
        login: ``database.host`` (``host:port`` too), ``database.port``, ``database.user``,
            ``database.password`` and ``database.use_tls``, as in ``dj.config``.
        prefix: Prefix of schema names.
        timeout: Seconds in all, looking up the host's name included.

    Raises:
        NoTlsError: The server has no encryption and the login does not say to do without.
        DatabaseError: It does not answer, or refuses the login.
    """
    host, port = split_host(login)
    place = f"{host}:{port}"
    try:
        return _in_time(lambda: _ask_server(host, port, login, prefix, timeout), timeout)
    except TimeoutError:
        raise DatabaseError(
            f"{place} does not answer within {timeout:g} s. Check host and port, and that a "
            "firewall or a missing VPN is not in between."
        ) from None
    except Exception as error:
        import pymysql

        if not isinstance(error, (OSError, pymysql.err.Error)):
            raise
        raise _explain(error, place, login) from error


def split_host(login: Mapping[str, Any]) -> tuple[str, int]:
    """Read host and port; a port in the host comes first, as DataJoint has it.

    Raises:
        DatabaseError: The port is none.
    """
    host, colon, port = str(login.get("database.host") or "localhost").partition(":")
    number = port if colon else str(login.get("database.port") or 3306)
    if not host or not number.isascii() or not number.isdigit() or not 0 < int(number) < 65536:
        raise DatabaseError(
            f"'{login.get('database.host')}' with port {number} is no server. Give the host as "
            "name or name:port, the port from 1 to 65535."
        )
    return host, int(number)


def check_prefix(prefix: str) -> str:
    """Insist that a prefix makes names of schemas.

    Raises:
        ParameterError: It does not.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ParameterError(
            f"The prefix '{prefix}' does not suit names of schemas: use up to 40 letters, digits "
            "and underscores."
        )
    return prefix


def _ask_server(
    host: str, port: int, login: Mapping[str, Any], prefix: str, timeout: float
) -> ServerFacts:
    import pymysql

    tls = login.get("database.use_tls")
    options: dict[str, Any] = {"ssl_disabled": True}
    if tls is not False:
        options = {"ssl": tls if isinstance(tls, dict) else {"ssl": {}}}  # as DataJoint does
    connection = pymysql.connect(
        host=host,
        port=port,
        user=login.get("database.user"),
        password=login.get("database.password") or "",
        connect_timeout=timeout,
        read_timeout=timeout,
        write_timeout=timeout,
        charset="utf8mb4",
        **options,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        version = str(cursor.fetchone()[0])
        cursor.execute("SHOW DATABASES")
        names = sorted(str(name) for (name,) in cursor.fetchall())
        cursor.execute("SHOW STATUS LIKE 'Ssl_cipher'")
        row = cursor.fetchone()
    kind = "MariaDB" if "mariadb" in version.lower() else "MySQL"
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    return ServerFacts(
        version=f"{kind} {version.split('-')[0]}",
        is_encrypted=bool(row and row[1]),
        schemas=tuple(name for name in names if prefix and name.startswith(prefix)),
        is_old=numbers < OLDEST[kind],
    )


def _in_time(ask: Callable[[], _Answer], timeout: float) -> _Answer:
    """Call in a thread that is left to itself when time is up: a name server may hold it long."""
    answers: list[_Answer] = []
    errors: list[BaseException] = []
    began = time.monotonic()

    def call() -> None:
        try:
            answers.append(ask())
        except BaseException as error:
            # A socket with the same limit gives up at the same moment as we, in words of its own.
            is_late = time.monotonic() - began >= timeout
            errors.append(TimeoutError() if is_late else error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise TimeoutError
    if errors:
        raise errors[0]
    return answers[0]


def _explain(error: Exception, place: str, login: Mapping[str, Any]) -> DatabaseError:
    number = error.args[0] if error.args else None
    said = error.args[-1] if error.args else error
    if has_no_tls(error):
        return NoTlsError(
            f"The server at {place} offers no encryption (TLS). Say that password and data may "
            "travel in the clear with --tls off, or have TLS switched on."
        )
    if number in REFUSED:
        return DatabaseError(
            f"The server at {place} refuses the user '{login.get('database.user')}' ({said}). "
            "Check user and password, and that this machine may connect."
        )
    return DatabaseError(
        f"The server at {place} cannot be reached ({said}). Check host and port, and that it runs."
    )


# --- directories ----------------------------------------------------------------------------------


def check_roots(roots: Sequence[Path]) -> None:
    """Insist that root directories exist and can be read.

    Raises:
        PathError: One does not, or cannot.
    """
    for root in roots:
        if not root.is_dir():
            what = "is no directory" if root.exists() else "does not exist on this machine"
            raise PathError(f"The root directory '{root}' {what}. Name one that holds your videos.")
        try:
            with os.scandir(root) as entries:
                next(entries, None)
        except OSError as error:
            raise PathError(
                f"The root directory '{root}' cannot be read ({error.strerror}). Ask for access, "
                "or name another."
            ) from error


def check_processed(processed: Path | None, roots: Sequence[Path]) -> Path:
    """Insist that results can be written, by writing.

    Args:
        processed: Directory for results, or None for the library's own below the first root. It is
            made later where it does not exist; then the folder above it is tried.
        roots: Root directories.

    Returns:
        The directory for results.

    Raises:
        PathError: Nothing can be written there.
    """
    chosen = processed or roots[0] / PROCESSED_DIR_NAME
    folder = next(path for path in (chosen, *chosen.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            return chosen
    except OSError as error:
        raise PathError(
            f"Results cannot be written to '{chosen}' ({error.strerror}: '{folder}'). Name another "
            "directory with --processed."
        ) from error
