"""Runs one make as DataJoint does, so that a lost database costs no computation.

DataJoint's own ``populate`` replaces the handler of SIGTERM, forgets the computed result when the
insert fails, and clears reservations without asking whose they are. What it checks is checked here:
the row is not there yet, and what ``make_fetch`` says has not changed meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from datajoint.errors import DataJointError, DuplicateError, LostConnectionError
from deepdiff import DeepHash

from element_deeplabcut.errors import ResultError
from element_deeplabcut.interruption import interruptible

from .lease import HeldLease, LeaseStore
from .server import is_away, is_conflict

_CONFLICTS_AT_MOST = 10
_AFTER_CONFLICT_S = 0.2

_LOSSES_AT_MOST = 10
"""An outage, however long, is one; a statement that the server cannot take loses every time."""


class Making:
    """One job from its first query to its row."""

    def __init__(
        self,
        lease: HeldLease,
        leases: LeaseStore,
        options: dict[str, Any],
        check: Callable[[], None],
        pause: Callable[[float], None],
        on_recording: Callable[[], None],
    ) -> None:
        """Prepare a make.

        Args:
            lease: The job.
            leases: Where it was taken.
            options: Further arguments of ``make`` (or ``make_fetch``).
            check: Raises when the work has to stop.
            pause: Waits some seconds; raises when the work has to stop.
            on_recording: Called at the end of the transaction that records the job.
        """
        self._lease, self._leases, self._server = lease, leases, leases.server
        self._table, self._key = lease.table, lease.key
        # Tables of old have a method of another name.
        self._make = getattr(self._table, "_make_tuples", None) or self._table.make
        self._options, self._check, self._pause = options, check, pause
        self._on_recording = on_recording

    def run(self) -> bool:
        """Compute and record.

        Returns:
            False if the row is there, but nobody knows whether it is from this try: it was there
            before, somebody else was first, or the answer to COMMIT was lost.

        Raises:
            Interrupted: The lease is gone, or the worker has to end.
            ResultError: The make inserted no row.
            Exception: What the make raised.
        """
        is_generator = inspect.isgeneratorfunction(self._make)
        with _allowed_to_insert(type(self._table)), interruptible(self._check):
            try:
                return self._run_in_parts() if is_generator else self._run_as_one()
            except DuplicateError:
                # Somebody who asks for no reservation, as plain populate() does, was first.
                if self._insist(self._end_if_recorded) is False:
                    raise
                return False

    def _run_as_one(self) -> bool:
        """A plain make computes inside the transaction, which cannot outlive its connection."""
        try:
            with self._server.transaction():
                is_new = not self._is_recorded()
                if is_new:
                    self._make(dict(self._key), **self._options)
                    self._insist_on_row()
                self._leases.end(self._lease)
                self._on_recording()
            return is_new
        except Exception as error:
            if is_away(error) and self._was_recorded():
                return False
            raise

    def _run_in_parts(self) -> bool:
        """A make in parts computes without a transaction; its result waits for the database."""
        started = self._insist(self._fetch)
        if started is None:
            return False
        generator, fetched_hash = started
        computed = next(generator)
        return bool(self._insist(lambda: self._record(fetched_hash, computed)))

    def _fetch(self) -> tuple[Iterator[Any], str] | None:
        if self._end_if_recorded():
            return None
        generator = self._make(dict(self._key), **self._options)
        return generator, _hash(next(generator))

    def _record(self, fetched_hash: str, computed: Any) -> bool:
        with self._server.transaction():
            generator = self._make(dict(self._key), **self._options)
            if _hash(next(generator)) != fetched_hash:
                raise DataJointError(
                    "Referential integrity failed! The `make_fetch` data has changed"
                )
            generator.send(computed)
            self._insist_on_row()
            self._leases.end(self._lease)
            self._on_recording()
        return True

    def _insist(self, step: Callable[[], Any]) -> Any:
        """Repeat a step until the database has answered; None if the row is there by then."""
        conflicts = losses = 0
        while True:
            try:
                return step()
            except Exception as error:
                if is_away(error):
                    losses += 1
                    if losses > _LOSSES_AT_MOST:
                        raise LostConnectionError(
                            f"The connection was lost {losses} times at the same step. A row that "
                            "is larger than the server's max_allowed_packet does that."
                        ) from error
                    if self._was_recorded():
                        return None
                elif is_conflict(error) and conflicts < _CONFLICTS_AT_MOST:
                    conflicts += 1
                    self._pause(_AFTER_CONFLICT_S)
                else:
                    raise

    def _was_recorded(self) -> bool:
        """Come back to the server, and see whether a COMMIT went through whose answer was lost.

        Raises:
            LeaseLost: Another worker holds the job by now.
        """
        while True:
            try:
                self._server.reconnect(self._pause)
                if self._leases.holds(self._lease):
                    return False
                if self._is_recorded():
                    return True
                self._lease.lost = True
                self._lease.check()
            except Exception as error:
                if not is_away(error):
                    raise

    def _end_if_recorded(self) -> bool:
        """End the lease if the row is there already; whether it is."""
        if not self._is_recorded():
            return False
        with self._server.transaction():
            self._leases.end(self._lease)
        return True

    def _insist_on_row(self) -> None:
        """A job without a row would be found again at once, and be done for ever."""
        if not self._is_recorded():
            raise ResultError(
                f"make() of {type(self._table).__name__} inserted no row for this key, so every "
                "worker would compute it again. Insert a row that says so, or leave such keys out "
                "of key_source."
            )

    def _is_recorded(self) -> bool:
        return self._server.query(self._look_for_row).fetchone() is not None

    @functools.cached_property
    def _look_for_row(self) -> str:
        """Asked twice per job, so it is built once, and counts nothing."""
        row = self._table.target & self._key
        return f"SELECT 1 FROM {row.full_table_name}{row.where_clause()} LIMIT 1"


@contextlib.contextmanager
def _allowed_to_insert(table_class: Any) -> Iterator[None]:
    """DataJoint's guard: rows of computed tables come from their make."""
    table_class._allow_insert = True
    try:
        yield
    finally:
        table_class._allow_insert = False


def _hash(fetched: Any) -> str:
    return str(DeepHash(fetched, ignore_iterable_order=False)[fetched])
