"""Stopping long work from outside, cleanly: whoever runs it names a check, the work calls it often.

A worker that must end, or that has lost its claim on a job, says so through the check. Training
calls it after every epoch, inference and the reading of videos after every batch of frames, and
every computation once more before it publishes its run directory::

    with interruptible(check):
        run_training(job, roots)  # ends with what check() raises, and publishes nothing

The check belongs to the context (of a thread, of an asyncio task) that named it. Without one,
`check_interruption` costs 50 ns and does nothing: a notebook's ``populate`` is as it always was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import Interrupted

__all__ = ["Interrupted", "check_interruption", "interruptible"]

_check: ContextVar[Callable[[], None] | None] = ContextVar("check", default=None)


@contextmanager
def interruptible(check: Callable[[], None]) -> Iterator[None]:
    """Let a block of work be stopped by ``check``.

    Args:
        check: Called often, so it must be quick (look at a flag, do not ask a server). It raises
            an `Interrupted` when the work is to stop.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


def check_interruption() -> None:
    """Stop here if whoever runs this wants it to.

    Raises:
        Interrupted: It is to stop.
    """
    check = _check.get()
    if check is not None:
        check()
