"""Rows of the table: what was measured, against which goal, and with which spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table of goals. Smaller is better, and a ratio at its goal is met.

    Attributes:
        name: What was done.
        ratio: Median over the repeats. Where the goal is a figure rather than a comparison (ms,
            MB), ratio and goal are in its unit; where more is better, ratio is goal by measured
            and goal is 1. The note says so.
        goal: The ratio must not exceed it.
        low: Smallest ratio of all repeats.
        high: Largest.
        note: What the ratio is of, or what bounds it.
    """

    name: str
    ratio: float
    goal: float
    low: float
    high: float
    note: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the goal is reached."""
        return self.ratio <= self.goal

    @classmethod
    def of(cls, name: str, ratios: Sequence[float], goal: float, note: str = "") -> Row:
        """Sum up the ratios of several repeats."""
        return cls(name, statistics.median(ratios), goal, min(ratios), max(ratios), note)
