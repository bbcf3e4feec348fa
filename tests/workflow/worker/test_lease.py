"""A dead or paused worker's job is taken over: recorded once, and no transaction blocks anybody."""

from __future__ import annotations

import os
import signal
import time

import datajoint as dj
import pytest

from workflow_deeplabcut.worker import RetryPolicy
from workflow_deeplabcut.worker.lease import LeaseStore
from workflow_deeplabcut.worker.server import Server

from .conftest import Site, until


@pytest.mark.parametrize("name", ["Parts", "Plain"])
def test_a_killed_workers_job_is_taken_over(site: Site, name: str) -> None:
    table = getattr(site, name)
    site.add("work 30", "", "")
    first = site.start(table, max_jobs=1)
    until(site.calls)
    first.send(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    site.Task.update1({"a": 1, "b": 0, "script": ""})
    second = site.start(table, max_jobs=3)
    assert second.wait() == 0
    assert len(table()) == 3
    site.assert_nothing_left()
    assert "does not renew its lease; taking over" in second.log.read_text()


@pytest.mark.parametrize("name", ["Parts", "Plain"])
def test_a_paused_worker_finds_its_lease_gone(site: Site, name: str) -> None:
    table = getattr(site, name)
    site.add("work 2")
    first = site.start(table)
    until(site.calls)
    first.send(signal.SIGSTOP)
    time.sleep(1.2)
    site.start(table, max_jobs=1)
    until(lambda: len(site.calls()) == 2)
    first.send(signal.SIGCONT)
    until(lambda: "lost " in first.log.read_text())
    until(lambda: len(table()) == 1)
    site.add("")
    until(lambda: len(table()) == 2)  # the first one goes on
    first.send(signal.SIGTERM)
    assert first.wait() == 0
    assert len(site.calls()) == 3
    site.assert_nothing_left()


def test_a_dead_workers_lease_on_a_recorded_job_ends(site: Site) -> None:
    """It took a job that another one had just recorded, and was killed before it saw that."""
    (key,) = site.add("")
    site.run(site.Parts)
    dead = LeaseStore(Server(dj.conn(), "dead"), os.environ["DATABASE_PREFIX"], seconds=0.1)
    assert dead.take(site.Parts(), key)
    time.sleep(0.2)
    site.run(site.Parts)
    assert len(site.calls()) == 1
    assert not site.jobs
    assert not site.leases


def test_a_job_that_becomes_due_between_two_looks_keeps_a_worker(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is back for the time of a lease just when a worker finds nothing to do."""
    (key,) = site.add("")
    leases = LeaseStore(Server(dj.conn(), "dead"), os.environ["DATABASE_PREFIX"], seconds=60)
    assert leases.take(site.Parts(), key)
    site.leases.connection.query(
        f"UPDATE {site.leases.full_table_name} SET expires_at=UTC_TIMESTAMP(6)"
    )
    for seconds_up, is_due, is_waited_for in ((59, 0, 1), (61, 1, 1), (99, 1, 0)):
        monkeypatch.setattr(leases, "_count_seconds_up", lambda up=seconds_up: up)
        assert len(leases.list_due(site.Parts())) == is_due
        assert len(leases.list_waiting(site.Parts())) == is_waited_for


def test_a_worker_that_computes_stops_at_the_next_batch(site: Site) -> None:
    site.add("work 30")
    worker = site.start(site.Parts, lease=0.5)
    until(site.calls)
    site.leases.connection.query(
        f"UPDATE {site.leases.full_table_name} SET token='other', owner='other', "
        "expires_at=UTC_TIMESTAMP(6) + INTERVAL 60 SECOND"
    )
    began = time.monotonic()
    until(lambda: "lost Parts" in worker.log.read_text())
    assert time.monotonic() - began < 8  # it would compute for 30 s
    assert not site.Parts()


def test_a_transaction_left_open_blocks_nobody(site: Site) -> None:
    """A worker is paused after it has inserted its row, before it commits."""
    site.add("hold")
    first = site.start(site.Plain)
    until(site.calls)
    time.sleep(0.2)
    first.send(signal.SIGSTOP)
    time.sleep(1.2)
    began = time.monotonic()
    second = site.start(site.Plain, max_jobs=1)
    assert second.wait() == 0
    assert time.monotonic() - began < 40  # a lock is waited for for 50 s
    (pid,) = site.Plain.fetch("pid")
    first.send(signal.SIGCONT)
    until(lambda: "its row is there already" in first.log.read_text())
    assert list(site.Plain.fetch("pid")) == [pid]


def test_a_job_that_kills_its_workers_ends_as_an_error(site: Site) -> None:
    site.add("die")
    policy = RetryPolicy(limit=2)
    for _ in range(2):
        worker = site.start(site.Parts, lease=0.5, retry=policy)
        assert worker.wait() == -signal.SIGKILL
    summary = site.run(site.Parts, retry=policy, stop_when_idle=False, max_jobs=1)
    assert summary.failed == 1
    (message,) = site.jobs.fetch("error_message")
    assert message.startswith("WorkerDied: 2 workers began this job")


def test_a_lease_outlives_a_job_longer_than_itself(site: Site) -> None:
    site.add("sleep 5")
    site.start(site.Plain, lease=2)  # shorter ones run out on a busy machine, whoever lives
    until(site.calls)
    other = site.start(site.Plain, lease=2)
    until(lambda: len(site.Plain()) == 1)
    assert len(site.calls()) == 1
    assert "began" not in other.log.read_text()
