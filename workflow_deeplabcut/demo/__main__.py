"""``python -m workflow_deeplabcut.demo``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from element_deeplabcut.errors import ElementError

from .connection import stop
from .folder import DEFAULT_OUTPUT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or stop the demo; what can be put right ends in a sentence, without a traceback."""
    options = _make_parser().parse_args(arguments)
    try:
        if options.stop:
            stopped = stop(options.output)
            print(f"The demo's database {'has stopped' if stopped else 'was not running'}.")
        else:
            from . import run_demo  # here, where its errors are told in a sentence

            run_demo(options.output, options.engine)
    except ElementError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted; run it again, it starts afresh.", file=sys.stderr)
        return 130
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m workflow_deeplabcut.demo",
        description="Train, evaluate and run a model on rendered videos; takes about a minute.",
    )
    parser.add_argument("--engine", default="pytorch", help="engine to train with (%(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(DEFAULT_OUTPUT),
        help="folder for all it makes; a second run replaces that (%(default)s)",
    )
    parser.add_argument(
        "--stop", action="store_true", help="only stop the database that a run left running"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
