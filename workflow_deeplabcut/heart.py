"""What a worker tells its own machine: that it lives, and what it is at.

A lease in the database says that a job is in living hands; it says nothing of a worker between two
jobs, nor does whoever looks after one container want to ask the database. So the thread that renews
the lease also writes a small file, which ``workflow-deeplabcut health`` reads.

Times are ``time.monotonic()``, which all processes of a machine share and nobody sets.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from element_deeplabcut.errors import SetupError

logger = logging.getLogger(__name__)

_SLACK_S = 60.0
"""Longest time that a worker without a job takes to look for one, beside its pause."""


@dataclass
class Heart:
    """One worker's state, and the file that it is kept in.

    Attributes:
        name: Worker, as the leases name it.
        poll_interval: Pause between two looks for jobs when there are none, s.
        lease: How long a lease lasts that is not renewed, s; a file that is not written, too.
        pid: Process.
        born: When the process began, by the kernel's count: numbers of processes are used again.
        job: Job in hand, or ''.
        beat_at: When the file was last written.
        looked_at: When the worker last looked for jobs.
        renewed_at: When the lease of the job in hand was last renewed; None where another process
            holds it.
    """

    name: str
    poll_interval: float
    lease: float
    pid: int = field(default_factory=os.getpid)
    born: str = field(default_factory=lambda: _find_birth(os.getpid()))
    job: str = ""
    beat_at: float = field(default_factory=time.monotonic)
    looked_at: float = field(default_factory=time.monotonic)
    renewed_at: float | None = None
    _is_kept: bool = True

    def turn_to(self, job: str, *, is_leased: bool = True) -> None:
        """Note what the worker is at from now on, for the next beat; '' is looking for jobs."""
        self.job = job
        self.looked_at = time.monotonic()
        self.renewed_at = self.looked_at if is_leased else None

    def beat(self) -> None:
        """Write the file; where that is impossible, a worker works on without."""
        if not self._is_kept:
            return
        self.beat_at = time.monotonic()
        values = {name: value for name, value in asdict(self).items() if name[0] != "_"}
        try:
            fresh = self._file.with_suffix(".new")
            fresh.write_text(json.dumps(values))
            fresh.replace(self._file)
        except (OSError, SetupError) as error:
            self._is_kept = False
            logger.warning("`workflow-deeplabcut health` will not see this worker: %s", error)

    def stop(self) -> None:
        """Delete the file: this worker has ended in order."""
        with contextlib.suppress(OSError, SetupError):
            self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return find_folder() / f"{self.pid}.json"

    # --- how it is --------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        """Whether its process is still there."""
        return _find_birth(self.pid) == self.born

    def diagnose(self) -> str:
        """Say what is wrong with a living worker, in words that follow its name; '' for nothing."""
        now = time.monotonic()
        silent, idle = now - self.beat_at, now - self.looked_at
        if silent > self.lease:
            return f"has shown no life for {silent:.0f} s"
        if self.job and self.renewed_at is not None and now - self.renewed_at > self.lease:
            return (
                f"has not renewed its lease on {self.job} for {now - self.renewed_at:.0f} s: the "
                "database does not answer it"
            )
        if not self.job and idle > self.poll_interval + _SLACK_S:
            return f"has not looked for jobs for {idle:.0f} s: the database does not answer it"
        return ""


def list_hearts() -> list[Heart]:
    """Read what the living workers of this user on this machine have written.

    Raises:
        SetupError: The folder belongs to somebody else.
    """
    hearts = []
    for file in sorted(find_folder().glob("*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError):  # it has just ended
            hearts.append(Heart(**json.loads(file.read_text())))
    return [heart for heart in hearts if heart.is_alive]


def find_folder() -> Path:
    """Folder of this user's workers on this machine; it is created where it is missing.

    Raises:
        SetupError: It belongs to somebody else, or cannot be made.
    """
    folder = Path(f"workflow-deeplabcut-{os.geteuid()}")
    try:
        folder = Path(tempfile.gettempdir()) / folder  # raises where all is read-only
        folder.mkdir(mode=0o700, exist_ok=True)
        is_ours = folder.stat().st_uid == os.geteuid() and not folder.is_symlink()
    except OSError as error:
        raise SetupError(f"'{folder}' cannot be made ({error}). Set TMPDIR to a folder that can "
                         "be written.") from error  # fmt: skip
    if not is_ours:
        raise SetupError(f"'{folder}' belongs to another user. Set TMPDIR to a folder of your own.")
    return folder


def _find_birth(pid: int) -> str:
    """When a process began, in the kernel's ticks; '' for one that is not there."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "" if Path("/proc/self").exists() or not _answers(pid) else "unknown"
    return stat.rpartition(")")[2].split()[19]  # the name before it may hold anything


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
