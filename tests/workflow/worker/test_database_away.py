"""The database restarts, goes away or ends connections: it costs no computation and no worker."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import datajoint as dj
import pymysql
import pytest

from workflow_deeplabcut import database

from . import scripted
from .conftest import Site, until

pytestmark = pytest.mark.slow


class Outage:
    """The database server of this module, which may be killed."""

    def __init__(self, server: database.Server) -> None:
        self.server = server

    def begin(self) -> None:
        pid = database.status(self.server.data_dir).pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: database.status(self.server.data_dir) is None)

    def end(self) -> None:
        assert database.start(self.server.data_dir).port == self.server.port
        dj.conn().connect()


@pytest.fixture
def outage(site: Site) -> Iterator[Outage]:
    yield Outage(site.server)
    if database.status(site.server.data_dir) is None:
        Outage(site.server).end()


@pytest.mark.parametrize("seconds", [0, 1.5])
def test_an_outage_during_compute(site: Site, outage: Outage, seconds: float) -> None:
    site.add("work 1", "")
    worker = site.start(site.Parts, lease=5)
    until(site.calls)
    outage.begin()
    time.sleep(seconds)
    outage.end()
    until(lambda: len(site.Parts()) == 2)
    assert len(site.calls()) == 2  # what was computed was kept
    assert len(site.Parts.Piece()) == 6
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    site.assert_nothing_left()


def test_an_outage_that_spans_the_insert(site: Site, outage: Outage) -> None:
    """The lease runs out meanwhile, but nobody has taken the job."""
    site.add("work 0.5")
    worker = site.start(site.Parts, lease=0.5)
    until(site.calls)
    outage.begin()
    until(lambda: "the database is away" in worker.log.read_text())
    time.sleep(1)
    outage.end()
    until(lambda: len(site.Parts()) == 1)
    assert len(site.calls()) == 1


def test_after_an_outage_jobs_are_left_to_those_who_had_them(site: Site, outage: Outage) -> None:
    """Their leases have run out, but those who live will renew them; the dead do not."""
    site.add("work 1")
    first = site.start(site.Parts, lease=3)
    until(site.calls)
    first.send(signal.SIGKILL)
    outage.begin()
    time.sleep(3)
    outage.end()
    second = site.start(site.Parts, lease=3, stop_when_idle=True)
    until(lambda: len(site.calls()) == 2)
    # By the server's own count, as the worker goes: ours would begin when the server answers.
    (_, uptime) = dj.conn().query("SHOW GLOBAL STATUS LIKE 'Uptime'").fetchone()
    assert int(uptime) >= 3
    assert second.wait() == 0
    assert len(site.Parts()) == 1


def test_a_connection_that_broke_off_unnoticed_is_ended(site: Site) -> None:
    """The network failed; the server holds its transaction and its locks for hours."""
    from workflow_deeplabcut.worker.server import Server

    server = Server(dj.conn(), "broken-off")
    server.mark_connection()
    broken = dj.conn()._conn  # kept open
    try:
        dj.conn().connect()
        server.mark_connection()
        (holder,) = server.query("SELECT IS_USED_LOCK('dlc-worker broken-off')").fetchone()
        assert holder == dj.conn().connection_id
        with pytest.raises(pymysql.err.OperationalError):
            broken.ping(reconnect=False)
    finally:
        server.query("SELECT RELEASE_ALL_LOCKS()")


def test_an_outage_while_idle(site: Site, outage: Outage) -> None:
    worker = site.start(site.Parts)
    until(lambda: "begins" in worker.log.read_text())
    outage.begin()
    until(lambda: "the database is away" in worker.log.read_text())
    outage.end()
    site.add("")
    until(lambda: len(site.Parts()) == 1)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_plain_make_is_begun_again(site: Site, outage: Outage) -> None:
    """It computes inside a transaction, which does not survive the server."""
    from workflow_deeplabcut.worker import RetryPolicy

    site.add("work 1")
    site.start(site.Plain, retry=RetryPolicy(first_delay=0.2))
    until(site.calls)
    outage.begin()
    outage.end()
    until(lambda: len(site.Plain()) == 1)
    assert len(site.calls()) == 2


def test_a_worker_ends_while_the_database_is_away(site: Site, outage: Outage) -> None:
    site.add("work 0.3")
    worker = site.start(site.Parts, grace=0.5)
    until(site.calls)
    outage.begin()
    until(lambda: "the database is away" in worker.log.read_text())
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    outage.end()
    site.run(site.Parts, stop_when_idle=False, max_jobs=1)
    assert len(site.Parts()) == 1


def test_connections_are_ended_again_and_again(site: Site) -> None:
    """KILL of every other connection, ten times a second, while workers work."""
    site.add(*["work 0.05"] * 30)
    for _ in range(2):
        site.start(site.Parts, lease=5)
    deadline = time.monotonic() + 120
    with site.server.connect() as other, other.cursor() as cursor:
        while len(site.calls("Parts")) < 30:
            assert time.monotonic() < deadline, [w.log.read_text() for w in site.workers]
            cursor.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND<>'Daemon' "
                           "AND ID NOT IN (CONNECTION_ID(), %s)",
                           (dj.conn().query("SELECT CONNECTION_ID()").fetchone()[0],))  # fmt: skip
            for (number,) in cursor.fetchall():
                with contextlib.suppress(pymysql.err.OperationalError):  # it ended by itself
                    cursor.execute(f"KILL {number}")
            time.sleep(0.1)
    until(lambda: len(site.Parts()) == 30)
    computed = [call[:3] for call in site.calls()]
    assert len(computed) == len(set(computed)) == 30
    until(lambda: not site.jobs)


@pytest.fixture
def short_timeout(site: Site) -> Iterator[None]:
    with site.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@GLOBAL.wait_timeout")
        (before,) = cursor.fetchone()
        cursor.execute("SET GLOBAL wait_timeout=1")
        yield
        cursor.execute(f"SET GLOBAL wait_timeout={before}")


def test_a_computation_longer_than_wait_timeout(site: Site, short_timeout: None) -> None:
    site.add("work 2", "")
    worker = site.start(site.Parts, lease=20)  # no heartbeat meanwhile
    until(lambda: len(site.Parts()) == 2)
    assert len(site.calls()) == 2
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_the_log_is_for_people(site: Site, outage: Outage, tmp_path: Path) -> None:
    site.add("bad")
    worker = site.start(site.Parts, stop_when_idle=True)
    assert worker.wait() == 0
    lines = worker.log.read_text().splitlines()
    assert lines[1] == "began Parts a=1 b=0"
    assert "VideoError: 'bad.mp4' is damaged" in lines[2]
    assert scripted.Parts.__name__ in lines[0]
    assert "1 failed" in lines[-1]
