"""The directory a private server owns: names, locking, files that only their owner can read."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import DatabaseError, PathError, SetupError

SOCKET_PATH_BYTES = 103
"""The longest socket path that every system takes (Linux 107, macOS 103)."""

SHORT_TEMP = Path("/tmp")
"""Where the socket of a deep directory goes; `TMPDIR` may be deep itself, or go with a job."""

POLL_SECONDS = 0.05


class Home:
    """The directory a server owns, and the names in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path / "data"
        self.password = path / "password"
        self.first = path / "first.sql"
        self.state = path / "server.json"
        # Written by us, beside the server's own pid file, which goes before the process does.
        self.pid = path / "server.pid"
        self.log = path / "server.log"
        self.lock = path / "element-deeplabcut.lock"
        self.tmp = path / "tmp"

    @classmethod
    def of(cls, data_dir: Path | None) -> Home:
        """Name the directory: the argument, the environment, or the user's data directory."""
        chosen = data_dir or os.environ.get("DLC_DATABASE_DIR") or _default_dir()
        return cls(Path(chosen).expanduser().resolve())

    def claim(self) -> None:
        """Make the directory, or see that an existing one is free for us or ours already."""
        advice = "Name another directory, as an argument or in DLC_DATABASE_DIR."
        if ":" in str(self.path):  # the server takes its --tmpdir for a list
            raise PathError(f"{self.path} has a colon in its path. {advice}")
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.stat().st_uid != os.geteuid():
                raise PathError(f"{self.path} belongs to another user. {advice}")
            names = {entry.name for entry in self.path.iterdir()}
            if names and self.lock.name not in names:
                raise PathError(f"{self.path} holds other files. {advice}")
            self.path.chmod(0o700)
            os.close(os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            raise PathError(f"{self.path} cannot hold the database: {error}. {advice}") from error

    def read_state(self) -> dict[str, Any]:
        """What was remembered of the last start; nothing if that was never written or is torn."""
        try:
            state = json.loads(self.state.read_text())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def write_state(self, **state: Any) -> None:
        """Remember a start, in one step."""
        draft = self.state.with_suffix(".draft")
        draft.write_text(json.dumps(state))
        draft.replace(self.state)

    def log_tail(self, lines: int = 20) -> str:
        """The last lines the server or its installer wrote."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join([f"The end of {self.log}:", *text.splitlines()[-lines:]])


@contextlib.contextmanager
def locked(home: Home, deadline: float) -> Iterator[int]:
    """Keep other processes from starting or stopping this server; the kernel ends it with us.

    Yields:
        Descriptor that holds the lock, with whoever inherits it.
    """
    descriptor = os.open(home.lock, os.O_RDWR | os.O_NOFOLLOW)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pause(deadline, f"Another process is still starting or stopping {home.path}.")
        yield descriptor
    finally:
        os.close(descriptor)


def pause(deadline: float, message: str) -> None:
    """Sleep a little, unless the time is up."""
    if time.monotonic() > deadline:
        raise DatabaseError(f"{message} Wait for it and call again, or allow a longer timeout.")
    time.sleep(POLL_SECONDS)


def write_private(path: Path, text: str) -> None:
    """Write a file that is readable by its owner only from the first moment, and on the disk."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _default_dir() -> Path:
    shared = os.environ.get("XDG_DATA_HOME", "")
    if os.path.isabs(shared):  # the specification has relative ones ignored
        return Path(shared) / "element-deeplabcut" / "database"
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise SetupError(
            "This user has no home directory: name one for the database in DLC_DATABASE_DIR."
        ) from None
    return Path(home) / ".local" / "share" / "element-deeplabcut" / "database"


def choose_socket(home: Home) -> Path:
    """A socket path short enough for the system, in a directory that only we can enter."""
    digest = hashlib.sha256(os.fsencode(home.path)).hexdigest()[:16]
    name = f"{digest}.sock"
    used = Path(home.read_state().get("socket", "/"))
    folders = [used.parent] if used.name == name else []  # not the one of a copied directory
    # Not XDG_RUNTIME_DIR, which goes when the user logs out; the server stays.
    for base in (SHORT_TEMP, Path(tempfile.gettempdir())):
        folders.append(base / f"element-deeplabcut-{os.geteuid()}")
    if _fits(home.path / "server.sock"):
        return home.path / "server.sock"
    for folder in folders:
        if _fits(folder / name) and _is_private(folder):
            return folder / name
    # All those names are taken by somebody else; one that cannot be guessed is not.
    return Path(tempfile.mkdtemp(prefix="element-deeplabcut-", dir=SHORT_TEMP)) / name


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= SOCKET_PATH_BYTES


def _is_private(folder: Path) -> bool:
    """Make a directory of our own, or see that what is there is one, and no link to elsewhere."""
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError:
        return False
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return ours and not stat.S_IMODE(found.st_mode) & 0o077
