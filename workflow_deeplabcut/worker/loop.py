"""The loop of a worker: find a job, take it, do it, and start again, whatever happens."""

from __future__ import annotations

import logging
import os
import platform
import time
import uuid
from collections.abc import Sequence
from typing import Any

from element_deeplabcut.engines import list_engines
from element_deeplabcut.errors import ParameterError, Stopped
from element_deeplabcut.report.recorder import wait_for_last_rows

from ..heart import Heart
from ..paths import get_database_prefix
from .candidates import Candidates
from .children import ChildWorkers
from .engines import restrict_to_engines
from .heartbeat import Heartbeat
from .housekeeping import clear_dead_reservations
from .job import UnfitError, do_job, settle_quickly
from .lease import HeldLease, LeaseStore
from .machine import check_machine
from .options import Summary, WorkerOptions
from .retry import is_transient
from .server import Server, is_away
from .share import FairShare, may_start_long
from .signals import StopRequest
from .tables import check_restrictions, list_tables, show_job

logger = logging.getLogger(__name__)

_SWEEP_S = 60

_SHORT_S = 0.2
"""After a job that took less, the next one is taken by the transaction that records it."""

_IN_A_ROW = 20
"""So often; then the worker looks again what else there is."""


def run_worker(
    tables: Sequence[Any] | None = None, *, stop: StopRequest | None = None, **options: Any
) -> Summary:
    """Work on computed tables until told to end.

    In the main thread it answers SIGTERM and SIGINT; anywhere else, only `stop`. A worker uses
    DataJoint's connection of its process, so a process runs one at a time.

    Args:
        tables: Table classes; None takes those of the pipeline module.
        stop: By which somebody else may ask it to end.
        **options: See `WorkerOptions`.

    Returns:
        What it did.

    Raises:
        ParameterError: An option is out of range.
        SetupError: The pipeline module has no computed tables, or the machine cannot do the work;
            see `machine`.
    """
    settings = WorkerOptions(**options)
    if tables is not None and not tables:
        raise ParameterError("There are no tables to work on; None takes those of the pipeline.")
    chosen = list_tables(settings.pipeline) if tables is None else list(tables)
    stop = stop or StopRequest(settings.grace, settings.hours)
    with stop.listening():
        return Worker(chosen, settings, stop).run()


