"""What a user sees of a worker: it does what is to be done, once, and reports what it cannot do."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

import pytest

from element_deeplabcut.errors import ParameterError
from workflow_deeplabcut.worker import RetryPolicy
from workflow_deeplabcut.worker.share import FairShare

from .conftest import Site, until


def test_everything_is_done_once(site: Site) -> None:
    keys = site.add(*[""] * 8)
    summary = site.run(site.Parts, site.Plain)
    assert summary.done == 16
    assert len(site.Parts & keys) == len(site.Plain & keys) == 8
    assert len(site.Parts.Piece & keys) == 24
    assert len(set(site.calls())) == len(site.calls()) == 16
    assert not site.jobs
    assert not site.leases


def test_a_failed_task_blocks_no_other(site: Site) -> None:
    """DataJoint's own hash takes (1, 11) and (11, 1) for one job."""
    site.Task.insert([(1, 11, "bad"), (11, 1, ""), (11, 2, "bad"), (1, 12, "")])
    summary = site.run(site.Parts)
    assert (summary.done, summary.failed) == (2, 2)
    errors = site.jobs.fetch("error_message", "error_stack", "key", as_dict=True)
    assert {(row["key"]["a"], row["key"]["b"]) for row in errors} == {(1, 11), (11, 2)}
    for row in errors:
        assert row["error_message"] == (
            "VideoError: 'bad.mp4' is damaged after frame 7. Copy it again."
        )
        assert "in make_compute" in row["error_stack"]
    assert site.run(site.Parts).jobs == 0  # a permanent error stays


def test_a_storage_hiccup_is_tried_again(site: Site) -> None:
    site.add("once 1", "")
    policy = RetryPolicy(limit=3, first_delay=0.2)
    summary = site.run(site.Parts, site.Plain, retry=policy)
    assert summary.failed == 0
    assert summary.postponed == 1
    assert len(site.Parts & "b=0") == 1
    assert not site.leases


@pytest.mark.parametrize(("script", "said"), [("full", "No space left"), ("pool", "out of memory")])
def test_tries_have_a_limit(site: Site, script: str, said: str) -> None:
    site.add(script)
    summary = site.run(site.Plain, retry=RetryPolicy(limit=3, first_delay=0.05))
    assert (summary.postponed, summary.failed) == (2, 1)
    (row,) = site.jobs.fetch(as_dict=True)
    assert said in row["error_message"]
    assert "tried 3 times" in row["error_message"]


def test_restrictions_choose_jobs(site: Site) -> None:
    site.add("", "", a=1)
    site.add("", a=2)
    site.run(site.Plain, restrictions=[{"a": 2}])
    assert list(site.Plain.fetch("a")) == [2]


def test_a_worker_in_a_thread_leaves_signals_alone(site: Site) -> None:
    """DataJoint's populate(reserve_jobs=True) fails in a thread."""
    site.add("", "")
    summaries = []
    thread = threading.Thread(target=lambda: summaries.append(site.run(site.Parts)))
    thread.start()
    thread.join(20)
    assert summaries[0].done == 2


def test_it_goes_on_until_it_is_told_to_end(site: Site) -> None:
    site.add("")
    worker = site.start(site.Plain)
    until(lambda: len(site.Plain()) == 1)
    site.add("")
    until(lambda: len(site.Plain()) == 2)
    worker.send(15)
    assert worker.wait() == 0


def test_hours_end_a_worker(site: Site) -> None:
    worker = site.start(site.Plain, hours=0.3 / 3600)
    assert worker.wait() == 0


def test_long_jobs_do_not_starve_short_ones(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker, long and short jobs: no second long job while short ones wait."""
    spend = FairShare.spend

    def book(share: FairShare[Any], queue: Any, _: float, idle: Iterable[Any] = ()) -> None:
        # On a busy machine six short jobs may take longer than a long one.
        spend(share, queue, 10 if isinstance(queue.table, site.Long) else 1, idle)

    monkeypatch.setattr(FairShare, "spend", book)
    site.add(*[""] * 6)
    site.run(site.Long, site.Parts, max_jobs=8)
    order = [name for name, *_ in site.calls()]
    assert order[:2].count("Long") == 1
    assert order.index("Long") < order.index("Parts")
    assert order[1:7] == ["Parts"] * 6


def test_half_of_a_pool_stays_for_short_jobs(site: Site) -> None:
    site.add(*["work 0.1"] * 12)
    for _ in range(4):
        # A lease that runs out would not count as one of a worker in a long job.
        site.start(site.Parts, site.Long, stop_when_idle=True, lease=20)
    held, most = site.leases & "token<>''", 0
    while True:
        n_long = len(held & "table_name='__model_training'")
        # Leases first: a job that is recorded meanwhile counts twice, and none is overlooked.
        taken = len(held & {"table_name": site.Parts.table_name}) + len(site.Parts())
        if taken >= 12:  # when none waits any more, all may turn to long ones
            break
        most = max(most, n_long)
    assert 1 <= most <= 2


@pytest.mark.parametrize(
    "option", [{"poll_interval": 0}, {"lease": 0}, {"hours": 0}, {"retry": RetryPolicy(limit=0)}]
)
def test_bad_options_are_refused(site: Site, option: dict) -> None:
    with pytest.raises(ParameterError):
        site.run(site.Plain, **option)
