"""When a session started and who took part: from the caller, the lab's tables and the Elements.

What the caller says comes first. Where the linked tables are those of element-session and
element-animal, their own NWB functions say the rest. Nothing is invented: what a file must have
and nobody said is an error that names it.
"""

from __future__ import annotations

import datetime
import logging
import zoneinfo
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...errors import MetadataError
from ...optional import import_optional
from .objects import EXTRA

if TYPE_CHECKING:
    import pynwb

logger = logging.getLogger(__name__)

START_COLUMNS = ("session_start_time", "session_datetime")
"""Columns of a session table that hold its start."""

_SEXES = ("M", "F", "O", "U", "XO", "XX")


def read_zone(timezone: str | datetime.tzinfo | None) -> datetime.tzinfo | None:
    """Take a time zone by its name.

    Raises:
        MetadataError: There is no such zone.
    """
    if timezone is None or isinstance(timezone, datetime.tzinfo):
        return timezone
    try:
        return zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, TypeError, ValueError, OSError) as error:
        raise MetadataError(
            f"There is no time zone '{timezone}'. Name one of the IANA database, for instance "
            "'UTC' or 'Europe/London'."
        ) from error


def check_fields(what: str, fields: Any) -> dict[str, Any]:
    """Insist that fields come as a dictionary; None is an empty one.

    Raises:
        MetadataError: They do not.
    """
    if fields is not None and not isinstance(fields, Mapping):
        raise MetadataError(f"{what} is {fields!r}; give its fields as a dictionary.")
    return dict(fields or {})


def find_start(
    given: Mapping[str, Any], row: Mapping[str, Any], zone: datetime.tzinfo | None
) -> datetime.datetime:
    """Find out when a session started.

    Args:
        given: Fields by the caller, of which ``session_start_time`` counts.
        row: The session's row.
        zone: Zone of times that name none.

    Returns:
        The start, with a time zone.

    Raises:
        MetadataError: Nobody says when it started, or in which time zone.
    """
    sources = [given.get("session_start_time"), *(row.get(name) for name in START_COLUMNS)]
    start = next((value for value in sources if value is not None), None)
    if start is None:
        raise MetadataError(
            "The linked session table has no session_datetime or session_start_time, so nobody "
            "says when the session started. Give session={'session_start_time': ...}."
        )
    return add_zone(start, zone, "The session's start")


def check_session(given: Mapping[str, Any], zone: datetime.tzinfo | None) -> dict[str, Any]:
    """Check the fields of a session that a caller gives.

    Raises:
        MetadataError: The subject is among them, or a time without a zone.
    """
    if "subject" in given:
        raise MetadataError("The subject is described apart from the session: subject={...}.")
    fields = dict(given)
    if fields.get("timestamps_reference_time") is not None:
        # pynwb would take it for local time of the exporting machine
        reference = fields["timestamps_reference_time"]
        fields["timestamps_reference_time"] = add_zone(reference, zone, "The reference time")
    return fields


def add_zone(value: Any, zone: datetime.tzinfo | None, what: str) -> datetime.datetime:
    """Turn a time into one with a time zone.

    Raises:
        MetadataError: It is no time, or has no zone and none is given, or happened twice or never
            there, because clocks were changed.
    """
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError as error:
            raise MetadataError(
                f"{what} is '{value}'. Write it like 2026-02-01T10:00:00+01:00."
            ) from error
    if not isinstance(value, datetime.datetime):
        raise MetadataError(f"{what} is {value!r}; give a datetime.")
    if value.utcoffset() is not None:
        return value
    if zone is None:
        raise MetadataError(
            f"{what}, {value}, has no time zone. Say which clock it was read from: for instance "
            "timezone='UTC' or timezone='Europe/London'."
        )
    earlier, later = (value.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if earlier.utcoffset() != later.utcoffset():
        raise MetadataError(
            f"{what}, {value}, happened twice or never in {zone}, because clocks were changed. "
            "Give session={'session_start_time': ...} with its offset from UTC."
        )
    return earlier


def build_subject(
    fields: Mapping[str, Any], zone: datetime.tzinfo | None, individual: str = ""
) -> pynwb.file.Subject:
    """Build the subject of a file.

    Args:
        fields: Fields of ``pynwb.file.Subject``.
        zone: Zone of a date of birth that names none.
        individual: Name of the animal in the pose, for messages.

    Raises:
        MetadataError: One is missing that archives insist on, or is not valid.
    """
    whose = f" of '{individual}'" if individual else ""
    fields = {name: value for name, value in fields.items() if value not in (None, "")}
    missing = [name for name in ("subject_id", "sex") if name not in fields]
    if not {"age", "date_of_birth"} & set(fields):
        missing.append("age (or date_of_birth)")
    if missing:
        how = f"subjects={{'{individual}': {{...}}}}" if individual else "subject={...}"
        raise MetadataError(
            f"The subject{whose} lacks {', '.join(missing)}, without which archives refuse a "
            f"file. Give {how}; an unknown sex is 'U', an age is written like 'P90D'."
        )
    if fields["sex"] not in _SEXES:
        raise MetadataError(
            f"The sex{whose} is '{fields['sex']}'; NWB has M, F, O (other) and U (unknown)."
        )
    if "species" not in fields:
        logger.warning(
            "The subject%s has no species, which archives want: 'Mus musculus', for instance.",
            whose,
        )
    born = fields.get("date_of_birth")
    if born is not None:
        if isinstance(born, datetime.date) and not isinstance(born, datetime.datetime):
            born = datetime.datetime.combine(born, datetime.time())
        fields["date_of_birth"] = add_zone(born, zone, f"The date of birth{whose}")
    pynwb = import_optional("pynwb", EXTRA)
    return _build(pynwb.file.Subject, fields, f"subject{whose}")


def build_file(fields: Mapping[str, Any]) -> pynwb.NWBFile:
    """Build an empty file.

    Raises:
        MetadataError: pynwb refuses a field.
    """
    return _build(import_optional("pynwb", EXTRA).NWBFile, fields, "session")


def _build(kind: Any, fields: Mapping[str, Any], what: str) -> Any:
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        raise MetadataError(
            f"NWB does not take these fields of the {what}: {error}. See {kind.__name__} in the "
            "documentation of pynwb."
        ) from error
