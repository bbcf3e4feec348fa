"""Forked worker processes that say in which phase of a make they are."""

from __future__ import annotations

import contextlib
import functools
import logging
import mmap
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datajoint as dj
from tqdm.auto import tqdm

from workflow_deeplabcut.worker import RetryPolicy, loop, run_worker
from workflow_deeplabcut.worker.lease import LeaseStore

PHASES = ("take", "fetch", "compute", "insert", "commit")
"""take: looking for a job and reserving it; commit: after the rows, until the next job."""

_STARTING = len(PHASES)
"""Until it listens to signals; a process that gets SIGTERM earlier dies of it, as any other."""

OPTIONS: dict[str, Any] = {
    "poll_interval": 0.02,
    "lease": 0.5,
    "grace": 1.0,
    "engines": ("pytorch",),
    # A job that meets the thirtieth fault is no worse than others.
    "retry": RetryPolicy(limit=1_000_000, first_delay=0.05, longest_delay=0.3),
}
_END_S = 15
"""How long a worker may take to end after SIGTERM on a busy machine."""

Prepare = Callable[[], None]


class Worker:
    """A worker in a process of its own.

    Attributes:
        pid: Its process; 0 after it was reaped.
        log: What it said.
        paused_until: When SIGCONT is due, `time.monotonic()`, or None.
    """

    def __init__(
        self, tables: Sequence[Any], log: Path, options: dict[str, Any], prepare: Prepare | None
    ) -> None:
        self.log = log
        self.paused_until: float | None = None
        self._phase = mmap.mmap(-1, 1)
        self._phase[0] = _STARTING
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                self._run(tables, options, prepare)
                code = 0
            os._exit(code)

    def _run(self, tables: Sequence[Any], options: dict[str, Any], prepare: Prepare | None) -> None:
        stream = self.log.open("a", buffering=1)
        os.dup2(stream.fileno(), 2)
        sys.stderr = stream
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(message)s"))
        logging.getLogger().handlers[:] = [handler]
        logging.getLogger().setLevel(logging.INFO)
        # The lock of before is shared with all forks, and one that is killed would keep it. Workers
        # that a site starts share none.
        tqdm.set_lock(threading.RLock())
        self._announce_phases(tables)
        try:
            _connect()
            if prepare is not None:
                prepare()
            run_worker(tables, **{**OPTIONS, **options})
        except BaseException:
            logging.exception("the worker failed")
            raise

    # --- phases -----------------------------------------------------------------------------------

    def _announce_phases(self, tables: Sequence[Any]) -> None:
        for table in tables:
            table.make_fetch = self._announcing("fetch", table.make_fetch, "compute")
            table.make_insert = self._announcing("insert", table.make_insert, "commit")
        LeaseStore.take = self._announcing("take", LeaseStore.take)
        loop.Worker._work = self._announcing("take", loop.Worker._work)

    def _announcing(
        self, phase: str, function: Callable[..., Any], after: str | None = None
    ) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self._phase[0] = PHASES.index(phase)
            try:
                return function(*args, **kwargs)
            finally:
                if after is not None:
                    self._phase[0] = PHASES.index(after)

        return call

    @property
    def phase(self) -> str:
        return "" if self.is_starting else PHASES[self._phase[0]]

    @property
    def is_starting(self) -> bool:
        return self._phase[0] == _STARTING

    # --- what happens to it -----------------------------------------------------------------------

    def kill(self) -> bool:
        """Send SIGKILL; whether that is what it died of."""
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self.pid = 0
        return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def pause(self, seconds: float) -> bool:
        """Send SIGSTOP; whether it stands still now."""
        os.kill(self.pid, signal.SIGSTOP)
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self.pid = 0
            return False
        self.paused_until = time.monotonic() + seconds
        return True

    def wake(self) -> None:
        os.kill(self.pid, signal.SIGCONT)
        self.paused_until = None

    def ask_to_end(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def poll(self) -> int | None:
        """Exit code if it ended, negative for a signal; None while it lives."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def wait(self) -> int | None:
        """Exit code, or None (and it is killed) if it does not end."""
        deadline = time.monotonic() + _END_S
        while time.monotonic() < deadline:
            code = self.poll()
            if code is not None:
                return code
            time.sleep(0.01)
        self.kill()
        return None


def _connect() -> None:
    """Get a connection of its own (the parent keeps the one before), when the server is there."""
    deadline = time.monotonic() + 60
    while True:
        try:
            dj.conn().connect()
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Pool:
    """Workers on the same tables; the dead are replaced.

    Attributes:
        complaints: Workers that ended by themselves, or did not end when they were told to.
    """

    def __init__(
        self, size: int, tables: Sequence[Any], log: Path,
        prepare: Sequence[Prepare | None] = (None,), **options: Any,
    ) -> None:  # fmt: skip
        self.complaints: set[str] = set()
        self.workers: list[Worker] = []
        self._ending: list[Worker] = []
        self._size, self._tables, self._log, self._options = size, tables, log, options
        self._prepare = prepare
        self._n_started = 0

    def __enter__(self) -> Pool:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in (*self.workers, *self._ending):
            if worker.pid:
                worker.kill()

    def mend(self) -> None:
        """Wake those whose pause is over, and replace those that ended."""
        for worker in [*self.workers]:
            if worker.pid and worker.paused_until and time.monotonic() > worker.paused_until:
                worker.wake()
            code = worker.poll() if worker.pid else None
            if code is not None:
                self.complaints.add(f"a worker ended by itself with {code}, see {self._log.name}")
            if not worker.pid:
                self.workers.remove(worker)
        for worker in [*self._ending]:
            if (code := worker.poll()) is not None:
                self._ending.remove(worker)
                self._judge_end(code)
        while len(self.workers) < self._size:
            prepare = self._prepare[self._n_started % len(self._prepare)]
            self.workers.append(Worker(self._tables, self._log, self._options, prepare))
            self._n_started += 1

    def retire(self, worker: Worker) -> None:
        """Send SIGTERM to one; it is to end with 0 within its grace time."""
        deadline = time.monotonic() + _END_S
        while worker.is_starting and time.monotonic() < deadline:
            time.sleep(0.005)
        worker.ask_to_end()
        self.workers.remove(worker)
        self._ending.append(worker)

    def end(self) -> None:
        """Tell all to end, and wait for it."""
        for worker in [*self.workers]:
            if worker.pid and worker.paused_until:
                worker.wake()
        self.mend()
        for worker in [*self.workers]:
            self.retire(worker)
        for worker in self._ending:
            self._judge_end(worker.wait())
        self._ending.clear()

    def _judge_end(self, code: int | None) -> None:
        if code is None:
            self.complaints.add(f"a worker did not end after SIGTERM, see {self._log.name}")
        elif code:
            self.complaints.add(f"a worker ended with {code} after SIGTERM, see {self._log.name}")

    @property
    def running(self) -> list[Worker]:
        """Those that are at work."""
        living = [worker for worker in self.workers if worker.pid and not worker.paused_until]
        return [worker for worker in living if not worker.is_starting]
