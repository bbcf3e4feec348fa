"""Keys on the command line: ``--restrict NAME=VALUE``, and the row or rows they mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from element_deeplabcut.errors import ParameterError, QueryError
from element_deeplabcut.wording import show_key

_MOST_SHOWN = 5


def add_restriction(parser: Any, which: str) -> None:
    """Add ``--restrict NAME=VALUE``, with ``--key`` as its other name in every command.

    Args:
        parser: Parser or group of arguments.
        which: What is meant, for the help text: ``only jobs whose key has this value``.
    """
    parser.add_argument(
        "--restrict",
        "--key",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"{which}, may be repeated",
    )


def read_key(pairs: Sequence[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` arguments; the values stay text.

    Raises:
        ParameterError: One has another form, a name comes twice with different values, or a value
            holds a double quote.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ParameterError(f"'{pair}' is not of the form NAME=VALUE.")
        if '"' in value:  # DataJoint would not quote it
            raise ParameterError(f"The value of {name} holds a double quote. Leave {name} out.")
        if found.setdefault(name, value) != value:
            raise ParameterError(f"{name} is given as '{found[name]}' and as '{value}'.")
    return found


def restrict(table: Any, key: Mapping[str, str]) -> Any:
    """Restrict a table to the rows that a key names, which may be part of their primary key.

    Raises:
        ParameterError: The table has no such attribute, or its values have another form.
    """
    attributes = (table() if isinstance(table, type) else table).heading.attributes
    typed = {}
    for name, value in key.items():
        if name not in attributes:
            raise ParameterError(_say_unknown(name, table))
        typed[name] = _convert(name, value, attributes[name])
    return table & typed


def find_key(table: Any, key: Mapping[str, str], hint: str = "") -> dict[str, Any]:
    """Find the primary key of the one row that a key names.

    Args:
        table: Table class.
        key: As `read_key` returns it.
        hint: What to do where there is no row.

    Raises:
        QueryError: It names no row, or several.
        ParameterError: As `restrict`.
    """
    rows = restrict(table, key).fetch("KEY", limit=_MOST_SHOWN + 1)
    if len(rows) == 1:
        return dict(rows[0])
    name, said = table.__name__, f" for {show_key(key)}" if key else ""
    if not len(rows):
        raise QueryError(f"{name} has no row{said}. {hint}".rstrip())
    shown = "; ".join(show_key(row) for row in rows[:_MOST_SHOWN])
    more = "; ..." if len(rows) > _MOST_SHOWN else ""
    differing = _find_differing(rows)
    raise QueryError(f"{name} has several rows{said} ({shown}{more}). Add --key {differing}=VALUE.")


def name_file(kind: str, key: Mapping[str, Any], suffix: str) -> str:
    """Make a file's name of a key: what it shows and the key's values, with nothing odd in it."""
    parts = [kind, *(str(value) for value in key.values() if str(value))]
    return re.sub(r"[^\w.+-]+", "-", "_".join(parts)).strip("-.")[:150] + suffix


def _say_unknown(name: str, table: Any) -> str:
    known = (table() if isinstance(table, type) else table).heading.names
    close = difflib.get_close_matches(name, known, 1)
    guess = f"; did you mean '{close[0]}'?" if close else f". Choose from {', '.join(known)}."
    kind = table if isinstance(table, type) else type(table)
    return f"{kind.__name__} has no attribute '{name}'{guess}"


def _convert(name: str, value: str, attribute: Any) -> Any:
    """Turn text into what the column holds; the server would compare '3x' to 3 and find it."""
    if not attribute.numeric:
        return value
    kind = int if "int" in attribute.type else float
    try:
        return kind(value)
    except ValueError:
        raise ParameterError(f"{name} must be a number, and is '{value}'.") from None


def _find_differing(rows: Sequence[Mapping[str, Any]]) -> str:
    first = rows[0]
    return next(name for name in first if any(row[name] != first[name] for row in rows))
