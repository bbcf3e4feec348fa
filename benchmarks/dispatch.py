"""How fast workers find their next job, and how many trivial jobs a pool does.

``python benchmarks/dispatch.py`` starts a database of its own, measures, and prints each figure
with its goal and the ratio of the two (above 1 is better than the goal). Nothing is tested: how
long things take depends on the machine and on what else it does.

1. The next key at 50,000 pending ones, from a fresh look at the queue to the lease (goal: 10 ms);
   the same when nine tenths of a queue are done.
2. Trivial jobs of 4 workers (goal: 500 per second, on two cores against a local database), and that
   none was done twice.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import datajoint as dj

from workflow_deeplabcut import database

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
    assert len(Task() - Idle()) == n_pending  # noqa: S101
    return times


def measure_pool(n_jobs: int) -> tuple[float, int]:
    """Jobs per second of a pool, and how many jobs there are twice or not at all."""
    ready, go = os.pipe(), os.pipe()
    pids = [start_worker(ready[1], go[0]) for _ in range(N_WORKERS)]
    for _ in pids:
        os.read(ready[0], 1)
    began = time.perf_counter()
    os.write(go[1], b"x" * N_WORKERS)
    for pid in pids:
        os.waitpid(pid, 0)
    seconds = time.perf_counter() - began
    done = (Trivial & f"task < {n_jobs}").fetch("task")
    return n_jobs / seconds, n_jobs - len(set(done)) + len(done) - len(set(done))


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


def report(what: str, value: float, goal: float, unit: str, ratio: float) -> None:
    """Print one figure."""
    print(f"{what:48} {value:8.1f} {unit:6} goal {goal:g} {unit:6} ratio {ratio:.2f}", flush=True)


def main() -> int:
    """Measure everything; exit code 1 only when a job was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pending", type=int, default=50_000, help="length of the queue")
    parser.add_argument("--jobs", type=int, default=4_000, help="trivial jobs for the pool")
    options = parser.parse_args()
    os.environ["DATABASE_PREFIX"] = ""
    with tempfile.TemporaryDirectory() as folder, database.running(Path(folder)) as server:
        server.configure_datajoint()
        schema.activate("benchmark")
        import workflow_deeplabcut.worker  # noqa: F401 -- once, for every fork

        Task.insert((number,) for number in range(options.pending))
        times = measure_next_job(options.pending)
        for name, value in (("median", statistics.median(times)), ("slowest", max(times))):
            what = f"next job at {options.pending} pending, {name}"
            report(what, value, GOAL_MS, "ms", GOAL_MS / value)
        Idle.insert(
            ((number,) for number in range(options.pending * 9 // 10)), allow_direct_insert=True
        )
        times = measure_next_job(options.pending - options.pending * 9 // 10)
        what = "the same, nine tenths of the queue done, median"
        report(what, statistics.median(times), GOAL_MS, "ms", GOAL_MS / statistics.median(times))

        Trivial.insert(
            ((number, 0) for number in range(options.jobs, options.pending)),
            allow_direct_insert=True,
        )
        rate, wrong = measure_pool(options.jobs)
        report(
            f"trivial jobs, {N_WORKERS} workers", rate, GOAL_JOBS_PER_S, "jobs/s",
            rate / GOAL_JOBS_PER_S,
        )  # fmt: skip
        print(f"lost or done twice: {wrong}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
