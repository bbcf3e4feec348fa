"""Numbers and keys as a person reads them, and texts as a database can hold them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def show_duration(seconds: float) -> str:
    """Write a duration in its two largest units."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def show_size(size: float) -> str:
    """Write a number of bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def show_count(number: int, what: str) -> str:
    """Write how many there are of what has a regular plural: ``1 task``, ``2 tasks``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def show_key(key: Mapping[str, Any]) -> str:
    """Write a key in one line, as it is typed: ``recording_id=1 model_name=reaching``."""
    return " ".join(f"{name}={value}" for name, value in key.items())


def fit_charset(said: str, charset: str = "utf-8") -> str:
    """Write what has no place in a character set, as parts of file names may, as escapes."""
    return said.encode(charset, "backslashreplace").decode(charset)
