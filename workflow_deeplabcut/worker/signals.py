"""How a worker is told to end: by SIGTERM, SIGINT, or because its hours are over.

The first signal lets the job in hand finish, for as long as the grace time. When that is over, or
at a second signal, the job is interrupted: at its next epoch or batch by the check that long work
calls, and work that never calls it by an exception raised from the signal's handler, once.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from element_deeplabcut.errors import Stopped

_SLICE_S = 0.05
"""Longest time that a signal waits to be seen by a pause."""


class StopRequest:
    """Whether, and how urgently, a worker has to end.

    Attributes:
        grace: Time that the job in hand has to finish, s.
        ends_at: ``time.monotonic()`` after which no job is begun, or None.
    """

    def __init__(self, grace: float, hours: float | None = None) -> None:
        self.grace = grace
        self.ends_at = None if hours is None else time.monotonic() + hours * 3600
        self._requested_at: float | None = None
        self._is_urgent = False
        self._may_raise = False

    def request(self) -> None:
        """Ask the worker to end; asking twice interrupts it."""
        self._is_urgent = self._requested_at is not None
        self._requested_at = self._requested_at or time.monotonic()

    @property
    def requested(self) -> bool:
        """Whether no further job is to be begun."""
        return self._deadline() is not None

    @property
    def expired(self) -> bool:
        """Whether the job in hand is to be interrupted."""
        deadline = self._deadline()
        return self._is_urgent or (deadline is not None and time.monotonic() >= deadline)

    def _deadline(self) -> float | None:
        if self._requested_at is not None:
            return self._requested_at + self.grace
        if self.ends_at is not None and time.monotonic() >= self.ends_at:
            return self.ends_at + self.grace
        return None

    def check(self) -> None:
        """Stop the job in hand if its time is over.

        Raises:
            Stopped: It is.
        """
        if self.expired:
            self._may_raise = False
            raise Stopped("The worker has to end; the job goes back to the queue.")

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than until the worker is asked to end."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            # Not an Event: a handler that sets one which its own thread waits for can deadlock.
            time.sleep(min(left, _SLICE_S))

    def pause_in_job(self, seconds: float) -> None:
        """Wait within a job, but no longer than the job may last.

        Raises:
            Stopped: It may not last longer.
        """
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_S))
            self.check()

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let the handlers raise `Stopped` inside the block, once.

        Raises:
            Stopped: The last signal has come before the block, where nothing heard it.
        """
        self._may_raise = True
        try:
            self.check()
            yield
        finally:
            self._may_raise = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Answer signals inside the block (in the main thread; elsewhere only to `request`)."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {signal.SIGTERM: self._on_signal, signal.SIGINT: self._on_signal,
                    signal.SIGALRM: self._on_alarm}  # fmt: skip
        before = {number: signal.signal(number, handlers[number]) for number in handlers}
        if self.ends_at is not None:
            _set_alarm(self.ends_at + self.grace - time.monotonic())
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        self.request()
        if self._is_urgent:
            self._raise_once()
        else:
            # Not the logger: the signal may have come while its stream was being written to.
            name = signal.Signals(number).name
            os.write(2, f"{name}: ending after the job in hand, or in {self.grace:g} s\n".encode())
            _set_alarm(self.grace)

    def _on_alarm(self, number: int, frame: Any) -> None:
        self._raise_once()

    def _raise_once(self) -> None:
        # Once, because handing the job back must not be interrupted in its turn.
        if self._may_raise:
            self._may_raise = False
            raise Stopped("The worker has to end; the job goes back to the queue.")


def _set_alarm(seconds: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
