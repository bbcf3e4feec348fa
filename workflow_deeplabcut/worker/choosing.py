"""Jobs chosen by the values of their keys, as the server would compare them.

The keys are read from ``~jobs``, where the server cannot look into them. So values are brought to
the types of their columns before they are compared: ``03`` is 3, and 2026-02-01T10:00 is ten
o'clock.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from element_deeplabcut.errors import ParameterError


def choose_by(tables: Sequence[Any], key: Mapping[str, Any] | None) -> list[dict[str, Any] | None]:
    """Read what the keys of the jobs must hold that are meant.

    Args:
        tables: Computed tables.
        key: Attributes of their primary keys, and values, typed or as texts; None chooses all jobs.

    Returns:
        For each table the values as its columns hold them; None where the table lacks an attribute,
        so that none of its jobs is meant.

    Raises:
        ParameterError: None of the tables has such an attribute in its primary key, or a value is
            none that its column can hold.
    """
    key = dict(key or {})
    known = {name for table in tables for name in table.primary_key}
    for name in key:
        if name not in known:
            raise ParameterError(
                f"No table has an attribute '{name}' in its primary key, by which its jobs are "
                f"known; choose from {', '.join(sorted(known))}."
            )
    converted = [_convert_all(table, key) for table in tables]
    return [values if len(values) == len(key) else None for values in converted]


def fits(table: Any, key: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether the key of a table's job holds these values, which `choose_by` read."""
    found = _convert_all(table, {name: key[name] for name in wanted if name in key})
    return found == wanted


def _convert_all(table: Any, key: Mapping[str, Any]) -> dict[str, Any]:
    attributes = table.heading.attributes
    return {
        name: _convert(name, value, attributes[name])
        for name, value in key.items()
        if name in table.primary_key
    }


def _convert(name: str, value: Any, attribute: Any) -> Any:
    read, what = _choose_reader(attribute)
    try:
        return read(str(int(value)) if isinstance(value, bool) else str(value))
    except (ValueError, decimal.InvalidOperation):
        raise ParameterError(f"{name} must be {what}, and is '{value}'.") from None


def _choose_reader(attribute: Any) -> tuple[Callable[[str], Any], str]:
    """How to read a text for a column, and what it must be."""
    kind = attribute.type.lower()
    if attribute.uuid:
        return uuid.UUID, "a UUID"
    if attribute.numeric:
        return _read_number, "a number"
    if kind.startswith(("datetime", "timestamp")):
        return _read_moment, "a date and time such as 2026-02-01 10:00:00"
    if kind == "date":
        return datetime.date.fromisoformat, "a date such as 2026-02-01"
    return str, "a text"


def _read_number(text: str) -> decimal.Decimal:
    number = decimal.Decimal(text)
    if not number.is_finite():
        raise ValueError
    return number


def _read_moment(text: str) -> datetime.datetime:
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is not None:  # the database holds what the clock on the wall said
        raise ValueError
    return moment
