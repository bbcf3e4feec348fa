"""Which table a worker turns to next, so that long trainings do not starve short inferences.

1. A worker turns first to the table on which it has spent the least time, and, where that is equal,
   to the one named first. After ten hours of training, short jobs have ten hours before the next
   training begins; and an endless queue of inferences does not keep a training waiting for ever.
2. A table that had nothing to do earns nothing by that: its time counts from when it has work.
3. While short jobs wait, at most half of the workers in a pool are in long jobs (one, where the
   pool is a single worker).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

Queue = TypeVar("Queue")


class FairShare(Generic[Queue]):
    """Time that one worker has spent on each of its queues."""

    def __init__(self, queues: Iterable[Queue]) -> None:
        self._seconds = dict.fromkeys(queues, 0.0)

    def order(self) -> list[Queue]:
        """The queues in the order in which to look for work."""
        return sorted(self._seconds, key=self._seconds.__getitem__)  # stable

    def spend(self, queue: Queue, seconds: float, idle: Iterable[Queue] = ()) -> None:
        """Book the time of a job.

        Args:
            queue: Where it was from.
            seconds: How long it took.
            idle: Queues that were found empty before this one was turned to.
        """
        for other in idle:
            self._seconds[other] = max(self._seconds[other], self._seconds[queue])
        self._seconds[queue] += seconds


def may_start_long(n_long: int, n_busy: int) -> bool:
    """Whether one more worker may turn to a long job while short ones wait.

    Args:
        n_long: Workers in long jobs now.
        n_busy: Workers in any job now, without the one that asks.
    """
    return n_long < max(1, (n_busy + 1) // 2)
