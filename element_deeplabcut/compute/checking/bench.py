"""What the tasks of one check share, and the findings of one task in the making."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...engines import get_engine
from ...engines.base import Engine
from ...errors import ElementError, ParameterError
from ...linking import Roots
from ...progress import show_tasks
from ...store.bundles import Bundle, check_single_animal, open_bundle
from ...wording import show_size
from ..findings import OK, PROBLEM, WARNING, CheckReport, Finding, TaskCheck
from ..records import name_device

T = TypeVar("T")
Keys = Iterable[Mapping[str, Any]]


def check_each(
    keys: Keys, roots: Callable[[], Roots], check: Callable[[Mapping[str, Any], Bench], TaskCheck],
    *, device: str | None, elsewhere: bool,
) -> CheckReport:  # fmt: skip
    """Check tasks one by one, with a progress bar.

    Args:
        keys: Primary keys of the tasks.
        roots: Gives the lab's directories.
        check: Checks one of them.
        device: Device to ask for, or None for the best there is.
        elsewhere: The work is done on another machine: engine, device and weights are not asked.
    """
    bench = Bench(roots(), device, elsewhere)
    keys = list(keys)
    checked = []
    with show_tasks("Checking", len(keys)) as on_tasks:
        for key in keys:
            checked.append(check(key, bench))
            on_tasks(1)
    together = bench.check_disk_for_all(checked) if len(checked) > 1 else None
    return CheckReport(tuple(checked), () if together is None else (together,))


class Notes:
    """Findings of one task in the making."""

    def __init__(self, table: str, key: Mapping[str, Any]) -> None:
        self._table, self._key = table, key
        self._findings: list[Finding] = []

    def add(self, level: str, topic: str, text: str) -> None:
        """Add a finding."""
        self._findings.append(Finding(level, topic, text))

    @property
    def has_problems(self) -> bool:
        """Whether a problem was found so far."""
        return any(finding.level == PROBLEM for finding in self._findings)

    def attempt(self, topic: str, work: Callable[[], T]) -> T | None:
        """Do what a make does; what it raises is a problem, and gives None."""
        try:
            return work()
        except ElementError as error:
            self.add(PROBLEM, topic, str(error))
            return None

    def finish(self, needs_bytes: int | None = None, takes_s: float | None = None) -> TaskCheck:
        """End the check."""
        return TaskCheck(self._table, dict(self._key), tuple(self._findings), needs_bytes, takes_s)


class Bench:
    """What the tasks of one check share: engines, bundles and videos that were looked at.

    Attributes:
        roots: The lab's directories.
        device: Device to ask for.
        elsewhere: Whether the work is done on another machine.
    """

    def __init__(self, roots: Roots, device: str | None, elsewhere: bool) -> None:
        self.roots, self.device, self.elsewhere = roots, device, elsewhere
        self._known: dict[Any, Any] = {}

    def once(self, name: Any, work: Callable[[], T]) -> T:
        """Do something once for all tasks; a failure is remembered, too."""
        if name not in self._known:
            try:
                self._known[name] = work()
            except ElementError as error:
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, ElementError):
            raise found
        return found

    def open_bundle(self, name: str) -> Bundle:
        """Open a bundle and compare it with its hash, once.

        Raises:
            ModelError: It is damaged, or cannot be run.
        """

        def work() -> Bundle:
            bundle = open_bundle(self.roots.processed, name)
            check_single_animal(bundle)
            return bundle

        return self.once(("bundle", name), work)

    def find_engine(self, name: str) -> tuple[Engine, str, str]:
        """Find an engine, the device it would use, and what that is called, once.

        Raises:
            EngineError: One of them is not on this machine.
        """

        def work() -> tuple[Engine, str, str]:
            engine = get_engine(name)
            device = engine.resolve_device(self.device)
            return engine, device, name_device(device, engine.describe(device).get("device_name"))

        return self.once(("engine", name), work)

    def check_disk(self, notes: Notes, needs: int | None) -> None:
        """Compare what a result takes with what is free."""
        folder = self._existing_folder()
        free = shutil.disk_usage(folder).free
        if not os.access(folder, os.W_OK):
            notes.add(
                PROBLEM, "disk",
                f"'{folder}' cannot be written by this user, and results go below it. Change its "
                "mode, or the processed directory.",
            )  # fmt: skip
        elif needs is None:
            notes.add(
                WARNING, "disk", f"No record yet of what it takes; {show_size(free)} are free."
            )
        elif needs > free:
            notes.add(
                PROBLEM, "disk",
                f"It takes about {show_size(needs)}, and {show_size(free)} are free in '{folder}'. "
                "Make room (workflow-deeplabcut prune), or move the processed directory.",
            )  # fmt: skip
        else:
            notes.add(OK, "disk", f"It takes about {show_size(needs)} of {show_size(free)} free.")

    def check_disk_for_all(self, tasks: Sequence[TaskCheck]) -> Finding:
        """Compare what all results take together with what is free."""
        needs = sum(task.needs_bytes or 0 for task in tasks)
        folder = self._existing_folder()
        free = shutil.disk_usage(folder).free
        text = f"All tasks together take about {show_size(needs)} of {show_size(free)} free"
        if needs > free:
            return Finding(PROBLEM, "disk", f"{text}. Make room, or queue fewer at a time.")
        return Finding(OK, "disk", f"{text}.")

    def _existing_folder(self) -> Path:
        folder = self.roots.processed
        while not folder.exists():
            folder = folder.parent
        return folder


def insist_on_tasks(n_tasks: int, table: str) -> None:
    """Insist that there is something to check.

    Raises:
        ParameterError: The restriction matches no task.
    """
    if not n_tasks:
        raise ParameterError(f"The restriction matches no row of {table}. Check the key.")


def show_device(device: str, device_name: str) -> str:
    """Write a device with the name of its GPU."""
    return device if device_name in device else f"{device} ({device_name})"
