"""Runs the drills one after another and writes what they found."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import database_away, real, sharing, signals, storage
from .audit import audit
from .record import Findings, Record
from .scripted_engine import in_place_of_pytorch
from .site import Site, open_site

Drill = Callable[[Site, Record, Any, random.Random], None]


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        faults: How many faults there are to be at least.
        outage_s: Length of an outage.
        real: Whether to train and infer with the real DeepLabCut as well.
    """

    faults: int = 1000
    outage_s: float = 30
    real: bool = True

    @property
    def drills(self) -> list[tuple[Drill, float]]:
        """Drills of faults on workers with the scripted engine, and how much of each."""
        share = self.faults / 1000
        return [
            (database_away.end_connections, round(200 * share)),
            (database_away.restart_server, max(2, round(12 * share))),
            (database_away.outage_during_compute, self.outage_s),
            (database_away.outage_over_insert, self.outage_s),
            (database_away.short_wait_timeout, max(4, round(24 * share))),
            (storage.fill_disk, max(3, round(40 * share))),
            (storage.limit_files, max(3, round(20 * share))),
            (sharing.share_project, round(80 * share)),
            (sharing.skew_clocks, round(100 * share)),
            (storage.truncate_videos, max(3, round(20 * share))),
        ]


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
    known = Findings()
    with open_site(output) as site:
        with in_place_of_pytorch():
            for drill, amount in plan.drills:
                records.append(_run(site, drill, amount, seed, known))
            left = plan.faults - sum(record.n_faults for record in records)
            records.append(_run(site, signals.signal_workers, max(left, 20), seed, known))
        if plan.real:
            records.append(_run(site, real.train_and_infer, 0, seed, known))
    summary = _summarize(records, plan, seed, time.monotonic() - began)
    (output / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    return summary


def _run(site: Site, drill: Drill, amount: Any, seed: int, known: Findings) -> Record:
    record = Record(drill.__name__, " ".join((drill.__doc__ or "").split()))
    print(f"{record.name}: {record.what} ...", flush=True)
    began = time.monotonic()
    drill(site, record, amount, random.Random(f"{seed} {record.name}"))
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
        "wanted_faults": plan.faults,
        "seed": seed,
        "seconds": round(seconds, 1),
        "drills": {record.name: record.plain for record in records},
    }


def is_good(summary: dict[str, Any]) -> bool:
    """Whether nothing was found, and as many faults happened as were asked for."""
    verdicts = (summary[name] for name in ("lost", "duplicated", "stuck", "partial"))
    return not any(verdicts) and summary["faults"] >= summary["wanted_faults"]
