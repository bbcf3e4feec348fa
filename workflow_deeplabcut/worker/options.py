"""What a worker is told, and what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from element_deeplabcut.errors import ParameterError

from .retry import RetryPolicy
from .tables import LONG, PIPELINE


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        restrictions: Of the jobs of every table, as for ``populate``.
        engines: Engines it offers; None takes those that are installed here.
        device: Where engines compute, for instance ``cuda:1``; None is the best there is.
        hours: It begins no job after so many hours, and ends.
        stop_when_idle: It ends when nothing is left that it could do, now or after a retry.
        max_jobs: It ends after so many jobs.
        poll_interval: How often it looks for jobs when there are none, s.
        grace: Time that the job in hand has to finish when the worker is to end, s.
        lease: How long a worker that shows no life keeps its job, s.
        retry: How often transient failures are tried again.
        long_tables: Names of tables whose jobs are long; see `share`.
        pipeline: Module that activates the schemas.
    """

    restrictions: Sequence[Any] = ()
    engines: Sequence[str] | None = None
    device: str | None = None
    hours: float | None = None
    stop_when_idle: bool = False
    max_jobs: int | None = None
    poll_interval: float = 5
    grace: float = 8
    lease: float = 60
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    long_tables: frozenset[str] = LONG
    pipeline: str = PIPELINE

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
            ParameterError: One is out of range.
        """
        for name, least in (("poll_interval", 0.01), ("grace", 0), ("lease", 0.5)):
            if getattr(self, name) < least:
                raise ParameterError(f"{name} must be at least {least} s.")
        for name in ("hours", "max_jobs"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ParameterError(f"{name} must be more than 0; leave it out for no limit.")
        if self.retry.limit < 1:
            raise ParameterError("Every job is tried at least once; give a limit of 1 or more.")


@dataclass
class Summary:
    """What a worker did.

    Attributes:
        done: Jobs recorded.
        failed: Jobs marked as errors.
        postponed: Failures that are to be tried again.
        lost: Jobs that other workers had taken over.
        handed_back: Jobs given back because the worker had to end.
    """

    done: int = 0
    failed: int = 0
    postponed: int = 0
    lost: int = 0
    handed_back: int = 0

    @property
    def jobs(self) -> int:
        """Jobs taken."""
        return sum(vars(self).values())

    def count(self, outcome: str) -> None:
        """Count one job."""
        setattr(self, outcome, getattr(self, outcome) + 1)

    def __str__(self) -> str:
        return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in vars(self).items())
