"""The record that goes with every computed row: how its numbers came to be."""

from __future__ import annotations

import datetime
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ..version import __version__


class Stopwatch:
    """Collects provenance of one computation from its start on."""

    def __init__(self) -> None:
        self._started_at = datetime.datetime.now(datetime.timezone.utc)
        self._started = time.perf_counter()

    def record(self, *, engine: str, device: str, versions: dict[str, str]) -> dict[str, Any]:
        """Describe the computation that ends now, as plain values.

        Returns:
            started_at (UTC, ISO), duration_s, host, platform, python, element_deeplabcut, engine,
            device, and whatever the engine says of its versions.
        """
        return {
            "started_at": self._started_at.isoformat(),
            "duration_s": round(time.perf_counter() - self._started, 3),
            "host": socket.gethostname(),
            "platform": platform.platform(),
            "python": platform.python_version(),
            "element_deeplabcut": __version__,
            "engine": engine,
            "device": device,
            **versions,
        }


def describe_registration(training: Mapping[str, Any] | None) -> dict[str, Any]:
    """Describe that a model is registered now, and from which training, if from one."""
    record = Stopwatch().record(engine="", device="", versions={})
    return {**record, "training": dict(training) if training else None}


def list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Name the settings that differ: dotted path -> [value before, value after].

    None stands for a setting that is not there.
    """
    old, new = dict(_flatten(before)), dict(_flatten(after))
    return {
        path: [old.get(path), new.get(path)]
        for path in (*new, *(path for path in old if path not in new))
        if old.get(path) != new.get(path)
    }


def _flatten(settings: Mapping[str, Any], trail: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        path = f"{trail}.{name}" if trail else str(name)
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, path)
        else:
            yield path, value
