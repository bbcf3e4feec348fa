"""Real worker processes on scripted tables, on the test run's database server."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datajoint as dj
import pytest

from workflow_deeplabcut import database

from . import scripted

FAST = {"poll_interval": 0.05, "lease": 1.0, "grace": 0.5}
_numbers = itertools.count()


class WorkerProcess:
    """A forked process that runs one worker."""

    def __init__(self, tables: list[Any], log: Path, options: dict[str, Any]) -> None:
        self.log = log
        log.touch()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                code = self._run(tables, options)
            os._exit(code)

    def _run(self, tables: list[Any], options: dict[str, Any]) -> int:
        sys.stderr = self.log.open("w", buffering=1)
        os.dup2(sys.stderr.fileno(), 2)
        handler = logging.StreamHandler(sys.stderr)
        logging.getLogger().handlers[:] = [handler]
        logging.getLogger().setLevel(logging.INFO)
        try:
            dj.conn().connect()  # a connection of its own; the parent keeps the first
            from workflow_deeplabcut.worker import run_worker

            run_worker(tables, **{**FAST, **options})
        except BaseException:
            logging.exception("the worker failed")
            raise
        return 0

    def send(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end and return the exit code."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        raise AssertionError(f"the worker goes on:\n{self.log.read_text()}")


class Site:
    """A lab with scripted tables and workers."""

    Task, Plain, Parts, Long = (
        scripted.Task, scripted.Plain, scripted.Parts, scripted.ModelTraining,
    )  # fmt: skip

    def __init__(self, server: database.Server, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.calls_file = folder / "calls.txt"
        self.workers: list[WorkerProcess] = []

    def add(self, *scripts: str, a: int = 1) -> list[dict[str, int]]:
        """Queue tasks and return their keys."""
        start = len(self.Task & {"a": a})
        keys = [{"a": a, "b": start + number} for number in range(len(scripts))]
        self.Task.insert(
            {**key, "script": script} for key, script in zip(keys, scripts, strict=True)
        )
        return keys

    def start(self, *tables: Any, **options: Any) -> WorkerProcess:
        log = self.folder / f"worker-{next(_numbers)}.log"
        worker = WorkerProcess(list(tables), log, options)
        self.workers.append(worker)
        return worker

    def calls(self, table: str = "") -> list[tuple[str, int, int, int]]:
        """What was computed: table, a, b, process."""
        if not self.calls_file.exists():
            return []
        lines = [line.split() for line in self.calls_file.read_text().splitlines()]
        calls = [(name, int(a), int(b), int(pid)) for name, a, b, pid in lines]
        return [call for call in calls if call[0].startswith(table)]

    def run(self, *tables: Any, **options: Any) -> Any:
        """Run a worker in this process until nothing is left to do."""
        from workflow_deeplabcut.worker import run_worker

        return run_worker(tables, **{**FAST, "stop_when_idle": True, **options})

    @property
    def jobs(self) -> Any:
        return scripted.schema.jobs

    @property
    def leases(self) -> Any:
        from workflow_deeplabcut.worker import Lease

        return Lease()

    def assert_nothing_left(self) -> None:
        """Insist that no job is reserved and no lease is held."""
        assert not self.jobs & "status='reserved'"
        assert not self.leases & {"database_name": scripted.schema.database} & "token<>''"


def until(condition: Callable[[], Any], seconds: float = 45) -> Any:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.01)
    return value


@pytest.fixture
def site(
    server: database.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    server.configure_datajoint()
    monkeypatch.setenv("DATABASE_PREFIX", os.environ.get("DATABASE_PREFIX", "test_"))
    monkeypatch.setenv(scripted.LOG, str(tmp_path / "calls.txt"))
    if not scripted.schema.is_activated():
        scripted.schema.activate("test_scripted")
    from workflow_deeplabcut.worker.lease import declare_leases

    declare_leases(dj.conn(), os.environ["DATABASE_PREFIX"])
    built = Site(server, tmp_path)
    yield built
    for worker in built.workers:
        if worker.pid:
            os.kill(worker.pid, signal.SIGKILL)
            os.waitpid(worker.pid, 0)
    built.jobs.delete()
    built.leases.delete_quick()
    for table in (built.Parts.Piece, built.Parts, built.Plain, built.Long, built.Task):
        table().delete_quick()
