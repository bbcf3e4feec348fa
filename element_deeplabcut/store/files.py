"""Creating, hashing and syncing files without following planted links."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import PathError

ATTEMPTS = ".attempts"
TRASH = ".trash"
_PATIENCE_S = 5
"""How long a claim waits for a removal, whose process may have been killed in the middle of it."""
_CHUNK = 1 << 20


def hash_file(file: Path, on_bytes: Callable[[int], object] = lambda read: None) -> str:
    """SHA-256 of a file's content, as hex; ``on_bytes`` hears how many bytes were read."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


def hash_json(value: Any) -> str:
    """SHA-256 of a plain value, independent of key order, as hex."""
    return hashlib.sha256(dump_json(value).encode()).hexdigest()


def dump_json(value: Any) -> str:
    """Write a plain value as canonical JSON (dates and UUIDs as texts)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_to_plain)


def _to_plain(value: Any) -> Any:
    # A number of numpy's is the number; dates and UUIDs are written as texts.
    return value.item() if hasattr(value, "item") else str(value)


def list_files(folder: Path) -> dict[str, Path]:
    """List the regular files below a folder: POSIX path relative to it -> file, sorted.

    Links are listed as what they are, not followed into folders.
    """
    found = {}
    for parent, folders, names in os.walk(folder):
        linked = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*names, *linked):
            file = Path(parent) / name
            found[file.relative_to(folder).as_posix()] = file
    return dict(sorted(found.items()))


def measure_folder(folder: Path) -> int:
    """Add up the sizes of the regular files below a folder, in bytes."""
    files = (file.lstat() for file in list_files(folder).values())
    return sum(facts.st_size for facts in files if stat.S_ISREG(facts.st_mode))


def make_folder(base: Path, *parts: str) -> Path:
    """Create a folder below ``base``, refusing to pass through a link planted there.

    ``base`` itself is the lab's own choice and may be a link.

    Raises:
        PathError: Something of that name is a link or a file, or the folder cannot be created.
    """
    folder = base
    try:
        base.mkdir(parents=True, exist_ok=True)
        for part in parts:
            if part in ("", ".", "..") or "/" in part:
                raise PathError(f"'{part}' is not the name of a folder below '{folder}'.")
            folder = folder / part
            try:
                folder.mkdir()
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(folder).st_mode):
                    raise PathError(
                        f"'{folder}' is a link or a file where this package creates a folder. "
                        "Move it away."
                    ) from None
    except OSError as error:
        raise PathError(
            f"The folder '{folder}' cannot be created ({error.strerror}). Check the permissions "
            "and free space of the processed directory."
        ) from error
    return folder


def slugify(text: str, length: int = 40) -> str:
    """Make a readable, safe file name part of any text. Different texts may give the same."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")
    return slug[:length].rstrip("-") or "run"


def write_new(file: Path, text: str) -> None:
    """Create a file that must not exist yet, and bring it to the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(file, flags, 0o644)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def attempt_folder(
    parent: Path, name: str, keep: Callable[[Path, BaseException], bool] | None = None
) -> Iterator[Path]:
    """Give a fresh private folder to work in; it is removed unless it was published.

    The name is unpredictable, so nothing can have been planted in it.

    Args:
        parent: Folder below whose attempts it is created.
        name: What its name begins with.
        keep: Says of a failed attempt whether its folder is to stay.
    """
    folder = make_folder(parent, ATTEMPTS) / f"{name}.{uuid.uuid4().hex[:12]}"
    folder.mkdir(mode=0o755)
    is_kept = False
    try:
        yield folder
    except BaseException as error:
        is_kept = keep is not None and folder.exists() and keep(folder, error)
        raise
    finally:
        if folder.exists() and not is_kept:
            shutil.rmtree(folder, ignore_errors=True)


def publish(attempt: Path, target: Path) -> bool:
    """Give a finished attempt its name by one rename.

    Returns:
        False when another worker published under that name first; the attempt is then left.
    """
    for file in list_files(attempt).values():
        if not file.is_symlink():
            _sync(file)
    _sync(attempt)
    try:
        os.rename(attempt, target)
    except OSError:
        if os.path.lexists(target):
            return False
        raise
    _sync(target.parent)
    return True


def mark_used(folder: Path) -> bool:
    """Make a folder young again, so that housekeeping leaves it to who has just found it.

    Returns:
        False when it is gone.
    """
    try:
        os.utime(folder)
    except FileNotFoundError:
        return False
    except OSError:  # another user's folder, or read-only storage
        return os.path.lexists(folder)
    return True


def claim(folder: Path) -> bool:
    """Insist on a published folder that housekeeping may be about to remove.

    Housekeeping announces a removal in ``.trash`` before it looks at the folder's age for the last
    time; here the folder is made young before looking for an announcement. So one of the two
    notices the other: either the folder stays or is put back, or it is gone.

    Returns:
        Whether it is there, and stays.
    """
    if not mark_used(folder):
        return False
    until = time.monotonic() + _PATIENCE_S
    announced = f"{glob.escape(folder.name)}.*"
    while any((folder.parent / TRASH).glob(announced)) and time.monotonic() < until:
        time.sleep(0.01)
    return os.path.lexists(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fingerprint(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Hash every regular file below a folder: relative POSIX path -> SHA-256."""
    return {
        name: hash_file(file)
        for name, file in list_files(folder).items()
        if not file.is_symlink() and name not in without
    }


def find_changed(folder: Path, hashes: Mapping[str, str]) -> list[str]:
    """Name the files whose content is no longer what ``hashes`` says, or that are gone."""
    return [
        name
        for name, expected in hashes.items()
        if not (folder / name).is_file() or hash_file(folder / name) != expected
    ]
