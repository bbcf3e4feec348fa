"""``workflow-deeplabcut configure``: ask for what is missing, try it, and write it down."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import DatabaseError, ParameterError

from ..configuration import asking
from ..configuration.checks import (
    TIMEOUT_S,
    NoTlsError,
    ServerFacts,
    check_prefix,
    check_processed,
    check_roots,
    split_host,
    try_login,
)
from ..configuration.files import (
    EMBEDDED,
    find_file,
    global_file,
    hide_secrets,
    is_open_to_others,
    list_changes,
    local_file,
    merge,
    read_file,
    write_file,
)
from ..configuration.login import is_at_terminal, read_environment_login
from ..configuration.site import Site

_EXAMPLES = """examples:
  workflow-deeplabcut configure                     # asks for what is missing
  workflow-deeplabcut configure --embedded --root /data/videos
  DJ_PASS=... workflow-deeplabcut configure --non-interactive --host db.lab.org --user ada \\
      --root /data/videos --processed /data/results --prefix ada_
  workflow-deeplabcut configure --print             # what it would write; passwords hidden

Flags come before the environment (DJ_HOST, DJ_PORT, DJ_USER, DJ_PASS, DATABASE_PREFIX,
DLC_ROOT_DATA_DIR, DLC_PROCESSED_DATA_DIR), and that before what the file holds. All other entries
of the file are kept. Nothing is written when a test fails.
exit codes: 0 done, 1 something is missing or failed its test"""

_TLS = {"on": True, "off": False}


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "configure",
        help="say which database to use and where your data is",
        description="Ask for what is missing, test connection and directories, and write "
        "dj_local_conf.json, readable by you only.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = parser.add_argument_group("database")
    which = where.add_mutually_exclusive_group()
    which.add_argument("--host", metavar="NAME[:PORT]", help="database server")
    which.add_argument("--embedded", action="store_true", help="start and use one on this machine")
    where.add_argument("--data-dir", type=Path, metavar="DIR", help="folder of the embedded one")
    where.add_argument("--port", type=int, help="port (default: 3306)")
    where.add_argument("--user", help="database user")
    where.add_argument(
        "--password-file", metavar="FILE", help="file whose first line is the password; - is stdin"
    )
    where.add_argument(
        "--omit-password", action="store_true", help="do not write it: DJ_PASS, or asked each time"
    )
    where.add_argument(
        "--tls", choices=("auto", "on", "off"), help="encryption (default: where it is offered)"
    )
    where.add_argument("--prefix", help="prefix of schema names")
    data = parser.add_argument_group("directories")
    data.add_argument(
        "--root", action="append", metavar="DIR", help="of videos and projects, may be repeated"
    )
    data.add_argument(
        "--processed", metavar="DIR", help="for results (default: dlc_processed in the first root)"
    )
    how = parser.add_argument_group("how")
    file = how.add_mutually_exclusive_group()
    file.add_argument("--local", action="store_true", help="write ./dj_local_conf.json")
    file.add_argument("--global", dest="is_global", action="store_true",
                      help="write ~/.datajoint_config.json")  # fmt: skip
    how.add_argument("--non-interactive", action="store_true", help="ask nothing")
    how.add_argument("--no-test", action="store_true", help="write what was not tried")
    how.add_argument(
        "--timeout", type=float, default=TIMEOUT_S, metavar="S",
        help="seconds to wait for the server (default: 10)",
    )  # fmt: skip
    how.add_argument(
        "--print", "--dry-run", dest="is_dry", action="store_true",
        help="print what would be written, passwords hidden, and write nothing",
    )  # fmt: skip
    how.add_argument("--json", action="store_true", help="print what was done as JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Configure, and say what was done; exit code 0."""
    if not options.timeout > 0:
        raise ParameterError(f"--timeout is {options.timeout:g}; give seconds above 0.")
    can_ask = is_at_terminal() and not options.non_interactive and options.password_file != "-"
    site = _open_site(options)
    _take_given(site, options)
    if options.embedded:
        site.use_embedded(options.data_dir)
    elif not options.no_test:
        site.follow_embedded()
    if can_ask:
        _ask_missing(site, options)
    _check_complete(site, options, can_ask)
    facts = None if options.no_test else _try_out(site, options, can_ask)
    if options.omit_password:
        site.settings["database.password"] = None
    _report(site, options, facts)
    return 0


