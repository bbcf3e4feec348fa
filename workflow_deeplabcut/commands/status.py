"""``workflow-deeplabcut status``: what waits, runs, was finished and failed, at a glance."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from element_deeplabcut.errors import ParameterError

if TYPE_CHECKING:
    from ..status import QueueCounter, Status

_EXAMPLES = """examples:
  workflow-deeplabcut status
  workflow-deeplabcut status --watch                # redrawn every two seconds, until Ctrl-C
  workflow-deeplabcut status --json                 # for scripts
  workflow-deeplabcut status --watch 60 --json      # a line of JSON a minute
  workflow-deeplabcut status --table ModelTraining --hours 168

progress, time left and throughput are those that the schema report records; jobs of other tables
are listed without. To show, retry or clear jobs: workflow-deeplabcut jobs"""

_SHORTEST_S = 0.2


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "status",
        help="show queue, running jobs, throughput and errors",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=2.0,
        metavar="S",
        help="show it again every S seconds (default: 2), until Ctrl-C",
    )
    parser.add_argument("--table", action="append", default=[], help="table, may be repeated")
    parser.add_argument(
        "--pipeline",
        metavar="MODULE",
        help="module that activates the schemas (default: this workflow's)",
    )
    parser.add_argument(
        "--hours", type=float, default=24, help="hours that count for the throughput (default: 24)"
    )
    parser.add_argument(
        "--errors", type=int, default=10, metavar="N", help="how many errors to list (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Show the status, once or until told to end; exit code 0."""
    if options.watch is not None and not options.watch >= _SHORTEST_S:
        raise ParameterError(f"--watch takes seconds, {_SHORTEST_S} or more.")
    if not options.hours > 0 or options.errors < 0:
        raise ParameterError("--hours takes a number above 0, --errors one of 0 or more.")
    from ..status import QueueCounter
    from ..worker.tables import PIPELINE, list_tables

    tables = list_tables(options.pipeline or PIPELINE, options.table)
    counter = QueueCounter(tables)
    try:
        if options.watch is None:
            _print(_gather(tables, options, counter), options)
        else:
            _watch(tables, options, counter)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()
    except BrokenPipeError:  # as `| head` does; what is buffered has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _gather(tables: list[Any], options: argparse.Namespace, counter: QueueCounter) -> Status:
    from ..status import gather_status

    return gather_status(tables, hours=options.hours, errors=options.errors, counter=counter)


def _print(status: Status, options: argparse.Namespace) -> None:
    from ..status.screen import draw

    if options.json:
        json.dump(status.plain, sys.stdout, indent=1)
        print()
    else:
        print("\n".join(draw(status)))
    sys.stdout.flush()


def _watch(tables: list[Any], options: argparse.Namespace, counter: QueueCounter) -> None:
    """Show it again and again, also when the database is away for a while."""
    from ..status.screen import Screen, draw
    from ..worker.server import is_away

    screen = Screen()
    while True:
        try:
            status = _gather(tables, options, counter)
            if options.json:
                print(json.dumps(status.plain), flush=True)
            else:
                screen.show(draw(status))
        except Exception as error:
            if not is_away(error):
                raise
            said = f"the database does not answer ({error.args[-1] if error.args else error})"
            if options.json:
                print(json.dumps({"error": said}), flush=True)
            else:
                screen.show([said])
            with contextlib.suppress(Exception):
                tables[0].connection.connect()
        time.sleep(options.watch)
