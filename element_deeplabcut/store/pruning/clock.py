"""How old something is, by the clock of the storage it lies on."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from ...errors import ParameterError, PathError

DAY = 86400.0
"""Seconds. Nothing younger is ever removed, whatever is asked."""

PATIENCE = 30 * DAY
"""Seconds for which an attempt is kept whose task has no result yet (a training resumes from it;
an analysis may compute for days without writing), and for which a damaged folder that was set
aside can still be looked at."""


def read_clock(folder: Path) -> float:
    """Ask the storage of a folder for its time, seconds since 1970.

    Modification times are set by the storage, whose clock may differ from this machine's. Where
    they differ, the earlier one is taken: it makes everything younger.

    Raises:
        PathError: No file can be created there.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"?")
            probe.flush()
            return min(os.fstat(probe.fileno()).st_mtime, time.time())
    except OSError as error:
        raise PathError(
            f"No file can be created in '{folder}' ({error.strerror}), so the age of what lies in "
            "it is not known. Prune on a machine that may write there."
        ) from error


def check_days(days: float) -> float:
    """Turn the age from which on something may be removed into seconds.

    Raises:
        ParameterError: It is less than a day.
    """
    if not days >= 1:
        raise ParameterError(f"Nothing younger than a day is removed; give 1 or more, not {days}.")
    return days * DAY
