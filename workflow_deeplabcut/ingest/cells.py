"""Cells: from text to the value that a column wants.

Every reader raises ``ValueError`` with "what it must be", as those of
`element_deeplabcut.vocabulary` do.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from element_deeplabcut.errors import PathError
from element_deeplabcut.linking import check_relative
from element_deeplabcut.readers.yaml_files import parse_flow

LARGEST_INT = 2**31 - 1
"""Most that a column of the type int holds."""

LARGEST_SMALLINT = 2**15 - 1

_INTEGER = re.compile(r"[-+]?\d+(?:\.0*)?")
_WHOLE = re.compile(r"[-+]?(?:0|[1-9]\d*)")
_NUMBER = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}


def read_text(text: str) -> str:
    """Read a text."""
    return text


def integer(low: int = 0, high: int = LARGEST_INT) -> Callable[[str], int]:
    """Make a reader of whole numbers.

    Args:
        low: Least that is allowed.
        high: Most that is allowed.
    """
    wanted = f"a whole number from {low} to {high}"

    def read(text: str) -> int:
        # Programs that know one kind of number only write 5 as 5.0.
        if not _INTEGER.fullmatch(text):
            raise ValueError(wanted)
        value = int(text.partition(".")[0])
        if not low <= value <= high:
            raise ValueError(wanted)
        return value

    return read


def choice(*options: str) -> Callable[[str], str]:
    """Make a reader of one of a few texts, in whatever case they are written."""

    def read(text: str) -> str:
        for option in options:
            if text.lower() == option.lower():
                return option
        raise ValueError("one of " + ", ".join(options))

    return read


def read_flag(text: str) -> bool:
    """Read True or False, yes or no, 1 or 0."""
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise ValueError("True or False")


def read_path(text: str) -> str:
    """Read a path of the database: POSIX, relative to a root directory."""
    try:
        return check_relative(text)
    except PathError as error:
        said = str(error)
        raise ValueError(f"a path relative to a root directory ({said.rstrip('.')})") from None


def read_value(text: str) -> Any:
    """Read a value of a type that shows: numbers, truth values, lists and dictionaries.

    ``5`` is a number, ``0.5`` and ``1e-3`` too, ``True`` and ``FALSE`` are truth values, ``null``
    and ``None`` are nothing; lists and dictionaries are JSON, YAML or as Python prints them;
    whatever else is a text, and so is what stands in single quotes (``'5'``).
    """
    if text[:1] in ("[", "{"):
        return _read_structure(text)
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    # A leading zero marks a name (a batch, an animal), not a number.
    if _NUMBER.fullmatch(text) and not re.match(r"[-+]?0\d", text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError("a number that is less than 1e308")
        return value
    if _DECIMAL_COMMA.fullmatch(text):
        raise ValueError("written with a decimal point, or in single quotes if it is a text")
    return text


def read_settings(text: str) -> dict[str, Any]:
    """Read a dictionary."""
    value = _read_structure(text) if text.startswith("{") else None
    if not isinstance(value, dict):
        raise ValueError('a dictionary, for instance {"pcutoff": 0.5}')
    return value


def _read_structure(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_refuse_repeats)
    except json.JSONDecodeError as of_json:
        try:
            return _name_constants(parse_flow(text))
        except ValueError:
            raise ValueError(
                f"a list or a dictionary in JSON or YAML ({of_json.msg} at character "
                f"{of_json.pos + 1})"
            ) from None


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a dictionary that names '{twice}' once")
    return found


def _name_constants(value: Any) -> Any:
    """Python's None, which YAML takes for a text."""
    if isinstance(value, Mapping):
        return {key: _name_constants(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_name_constants(item) for item in value]
    return None if value == "None" else value
