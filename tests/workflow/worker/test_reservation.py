"""Workers and notebooks share one queue, and nobody takes a key that another one has."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import datajoint as dj
import pytest
from datajoint.errors import DuplicateError
from datajoint.hash import key_hash

from element_deeplabcut.tables import populate_one, read_job_key
from workflow_deeplabcut.worker.housekeeping import clear_dead_reservations
from workflow_deeplabcut.worker.lease import LeaseStore
from workflow_deeplabcut.worker.server import Server

from . import scripted
from .conftest import Site, until


def open_store(name: str, seconds: float = 60) -> LeaseStore:
    return LeaseStore(Server(dj.conn(), name), os.environ["DATABASE_PREFIX"], seconds)


def test_distinct_keys_are_distinct_jobs(site: Site) -> None:
    table = site.Parts()
    keys = [{"a": 1, "b": 11}, {"a": 11, "b": 1}, {"a": 111, "b": 0}, {"a": 11, "b": 10}]
    assert key_hash(keys[0]) == key_hash(keys[1])  # DataJoint's own
    assert len({key_hash(table._job_key(key)) for key in keys}) == 4
    assert [read_job_key(table._job_key(key)) for key in keys] == keys


def test_a_worker_leaves_a_notebooks_key_alone(site: Site) -> None:
    first, second = site.add("", "")
    site.jobs.reserve(site.Parts.table_name, site.Parts()._job_key(first))
    site.run(site.Parts)
    assert [call[2] for call in site.calls()] == [second["b"]]
    assert len(site.jobs & "status='reserved'") == 1


def test_a_notebook_leaves_a_workers_key_alone(site: Site) -> None:
    site.add("work 1", "")
    site.start(site.Parts, max_jobs=1)
    until(site.calls)
    site.Parts.populate(reserve_jobs=True)
    assert [call[3] == os.getpid() for call in site.calls()] == [False, True]
    until(lambda: len(site.Parts()) == 2)
    until(lambda: not site.jobs)


def test_a_row_that_a_worker_records_first_is_the_row_that_was_wanted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notebook without reservation computes the same one, and comes second."""
    (key,) = site.add("")
    here, follow = os.getpid(), scripted.follow

    def let_a_worker_be_first(script: str) -> None:
        if os.getpid() == here:
            assert site.start(site.Parts, stop_when_idle=True).wait() == 0
        follow(script)

    monkeypatch.setattr(scripted, "follow", let_a_worker_be_first)
    populate_one(site.Parts, key)
    assert [call[3] == here for call in site.calls()] == [True, False]
    assert (site.Parts & key).fetch1("pid") != here
    assert len(site.Parts.Piece & key) == 3
    assert not dj.conn().in_transaction


def test_a_row_that_is_in_the_way_and_is_another_one_is_an_error(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = site.add("")
    monkeypatch.setattr(
        site.Parts, "make_insert", lambda self, key, pid: self.insert([{**key, "pid": pid}] * 2)
    )
    with pytest.raises(DuplicateError):
        populate_one(site.Parts, key)
    assert not site.Parts & key


@pytest.mark.slow
def test_notebook_and_workers_together_compute_each_key_once(site: Site) -> None:
    site.add(*["work 0.01"] * 60)
    for _ in range(3):
        site.start(site.Parts, stop_when_idle=True, lease=20)
    until(site.calls)
    site.Parts.populate(reserve_jobs=True)
    for worker in site.workers:
        assert worker.wait() == 0
    assert len(site.Parts()) == 60
    computed = [call[:3] for call in site.calls()]
    assert len(computed) == len(set(computed)) == 60
    assert len({call[3] for call in site.calls()}) == 4
    site.assert_nothing_left()


def test_one_of_many_takes_a_key(site: Site) -> None:
    """Of five processes that want one key at the same moment, one gets it, every time."""
    site.add(*["sleep 0.02"] * 20)
    for _ in range(5):
        site.start(site.Plain, stop_when_idle=True, lease=20)
    for worker in site.workers:
        assert worker.wait() == 0
    computed = [call[:3] for call in site.calls()]
    assert len(computed) == len(set(computed)) == 20


def test_only_ones_own_reservation_is_cleared_or_marked(site: Site) -> None:
    """The first owner was taken over; what it does to the job afterwards touches nothing."""
    (key,) = site.add("")
    first, second = open_store("first"), open_store("second")
    old = first.take(site.Parts(), key)
    assert second.take(site.Parts(), key) is None
    site.leases.connection.query(
        f"UPDATE {site.leases.full_table_name} SET expires_at=UTC_TIMESTAMP(6)"
    )
    new = second.take(site.Parts(), key)
    assert new.attempts == 2
    with first.server.transaction():
        first._clear_reservation(old)
        first._mark_error(old, "Error", "stack")
        first.postpone(old, 0, "later")
        first.hand_back(old)
    assert list(site.jobs.fetch("status")) == ["reserved"]
    assert second.holds(new)
    assert not first.holds(old)


def test_a_notebook_that_died_on_this_machine_is_noticed(site: Site) -> None:
    alive, dead = site.add("", "")
    for key in (alive, dead):
        site.jobs.reserve(site.Parts.table_name, site.Parts()._job_key(key))
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    hashed = {"key_hash": key_hash(site.Parts()._job_key(dead))}
    row = (site.jobs & hashed).fetch1()
    gone = {**row, "pid": process.pid, "connection_id": 2**32}
    site.jobs.insert1(gone, replace=True)
    store = open_store("sweeper")
    assert clear_dead_reservations(store.server, store.table_name, site.Parts.database) == 1
    assert not site.jobs & hashed

    site.jobs.insert1({**gone, "host": f"not-{platform.node()}"})  # nobody can know
    assert clear_dead_reservations(store.server, store.table_name, site.Parts.database) == 0


def test_a_reservation_whose_lease_was_deleted_is_freed(site: Site) -> None:
    (key,) = site.add("")
    open_store("gone").take(site.Parts(), key)
    site.leases.delete_quick()
    site.run(site.Parts)
    assert len(site.Parts & key) == 1