# --- what is known --------------------------------------------------------------------------------


def _open_site(options: argparse.Namespace) -> Site:
    in_force = find_file()
    file = local_file() if options.local else global_file() if options.is_global else in_force
    file = file or local_file()
    before = read_file(file) if file.exists() else {}
    site = Site(file, before, dict(before))
    if not before and in_force is not None and in_force != file:
        site.settings = read_file(in_force)  # DataJoint reads one file only, so it must hold all
        site.notes.append(f"It begins with what '{in_force}' holds.")
    if file != local_file() and local_file().exists():
        site.notes.append(f"In this folder '{local_file()}' is read instead of it.")
    return site


def _take_given(site: Site, options: argparse.Namespace) -> None:
    login = read_environment_login()
    if options.host:
        login.pop("database.port", None)
        login["database.host"] = options.host
    for name in ("port", "user"):
        if getattr(options, name) is not None:
            login[f"database.{name}"] = getattr(options, name)
    if options.password_file:
        login["database.password"] = _read_password(options.password_file)
    if options.tls:
        login["database.use_tls"] = _TLS.get(options.tls)
    if "database.host" in login and ":" in login["database.host"]:
        login["database.host"], login["database.port"] = split_host(login)
    if options.embedded:
        login = {}
    elif "database.host" in login:
        site.leave_embedded()
    site.settings = merge(site.settings, login)
    _warn_of_environment(site, login)
    environment = os.environ.get
    prefix = options.prefix if options.prefix is not None else environment("DATABASE_PREFIX")
    roots = options.root or [r for r in environment("DLC_ROOT_DATA_DIR", "").split(os.pathsep) if r]
    processed = options.processed or environment("DLC_PROCESSED_DATA_DIR")
    if prefix is not None:
        site.set(**{"database.prefix": check_prefix(prefix)})
    if roots:
        site.set(dlc_root_data_dir=[asking.make_absolute(root) for root in roots])
    if processed:
        site.set(dlc_processed_data_dir=asking.make_absolute(processed))


def _warn_of_environment(site: Site, login: Mapping[str, Any]) -> None:
    for name, value in read_environment_login().items():
        if login.get(name, value) != value and name != "database.host":
            site.notes.append(f"The environment sets another {name}, which comes before the file.")
    host = os.environ.get("DJ_HOST")
    if host and host.partition(":")[0] != site.settings.get("database.host"):
        site.notes.append(f"DJ_HOST is '{host}', which comes before the file: unset it.")


def _read_password(file: str) -> str:
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ParameterError(f"The password cannot be read from '{file}' ({error}).") from error
    lines = text.splitlines()
    if not lines or not lines[0]:
        raise ParameterError(f"'{file}' holds no password in its first line.")
    return lines[0]


# --- what is missing ------------------------------------------------------------------------------


def _ask_missing(site: Site, options: argparse.Namespace) -> None:
    is_first = not site.settings.get("database.user") or not site.roots
    if not site.settings.get("database.host") or not site.settings.get("database.user"):
        _ask_login(site, options)
    elif site.settings.get("database.password") is None:
        password = asking.ask_password(site.settings["database.user"])
        site.settings["database.password"] = password
    if not site.roots:
        site.set(dlc_root_data_dir=asking.ask_roots())
    if is_first and site.processed is None:
        site.set(dlc_processed_data_dir=asking.ask_processed(site.roots))
    if is_first and "database.prefix" not in site.custom:
        site.set(**{"database.prefix": asking.ask_prefix()})


def _ask_login(site: Site, options: argparse.Namespace) -> None:
    login = asking.ask_database(site.settings)
    if login is None:
        site.use_embedded(options.data_dir)
    else:
        site.leave_embedded()
        site.settings = merge(site.settings, login)


def _check_complete(site: Site, options: argparse.Namespace, can_ask: bool) -> None:
    missing = []
    if not site.settings.get("database.host"):
        missing.append("a database (--host NAME and --user NAME, or --embedded)")
    elif not site.settings.get("database.user"):
        missing.append("a database user (--user NAME)")
    if site.settings.get("database.password") is None and not options.omit_password:
        missing += [] if EMBEDDED in site.custom else ["a password (DJ_PASS or --password-file)"]
    if not site.roots:
        missing.append("the directory of your videos (--root DIR)")
    if missing:
        why = "" if can_ask else ", and nobody can be asked for it here"
        raise ParameterError(f"Missing: {'; '.join(missing)}{why}. Nothing was written.")


