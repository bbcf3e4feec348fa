"""Finds the next key of a table that nobody computes, without asking for all of them.

Keys are read in small batches. In a long queue each worker reads another stretch near its head,
chosen by chance, because workers that all want the first key fight for each one. Where the head of
a queue has failed or is being computed, a worker passes it and remembers how far it got.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .affinity import Affinity
from .lease import LeaseStore, hash_job

BATCH = 50
"""Keys that are read at once."""

_STRETCHES = 20
"""A worker begins at one of so many places, a batch apart."""

_STALE_AFTER_S = 2.0
"""Age at which a batch is read anew: others have taken its keys, and new ones have come."""

_ROUND_S = 60.0
"""Age at which passed keys are looked at again."""


class Candidates:
    """The keys of one table that wait to be computed."""

    def __init__(
        self,
        table: Any,
        leases: LeaseStore,
        restrict: Callable[[], list[Any]] = list,
        look_for_due: float = 1,
    ) -> None:
        """Look at a table's queue.

        Args:
            table: Computed table.
            leases: Where jobs are taken.
            restrict: Gives the restrictions of the keys that this worker takes; asked each time,
                because what they depend on may have changed.
            look_for_due: How often to look for jobs of dead workers, and for those to be tried
                again, s.
        """
        self.table = table
        self._leases = leases
        self._restrict = restrict
        self._batch: deque[dict[str, Any]] = deque()
        self._affinity = Affinity()
        self._is_long = False
        self._read_at = self._looked_at = float("-inf")
        self._start: Mapping[str, Any] | None = None  # all keys before it are done or busy
        self._round_began = time.monotonic()
        self._look_for_due = look_for_due

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Give keys to try, until there is none that somebody could take now."""
        yield from self._list_due()
        if time.monotonic() - self._read_at > _STALE_AFTER_S:
            self._batch.clear()
        while self._batch or self._read():
            yield self._affinity.pop(self._batch)

    def next_in_batch(self) -> dict[str, Any] | None:
        """The next key that is known already, if there is one that was read just now."""
        is_fresh = time.monotonic() - self._read_at < _STALE_AFTER_S
        return self._affinity.pop(self._batch) if self._batch and is_fresh else None

    def remember(self, key: Mapping[str, Any]) -> None:
        """Note a job that was taken, so that more of its model follow."""
        self._affinity.remember(key)

    def _list_due(self) -> Iterator[dict[str, Any]]:
        """Jobs whose worker is dead, and those to be tried again, wherever they stand.

        A job may be recorded by now: whoever takes it sees that, and ends its lease.
        """
        if time.monotonic() - self._looked_at < self._look_for_due:
            return
        self._looked_at = time.monotonic()
        if keys := self._leases.list_due(self.table):
            yield from (self._select() & keys).fetch("KEY")

    def waits_for_retry(self) -> bool:
        """Whether a job that failed in passing waits for its next try."""
        keys = self._leases.list_waiting(self.table)
        return bool(keys) and bool((self._select() & keys) - self.table.target)

    def _select(self) -> Any:
        return self.table._jobs_to_do(self._restrict())

    def _read(self) -> bool:
        """Read the next batch; False when there is none."""
        if time.monotonic() - self._round_began > _ROUND_S:
            self._begin_round()
        offset = BATCH * random.randrange(_STRETCHES) if self._is_long else 0
        if offset and self._take_over(self._query(offset)):
            random.shuffle(self._batch)
            return True
        while True:
            keys = self._query(0)
            self._is_long = len(keys) == BATCH
            self._start = keys[0] if keys else self._start
            if self._take_over(keys):
                return True
            if not self._is_long:
                self._begin_round()
                return False
            self._start = keys[-1]

    def _begin_round(self) -> None:
        self._start, self._round_began = None, time.monotonic()

    def _take_over(self, keys: list[dict[str, Any]]) -> bool:
        """Keep those keys that nobody has; whether there are any."""
        hashes = [hash_job(self.table, key) for key in keys]
        busy = self._leases.find_busy(self.table, hashes)
        named = zip(keys, hashes, strict=True)
        self._batch = deque(key for key, name in named if name not in busy)
        self._read_at = time.monotonic()
        return bool(self._batch)

    def _query(self, offset: int) -> list[dict[str, Any]]:
        """Read keys in the order of the primary key.

        A left join, because for NOT IN, which DataJoint writes, MariaDB reads the whole target.
        """
        todo = self._select()
        names = todo.primary_key
        join = " AND ".join(f"done.`{name}`=todo.`{name}`" for name in names)
        condition, values = _from(self._start, names)
        rows = self._leases.server.query(
            f"SELECT {_list('todo', names)} FROM ({todo.make_sql()}) AS todo "
            f"LEFT JOIN {self.table.target.full_table_name} AS done ON {join} "
            f"WHERE done.`{names[0]}` IS NULL{condition} "
            f"ORDER BY {_list('todo', names)} LIMIT {BATCH} OFFSET {offset}",
            *values,
        ).fetchall()
        is_uuid = [todo.heading[name].uuid for name in names]
        return [
            {
                name: uuid.UUID(bytes=value) if is_id else value
                for name, value, is_id in zip(names, row, is_uuid, strict=True)
            }
            for row in rows
        ]


def _list(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.`{name}`" for name in names)


def _from(key: Mapping[str, Any] | None, names: Sequence[str]) -> tuple[str, list[Any]]:
    """Condition that a primary key is this one or comes after it, in a form that uses the index."""
    if key is None:
        return "", []
    condition = ""
    values: list[Any] = []
    for name in reversed(names):
        value = key[name].bytes if isinstance(key[name], uuid.UUID) else key[name]
        if condition:
            condition = f"(todo.`{name}`>%s OR (todo.`{name}`=%s AND {condition}))"
            values = [value, value, *values]
        else:
            condition, values = f"todo.`{name}`>=%s", [value]
    return f" AND {condition}", values
