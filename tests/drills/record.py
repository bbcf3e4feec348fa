"""What a drill did and what it found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

VERDICTS = ("lost", "duplicated", "stuck", "partial")


@dataclass
class Findings:
    """What is wrong, a sentence each.

    Attributes:
        lost: Tasks that are not recorded, or recorded with another's result, or failed without a
            reason of their own; computations that an outage cost.
        duplicated: What was recorded, published or (where nobody died) computed twice.
        stuck: Reservations, leases, transactions and connections that are left, and workers that
            ended by themselves or did not end when told to.
        partial: Rows without their parts, runs without manifest, files that are not what it says.
    """

    lost: set[str] = field(default_factory=set)
    duplicated: set[str] = field(default_factory=set)
    stuck: set[str] = field(default_factory=set)
    partial: set[str] = field(default_factory=set)

    def __iter__(self) -> Any:
        return iter(vars(self).items())

    def without(self, known: Findings) -> Findings:
        """What is not known yet."""
        return Findings(**{name: found - getattr(known, name) for name, found in self})

    def add(self, other: Findings) -> None:
        for name, found in other:
            getattr(self, name).update(found)

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(found) for name, found in self}


@dataclass
class Record:
    """One drill.

    Attributes:
        name: Short name.
        what: What was done, in a sentence.
        faults: Kind -> how often it really happened.
        facts: Further numbers.
        found: What is wrong.
        skipped: Why nothing was done, or ''.
        seconds: How long it took.
    """

    name: str
    what: str
    faults: Counter[str] = field(default_factory=Counter)
    facts: dict[str, Any] = field(default_factory=dict)
    found: Findings = field(default_factory=Findings)
    skipped: str = ""
    seconds: float = 0

    @property
    def n_faults(self) -> int:
        return sum(self.faults.values())

    @property
    def plain(self) -> dict[str, Any]:
        """As the summary holds it."""
        return {
            "what": self.what,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 1),
            "faults": self.n_faults,
            "faults_by_kind": dict(sorted(self.faults.items())),
            **self.facts,
            **self.found.counts,
            "findings": {name: sorted(found) for name, found in self.found if found},
        }

    def __str__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        skipped = f"skipped, {self.skipped}" if self.skipped else ""
        did = "; ".join(filter(None, (skipped, self._list_faults(), facts)))
        verdict = ", ".join(f"{n} {name}" for name, n in self.found.counts.items())
        return f"{self.name}: {did} -> {verdict} ({self.seconds:.0f} s)"

    def _list_faults(self) -> str:
        """Kinds of faults, each with the phases in which it happened."""
        kinds: dict[str, dict[str, int]] = {}
        for name, n in sorted(self.faults.items()):
            kind, _, phase = name.partition(" in ")
            kinds.setdefault(kind, {})[phase] = n
        return ", ".join(f"{sum(n.values())} {kind}{_list_phases(n)}" for kind, n in kinds.items())


def _list_phases(counts: dict[str, int]) -> str:
    phases = ", ".join(f"{n} in {phase}" for phase, n in counts.items() if phase)
    return f" ({phases})" if phases else ""
