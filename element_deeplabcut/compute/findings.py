"""What a check of tasks finds, before a GPU is taken."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..wording import show_count

OK, WARNING, PROBLEM = "ok", "warning", "problem"
_WIDTH = 100
_MARKS = {OK: "ok      ", WARNING: "warning ", PROBLEM: "PROBLEM "}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: ``ok``; ``warning``: it may go wrong, or cannot be told; ``problem``: it will fail.
        topic: What was looked at: task, model, videos, labels, engine, weights, disk, time, ...
        text: A sentence; that of a problem says what to do.
    """

    level: str
    topic: str
    text: str


@dataclass(frozen=True)
class TaskCheck:
    """What was found of one task. It is true when no problem was found.

    Attributes:
        table: ``TrainingTask`` or ``PoseEstimationTask``.
        key: Primary key of the task.
        findings: In the order in which they were made.
        needs_bytes: Disk space its result takes, or None if unknown.
        takes_s: Seconds it takes, or None if there is no record of its like.
    """

    table: str
    key: Mapping[str, Any]
    findings: tuple[Finding, ...]
    needs_bytes: int | None = None
    takes_s: float | None = None

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Findings because of which the task would fail."""
        return tuple(finding for finding in self.findings if finding.level == PROBLEM)

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        key = " ".join(f"{name}={value}" for name, value in self.key.items())
        return "\n".join([f"{self.table} {key}", *_list(self.findings)])


@dataclass(frozen=True)
class CheckReport:
    """What was found of several tasks. It is true when no problem was found.

    ::

        if (model.PoseEstimationTask & key).check():
            model.PoseEstimation.populate(key)

    Attributes:
        tasks: One per task.
        findings: What concerns all of them together.
    """

    tasks: tuple[TaskCheck, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Every problem of every task, and of all together."""
        own = tuple(finding for finding in self.findings if finding.level == PROBLEM)
        return (*(problem for task in self.tasks for problem in task.problems), *own)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Every warning, likewise."""
        found = (*(one for task in self.tasks for one in task.findings), *self.findings)
        return tuple(finding for finding in found if finding.level == WARNING)

    def __bool__(self) -> bool:
        return not self.problems

    def __str__(self) -> str:
        n_bad = sum(not task for task in self.tasks)
        tasks = show_count(len(self.tasks), "task")
        verdict = f"{n_bad} with problems" if n_bad else "no problem found"
        end = [f"{tasks} checked: {verdict}"]
        together = _list(self.findings)
        return "\n".join([*(f"{task}\n" for task in self.tasks), *together, *end])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; keys are written as texts where JSON has no such value."""
        plain = asdict(self)
        for task, check in zip(plain["tasks"], self.tasks, strict=True):
            task["key"] = {
                name: value.item() if hasattr(value, "item") else
                value if isinstance(value, (int, float, str)) else str(value)
                for name, value in check.key.items()
            }  # fmt: skip
            task["n_problems"] = len(check.problems)
        return {**plain, "n_problems": len(self.problems)}


def _list(findings: tuple[Finding, ...]) -> list[str]:
    width = max((len(finding.topic) for finding in findings), default=0)
    lines = []
    for one in findings:
        head = f"  {_MARKS[one.level]}{one.topic:<{width}}  "
        lines += textwrap.wrap(
            one.text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head),
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip
    return lines
