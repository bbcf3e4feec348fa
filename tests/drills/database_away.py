"""The database: killed, restarted, away for long, ending connections."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

import pymysql

from .record import Record
from .scripted_engine import read_calls
from .signals import finish
from .site import Site
from .workers import Pool

_LEASE_S = 60
"""The workers' usual lease, which survives an outage of half a minute."""


def end_connections(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """four workers; KILL ends one of their connections, again and again"""
    site.refill(site.tables)
    with Pool(4, site.tables, site.log(record)) as pool:
        while record.n_faults < n:
            if record.n_faults % 10 == 0:
                site.refill(site.tables)
            pool.mend()
            time.sleep(chance.uniform(0.01, 0.1))
            record.faults["KILL"] += kill_a_connection(site, chance)
        finish(site, record, pool)


def kill_a_connection(site: Site, chance: random.Random) -> bool:
    """End a connection that is not ours; whether there was one."""
    own = site.tables[0].connection.query("SELECT CONNECTION_ID()").fetchone()[0]
    with site.asking() as cursor:
        cursor.execute(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER=%s AND COMMAND<>'Daemon' "
            "AND ID NOT IN (%s, CONNECTION_ID())",
            (site.server.user, own),
        )
        others = [number for (number,) in cursor.fetchall()]
        if not others:
            return False
        try:
            cursor.execute(f"KILL {chance.choice(others)}")
        except pymysql.err.OperationalError:  # it has ended by itself
            return False
        return True


def restart_server(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """four workers; the server gets SIGKILL at any moment and is started again"""
    site.refill(site.tables)
    with Pool(4, site.tables, site.log(record)) as pool:
        for _ in range(n):
            site.refill(site.tables)
            time.sleep(chance.uniform(0.2, 1.5))
            record.faults["server SIGKILL"] += site.kill_server()
            time.sleep(chance.uniform(0, 0.5))
            site.start_server()
            pool.mend()
        finish(site, record, pool)


def outage_during_compute(site: Site, record: Record, n: float, chance: random.Random) -> None:
    """two workers compute while the server is away; both go on and record"""
    _outage(site, record, n, compute_s=n + 3)


def outage_over_insert(site: Site, record: Record, n: float, chance: random.Random) -> None:
    """two workers are to insert while the server is away; they keep what they computed"""
    _outage(site, record, n, compute_s=min(2, n / 4))
    if "the database is away" not in site.log(record).read_text(errors="replace"):
        raise RuntimeError("the outage has met no insert")


def _outage(site: Site, record: Record, seconds: float, compute_s: float) -> None:
    numbers = site.add_recordings(2, seconds=compute_s)
    names = {f"{number:05}-takes-{compute_s:g}" for number in numbers}
    with Pool(2, site.tables, site.log(record), lease=_LEASE_S) as pool:
        _await(f"nobody has begun {names}", lambda: names <= set(read_calls(site.calls)))
        # Their progress says "running"; that must not stay when the work is recorded.
        rows = site.pipeline.report.InferenceProgress & [{"recording_id": n} for n in numbers]
        _await(f"no progress of {names}", lambda: len(rows) == len(numbers))
        record.faults["server SIGKILL"] += site.kill_server()
        began = time.monotonic()
        time.sleep(seconds)
        site.start_server()
        record.facts["away for s"] = round(time.monotonic() - began, 1)
        finish(site, record, pool)
    insist_computed_once(site, record, names)


def _await(complaint: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.02)


def insist_computed_once(site: Site, record: Record, names: set[str]) -> None:
    """A fault that costs a computation, or a second one beside it, is a finding."""
    calls = read_calls(site.calls)
    for name in names:
        if calls.count(name) != 1:
            record.found.duplicated.add(f"{name} was computed {calls.count(name)} times")


def short_wait_timeout(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """six workers compute for longer than wait_timeout (2 s); no heartbeat keeps a connection"""
    numbers = site.add_recordings(n, seconds=3)
    names = {f"{number:05}-takes-3" for number in numbers}
    with site.asking() as cursor:
        cursor.execute("SET GLOBAL wait_timeout=2")
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
        before = int(cursor.fetchone()[1])
    with Pool(6, site.tables, site.log(record), lease=_LEASE_S) as pool:
        deadline = time.monotonic() + 60 + 3 * n
        while not names <= set(read_calls(site.calls)) and time.monotonic() < deadline:
            time.sleep(0.1)
        with _kept_open(site) as cursor:
            site.drain()
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Aborted_clients'")
            record.faults["connection timed out"] += int(cursor.fetchone()[1]) - before
        finish(site, record, pool)
    with site.asking() as cursor:
        cursor.execute("SET GLOBAL wait_timeout=31536000")
    insist_computed_once(site, record, names)


@contextlib.contextmanager
def _kept_open(site: Site) -> Iterator[Any]:
    with site.asking() as cursor:
        cursor.execute("SET SESSION wait_timeout=31536000")
        yield cursor
