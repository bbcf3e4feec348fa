"""``workflow-deeplabcut demo``: the whole way, on an animal whose positions are known."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

_EXAMPLES = """examples:
  workflow-deeplabcut demo                     # a minute; results in demo_output/
  workflow-deeplabcut demo --output /tmp/demo --engine tensorflow
  workflow-deeplabcut demo --stop              # stop the database that it left running"""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "demo",
        help="train, evaluate and run a model on rendered videos",
        description="Train, evaluate and run a model on rendered videos, with a database of its "
        "own, and compare with the truth.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_output"),
        metavar="DIR",
        help="folder for all it makes; a second run replaces that (%(default)s)",
    )
    parser.add_argument("--engine", default="pytorch", help="engine to train with (%(default)s)")
    parser.add_argument("--stop", action="store_true", help="only stop the database of a demo")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo, or stop its database; exit code 0."""
    from ..demo import connection, run_demo

    if options.stop:
        stopped = connection.stop(options.output)
        print(f"The demo's database {'has stopped' if stopped else 'was not running'}.")
    else:
        run_demo(options.output, options.engine)
    return 0
