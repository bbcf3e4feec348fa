"""How fast workers find their next job, and how many trivial jobs a pool does.

1. The next key at 50,000 pending ones, from a fresh look at the queue to the lease (goal: 10 ms);
   the same when nine tenths of a queue are done.
2. Trivial jobs of 4 workers (goal: 500 per second, on two cores against a local database), and that
   none was done twice.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datajoint as dj

from workflow_deeplabcut import database

from .rows import Row
from .timing import insist

GOAL_MS, GOAL_JOBS_PER_S = 10, 500
N_WORKERS = 4

schema = dj.Schema()


@schema
class Task(dj.Manual):
    """What there is to do."""

    definition = """
    task : int
    """


@schema
class Trivial(dj.Computed):
    """A table whose jobs take no time."""

    definition = """
    -> Task
    ---
    pid : int
    """

    def make(self, key: dict[str, Any]) -> None:
        """Insert the row."""
        self.insert1({**key, "pid": os.getpid()})


@schema
class Idle(dj.Computed):
    """A table whose queue stays as long as it is."""

    definition = """
    -> Task
    """

    def make(self, key: dict[str, Any]) -> None:
        """Nobody calls this."""
        raise NotImplementedError


def measure_next_job(n_pending: int, n_rounds: int = 50) -> list[float]:
    """Times (ms) from a fresh look at the queue to the lease."""
    from workflow_deeplabcut.worker.candidates import Candidates
    from workflow_deeplabcut.worker.lease import LeaseStore
    from workflow_deeplabcut.worker.server import Server

    leases = LeaseStore(Server(dj.conn(), "benchmark"), "", 60)
    schema.jobs  # noqa: B018 -- declares it
    candidates = Candidates(Idle(), leases)
    times = []
    for _ in range(n_rounds):
        candidates._batch.clear()  # what a worker of long jobs meets each time
        began = time.perf_counter()
        lease = next(held for key in candidates if (held := leases.take(Idle(), key)))
        times.append((time.perf_counter() - began) * 1e3)
        with leases.server.transaction():
            leases.hand_back(lease)
    insist(len(Task() - Idle()) == n_pending, "Looking changed the queue")
    return times


def measure_pool(n_jobs: int, n_workers: int = N_WORKERS) -> float:
    """Jobs per second of a pool, which must do each job once."""
    ready, go = os.pipe(), os.pipe()
    pids = [start_worker(ready[1], go[0]) for _ in range(n_workers)]
    for _ in pids:
        os.read(ready[0], 1)
    began = time.perf_counter()
    os.write(go[1], b"x" * n_workers)
    for pid in pids:
        os.waitpid(pid, 0)
    seconds = time.perf_counter() - began
    done = (Trivial & f"task < {n_jobs}").fetch("task")
    insist(sorted(done) == list(range(n_jobs)), "Jobs were lost or done twice")
    return n_jobs / seconds


def start_worker(ready: int, go: int) -> int:
    """Fork a worker that says when it is ready, and begins when it is told."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    with contextlib.suppress(BaseException):
        dj.conn().connect()
        from workflow_deeplabcut.worker import run_worker

        os.write(ready, b"x")
        os.read(go, 1)
        run_worker([Trivial], stop_when_idle=True)
        code = 0
    os._exit(code)


def measure(options: argparse.Namespace) -> list[Row]:
    """Measure everything."""
    n_pending, n_jobs = options.pending, options.jobs
    n_done = n_pending * 9 // 10
    rows = []
    with open_queue(n_pending):
        for what, done in (("", 0), (", nine tenths done", n_done)):
            Idle.insert(((number,) for number in range(done)), allow_direct_insert=True)
            times = measure_next_job(n_pending - done)
            name = f"next job of {n_pending}{what}"
            rows.append(Row.of(name, times, GOAL_MS, "ms, from a fresh look to the lease"))
        Trivial.insert(
            ((number, 0) for number in range(n_jobs, n_pending)), allow_direct_insert=True
        )
        rate = measure_pool(n_jobs)
    note = f"{GOAL_JOBS_PER_S} jobs/s by {rate:.0f} jobs/s, {N_WORKERS} workers; none done twice"
    rows.append(Row.of("trivial jobs", [GOAL_JOBS_PER_S / rate], 1, note))
    return rows


@contextlib.contextmanager
def open_queue(n_pending: int) -> Iterator[None]:
    """Start a server with a queue; stop it at the end."""
    os.environ["DATABASE_PREFIX"] = ""
    with tempfile.TemporaryDirectory() as folder, database.running(Path(folder)) as server:
        server.configure_datajoint()
        schema.activate("benchmark")
        import workflow_deeplabcut.worker  # noqa: F401 -- once, for every fork

        Task.insert((number,) for number in range(n_pending))
        yield
