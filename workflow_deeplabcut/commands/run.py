"""``workflow-deeplabcut run``: everything that is queued, once, in order."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .keys import add_restriction, read_key

_EPILOG = """
examples:
  workflow-deeplabcut run
  workflow-deeplabcut run --restrict subject=mouse1 --table RecordingInfo --table PoseEstimation
  workflow-deeplabcut run --max-calls 1 --device cuda:0 --json

It goes through the computed tables once, each after those that it depends on, and ends; a failed
job does not stop the others. `workflow-deeplabcut worker` goes on until it is told to end. The exit
code is 1 if a job failed.
"""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "run",
        help="train, analyze and evaluate what is queued, once, in order",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--pipeline", metavar="MODULE",
        help="module that activates the schemas (default: this workflow's)",
    )  # fmt: skip
    parser.add_argument(
        "--table", action="append", default=[], metavar="TABLE",
        help="computed table, may be repeated (default: all of the pipeline)",
    )  # fmt: skip
    add_restriction(parser, "only jobs whose key has this value, where a table has that attribute")
    parser.add_argument("--device", help="where to compute: cpu, cuda:1, ... (default: the best)")
    parser.add_argument("--max-calls", type=int, metavar="N", help="at most N jobs of every table")
    parser.add_argument("--order", default="original", help="original, reverse or random")
    parser.add_argument("--reserve-jobs", action="store_true", help="share the work with others")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand.

    Returns:
        0, or 1 when a job failed.
    """
    from .. import process
    from ..worker.tables import PIPELINE

    restrictions = [read_key(options.restrict)] if options.restrict else []
    summary = process.run(
        *restrictions,
        tables=options.table or None,
        reserve_jobs=options.reserve_jobs,
        max_calls=options.max_calls,
        order=options.order,
        make_kwargs={"device": options.device} if options.device else None,
        display_progress=sys.stderr.isatty(),
        verbose=not options.json,
        pipeline=options.pipeline or PIPELINE,
    )
    if options.json:
        print(json.dumps(summary.plain, indent=1))
    return 1 if summary.failed else 0
