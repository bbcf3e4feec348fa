"""Print the table of goals with what was measured, and write ``benchmarks/results.json``.

Examples:
  python -m benchmarks                      everything, in less than ten minutes on two cores
  python -m benchmarks --quick              the same at sizes that say nothing, to see that it works
  python -m benchmarks --only reading imports
  python -m benchmarks --docs               also put the table into docs/speed.md

A ratio is our cost by that of the other side, in the same round of the same run; both sides run in
turn, and their results are compared before a time is printed. Goals that are figures (ms, MB) have
figures for ratios; where more is better (hours, jobs/s) the ratio is the goal by what was measured.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

from .rows import Row
from .tables import list_rows, update_docs
from .topics import TOPICS, is_there, run_apart, run_here

RESULTS = Path(__file__).with_name("results.json")

QUICK = {"frames": 2000, "long_frames": 20_000, "repeats": 1, "video_frames": 60,
         "video_repeats": 1, "pending": 1000, "jobs": 100}  # fmt: skip


def main() -> int:
    """Run the topics one after the other; exit code 1 when one of them failed."""
    arguments = sys.argv[1:]
    options = parse_arguments(arguments)
    if options.topic:
        run_here(options.topic, options)
        return 0
    rows: list[Row] = []
    failed = []
    began = time.monotonic()
    for topic in options.only:
        if not is_there(topic):
            print(f"{topic}: there is no benchmarks/{TOPICS[topic][0]}.py yet", flush=True)
            continue
        measured = run_apart(topic, arguments, options.cores)
        if measured is None:
            failed.append(topic)
            continue
        print(*list_rows(measured, header=not rows), sep="\n", flush=True)
        rows += measured
    minutes = (time.monotonic() - began) / 60
    missed = [row.name for row in rows if not row.is_met]
    print(f"{len(rows)} rows in {minutes:.1f} minutes; above their goal: {missed or 'none'}")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    if rows:
        write_results(options.json, rows, replace=set(options.only) == set(TOPICS))
    if options.docs:
        update_docs("goals", list_rows(rows))
    return int(bool(failed))


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Read sizes and choices."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=TOPICS, default=list(TOPICS), metavar="TOPIC",
        help=f"of {', '.join(TOPICS)}")  # fmt: skip
    add("--quick", action="store_true", help="tiny sizes, one round")
    add("--frames", type=int, default=100_000, help="of a recording of usual length (%(default)s)")
    add("--long-frames", type=int, default=1_000_000, help="of a long one (%(default)s)")
    add("--video-frames", type=int, default=600, help="of a labeled video (%(default)s)")
    add("--repeats", type=int, default=5, help="rounds that count (%(default)s)")
    add("--video-repeats", type=int, default=3, help="the same for videos (%(default)s)")
    add("--pending", type=int, default=50_000, help="length of a queue (%(default)s)")
    add("--jobs", type=int, default=4000, help="trivial jobs for a pool (%(default)s)")
    add("--cores", type=int, default=1, help="threads of either side (%(default)s)")
    add("--json", type=Path, default=RESULTS, help="where results go (benchmarks/results.json)")
    add("--docs", action="store_true", help="write the table into docs/speed.md, too")
    add("--topic", choices=TOPICS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(QUICK)
    return options


def write_results(file: Path, rows: list[Row], *, replace: bool) -> None:
    """Write ``{row: {"ratio": x, "goal": y, ...}}``; rows of before stay unless all are new."""
    known = {} if replace or not file.exists() else json.loads(file.read_text())
    for row in rows:
        known[row.name] = {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(row).items()
            if name != "name"
        }
    file.write_text(json.dumps(known, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
