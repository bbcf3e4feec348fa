"""Frees jobs whose reservation nobody stands behind any more.

A worker's reservation has a lease, which says when it is dead. A notebook's has none: it names a
host, a process and a connection, of which the connection changes whenever DataJoint reconnects. It
is certainly dead only when its process is gone from this very machine; any other may be alive, and
is left for ``workflow-deeplabcut jobs clear``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from .lease import MARK
from .server import Server

logger = logging.getLogger(__name__)


def clear_dead_reservations(server: Server, leases: str, database: str) -> int:
    """Delete reservations in a schema that are certainly dead, and return how many.

    Args:
        server: Where.
        leases: Full name of the lease table.
        database: Schema.
    """
    _forget_old_leases(server, leases)
    return _clear_dead_processes(server, database) + _clear_without_lease(server, leases, database)


def _forget_old_leases(server: Server, leases: str) -> None:
    """What nobody has taken for a day was done without a worker, or its task was deleted."""
    server.query(f"DELETE FROM {leases} WHERE expires_at < UTC_TIMESTAMP(6) - INTERVAL 1 DAY")


def _clear_dead_processes(server: Server, database: str) -> int:
    rows = server.query(
        f"SELECT table_name, key_hash, pid, connection_id, timestamp FROM `{database}`.`~jobs` "
        "WHERE status='reserved' AND host=%s AND error_message NOT LIKE %s AND connection_id "
        "NOT IN (SELECT ID FROM information_schema.PROCESSLIST)",
        *(platform.node(), f"{MARK}%"),
    ).fetchall()
    cleared = 0
    for table_name, key_hash, pid, connection_id, timestamp in rows:
        if is_alive(pid):
            continue
        cleared += server.query(
            f"DELETE FROM `{database}`.`~jobs` WHERE table_name=%s AND key_hash=%s AND "
            "status='reserved' AND pid=%s AND connection_id=%s AND timestamp=%s",
            *(table_name, key_hash, pid, connection_id, timestamp),
        ).rowcount
        logger.warning("freed a job of %s: process %d is gone from this host", table_name, pid)
    return cleared


def _clear_without_lease(server: Server, leases: str, database: str) -> int:
    """A worker's reservation and its lease come and go in one transaction; half of it is dead."""
    orphans = server.query(
        "SELECT jobs.table_name, jobs.key_hash, jobs.error_message "
        f"FROM `{database}`.`~jobs` AS jobs LEFT JOIN {leases} AS lease ON lease.database_name=%s "
        "AND lease.table_name=jobs.table_name AND lease.key_hash=jobs.key_hash "
        "AND jobs.error_message=CONCAT(%s, lease.token) "
        "WHERE jobs.status='reserved' AND jobs.error_message LIKE %s AND lease.token IS NULL",
        *(database, MARK, f"{MARK}%"),
    ).fetchall()
    for orphan in orphans:
        server.query(
            f"DELETE FROM `{database}`.`~jobs` WHERE table_name=%s AND key_hash=%s AND "
            "error_message=%s AND status='reserved'",
            *orphan,
        )
        logger.warning("freed a job of %s whose lease was deleted", orphan[0])
    return len(orphans)


def is_alive(pid: int) -> bool:
    """Whether a process of that number runs on this machine, or in a container on it.

    A container may have its host's name, and numbers its processes from 1; the host sees those
    numbers. From within a container nobody else's processes are seen, so containers need names of
    their own.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return any(str(pid) in numbers for numbers in _list_numbers_in_containers())
    except PermissionError:
        return True
    return True


def _list_numbers_in_containers() -> Iterator[list[str]]:
    for file in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # it has just ended
            found = re.search(r"^NSpid:\s*\d+\s+(.+)$", file.read_text(), re.MULTILINE)
            if found:
                yield found[1].split()
