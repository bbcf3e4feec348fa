"""Makes that do what no make should: no worker dies of it, and none begins them for ever."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from typing import Any

import datajoint as dj
import pytest

from workflow_deeplabcut.worker import RetryPolicy

from . import scripted
from .conftest import Site, until

schema = dj.Schema()
MESSAGE = "'\udcff \N{GRINNING FACE}.mp4' is damaged."


@schema
class Odd(dj.Computed):
    definition = """
    -> scripted.Task
    ---
    data=null : longblob
    """

    def make_fetch(self, key: dict[str, Any]) -> tuple[str]:
        return ((scripted.Task & key).fetch1("script"),)

    def make_compute(self, key: dict[str, Any], script: str) -> tuple[str]:
        scripted.note("Odd", key)
        if script == "unreadable":
            raise ValueError(MESSAGE)
        if script == "unreadable, passing":
            raise OSError(errno.ESTALE, MESSAGE)
        time.sleep(0.5 if script == "slow" else 0)
        return (script,)

    def make_insert(self, key: dict[str, Any], script: str) -> None:
        if script != "nothing":
            self.insert1({**key, "data": os.urandom(3 << 20) if script == "huge" else None})


@schema
class OddInOne(dj.Computed):
    definition = """
    -> scripted.Task
    """

    def make(self, key: dict[str, Any]) -> None:
        scripted.note("OddInOne", key)


@pytest.fixture
def odd(site: Site) -> Iterator[Any]:
    if not schema.is_activated():
        schema.activate("test_odd", add_objects={"scripted": scripted})
    yield schema.jobs
    Odd().delete_quick()
    schema.jobs.delete()


@pytest.mark.parametrize("table", [Odd, OddInOne])
def test_a_make_that_inserts_nothing_is_an_error(site: Site, odd: Any, table: Any) -> None:
    site.add("nothing")
    assert site.run(table).failed == 1
    assert len(site.calls()) == 1
    assert "inserted no row for this key" in odd.fetch1("error_message")
    site.assert_nothing_left()


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
def test_an_error_that_cannot_be_written_as_it_is(site: Site, odd: Any, charset: str) -> None:
    dj.conn().query(f"ALTER TABLE `test_odd`.`~jobs` CONVERT TO CHARACTER SET {charset}")
    site.add("unreadable", "unreadable, passing", "")
    summary = site.run(Odd, retry=RetryPolicy(2, first_delay=0.01))
    assert (summary.done, summary.failed, summary.postponed) == (1, 2, 1)
    for message in odd.fetch("error_message"):
        assert "\\udcff" in message
        assert ("\N{GRINNING FACE}" in message) == (charset == "utf8mb4")
    site.assert_nothing_left()


def test_a_row_that_somebody_else_inserts_meanwhile(site: Site, odd: Any) -> None:
    """As populate() without reservation does in a notebook."""
    (key,) = site.add("slow")
    worker = site.start(Odd, stop_when_idle=True)
    until(site.calls)
    Odd.insert1(key, allow_direct_insert=True)
    assert worker.wait() == 0
    assert "its row is there already" in worker.log.read_text()
    assert len(Odd()) == 1
    assert not odd
    site.assert_nothing_left()


@pytest.fixture
def small_packets(site: Site) -> Iterator[None]:
    with site.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.max_allowed_packet")
        (before,) = cursor.fetchone()
        cursor.execute(f"SET GLOBAL max_allowed_packet={1 << 20}")
        yield
        cursor.execute(f"SET GLOBAL max_allowed_packet={before}")


@pytest.mark.slow
def test_a_row_that_the_server_cannot_take(site: Site, odd: Any, small_packets: None) -> None:
    site.add("huge", "")
    worker = site.start(Odd, stop_when_idle=True, retry=RetryPolicy(2, first_delay=0.1), lease=20)
    assert worker.wait(60) == 0
    assert "max_allowed_packet" in odd.fetch1("error_message")
    assert len(Odd()) == 1
    site.assert_nothing_left()
