"""``workflow-deeplabcut health``: whether this machine's workers are well."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

_EXAMPLES = """examples:
  workflow-deeplabcut health            # in a terminal, or as the health check of a container
  workflow-deeplabcut health --json

A worker is well that shows signs of life, and whose database answers it. This asks the workers of
this user in this container or on this machine, not the database.

exit codes: 0 all are well, 1 one of them is not, or there is none"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "health",
        help="say whether the workers on this machine are well",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=run)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Say how each worker is; exit code 0 if there is one, and all are well."""
    from ..heart import list_hearts

    hearts = list_hearts()
    troubles = [heart.diagnose() for heart in hearts]
    if options.json:
        found = [
            {"worker": heart.name, "pid": heart.pid, "job": heart.job, "trouble": trouble}
            for heart, trouble in zip(hearts, troubles, strict=True)
        ]
        json.dump(found, sys.stdout, indent=1)
        print()
    else:
        for heart, trouble in zip(hearts, troubles, strict=True):
            at_work = f"at {heart.job}" if heart.job else "waiting for jobs"
            print(f"worker {heart.name} {trouble or f'is well, {at_work}'}")
        if not hearts:
            print("no worker runs here, or it has not begun yet")
    return 0 if hearts and not any(troubles) else 1
