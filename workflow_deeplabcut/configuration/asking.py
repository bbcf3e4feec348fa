"""Questions at a terminal. They go to the error stream, so that the output can be piped."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import ElementError
from element_deeplabcut.linking import PROCESSED_DIR_NAME

from .checks import check_prefix, check_processed, check_roots, split_host

EMBEDDED_ANSWER = "embedded"


def ask(question: str, default: str = "") -> str:
    """Ask for a line; an empty one stands for the default."""
    print(f"{question}{f' [{default}]' if default else ''}: ", end="", file=sys.stderr, flush=True)
    return input().strip() or default


def confirm(question: str, default: bool) -> bool:
    """Ask for yes or no."""
    answer = ask(f"{question} [{'Y/n' if default else 'y/N'}]").lower()
    return answer.startswith("y") if answer else default


def ask_database(settings: dict[str, Any]) -> dict[str, Any] | None:
    """Ask for host, user and password, with what is there as defaults.

    Returns:
        The login; None stands for the embedded database.
    """
    default = str(settings.get("database.host") or "localhost")
    if settings.get("database.port", 3306) != 3306:
        default += f":{settings['database.port']}"
    host = _repeat(
        lambda: _ask_host(
            f"Database server, or '{EMBEDDED_ANSWER}' for one on this machine", default
        )
    )
    if host is None:
        return None
    user = ""
    while not user:
        user = ask("Database user", str(settings.get("database.user") or getpass.getuser()))
    return {**host, "database.user": user, "database.password": ask_password(user)}


def _ask_host(question: str, default: str) -> dict[str, Any] | None:
    answer = ask(question, default)
    if answer.lower() == EMBEDDED_ANSWER:
        return None
    host, port = split_host({"database.host": answer})
    return {"database.host": host, "database.port": port}


def ask_password(user: str) -> str:
    """Ask for a password, which is not shown."""
    return getpass.getpass(f"Password of {user}: ", stream=sys.stderr)


def ask_roots() -> list[str]:
    """Ask for root directories until they are some that can be read."""

    def once() -> list[str]:
        answer = ask(f"Directories of your videos and projects (several with '{os.pathsep}')")
        roots = [make_absolute(part) for part in answer.split(os.pathsep) if part.strip()]
        check_roots([Path(root) for root in roots])
        return roots

    roots: list[str] = []
    while not roots:
        roots = _repeat(once)
    return roots


def ask_processed(roots: Sequence[Path]) -> str | None:
    """Ask for the directory of results until one can be written; None stands for the default."""
    default = str(roots[0] / PROCESSED_DIR_NAME)

    def once() -> str | None:
        answer = make_absolute(ask("Directory for results", default))
        check_processed(Path(answer), roots)
        return None if answer == default else answer

    return _repeat(once)


def ask_prefix() -> str:
    """Ask for the prefix of schema names."""
    return _repeat(lambda: check_prefix(ask("Prefix of schema names, such as 'mylab_'")))


def make_absolute(path: str) -> str:
    """Write a path as it is true in any working directory."""
    return os.path.abspath(os.path.expanduser(path.strip()))


def _repeat(question: Callable[[], Any]) -> Any:
    """Repeat a question until its answer will do."""
    while True:
        try:
            return question()
        except ElementError as error:
            print(error, file=sys.stderr)