class Worker:
    """One worker; see `run_worker`."""

    def __init__(self, tables: Sequence[Any], options: WorkerOptions, stop: StopRequest) -> None:
        self.name = f"{platform.node()[:60]}:{os.getpid()}:{uuid.uuid4().hex}"
        self.summary = Summary()
        self._options, self._stop = options, stop
        self._server = Server(tables[0].connection, self.name)
        self._leases = LeaseStore(self._server, get_database_prefix(), options.lease)
        self._heart = Heart(self.name, options.poll_interval, options.lease)
        self._engines = check_machine(tables, options.engines or list_engines(), options.device)
        self._queues = [self._make_queue(table()) for table in tables]
        check_restrictions(tables, self._options.restrictions)
        self._share = FairShare(self._queues)
        self._children = ChildWorkers(options, stop)
        self._empty: list[Candidates] = []  # passed over since the last job
        self._next: tuple[Candidates, HeldLease] | None = None  # taken along with the last job
        self._n_in_a_row = 0
        self._for_child: tuple[Candidates, dict[str, Any]] | None = None
        self._broken: list[Candidates] = []
        self._unfit: UnfitError | None = None
        self._swept_at = float("-inf")

    def _make_queue(self, table: Any) -> Candidates:
        table.connection.schemas[table.database].jobs  # noqa: B018 -- declares ~jobs if missing
        restrict_to_engines(table, self._engines)  # an unknown engine is the user's mistake

        def restrict() -> list[Any]:
            return [*self._options.restrictions, restrict_to_engines(table, self._engines)]

        return Candidates(table, self._leases, restrict, min(1.0, self._options.poll_interval))

    # --- the loop ---------------------------------------------------------------------------------

    def run(self) -> Summary:
        """Work until told to end.

        Raises:
            SetupError: The machine cannot do the work.
        """
        names = ", ".join(type(queue.table).__name__ for queue in self._queues)
        logger.info("worker %s begins, with %s, on %s", self.name, "/".join(self._engines), names)
        with Heartbeat(self._leases, self._heart) as heartbeat:
            while not self._is_over():
                self._heart.turn_to("")
                try:
                    if not self._work(heartbeat):
                        break
                except UnfitError as error:
                    self._unfit = error
                except Exception as error:
                    self._survive(error)
            settle_quickly(self._leases.hand_back_all, self._leases)
            wait_for_last_rows()
        logger.info("worker ends: %s", self.summary)
        if self._unfit is not None:
            raise self._unfit
        return self.summary

    def _is_over(self) -> bool:
        limit = self._options.max_jobs
        has_done_all = limit is not None and self.summary.jobs >= limit
        return self._stop.requested or self._unfit is not None or has_done_all

    def _work(self, heartbeat: Heartbeat) -> bool:
        """Do one job, or wait for one; False when there will be none."""
        found, self._next = self._next, None
        if found is None:
            self._sweep()
            self._for_child, self._n_in_a_row = None, 0
            found = self._find()
        if found is not None:
            self._do(*found, heartbeat)
        elif self._for_child is not None:
            self._delegate(*self._for_child)
        elif self._options.stop_when_idle and not self._waits_for_retry():
            return False
        else:
            self._stop.pause(self._options.poll_interval)
        return True

    def _survive(self, error: Exception) -> None:
        """Nothing that happens between two jobs ends a worker, but that it has to end."""
        if isinstance(error, Stopped):
            return
        if is_away(error):
            try:
                self._server.reconnect(self._pause_between_jobs)
            except Stopped:
                return
        elif is_transient(error):
            logger.warning("%s: %s; going on", type(error).__name__, error)
            self._stop.pause(self._options.poll_interval)
        else:
            raise error

    def _pause_between_jobs(self, seconds: float) -> None:
        self._stop.pause(seconds)
        if self._stop.requested:
            raise Stopped("The worker has to end.")

    # --- one job ----------------------------------------------------------------------------------

    def _do(self, queue: Candidates, lease: HeldLease, heartbeat: Heartbeat) -> None:
        name, began = show_job(lease.table, lease.key), time.monotonic()
        self._children.settle_engine()
        logger.info("began %s%s", name, f" (try {lease.attempts})" if lease.attempts > 1 else "")
        heartbeat.hold(lease)
        queue.remember(lease.key)
        outcome = remark = ""
        try:
            outcome, remark = do_job(
                lease, self._leases, self._options, self._stop,
                lambda: self._take_along(queue, time.monotonic() - began),
            )  # fmt: skip
        except UnfitError as error:
            self.summary.count(error.outcome)
            raise
        finally:
            heartbeat.hold(None)
            if outcome != "done":
                self._next = None  # rolled back with the job
        seconds = time.monotonic() - began
        self._share.spend(queue, seconds, self._empty)
        self.summary.count(outcome)
        level = logging.INFO if outcome in ("done", "handed_back") else logging.WARNING
        said = f"{outcome.replace('_', ' ')} {name} in {seconds:.3g} s"
        logger.log(level, "%s", f"{said}: {remark}" if remark else said)

    def _take_along(self, queue: Candidates, seconds: float) -> None:
        """Take the next job of a queue of short ones, in the transaction that records this one."""
        self._next = None
        is_last = self._stop.requested or self._options.max_jobs is not None
        if is_last or seconds > _SHORT_S or self._n_in_a_row >= _IN_A_ROW or self._is_long(queue):
            return
        key = queue.next_in_batch()
        if key is None or self._children.needs(queue.table, key):
            return
        lease = self._leases.take_along(queue.table, key)
        if lease is not None:
            self._next, self._n_in_a_row = (queue, lease), self._n_in_a_row + 1

    # --- finding one ------------------------------------------------------------------------------

    def _find(self) -> tuple[Candidates, HeldLease] | None:
        """Take the next job, by the rules of `share`; None when there is none."""
        self._empty, deferred = [], []
        for queue in self._share.order():
            if not self._is_long(queue):
                lease = self._take_from(queue)
            else:
                lease = self._take_long_from(queue)
                deferred.append(queue)
            if lease is not None:
                return queue, lease
        for queue in deferred:  # no short job waits
            if (lease := self._take_from(queue)) is not None:
                return queue, lease
        return None

    def _is_long(self, queue: Candidates) -> bool:
        return type(queue.table).__name__ in self._options.long_tables

    def _take_long_from(self, queue: Candidates) -> HeldLease | None:
        """Take a long job if the pool can spare a worker for it, though short ones may wait."""
        # One worker at a time, or all of them would see that nobody is in a long job.
        with self._server.trying_alone(f"long jobs, {self._leases.table_name}") as alone:
            return self._take_from(queue) if alone and self._may_start_long() else None

    def _may_start_long(self) -> bool:
        long = [queue.table for queue in self._queues if self._is_long(queue)]
        n_long = sum(self._leases.count_held(table) for table in long)
        return may_start_long(n_long, self._leases.count_held())

    def _take_from(self, queue: Candidates) -> HeldLease | None:
        if queue in self._broken or self._for_child is not None:
            return None
        try:
            for key in queue:
                if self._stop.requested:
                    return None
                if self._children.needs(queue.table, key):
                    self._for_child = (queue, key)
                    return None
                if (lease := self._leases.take(queue.table, key)) is not None:
                    return lease
        except Exception as error:
            # A table that cannot be read must not keep the worker from the others.
            if is_away(error):
                raise
            name = type(queue.table).__name__
            logger.exception("cannot look for jobs of %s; next try within %d s", name, _SWEEP_S)
            self._broken.append(queue)
        self._empty.append(queue)
        return None

    def _delegate(self, queue: Candidates, key: dict[str, Any]) -> None:
        began = time.monotonic()
        name = show_job(queue.table, key)
        self._heart.turn_to(name, is_leased=False)  # the child holds it
        if not self._children.run(queue.table, key):
            logger.error("a worker for %s failed; see above", name)
            self._broken.append(queue)
            return
        self._share.spend(queue, time.monotonic() - began, self._empty)
        if outcome := self._leases.find_outcome(queue.table, key):
            self.summary.count(outcome)
        else:  # somebody else was faster
            self._stop.pause(self._options.poll_interval)

    def _waits_for_retry(self) -> bool:
        return any(queue.waits_for_retry() for queue in self._queues)

    def _sweep(self) -> None:
        """Once a minute: free what the dead reserved, and look at broken tables again."""
        if time.monotonic() - self._swept_at < _SWEEP_S:
            return
        self._swept_at = time.monotonic()
        self._broken.clear()
        for database in sorted({queue.table.database for queue in self._queues}):
            clear_dead_reservations(self._server, self._leases.table_name, database)
