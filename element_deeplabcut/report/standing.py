"""Where a piece of work stands, and how the tables of progress spell it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from datajoint.blob import pack

from ..readers.learning_curve import LEARNING_RATE, LOSS


class Standing:
    """Where the work stands, as it is known in this process."""

    def __init__(self, engine: str, device: str, done: int, total: int | None) -> None:
        self.engine, self.device = engine, device
        self.done, self.total = done, total
        self.metrics: dict[str, float] = {}
        self._origin = (time.perf_counter(), done)
        self._first = self._origin  # the first step that was done: when, and which
        self._has_moved = False
        self._moved_at = self._origin[0]

    def update(self, done: int, total: int | None, metrics: Mapping[str, float]) -> None:
        """Take note of the latest figures."""
        self.metrics = {**self.metrics, **metrics}
        self.total = total if total is not None else self.total
        if done <= self.done:
            return
        self.done, self._moved_at = done, time.perf_counter()
        if not self._has_moved:
            # Until the first step, models are built and libraries imported.
            self._has_moved, self._first = True, (self._moved_at, done)

    @property
    def elapsed(self) -> float:
        """Time since the work began, s."""
        return time.perf_counter() - self._origin[0]

    @property
    def per_s(self) -> float | None:
        """Steps per second since the first one was done, or since the start if it is the only."""
        if not self._has_moved:
            return None
        began, done = self._first if self.done > self._first[1] else self._origin
        seconds = self._moved_at - began
        return (self.done - done) / seconds if seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far, s; None before the first step."""
        if self.total is None or not self.per_s:
            return None
        since = time.perf_counter() - self._moved_at
        return max((self.total - self.done) / self.per_s - since, 0.0)


def describe_training(standing: Standing) -> dict[str, Any]:
    """Spell a training's columns."""
    return {
        "epoch": standing.done,
        "total_epochs": standing.total,
        "loss": finite(standing.metrics.get(LOSS)),
        "learning_rate": finite(standing.metrics.get(LEARNING_RATE)),
        "metrics": pack(standing.metrics),
    }


def describe_inference(standing: Standing) -> dict[str, Any]:
    """Spell an inference's columns."""
    return {
        "frames_done": standing.done,
        "total_frames": standing.total,
        "frames_per_s": finite(standing.per_s),
    }


def finite(value: float | None) -> float | None:
    """The number, if a column can hold it."""
    return value if value is not None and math.isfinite(value) else None
