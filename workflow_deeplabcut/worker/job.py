"""One job in a worker's hands, until it is recorded, failed, postponed, lost or handed back."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable
from typing import Any

from element_deeplabcut.errors import Interrupted, LeaseLost, SetupError, Stopped
from element_deeplabcut.progress import announce_failure

from .lease import HeldLease, LeaseStore
from .machine import is_machines
from .making import Making
from .options import WorkerOptions
from .retry import find_cause, is_transient
from .server import is_away, is_conflict
from .signals import StopRequest
from .tables import show_job

_HANDING_BACK_S = 5
"""How long a worker that has to end tries to reach a database that is away."""


class UnfitError(SetupError):
    """A job has shown that the machine cannot do the work.

    Attributes:
        outcome: What became of the job, a name in `Summary`.
    """

    def __init__(self, message: str, outcome: str) -> None:
        super().__init__(message)
        self.outcome = outcome


def do_job(
    lease: HeldLease,
    leases: LeaseStore,
    options: WorkerOptions,
    stop: StopRequest,
    on_recording: Callable[[], None] = lambda: None,
) -> tuple[str, str]:
    """Do a job, and bring its end to the database.

    Args:
        lease: The job.
        leases: Where it was taken.
        options: How to go about it.
        stop: Says when to stop.
        on_recording: Called at the end of the transaction that records the job, which may be
            repeated.

    Returns:
        What became of it, a name in `Summary`, and a remark for the log.

    Raises:
        UnfitError: The machine cannot do such work.
    """
    try:
        return _try(lease, leases, options, stop, on_recording)
    except Exception as error:
        # The way to an end may be cut short in its turn.
        if find_cause(error, Stopped):
            # A signal may have come between a statement and its answer, which the next statement
            # would take for its own.
            leases.server.drop_connection()
            return _hand_back(lease, leases)
        if find_cause(error, LeaseLost):
            return "lost", "another worker has it; nothing of this try is kept"
        raise
    except BaseException:
        _hand_back(lease, leases)
        raise


def _try(
    lease: HeldLease,
    leases: LeaseStore,
    options: WorkerOptions,
    stop: StopRequest,
    on_recording: Callable[[], None],
) -> tuple[str, str]:
    def check() -> None:
        lease.check()
        stop.check()

    if lease.attempts > options.retry.limit:
        raise_count = lease.attempts - 1
        message = (
            f"WorkerDied: {raise_count} workers began this job, and none of them came to an end: "
            "they were killed (for want of memory?) or lost. See their logs, then retry it with: "
            "workflow-deeplabcut jobs retry."
        )
        end = _fail(lease, leases, stop, message, message)
        announce_failure(lease.table, lease.key, message)
        return end
    try:
        with stop.interrupting():
            device = choose_options(lease.table, options.device)
            is_new = Making(lease, leases, device, check, stop.pause_in_job, on_recording).run()
        return "done", "" if is_new else "its row is there already"
    except Exception as error:
        if find_cause(error, Interrupted):
            raise
        if not is_machines(error):
            return _end_failed(error, lease, leases, options, stop)
        outcome, _ = _end_failed(error, lease, leases, options, stop)
        said = str(error).partition("\n")[0]
        raise UnfitError(
            f"This worker ends, because its machine would fail every further job: {said} "
            f"({show_job(lease.table, lease.key)}: {outcome}.)",
            outcome,
        ) from error


def _end_failed(
    error: Exception,
    lease: HeldLease,
    leases: LeaseStore,
    options: WorkerOptions,
    stop: StopRequest,
) -> tuple[str, str]:
    """Mark a job as failed, or let it wait for another try."""
    message = f"{type(error).__name__}: {error}".rstrip(": ")
    if not (is_machines(error) or is_transient(error)):
        return _fail(lease, leases, stop, message, traceback.format_exc())
    if lease.attempts >= options.retry.limit:
        message = f"{message} (tried {lease.attempts} times)"
        return _fail(lease, leases, stop, message, traceback.format_exc())
    # Two transactions that met are over by now.
    delay = 0.0 if is_conflict(error) else options.retry.delay(lease.attempts)
    _settle(lambda: leases.postpone(lease, delay, message), leases, stop.pause_in_job)
    return "postponed", f"for {delay:.3g} s: {message}"


def choose_options(table: Any, device: str | None) -> dict[str, Any]:
    """Arguments of a table's make: the device, if it takes one and there is a wish."""
    make = getattr(table, "make_fetch", None) or table.make
    takes_device = "device" in inspect.signature(make).parameters
    return {"device": device} if takes_device and device is not None else {}


def _fail(
    lease: HeldLease, leases: LeaseStore, stop: StopRequest, message: str, stack: str
) -> tuple[str, str]:
    end = lambda: leases.end_with_error(lease, message, stack)  # noqa: E731
    _settle(end, leases, stop.pause_in_job)
    return "failed", message


def _hand_back(lease: HeldLease, leases: LeaseStore) -> tuple[str, str]:
    if settle_quickly(lambda: leases.hand_back(lease), leases):
        return "handed_back", "the worker has to end"
    return "handed_back", "the database is away: its lease runs out by itself"


def settle_quickly(action: Callable[[], None], leases: LeaseStore) -> bool:
    """Bring the end of a job to the database; False if that is away for some seconds."""
    until = time.monotonic() + _HANDING_BACK_S

    def pause(seconds: float) -> None:
        if time.monotonic() + seconds > until:
            raise Stopped("The database is away.")
        time.sleep(seconds)

    try:
        _settle(action, leases, pause)
    except Stopped:
        return False
    return True


def _settle(action: Callable[[], None], leases: LeaseStore, pause: Callable[[float], None]) -> None:
    """Bring the end of a job to the database, however long that is away."""
    while True:
        try:
            with leases.server.transaction():
                action()
            return
        except Exception as error:
            if is_away(error):
                leases.server.reconnect(pause)
            elif is_conflict(error):
                pause(0.1)
            else:
                raise
