"""``workflow-deeplabcut jobs``: list, show, clear and retry jobs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from .keys import add_restriction, read_key

_EXAMPLES = """examples:
  workflow-deeplabcut jobs                                    # what runs, waits and failed
  workflow-deeplabcut jobs show --table ModelTraining         # with the stack of each error
  workflow-deeplabcut jobs retry --message "out of memory"
  workflow-deeplabcut jobs clear --state dead --state expired
  workflow-deeplabcut jobs clear --table PoseEstimation --restrict recording_id=3

states: running (its worker lives), waiting (for its next try), expired (its worker shows no life;
the next worker takes over), reserved (by populate() in a notebook, which may live), dead (so, and
its process or its connection has ended and nothing shows life), error, ignore"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "jobs",
        help="list, show, clear and retry jobs that are taken, wait or failed",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "action",
        nargs="?",
        default="list",
        choices=("list", "show", "clear", "retry"),
        help="list (default); show: with stacks; retry: let failed and waiting "
        "jobs be tried now; clear: forget any job that no worker computes",
    )
    parser.add_argument(
        "--pipeline",
        metavar="MODULE",
        help="module that activates the schemas (default: this workflow's)",
    )
    parser.add_argument("--table", action="append", default=[], help="table, may be repeated")
    add_restriction(parser, "only jobs whose primary key has this value")
    parser.add_argument("--message", help="text in the error message")
    parser.add_argument("--state", action="append", default=[], help="state, may be repeated")
    parser.add_argument("--all", action="store_true", help="clear or retry without a selection")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=run)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Do what was asked; exit code 0."""
    from element_deeplabcut.errors import ParameterError

    from ..worker.listing import STATES, Job, clear_jobs, list_jobs, retry_jobs
    from ..worker.tables import PIPELINE, list_tables

    unknown = sorted(set(options.state) - set(STATES))
    if unknown:
        raise ParameterError(
            f"There is no state {', '.join(unknown)}; choose from {', '.join(STATES)}."
        )
    is_selected = (
        options.table or options.restrict or options.message or options.state or options.all
    )
    if options.action == "clear" and not is_selected:
        raise ParameterError(
            "Say which jobs to clear, by --table, --restrict, --message or --state; or all, "
            "by --all."
        )
    tables = list_tables(options.pipeline or PIPELINE, options.table)
    actions = {"list": list_jobs, "show": list_jobs, "clear": clear_jobs, "retry": retry_jobs}
    jobs: list[Job] = actions[options.action](
        tables,
        key=read_key(options.restrict),
        message=options.message,
        states=tuple(options.state),
    )
    if options.json:
        json.dump([job.plain for job in jobs], sys.stdout, indent=1)
        print()
    else:
        _print(jobs, options.action)
    return 0


def _print(jobs: list[Any], action: str) -> None:
    for job in jobs:
        print(_in_one_line(job))
        if action == "show":
            print(job.stack.rstrip() or "  (no stack)", end="\n\n")
    done = {"clear": "cleared", "retry": "free to be tried again"}.get(action, "listed")
    print(f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'} {done}")


def _in_one_line(job: Any) -> str:
    key = " ".join(f"{name}={value}" for name, value in job.key.items())
    where = f"on {job.host} (process {job.pid})" if job.host else f"by {job.owner}"
    parts = [f"{job.state:8} {job.table} {key}", where]
    if job.age is not None:
        parts.append(f"for {show_time(job.age)}")
    if job.due_in is not None:
        what = {"waiting": "next try", "running": "lease ends", "expired": "lease ended"}[job.state]
        parts.append(f"{what} {show_due(job.due_in)}")
    if job.attempts:
        parts.append(f"try {job.attempts}")
    return ", ".join(parts) + (f": {job.message}" if job.message else "")


def show_due(seconds: float) -> str:
    """Say when something will be, or was."""
    if seconds > 0:
        return f"in {show_time(seconds)}"
    return f"{show_time(-seconds)} ago" if seconds < 0 else "now"


def show_time(seconds: float) -> str:
    """Say a time in its two greatest units."""
    seconds = max(round(seconds), 0)
    for size, unit, small_size, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} {seconds % size // small_size} {small}"
    return f"{seconds // 60} min {seconds % 60} s" if seconds >= 60 else f"{seconds} s"
