"""Jobs that a worker leaves to a process of its own, because they are of another engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datajoint as dj
import pytest

from workflow_deeplabcut.worker import children
from workflow_deeplabcut.worker.children import ChildWorkers, child_command
from workflow_deeplabcut.worker.lease import LeaseStore
from workflow_deeplabcut.worker.loop import Worker
from workflow_deeplabcut.worker.options import WorkerOptions
from workflow_deeplabcut.worker.retry import RetryPolicy
from workflow_deeplabcut.worker.server import Server, _lock_name
from workflow_deeplabcut.worker.signals import StopRequest

from ...conftest import TENSORFLOW_PARAMS, TRAINING_PARAMS, Lab
from .conftest import FAST, Site

GPU = WorkerOptions(device="cuda:0")


def test_the_engine_of_the_first_job_it_does_is_a_workers_own(lab: Lab) -> None:
    """Not that of the first job it looks at, which others may be faster to take."""
    of_tensorflow = lab.add_training(9750, TENSORFLOW_PARAMS)
    of_pytorch = lab.add_training(9751, TRAINING_PARAMS)
    table, worker = lab.pipeline.train.ModelTraining(), ChildWorkers(GPU, StopRequest(1))
    assert not worker.needs(table, of_tensorflow)
    assert not worker.needs(table, of_pytorch)
    worker.settle_engine()
    assert worker.needs(table, of_tensorflow)
    assert not worker.needs(table, of_pytorch)
    (lab.pipeline.train.TrainingTask & [of_tensorflow, of_pytorch]).delete(safemode=False)


def test_a_child_is_told_what_the_worker_was_told() -> None:
    options = WorkerOptions(device="cuda:1", retry=RetryPolicy(limit=3, first_delay=600))
    words = child_command(Site.Parts(), {"a": 1}, options, "pytorch")
    for pair in (["--device", "cuda:1"], ["--attempts", "3"], ["--retry-delay", "600"]):
        assert any(words[n : n + 2] == pair for n in range(len(words)))


# --- what a child did, by a stand-in for it -------------------------------------------------------

Child = Callable[[Any, dict[str, Any]], None]


@pytest.fixture
def with_child(site: Site, monkeypatch: pytest.MonkeyPatch) -> Callable[[Child], Worker]:
    """A worker of PyTorch's for whom trainings are jobs of the other engine."""

    def make(child: Child) -> Worker:
        def run(self: ChildWorkers, table: Any, key: dict[str, Any]) -> bool:
            child(table, key)
            return True

        monkeypatch.setattr(
            children, "find_engine",
            lambda table, key: "tensorflow" if type(table) is Site.Long else "pytorch",
        )  # fmt: skip
        monkeypatch.setattr(children, "has_gpu", lambda device: True)
        monkeypatch.setattr(ChildWorkers, "run", run)
        return Worker([Site.Parts, Site.Long], WorkerOptions(**FAST, max_jobs=2), StopRequest(1))

    return make


def record(table: Any, key: dict[str, Any]) -> None:
    table.insert1(key, allow_direct_insert=True)


def fail(table: Any, key: dict[str, Any]) -> None:
    jobs = table.connection.schemas[table.database].jobs
    jobs.error(table.table_name, table._job_key(key), "VideoError: 'a.mp4' is damaged.")


def postpone(table: Any, key: dict[str, Any]) -> None:
    from workflow_deeplabcut.paths import get_database_prefix

    server = Server(dj.conn(), "the child")
    leases = LeaseStore(server, get_database_prefix(), 10)
    lease = leases.take(table, key)
    assert lease is not None
    with server.transaction():
        leases.postpone(lease, 3600, "OSError: No space left on device")


@pytest.mark.parametrize(
    ("child", "outcome"), [(record, "done"), (fail, "failed"), (postpone, "postponed")]
)
def test_what_a_child_did_is_counted_as_what_it_was(
    with_child: Callable[[Child], Worker], site: Site, child: Child, outcome: str
) -> None:
    site.add("")
    summary = with_child(child).run()
    assert {name: n for name, n in vars(summary).items() if n} == (
        {"done": 2} if outcome == "done" else {"done": 1, outcome: 1}
    )


def test_a_child_that_found_its_job_taken_counts_for_nothing(
    with_child: Callable[[Child], Worker], site: Site
) -> None:
    site.add("")
    asked = []

    def come_late(table: Any, key: dict[str, Any]) -> None:
        asked.append(key)
        if len(asked) == 2:
            record(table, key)  # somebody else does it

    summary = with_child(come_late).run()
    assert len(asked) == 2
    assert summary.done == 2


def test_long_jobs_of_others_go_on_while_a_child_computes(
    with_child: Callable[[Child], Worker], site: Site
) -> None:
    """The lock under which long jobs are taken one at a time is not held for hours."""
    site.add("")
    free = []

    def look(table: Any, key: dict[str, Any]) -> None:
        lock = _lock_name(f"long jobs, {site.leases.full_table_name}")
        with site.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT IS_FREE_LOCK(%s)", lock)
            free.append(cursor.fetchone()[0])
        record(table, key)

    assert with_child(look).run().done == 2
    assert free == [1]
