"""``workflow-deeplabcut prune``: list, and remove when told, what no row needs any more."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from element_deeplabcut.errors import ParameterError
from element_deeplabcut.wording import show_size

if TYPE_CHECKING:  # the other subcommands need no schemas
    from element_deeplabcut.housekeeping import Outcome
    from element_deeplabcut.store.pruning import Candidate, Survey

_DAY = 86400

_EPILOG = """
examples:
  workflow-deeplabcut prune                        list; nothing is touched
  workflow-deeplabcut prune --remove               list, ask, and remove
  workflow-deeplabcut prune --remove --yes --older-than 30 --json   for a nightly job

Kept are folders that a row names, runs and attempts whose task has no result yet, everything
younger than a day, and whatever this package did not make. What rows need is known of this
pipeline's database only: where several databases share a processed directory, do not remove.
"""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "prune",
        help="list or remove results on disk that no row needs",
        description="List what the processed directory holds that no row needs: run directories, "
        "model bundles, videos, and attempts of workers that are gone. --remove removes it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--remove", action="store_true", help="remove what is listed, after asking")
    parser.add_argument("--yes", action="store_true", help="do not ask (with --remove)")
    parser.add_argument(
        "--older-than", type=float, default=1, metavar="DAYS", help="1 or more (default: 1)"
    )
    parser.add_argument(
        "--keep", action="append", default=[], metavar="FOLDER",
        help="keep this folder, absolute or relative to the processed directory (repeatable)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand.

    Returns:
        0, or 1 when something could not be removed.

    Raises:
        ParameterError: The options contradict each other, or nobody can be asked.
    """
    if options.remove and not options.yes and not sys.stdin.isatty():
        raise ParameterError(
            "Nobody can be asked here, as there is no terminal. Add --yes to remove without asking."
        )
    if options.yes and not options.remove:
        raise ParameterError("--yes is for --remove. Leave it out to list.")
    from element_deeplabcut.housekeeping import list_unneeded

    from ..pipeline import model

    processed = model.get_roots().processed

    with tqdm(desc="Looking", unit="folder", disable=None, leave=False) as bar:
        found = list_unneeded(
            options.older_than, keep=options.keep, on_progress=lambda path: bar.update()
        )
    if not options.json:
        print(_describe(found, processed))
    outcomes: list[Outcome] = []
    if options.remove and found.candidates and (options.yes or _ask(found)):
        outcomes = _remove(found.candidates, options)
    if options.json:
        print(json.dumps(_to_plain(found, outcomes, processed), indent=1))
    elif outcomes:
        print(_report(outcomes))
    elif found.candidates:
        print("Nothing was removed." if options.remove else "Remove them with --remove.")
    for outcome in outcomes:
        if outcome.problem:
            print(f"workflow-deeplabcut: {outcome.problem}", file=sys.stderr)
    return int(any(outcome.problem for outcome in outcomes))


def _ask(found: Survey) -> bool:
    what = f"Remove {len(found.candidates)} folders, {show_size(found.size)}? [y/N] "
    print(what, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _remove(candidates: Sequence[Candidate], options: argparse.Namespace) -> list[Outcome]:
    from element_deeplabcut.housekeeping import remove_unneeded

    outcomes = remove_unneeded(candidates, options.older_than, keep=options.keep)
    total = len(candidates)
    return list(tqdm(outcomes, "Removing", total, unit="folder", disable=None, leave=False))


def _describe(found: Survey, processed: Path) -> str:
    lines = []
    if found.candidates:
        rows = [
            (show_size(one.size), f"{one.age / _DAY:.0f} d", one.kind, one.path, one.reason)
            for one in sorted(found.candidates, key=lambda one: -one.size)
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{size:>{widths[0]}}  {age:>{widths[1]}}  {kind:<{widths[2]}}  {path:<{widths[3]}}  "
            f"{reason}"
            for size, age, kind, path, reason in rows
        ]
        lines.append("")
    lines.append(
        f"{len(found.candidates)} folders that no row needs, {show_size(found.size)}, "
        f"in '{processed}'."
    )
    if found.kept:
        counts = Counter(found.kept.values()).most_common()
        lines.append("Kept: " + "; ".join(f"{number} as {why}" for why, number in counts) + ".")
    if found.candidates:
        lines.append(
            "This is judged by the rows of this pipeline alone. If another database uses the same "
            "directory, remove nothing."
        )
    return "\n".join(lines)


def _report(outcomes: Sequence[Outcome]) -> str:
    removed = [outcome.candidate for outcome in outcomes if outcome.is_removed]
    lines = [
        f"Kept '{outcome.candidate.path}' after all: {outcome.kept}."
        for outcome in outcomes
        if outcome.kept
    ]
    size = show_size(sum(candidate.size for candidate in removed))
    return "\n".join([*lines, f"Removed {len(removed)} folders, {size}."])


def _to_plain(found: Survey, outcomes: Sequence[Outcome], processed: Path) -> dict[str, Any]:
    return {
        "processed": str(processed),
        "total_bytes": found.size,
        "candidates": [
            {**asdict(one), "key": dict(one.key), "age": round(one.age)} for one in found.candidates
        ],
        "kept": dict(found.kept),
        "removed": [one.candidate.path for one in outcomes if one.is_removed],
        "kept_after_all": {one.candidate.path: one.kept for one in outcomes if one.kept},
        "failed": {one.candidate.path: one.problem for one in outcomes if one.problem},
    }
