"""``workflow-deeplabcut db``: start, stop or look at the embedded database."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .. import database
from ..configuration.embedded import record_server

_EXAMPLES = """examples:
  workflow-deeplabcut db start                 # and use it in this folder
  workflow-deeplabcut db status --json
  workflow-deeplabcut db stop

`start` writes the login to dj_local_conf.json, readable by you only, unless another database is
configured: notebooks, workers and scripts started in this folder use it then. Nothing else does.
exit codes: 0 done, 1 it could not be done, 3 not running (of status)"""

NOT_RUNNING = 3  # as `systemctl status` says it


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "db",
        help="start, stop or look at the embedded database",
        description="A private database on this machine, for whoever has no server.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=("start", "stop", "status"))
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="its folder (default: in your data home)"
    )
    parser.add_argument(
        "--no-configure", action="store_true", help="start it, and write no dj_local_conf.json"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Do what was asked; exit code 3 when asked for the status of a server that does not run."""
    if options.action == "stop":
        was_running = database.stop(options.data_dir)
        said = {"running": False, "was_running": was_running}
        _print(options, said, "stopped" if was_running else "was not running")
        return 0
    if options.action == "status":
        return _show(options, database.status(options.data_dir), {})
    server = database.start(options.data_dir)
    if options.no_configure:
        return _show(options, server, {})
    file, sentence = record_server(server)
    return _show(options, server, {"configuration": str(file) if file else None}, sentence)


def _show(
    options: argparse.Namespace,
    server: database.Server | None,
    more: dict[str, Any],
    sentence: str = "",
) -> int:
    if server is None:
        _print(options, {"running": False}, "not running")
        return NOT_RUNNING
    facts = {
        "running": True,
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "data_dir": str(server.data_dir),
    }
    text = f"running on {server.host}:{server.port} as {server.user}, data in {server.data_dir}"
    _print(options, facts | more, f"{text}\n{sentence}".rstrip())
    return 0


def _print(options: argparse.Namespace, facts: dict[str, Any], text: str) -> None:
    print(json.dumps(facts) if options.json else text)
