"""Signals to workers: killed, paused, told to end, in every phase of their makes."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from .record import Record
from .site import Site
from .workers import OPTIONS, PHASES, Pool, Prepare, Worker

KINDS = ("SIGKILL", "SIGKILL", "SIGSTOP", "SIGSTOP", "SIGTERM")
_LONGEST_PAUSE_S = 3 * OPTIONS["lease"]
_AIM_S = 1.0
"""How long to wait for a worker to come to a phase."""


def signal_workers(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """four workers, on all tables; each is killed, paused or told to end in a phase of its make"""
    storm(site, record, n, chance, site.tables)


def storm(
    site: Site, record: Record, n: int, chance: random.Random, tables: Sequence[Any],
    size: int = 4, prepare: Sequence[Prepare | None] = (None,),
) -> None:  # fmt: skip
    """Send signals until so many were delivered, and let the work end afterwards."""
    n_before = site.count_attempts()
    with Pool(size, tables, site.log(record), prepare) as pool:
        for number in range(n):
            if number % 10 == 0:
                site.refill(tables)
            while not strike(pool, record, chance):
                pass
        finish(site, record, pool)
    n_left = site.count_attempts() - n_before
    n_ended = sum(n for kind, n in record.faults.items() if not kind.startswith("SIGSTOP"))
    record.facts["abandoned attempts"] = n_left
    if n_left > n_ended:
        record.found.partial.add(f"{n_left} attempts are left by {n_ended} workers that ended")


def finish(site: Site, record: Record, pool: Pool) -> None:
    """Let the pool do what is left, and end."""
    deadline = time.monotonic() + 90
    while not site.drain(seconds=0.2) and time.monotonic() < deadline:
        pool.mend()
    pool.end()
    record.found.stuck |= pool.complaints


def strike(pool: Pool, record: Record, chance: random.Random) -> bool:
    """Send one signal to one worker; whether it was delivered."""
    kind, phase = chance.choice(KINDS), chance.choice(PHASES)
    worker = aim(pool, phase, chance)
    if worker is None:
        return False
    if kind == "SIGTERM":
        pool.retire(worker)
        was_delivered = True
    elif kind == "SIGKILL":
        was_delivered = worker.kill()
    else:
        was_delivered = worker.pause(chance.uniform(0.05, _LONGEST_PAUSE_S))
    if was_delivered:
        record.faults[f"{kind} in {worker.phase}"] += 1
    else:
        pool.complaints.add("a worker ended by itself")
    return was_delivered


def aim(pool: Pool, phase: str, chance: random.Random) -> Worker | None:
    """Wait until a worker is at a random point of a phase."""
    deadline = time.monotonic() + _AIM_S
    while time.monotonic() < deadline:
        pool.mend()
        running = [worker for worker in pool.running if worker.phase == phase]
        if running:
            time.sleep(chance.uniform(0, 0.01))
            return chance.choice(running)
        time.sleep(0.0005)
    return chance.choice(pool.running) if pool.running else None
