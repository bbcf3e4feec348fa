"""The command line: ``workflow-deeplabcut``, or ``python -m workflow_deeplabcut``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

from element_deeplabcut.errors import ElementError
from element_deeplabcut.version import __version__

PROGRAM = "workflow-deeplabcut"

COMMANDS = (
    "demo",
    "database",
    "configure",
    "ingest",
    "queue",
    "check",
    "run",
    "worker",
    "health",
    "status",
    "jobs",
    "describe",
    "plot",
    "export",
    "diagram",
    "prune",
)
"""Modules of `workflow_deeplabcut.commands`, in the order in which a user comes to need them."""

DONE, FAILED, INTERRUPTED, PIPE_CLOSED = 0, 1, 130, 141

_EPILOG = """
first steps:
  workflow-deeplabcut demo                     # does it work here?
  workflow-deeplabcut db start                 # a database of your own, or ...
  workflow-deeplabcut configure                # ... one that is there, and where your data is
  workflow-deeplabcut COMMAND --help           # each with examples

exit codes: 0 done; 1 a mistake, or a problem was found; 2 no such command or option;
3 not running (db status), or there is something to queue and nobody said yes (queue);
130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; a user's mistake ends in a sentence and exit code 1, without a traceback."""
    options = make_parser().parse_args(arguments)
    os.environ.setdefault("DJ_LOG_LEVEL", "WARNING")  # else each command says that it connected
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        code = command(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        return PIPE_CLOSED
    except Exception as error:
        said = _explain(error)
        if said is None:
            raise
    print(f"{PROGRAM}: {said}", file=sys.stderr)
    return FAILED


def make_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands; none of their libraries is imported."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [-h] [--version] COMMAND ...",
        description="Markerless pose estimation with DeepLabCut and DataJoint.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(
        prog=PROGRAM, required=True, metavar="COMMAND ...", title="commands"
    )
    for name in COMMANDS:
        importlib.import_module(f".commands.{name}", __package__).add_parser(commands)
    return parser


def _explain(error: Exception) -> str | None:
    """Say in a sentence what a user can put right; None for what is our own mistake."""
    if isinstance(error, ElementError):
        return str(error)
    if isinstance(error, EOFError):  # at a question of DataJoint
        return "There was no answer. Set DJ_HOST, DJ_USER and DJ_PASS, or run `configure`."
    if isinstance(error, ValueError):
        return _find_malformed_file()
    import pymysql  # not before: who asks for help needs no database
    from datajoint.errors import AccessError, LostConnectionError

    from .configuration.login import explain_connection

    if isinstance(error, AccessError):
        return f"The database user may not do this: {error.args[1]}. Ask for the privilege."
    if isinstance(error, (pymysql.err.OperationalError, LostConnectionError)):
        return explain_connection(error)
    return None


def _find_malformed_file() -> str | None:
    """Name the configuration file that DataJoint could not read, if that is what happened."""
    from .configuration.files import read_in_force

    try:
        read_in_force()
    except ElementError as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main())
