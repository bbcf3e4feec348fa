"""Making DataJoint use the configured database, or saying what is missing, before it connects."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import DatabaseError, SetupError

from .files import EMBEDDED, read_in_force

NOT_CONFIGURED = (
    "No database is configured. Set DJ_HOST, DJ_USER and DJ_PASS, or run `workflow-deeplabcut "
    "configure` in the folder you work in, for a server of your lab; or run `workflow-deeplabcut "
    "db start` there, for a private one on this machine."
)

REFUSED = frozenset({1044, 1045, 1698})
"""Numbers of errors by which a server denies access."""

_SSL_ERROR = 2026

_FROM_ENVIRONMENT = {
    "database.host": "DJ_HOST",
    "database.user": "DJ_USER",
    "database.password": "DJ_PASS",
}
_DEFAULTS: Mapping[str, Any] = {
    "database.host": "localhost",
    "database.port": 3306,
    "database.user": None,
    "database.password": None,
    "database.use_tls": None,
}
_WORDS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def use_configured_database() -> None:
    """See that DataJoint can connect without asking anybody who is not there.

    Called before the pipeline's tables are activated. What a program has set in ``dj.config``
    itself, and a connection that is open already, are left as they are. Where the configuration
    names the embedded database, its present port and password are looked up; it is not started.

    Raises:
        SetupError: No database is configured, a password is missing and there is no terminal to
            ask at, a configuration file is malformed, or the embedded database does not run.
    """
    if "datajoint" not in sys.modules:
        read_in_force()  # DataJoint would fail at a malformed one without naming it
    import datajoint as dj

    if getattr(dj.conn, "connection", None) is not None:
        return
    _load_new_file(dj.config)
    if _is_as_loaded(dj.config):
        dj.config.update(read_port_and_tls())
        folder = _find_embedded(dj.config)
        if folder is not None:
            _use_embedded(folder)
    if not dj.config.get("database.user"):
        raise SetupError(NOT_CONFIGURED)
    if dj.config.get("database.password") is None and not is_at_terminal():
        raise SetupError(
            f"No password is configured for the database user {dj.config['database.user']}, and "
            "there is no terminal to ask for it at. Set DJ_PASS, or run `workflow-deeplabcut "
            "configure`."
        )


def connect() -> None:
    """Connect as configured, or say in a sentence why that cannot be done.

    What the server or the network said stays the cause of the error, so that a worker knows what
    may pass from what will not.

    Raises:
        SetupError: As `use_configured_database`.
        DatabaseError: The server refuses the login, or cannot be reached.
    """
    use_configured_database()
    import datajoint as dj
    import pymysql

    try:
        dj.conn()
    except (pymysql.err.OperationalError, dj.errors.LostConnectionError) as error:
        said = explain_connection(error)
        if said is None:
            raise
        raise DatabaseError(said) from error


def explain_connection(error: Exception) -> str | None:
    """Say why there is no connection; None where an error is about something else."""
    number, said = (error.args[0], error.args[-1]) if error.args else ("", error)
    if number in REFUSED:
        return (
            f"The database refuses the login ({said}). Check DJ_USER and DJ_PASS, or run "
            "`workflow-deeplabcut configure`."
        )
    if has_no_tls(error):
        return (
            "The database server offers no encryption (TLS). If password and data may travel in "
            "the clear, set DJ_USE_TLS=false or run `workflow-deeplabcut configure --tls off`; "
            "otherwise have TLS switched on."
        )
    if isinstance(number, int) and number < 2000:
        return None
    return (
        f"The database cannot be reached ({said}). Check DJ_HOST, DJ_USER and DJ_PASS, or "
        "`workflow-deeplabcut configure`, and that the server runs."
    )


def has_no_tls(error: Exception) -> bool:
    """Whether an error means that the server has no encryption, and the login insists on it."""
    number, said = (error.args[0], error.args[-1]) if error.args else ("", "")
    return number == _SSL_ERROR and "doesn't support" in str(said)


def is_at_terminal() -> bool:
    """Whether somebody can be asked: not in scripts, jobs, pipes and notebook kernels."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def read_port_and_tls() -> dict[str, Any]:
    """Read the settings of the environment that DataJoint itself does not look at.

    Raises:
        SetupError: ``DJ_PORT`` is no port, or ``DJ_USE_TLS`` neither true nor false.
    """
    found: dict[str, Any] = {}
    port, tls = os.environ.get("DJ_PORT"), os.environ.get("DJ_USE_TLS")
    if port:
        if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise SetupError(f"DJ_PORT is '{port}'; set it to a number from 1 to 65535.")
        found["database.port"] = int(port)
    if tls:
        if tls.lower() not in _WORDS:
            raise SetupError(f"DJ_USE_TLS is '{tls}'; set it to true or false.")
        found["database.use_tls"] = _WORDS[tls.lower()]
    return found


def read_environment_login() -> dict[str, Any]:
    """Read the whole login as far as the environment names it."""
    given = {name: os.environ.get(variable) for name, variable in _FROM_ENVIRONMENT.items()}
    return {name: value for name, value in given.items() if value is not None} | read_port_and_tls()


def _load_new_file(config: MutableMapping[str, Any]) -> None:
    """Take a file that was written since DataJoint was imported: a notebook need not restart."""
    if not _is_login_of(config, {}):
        return
    settings = read_in_force()
    custom = {**settings.get("custom", {}), **(config.get("custom") or {})}
    if any(name in settings for name in _DEFAULTS):
        config.update({name: settings[name] for name in _DEFAULTS if name in settings})
        config.update(read_environment_login())
    if custom:
        config["custom"] = custom


def _is_as_loaded(config: Mapping[str, Any]) -> bool:
    """Whether the login is the one DataJoint loaded, so that no program has set another."""
    try:
        return _is_login_of(config, read_in_force())
    except SetupError:  # changed since DataJoint read it
        return False


def _is_login_of(config: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    expected = {name: settings.get(name, value) for name, value in _DEFAULTS.items()}
    for name, variable in _FROM_ENVIRONMENT.items():
        expected[name] = os.environ.get(variable, expected[name])
    return all(config.get(name) == value for name, value in expected.items())


def _find_embedded(config: Mapping[str, Any]) -> Path | None:
    if any(os.environ.get(name) for name in (*_FROM_ENVIRONMENT.values(), "DJ_PORT")):
        return None  # the environment names a database, and comes first
    custom = config.get("custom")
    folder = custom.get(EMBEDDED) if isinstance(custom, Mapping) else None
    return Path(folder) if isinstance(folder, str) and folder else None


def _use_embedded(folder: Path) -> None:
    from .. import database

    server = database.status(folder)
    if server is None:
        raise SetupError(say_embedded_is_down(folder))
    server.configure_datajoint()


def say_embedded_is_down(folder: Path) -> str:
    """Say that the configured embedded database does not run, and what to do."""
    return (
        f"The configured database is the embedded one in '{folder}', which does not run on this "
        f"machine. Start it with `workflow-deeplabcut db start --data-dir '{folder}'`, or choose "
        "another with `workflow-deeplabcut configure --host NAME`."
    )
