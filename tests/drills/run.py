"""Runs the drills one after another and writes what they found."""

from __future__ import annotations

import json
import random
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import database_away, real, sharing, signals, storage
from .audit import audit
from .record import VERDICTS, Findings, Record
from .sabotage import prove_audit
from .scripted_engine import in_place_of_pytorch
from .site import Site, open_site, remove_lab

Drill = Callable[[Site, Record, Any, random.Random], None]


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        faults: How many faults there are to be at least.
        outage_s: Length of an outage.
        real: Whether to train and infer with the real DeepLabCut as well.
        only: Names of drills to run; none runs all.
    """

    faults: int = 1000
    outage_s: float = 30
    real: bool = True
    only: tuple[str, ...] = ()

    def list_drills(self) -> list[tuple[Drill, float]]:
        """Drills of workers with the scripted engine, and how much of each."""
        share = self.faults / 1000
        drills: list[tuple[Drill, float]] = [
            (database_away.end_connections, round(200 * share)),
            (database_away.restart_server, max(2, round(12 * share))),
            (database_away.outage_during_compute, self.outage_s),
            (database_away.outage_over_insert, self.outage_s),
            (database_away.short_wait_timeout, max(3, round(24 * share))),
            (storage.fill_disk, max(3, round(40 * share))),
            (storage.limit_files, max(3, round(20 * share))),
            (sharing.share_project, max(5, round(80 * share))),
            (sharing.skew_clocks, max(6, round(100 * share))),
            (storage.truncate_videos, max(3, round(20 * share))),
        ]
        return [(drill, amount) for drill, amount in drills if self.wants(drill)]

    @classmethod
    def list_names(cls) -> list[str]:
        """Names of all drills."""
        scripted = [drill.__name__ for drill, _ in cls().list_drills()]
        return [*scripted, signals.signal_workers.__name__, real.train_and_infer.__name__]

    def wants(self, drill: Drill) -> bool:
        """Whether a drill is among those to run."""
        return not self.only or drill.__name__ in self.only


def run_drills(plan: Plan, seed: int, output: Path) -> dict[str, Any]:
    """Run all drills of a plan.

    Args:
        plan: How much.
        seed: Of all that is chosen at random.
        output: Folder for the summary and the workers' logs; emptied first.

    Returns:
        The content of ``summary.json``.
    """
    began = time.monotonic()
    records: list[Record] = []
    with open_site(output) as site:
        known = Findings()
        with in_place_of_pytorch():
            print(f"the audit sees each of {prove_audit(site)} deliberate damages", flush=True)
            for drill, amount in plan.list_drills():
                records.append(_run(site, drill, amount, seed, known))
            left = plan.faults - sum(record.n_faults for record in records)
            if plan.wants(signals.signal_workers):
                records.append(_run(site, signals.signal_workers, max(left, 10), seed, known))
        if plan.real and plan.wants(real.train_and_infer):
            records.append(_run(site, real.train_and_infer, 0, seed, known))
    summary = _summarize(records, plan, seed, time.monotonic() - began)
    (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    if is_good(summary):
        remove_lab(output)  # else somebody will want to look at it
    return summary


def _run(site: Site, drill: Drill, amount: Any, seed: int, known: Findings) -> Record:
    record = Record(drill.__name__, " ".join((drill.__doc__ or "").split()))
    print(f"{record.name}: {record.what} ...", flush=True)
    began = time.monotonic()
    try:
        drill(site, record, amount, random.Random(f"{seed} {record.name}"))
    except Exception as error:
        traceback.print_exc()
        record.found.stuck.add(f"the drill ended with {type(error).__name__}: {error}")
        site.start_server()
    record.found.add(audit(site).without(known))
    known.add(record.found)
    record.seconds = time.monotonic() - began
    print(f"  {record}", flush=True)
    for name, found in record.found:
        for sentence in sorted(found)[:10]:
            print(f"    {name}: {sentence}", flush=True)
    return record


def _summarize(records: list[Record], plan: Plan, seed: int, seconds: float) -> dict[str, Any]:
    total = Findings()
    for record in records:
        total.add(record.found)
    return {
        "faults": sum(record.n_faults for record in records),
        **total.counts,
        "wanted_faults": 0 if plan.only else plan.faults,
        "seed": seed,
        "seconds": round(seconds, 1),
        "drills": {record.name: record.plain for record in records},
    }


def is_good(summary: dict[str, Any]) -> bool:
    """Whether nothing was found, and as many faults happened as were asked for."""
    is_clean = not any(summary[name] for name in VERDICTS)
    return is_clean and summary["faults"] >= summary["wanted_faults"]
