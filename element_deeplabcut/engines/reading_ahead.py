"""Reading in one thread while another computes."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_AHEAD = 2
"""Items read ahead: one being fetched, one ready. More would only take memory."""

_POLL_S = 0.1

Item = TypeVar("Item")


@contextmanager
def read_ahead(source: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Read items in a thread of its own for the length of a block.

    What reading raises is raised to whoever takes the next item. The thread sees the context of who
    started it, so that work stopped from outside (`interruption`) stops there too. It has ended
    when the block has, however that ended.
    """
    items: queue.Queue[Any] = queue.Queue(_AHEAD)
    stopped, end = threading.Event(), object()

    def put(item: Any) -> None:
        while not stopped.is_set():
            try:
                return items.put(item, timeout=_POLL_S)
            except queue.Full:
                continue

    def read() -> None:
        try:
            for item in source:
                put((item, None))
                if stopped.is_set():
                    return
            put((end, None))
        except BaseException as error:
            put((end, error))

    def take() -> Iterator[Item]:
        while True:
            item, error = items.get()
            if error is not None:
                raise error
            if item is end:
                return
            yield item

    run = contextvars.copy_context().run
    thread = threading.Thread(target=run, args=(read,), name="reading ahead", daemon=True)
    thread.start()
    try:
        yield take()
    finally:
        stopped.set()
        thread.join()
