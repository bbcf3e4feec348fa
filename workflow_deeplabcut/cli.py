"""The command line: ``workflow-deeplabcut``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from element_deeplabcut.errors import ElementError

from . import database
from .commands import export, health, jobs, prune, worker


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; a user's mistake ends in a sentence and exit code 1, without a traceback."""
    options = _make_parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except ElementError as error:
        said = str(error)
    except EOFError:  # DataJoint asks for what is missing
        said = (
            "No database user or password is configured, and nobody can be asked for it here. Set "
            "DJ_HOST, DJ_USER and DJ_PASS."
        )
    except Exception as error:
        if not _is_about_connection(error):
            raise
        said = (
            f"The database cannot be reached ({error.args[-1]}). Check DJ_HOST, DJ_USER and "
            "DJ_PASS, and that the server runs."
        )
    print(f"workflow-deeplabcut: {said}", file=sys.stderr)
    return 1


def _is_about_connection(error: Exception) -> bool:
    import pymysql  # not before: who asks for help needs no database

    # 1044 and 1045: access denied; from 2000: the client could not connect, or lost the connection.
    is_of_server = isinstance(error, pymysql.err.OperationalError)
    return is_of_server and (error.args[0] in (1044, 1045) or error.args[0] >= 2000)


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workflow-deeplabcut", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo",
        help="train, evaluate and run a model on rendered videos",
        epilog="example: workflow-deeplabcut demo --output demo_output",
    )
    demo.add_argument("--output", type=Path, default=Path("demo_output"), help="folder for results")
    demo.add_argument("--engine", default="pytorch", help="engine to train with")
    demo.set_defaults(command=_run_demo)

    db = commands.add_parser(
        "db",
        help="start, stop or look at the embedded database",
        epilog="example: workflow-deeplabcut db start",
    )
    db.add_argument("action", choices=("start", "stop", "status"))
    db.add_argument("--data-dir", type=Path, help="its folder (default: in the user's data home)")
    db.set_defaults(command=_run_database)
    for module in (worker, health, jobs, prune, export):
        module.add_parser(commands)
    return parser


def _run_demo(options: argparse.Namespace) -> int:
    from .demo import run_demo

    run_demo(options.output, options.engine)
    return 0


def _run_database(options: argparse.Namespace) -> int:
    if options.action == "stop":
        print("stopped" if database.stop(options.data_dir) else "was not running")
        return 0
    find = database.start if options.action == "start" else database.status
    server = find(options.data_dir)
    if server is None:
        print("not running")
        return 3  # as `systemctl status` says it
    print(f"running on {server.host}:{server.port} as {server.user}, data in {server.data_dir}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
