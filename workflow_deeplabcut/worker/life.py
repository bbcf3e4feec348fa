"""Whether somebody still stands behind a reservation that has no lease: a notebook's or a script's.

It names a host, a process and a connection, and none of the three is proof by itself: a process is
seen on its own machine only, the server ends connections that are idle for hours while a network
trains, and shows an account without the privilege PROCESS its own ones alone. So a job is called
dead where its process is gone from this machine; or where its connection would be seen, is not
there, and nothing else shows life. What cannot be known is not claimed.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from typing import Any

from element_deeplabcut import report

from .housekeeping import is_alive

_OWN_PRIVILEGE = (
    "SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE='PROCESS' AND GRANTEE="
    "CONCAT('''', %s, '''@''', SUBSTRING_INDEX(CURRENT_USER(), '@', -1), '''')"
)


class SignsOfLife:
    """What an account sees of those who reserve the jobs of a table; looked at once, if at all."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def is_dead(self, row: Mapping[str, Any], key: Mapping[str, Any]) -> bool:
        """Whether nobody stands behind a reservation any more.

        Args:
            row: Its ``user``, ``host``, ``pid`` and ``connection_id``.
            key: Primary key of the job.
        """
        if int(row["connection_id"]) in self._connections:
            return False
        if row["host"] == platform.node():
            return not is_alive(int(row["pid"]))
        if not self._would_see(str(row["user"])):
            return False
        who = (row["host"], int(row["pid"]))
        return (*identify(type(self._table).__name__, key), *who) not in self._told

    @functools.cached_property
    def _connections(self) -> dict[int, str]:
        """Number of each connection that the server shows -> its user."""
        rows = self._query("SELECT ID, USER FROM information_schema.PROCESSLIST")
        return {int(number): user for number, user in rows}

    def _would_see(self, user: str) -> bool:
        """Whether the server would show the connections of a user, as ``~jobs`` names it."""
        return user.rpartition("@")[0] == self._user or self._sees_all

    @functools.cached_property
    def _user(self) -> str:
        ((account,),) = self._query("SELECT CURRENT_USER()")
        return str(account).rpartition("@")[0]

    @functools.cached_property
    def _sees_all(self) -> bool:
        # Who has the privilege by a role is not listed, but sees others.
        sees_others = any(user != self._user for user in self._connections.values())
        return sees_others or bool(self._query(_OWN_PRIVILEGE, self._user))

    @functools.cached_property
    def _told(self) -> set[tuple[Any, ...]]:
        """Jobs whose progress was renewed a short while ago, and which process renewed it."""
        if not report.schema.is_activated():
            return set()
        return {
            (*identify(found.table, found.key), found.host, found.pid)
            for found in report.list_progress(states=("running",))
        }

    def _query(self, sql: str, *values: Any) -> Any:
        return self._table.connection.query(sql, args=values).fetchall()


def identify(table: str, key: Mapping[str, Any]) -> tuple[Any, ...]:
    """Name a job by its table and key, whatever types the key's values came with."""
    return (table, *sorted((name, str(value)) for name, value in key.items()))
