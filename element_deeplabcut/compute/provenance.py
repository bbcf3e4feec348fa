"""The record that goes with every computed row: how its numbers came to be."""

from __future__ import annotations

import datetime
import platform
import socket
import time
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
            started_at (UTC, ISO), duration_s, host, python, element_deeplabcut, engine, device,
            and whatever the engine says of its versions.
        """
        return {
            "started_at": self._started_at.isoformat(),
            "duration_s": round(time.perf_counter() - self._started, 3),
            "host": socket.gethostname(),
            "python": platform.python_version(),
            "element_deeplabcut": __version__,
            "engine": engine,
            "device": device,
            **versions,
        }
