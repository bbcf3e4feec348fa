"""Timing two ways of doing the same, in turn, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cost:
    """What a call took.

    Attributes:
        wall: Seconds by the clock.
        cpu: Seconds of processor time of this process; a database server's are not in it.
    """

    wall: float
    cpu: float


@dataclass(frozen=True)
class Race:
    """Costs of our way and of the other, round by round.

    Attributes:
        ours: One per round.
        theirs: Likewise.
    """

    ours: list[Cost]
    theirs: list[Cost]

    def divide(self, clock: str = "wall") -> list[float]:
        """Our cost by theirs, round by round."""
        return [
            getattr(our, clock) / getattr(their, clock)
            for our, their in zip(self.ours, self.theirs, strict=True)
        ]


def take_time(call: Callable[[], Any]) -> tuple[Any, Cost]:
    """Call something; return its result and what it cost."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, Cost(time.perf_counter() - wall, time.process_time() - cpu)


def run_race(
    ours: Callable[[int], Any],
    theirs: Callable[[int], Any],
    check: Callable[[Any, Any], None],
    repeats: int,
) -> Race:
    """Run both ways in turn.

    A first round is not counted. In every second round the other way begins. Nothing of a round is
    held when the next one begins.

    Args:
        ours: Takes the number of the round.
        theirs: Likewise.
        check: Takes both results, and raises unless they are equal.
        repeats: Rounds that count.
    """
    race = Race([], [])
    for number in range(repeats + 1):
        results: dict[str, Any] = {}
        costs = {}
        sides = {"ours": ours, "theirs": theirs}
        for name in sorted(sides, reverse=bool(number % 2)):
            call = sides[name]
            results[name], costs[name] = take_time(lambda call=call, n=number: call(n))  # type: ignore[misc]
        check(results["ours"], results["theirs"])
        if number:
            race.ours.append(costs["ours"])
            race.theirs.append(costs["theirs"])
    return race


def insist(is_so: bool, otherwise: str) -> None:
    """End the benchmark when the results of both sides are not the same.

    Raises:
        RuntimeError: They are not.
    """
    if not is_so:
        raise RuntimeError(f"{otherwise}; no time is printed.")
