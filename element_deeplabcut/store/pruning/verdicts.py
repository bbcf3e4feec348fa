"""What to think of one folder: needed, young, nothing of ours, or a candidate for removal."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ..bundles import recognize_bundle
from ..files import ATTEMPTS, TRASH, list_files
from ..runs import recognize_run
from .clock import DAY, PATIENCE
from .needs import References, make_key
from .places import BUNDLES, DAMAGED, VIDEOS, find_kinds, is_plain, split_drawer

_ATTEMPT = re.compile(r"(?P<name>.+)-[0-9a-f]{16}\.[0-9a-f]{12}|bundle\.[0-9a-f]{12}")
_SET_ASIDE = re.compile(r"(.+-[0-9a-f]{16}|[0-9a-f]{64})\.[0-9a-f]{8}")
_TRASHED = re.compile(r".+\.[0-9a-f]{12}")

NAMED = "a row needs it"
PENDING = "its task has no result yet"
STAYS = "it stays as long as its recording"
SET_ASIDE = "it is damaged, and kept for a while to be looked at"
YOUNG = "it is too young"
NOT_JUDGED = "its tables are not active"
FOREIGN = "it is nothing that this package made"


@dataclass(frozen=True)
class Candidate:
    """A folder that nothing needs.

    Attributes:
        path: POSIX path relative to the processed directory.
        kind: ``training``, ``evaluation``, ``recording``, ``inference`` or ``video`` for a
            published run; ``bundle``; ``attempt``; ``damaged``; ``trash`` for what a removal that
            was interrupted left.
        size: Bytes of its files.
        age: Seconds since the newest modification of anything inside.
        reason: Why nothing needs it.
        key: Primary key of the row that a published run was for.
    """

    path: str
    kind: str
    size: int
    age: float
    reason: str
    key: Mapping[str, Any] = field(default_factory=dict)


def judge(
    processed: Path, path: PurePosixPath, references: References, now: float, min_age: float
) -> Candidate | str:
    """Decide about one folder.

    Args:
        processed: The processed directory.
        path: The folder, relative to it.
        references: What rows need.
        now: Time of the storage, see `read_clock`.
        min_age: Seconds; less than a day counts as a day.

    Returns:
        The candidate, or why the folder stays.
    """
    min_age = max(min_age, DAY)
    container, drawer = split_drawer(path)
    kinds = find_kinds(container, references)
    if not kinds or not is_plain(processed, path):
        return FOREIGN
    if references.name(path):
        return NAMED
    if drawer:
        found = _judge_drawer(path, drawer, kinds, references)
    elif kinds == {BUNDLES}:
        found = _judge_bundle(processed / path, references)
    else:
        found = _judge_run(processed / path, kinds, references)
    if isinstance(found, str):
        return found
    try:
        size, newest = measure(processed / path)
        if drawer == TRASH:  # its content is old, and another prune may be at work on it
            newest = max(newest, os.lstat(processed / path.parent).st_mtime)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    age = now - newest
    if age < min_age:
        return YOUNG
    if found.waits and age < PATIENCE:
        return found.waits
    return Candidate(str(path), found.kind, size, age, found.reason, found.key)


@dataclass(frozen=True)
class _Unneeded:
    """A folder that may go when it is old enough."""

    kind: str
    reason: str
    key: Mapping[str, Any] = field(default_factory=dict)
    waits: str = ""  # why it is kept until `PATIENCE` has passed


def _judge_run(folder: Path, kinds: set[str], references: References) -> _Unneeded | str:
    recognized = recognize_run(folder)
    if recognized is None:
        return FOREIGN
    identity, files = recognized
    # Videos are told by their place: whatever makes them says what kind of run it is.
    kind = VIDEOS if kinds == {VIDEOS} else identity.kind
    if kind not in kinds:
        return FOREIGN
    if kind not in references.rows:
        return NOT_JUDGED
    rows, key = references.rows[kind], make_key(identity.key)
    if key in rows.tasks:
        if rows.results is None:
            return STAYS
        if key not in rows.results:
            return PENDING
    reason = "its row was made from another run" if key in rows.tasks else "its task is gone"
    return _find_strangers(folder, files) or _Unneeded(kind, reason, identity.key)


def _judge_bundle(folder: Path, references: References) -> _Unneeded | str:
    files = recognize_bundle(folder)
    if files is None:
        return FOREIGN
    if folder.name in references.bundles:
        return NAMED
    return _find_strangers(folder, files) or _Unneeded(BUNDLES, "no model is registered from it")


def _find_strangers(folder: Path, files: frozenset[str]) -> str:
    """Say which files somebody put into a published folder; links are of this package's making."""
    strangers = [
        name
        for name, file in list_files(folder).items()
        if name not in files and not file.is_symlink()
    ]
    return f"it holds files that this package did not make: {strangers[0]}" if strangers else ""


def _judge_drawer(
    path: PurePosixPath, drawer: str, kinds: set[str], references: References
) -> _Unneeded | str:
    pattern = {ATTEMPTS: _ATTEMPT, DAMAGED: _SET_ASIDE, TRASH: _TRASHED}[drawer]
    match = pattern.fullmatch(path.name)
    if match is None:
        return FOREIGN
    if not kinds <= {*references.rows, BUNDLES}:
        return NOT_JUDGED
    if drawer == TRASH:
        return _Unneeded("trash", "a removal was interrupted")
    if drawer == DAMAGED:
        return _Unneeded("damaged", "it was set aside and made again", waits=SET_ASIDE)
    if match["name"] is None:
        return _Unneeded("attempt", "whoever made it is gone")
    if any(match["name"] in references.rows[kind].pending_names for kind in kinds - {BUNDLES}):
        return _Unneeded("attempt", "nobody went on with it", waits=PENDING)
    return _Unneeded("attempt", "its task is gone or has its result")


def measure(folder: Path) -> tuple[int, float]:
    """Bytes of the files in a folder, and the newest modification of anything inside.

    Raises:
        OSError: Part of it cannot be read, so neither is known.
    """
    info = os.lstat(folder)
    size, newest = 0, info.st_mtime
    if stat.S_ISDIR(info.st_mode):
        with os.scandir(folder) as entries:
            for entry in entries:
                inner_size, inner_newest = measure(Path(entry.path))
                size, newest = size + inner_size, max(newest, inner_newest)
    elif stat.S_ISREG(info.st_mode):
        size = info.st_size
    return size, newest