# --- does it work ---------------------------------------------------------------------------------


def _try_out(site: Site, options: argparse.Namespace, can_ask: bool) -> ServerFacts | None:
    check_roots(site.roots)
    check_processed(site.processed, site.roots)
    if site.settings.get("database.password") is None:
        return None  # it is omitted, and not at hand
    while True:
        try:
            return _try_login(site, options, can_ask)
        except DatabaseError as error:
            if not can_ask or isinstance(error, NoTlsError):
                raise
            print(error, file=sys.stderr)
            if not asking.confirm("Change the login and try again?", True):
                raise ParameterError("Nothing was written.") from None
            _ask_login(site, options)


def _try_login(site: Site, options: argparse.Namespace, can_ask: bool) -> ServerFacts:
    prefix = site.custom.get("database.prefix") or ""
    try:
        return try_login(site.settings, prefix=prefix, timeout=options.timeout)
    except NoTlsError as error:
        if site.settings.get("database.use_tls") is not None or options.tls == "auto":
            raise
        is_local = split_host(site.settings)[0] in ("localhost", "127.0.0.1", "::1")
        if not is_local:
            if not can_ask:
                raise
            print(error, file=sys.stderr)
            if not asking.confirm("Go on without encryption?", False):
                raise
    site.settings["database.use_tls"] = False
    return try_login(site.settings, prefix=prefix, timeout=options.timeout)


# --- what was done --------------------------------------------------------------------------------


def _report(site: Site, options: argparse.Namespace, facts: ServerFacts | None) -> None:
    changes = list_changes(site.before, site.settings)
    if facts is not None and facts.is_old:
        site.notes.append(f"{facts.version} is older than MySQL 8.0 and MariaDB 10.6.")
    was_open = is_open_to_others(site.file)
    is_written = not options.is_dry and bool(changes or was_open)
    if is_written:
        write_file(site.file, site.settings)
        if was_open:
            site.notes.append("Others could read the file; only you can now.")
    if options.json:
        plain = _to_plain(site, facts, changes, is_written)
        print(json.dumps(plain, indent=1))
        return
    for line in _describe(site, options, facts, changes, is_written):
        print(line)


def _describe(
    site: Site,
    options: argparse.Namespace,
    facts: ServerFacts | None,
    changes: Mapping[str, tuple[str, str]],
    is_written: bool,
) -> list[str]:
    if options.is_dry:
        said = [json.dumps(hide_secrets(site.settings), indent=4, ensure_ascii=False)]
        return [*said, *(f"# {note}" for note in site.notes)]
    lines = [] if facts is None else [_describe_server(site, facts)]
    if not options.no_test:
        lines.append(f"Videos and projects in {', '.join(map(str, site.roots))}: readable")
        lines.append(f"Results in {check_processed(site.processed, site.roots)}: writable")
    if is_written:
        lines.append(f"Wrote {site.file}, readable by you only")
        lines += [f"  {name}: {old} -> {new}" for name, (old, new) in changes.items()]
    else:
        lines.append(f"Nothing to change in {site.file}")
    return [*lines, *site.notes]


def _describe_server(site: Site, facts: ServerFacts) -> str:
    host, port = split_host(site.settings)
    prefix = site.custom.get("database.prefix")
    count = f", {len(facts.schemas)} schemas named '{prefix}...'" if prefix else ""
    how = "encrypted" if facts.is_encrypted else "not encrypted"
    return f"{facts.version} at {host}:{port} answers, {how}{count}"


def _to_plain(
    site: Site,
    facts: ServerFacts | None,
    changes: Mapping[str, tuple[str, str]],
    is_written: bool,
) -> dict[str, Any]:
    return {
        "file": str(site.file),
        "written": is_written,
        "changes": {name: {"from": old, "to": new} for name, (old, new) in changes.items()},
        "settings": hide_secrets(site.settings),
        "server": facts and {
            "version": facts.version,
            "encrypted": facts.is_encrypted,
            "schemas": list(facts.schemas),
        },
        "notes": site.notes,
    }  # fmt: skip
