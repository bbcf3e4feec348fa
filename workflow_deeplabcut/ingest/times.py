"""Dates and times as people and spreadsheets write them, as far as they can mean one thing only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, time

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_DATE = "a date such as 2026-02-01"
_DATETIME = "a date and time such as 2026-02-01 10:00:00"

_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?:\s*([ap]m))?", re.IGNORECASE)
_COMPACT = re.compile(r"(\d{8})[T ](\d\d)(\d\d)(\d\d)?")
_ZONE = re.compile(r"(?:\d:\d\d[\d:.,]*|T\d{4,6})\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d)$", re.IGNORECASE)


def read_date(text: str) -> date:
    """Read a date.

    Raises:
        ValueError: It is none, or could mean two days; the message says what it must be.
    """
    found = _find_date(text, _DATE)
    if found is None:
        raise ValueError(_explain(text, _DATE))
    return found


def read_datetime(text: str) -> datetime:
    """Read a date with a time of day, without time zone, in whole seconds.

    Raises:
        ValueError: It is none, or could mean two moments; the message says what it must be.
    """
    if _ZONE.search(text):
        raise ValueError(
            f"{_DATETIME}, without a time zone: the database holds what the clock on the wall said"
        )
    text = _spell_out(text)
    if _find_date(text, _DATETIME) is not None:
        raise ValueError(f"{_DATETIME}: the time of day is missing")
    day, separator, clock = _split(text)
    found = _find_date(day, _DATETIME) if separator else None
    if found is None:
        raise ValueError(_explain(text, _DATETIME))
    return datetime.combine(found, _read_clock(clock))


def _spell_out(text: str) -> str:
    """Write ISO's compact form, 20260201T100000, in the one with separators."""
    compact = _COMPACT.fullmatch(text)
    if compact is None:
        return text
    return f"{compact[1]} {compact[2]}:{compact[3]}:{compact[4] or '00'}"


def _split(text: str) -> tuple[str, str, str]:
    """Part the date from the time of day."""
    match = re.search(r"(?:(?<=\d)T(?=\d)|,?\s+)(?=\d{1,2}:\d\d)", text)
    if match is None:
        return text, "", ""
    return text[: match.start()], match[0], text[match.end() :]


def _read_clock(text: str) -> time:
    match = _CLOCK.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{_DATETIME}; its time of day is '{text}'")
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if match[4] and int(match[4]):
        raise ValueError(f"{_DATETIME}, in whole seconds: the database holds no fractions of them")
    if match[5]:
        if not 1 <= hour <= 12:
            raise ValueError(f"{_DATETIME}; there is no hour {hour} {match[5]}")
        hour = hour % 12 + (12 if match[5].lower() == "pm" else 0)
    try:
        return time(hour, minute, second)
    except ValueError as error:
        raise ValueError(f"{_DATETIME} ({error})") from None


# --- dates ----------------------------------------------------------------------------------------


def _find_date(text: str, wanted: str) -> date | None:
    """Read a date in one of the forms there are; None if it has none of them."""
    for pattern, pick in _FORMS:
        match = pattern.fullmatch(text.strip())
        if match is None:
            continue
        days = list(pick(match, wanted))
        if not days:
            raise ValueError(f"{wanted}; there is no such day")
        if len(set(days)) > 1:
            first, second = (f"{day.day} {_LONG_MONTHS[day.month - 1].title()}" for day in days)
            raise ValueError(
                f"{wanted}: this could be {first} or {second}, so write the year first "
                f"({days[0]} or {days[1]})"
            )
        return days[0]
    return None


def _year_first(match: re.Match[str], wanted: str) -> Iterator[date]:
    yield from _make(int(match["y"]), int(match["m"]), int(match["d"]))


def _month_by_name(match: re.Match[str], wanted: str) -> Iterator[date]:
    name = match["m"].lower().rstrip(".")
    month = next(
        (n for n in range(1, 13) if name in (_MONTHS[n - 1], _LONG_MONTHS[n - 1])), 0
    )  # fmt: skip
    if name == "sept":
        month = 9
    yield from _make(int(match["y"]), month, int(match["d"]))


def _year_last(match: re.Match[str], wanted: str) -> Iterator[date]:
    """Day or month first: both are tried, and only what is a date in one way is taken."""
    year, first, second = int(match["y"]), int(match["a"]), int(match["b"])
    yield from _make(year, second, first)
    yield from _make(year, first, second)


def _two_digits(match: re.Match[str], wanted: str) -> Iterator[date]:
    raise ValueError(f"{wanted}, with a year of four digits")


def _make(year: int, month: int, day: int) -> Iterator[date]:
    if year < 1000:  # MySQL's first year
        return
    try:
        yield date(year, month, day)
    except ValueError:
        return


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str], Iterator[date]]], ...] = tuple(
    (re.compile(pattern), pick)
    for pattern, pick in (
        (r"(?P<y>\d{4})(?P<s>[-/.])(?P<m>\d{1,2})(?P=s)(?P<d>\d{1,2})", _year_first),
        (r"(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d)", _year_first),
        (r"(?P<d>\d{1,2})\.?[- ](?P<m>[A-Za-z]{3,9}\.?),?[- ](?P<y>\d{4})", _month_by_name),
        (r"(?P<m>[A-Za-z]{3,9}\.?)[- ](?P<d>\d{1,2})(?:,[ ]?|[- ])(?P<y>\d{4})", _month_by_name),
        (r"(?P<y>\d{4})[- ](?P<m>[A-Za-z]{3,9})[- ](?P<d>\d{1,2})", _month_by_name),
        (r"(?P<a>\d{1,2})(?P<s>[-/.])(?P<b>\d{1,2})(?P=s)(?P<y>\d{4})", _year_last),
        (r"\d{1,2}(?P<s>[-/.])\d{1,2}(?P=s)\d{2}", _two_digits),
    )
)


def _explain(text: str, wanted: str) -> str:
    if re.fullmatch(r"\d{5}(?:[.,]\d+)?", text):
        return f"{wanted}; this is a spreadsheet's number for a day, so format its cells as text"
    return wanted
