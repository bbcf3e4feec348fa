"""Housekeeping: which folders of the processed directory nothing needs any more.

Only what this package made and recognizes is ever judged: a run by its manifest, a bundle by its
facts, an attempt by the pattern of its name, each in the folder where this package puts it, and
none of them when it holds a file that was not published with it. Everything else is left alone.
Links are neither followed nor taken for folders.

Needed is what a row names, what a row is still to be made from (the task is there and its result is
not, so the next ``populate`` finds the run), and whatever is young. Age counts from the newest
modification of anything inside, by the clock of the storage: an attempt that a living worker writes
is young, and so is a run or bundle that was just found again.

A folder is removed by renaming it into ``.trash`` beside it and deleting it there. So a half
deleted one never has the name of a result, and a worker that looks for it after the rename finds
nothing and computes again. One that claims it just before makes it young; then it is put back, and
the worker waits for that (see `files.claim`).

What rows need is known of one pipeline only. Where several databases share a processed directory,
what belongs to the others looks unneeded here: give each its own, or do not prune.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ParameterError, PathError
from .bundles import MODELS, recognize_bundle
from .files import ATTEMPTS, TRASH, list_files, make_folder
from .runs import MANIFEST, name_key, recognize_run

DAY = 86400.0
"""Seconds. Nothing younger is ever removed, whatever is asked."""

PATIENCE = 30 * DAY
"""Seconds for which an attempt is kept whose task has no result yet (a training resumes from it;
an analysis may compute for days without writing), and for which a damaged folder that was set
aside can still be looked at."""

DAMAGED = ".damaged"
BUNDLES = "bundle"
VIDEOS = "video"
POSES = "inference"
_PLACES = {
    "trainings": "training",
    "evaluations": "evaluation",
    "recordings": "recording",
    MODELS: BUNDLES,
}
_PLACES_OF_FOLDERS = {"poses": POSES, "videos": VIDEOS}
_ATTEMPT = re.compile(r"(?P<name>.+)-[0-9a-f]{16}\.[0-9a-f]{12}|bundle\.[0-9a-f]{12}")
_SET_ASIDE = re.compile(r"(.+-[0-9a-f]{16}|[0-9a-f]{64})\.[0-9a-f]{8}")
_TRASHED = re.compile(r".+\.[0-9a-f]{12}")

Key = frozenset[tuple[str, str]]
"""Primary key of a row, every value as text."""


def make_key(key: Mapping[str, Any]) -> Key:
    """Write a primary key such that a row's and a manifest's compare."""
    return frozenset((name, str(value)) for name, value in key.items())


@dataclass(frozen=True)
class RowKeys:
    """The rows of one kind of run.

    Attributes:
        tasks: Keys of what there is to do.
        results: Keys of what is recorded. Leave it empty to keep runs as long as their task.
    """

    tasks: frozenset[Key] = frozenset()
    results: frozenset[Key] = frozenset()

    @cached_property
    def pending_names(self) -> frozenset[str]:
        """How the names of attempts begin whose task has no result yet."""
        return frozenset(name_key(dict(key)) for key in self.tasks - self.results)


@dataclass(frozen=True)
class References:
    """What the rows of a pipeline need of a processed directory.

    Paths are POSIX, relative to that directory.

    Attributes:
        rows: Kind of run (``training``, ``evaluation``, ``recording``, ``inference``, ``video``)
            -> its rows. Runs of a kind that is missing here are not judged.
        bundles: Hashes of the bundles in use.
        paths: Files and folders that rows name; a folder that is or holds one is kept.
        trees: Folders that rows name with all that lies in them.
        output_dirs: Folders with runs of kind ``inference``, beside those below ``poses``.
    """

    rows: Mapping[str, RowKeys]
    bundles: frozenset[str] = frozenset()
    paths: frozenset[str] = frozenset()
    trees: frozenset[str] = frozenset()
    output_dirs: frozenset[str] = frozenset()

    def name(self, folder: PurePosixPath) -> bool:
        """Whether a row names a folder, something in it, or a whole tree that it lies in."""
        above = (folder, *folder.parents[:-1])  # the processed directory itself is no tree
        return str(folder) in self._holders or any(str(one) in self.trees for one in above)

    @cached_property
    def _holders(self) -> frozenset[str]:
        named = [PurePosixPath(path) for path in (*self.paths, *self.trees)]
        return frozenset(str(holder) for path in named for holder in (path, *path.parents))


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


@dataclass(frozen=True)
class Survey:
    """What lies in a processed directory.

    Attributes:
        candidates: Folders that nothing needs.
        kept: Path of every other folder that was looked at -> why it stays.
    """

    candidates: tuple[Candidate, ...]
    kept: Mapping[str, str]

    @property
    def size(self) -> int:
        """Bytes of all candidates."""
        return sum(candidate.size for candidate in self.candidates)


NAMED = "a row needs it"
PENDING = "its task has no result yet"
SET_ASIDE = "it is damaged, and kept for a while to be looked at"
YOUNG = "it is too young"
NOT_JUDGED = "its tables are not active"
FOREIGN = "it is nothing that this package made"


def survey(
    processed: Path,
    references: References,
    min_age: float = DAY,
    on_progress: Callable[[str], None] = lambda path: None,
) -> Survey:
    """Look at everything that this package may have made in a processed directory.

    Args:
        processed: The processed directory; one that does not exist holds nothing.
        references: What rows need.
        min_age: Seconds; less than a day counts as a day.
        on_progress: Called with each path before it is looked at.

    Raises:
        PathError: No file can be created in it to ask the storage for its time.
    """
    candidates, kept = [], {}
    if processed.is_dir():
        now = read_clock(processed)
        for folder in _list_folders(processed, references):
            on_progress(str(folder))
            verdict = judge(processed, folder, references, now, min_age)
            if isinstance(verdict, Candidate):
                candidates.append(verdict)
            else:
                kept[str(folder)] = verdict
    return Survey(tuple(candidates), kept)


def remove(
    processed: Path,
    candidate: Candidate,
    references: Sequence[References],
    min_age: float = DAY,
) -> str:
    """Remove a candidate, unless it is needed by now.

    Args:
        processed: The processed directory.
        candidate: What `survey` found.
        references: What rows need, read after that; the last of them just now. It is kept when
            any of them says so.
        min_age: As for `survey`.

    Returns:
        Why it was kept after all; '' when it is gone.

    Raises:
        PathError: It cannot be removed; nothing of it has the name of a result any more, or all
            of it is where it was.
    """
    path = PurePosixPath(candidate.path)
    folder = processed / path
    try:
        kept = _find_why_kept(processed, path, references, min_age)
        if kept:
            return kept
        if _split(path)[1] == TRASH:
            shutil.rmtree(folder)
            return ""
        with _announce(processed, path) as trashed:
            kept = _find_why_kept(processed, path, references, min_age)
            if kept:
                return kept
            os.rename(folder, trashed)
            if read_clock(processed) - _measure(trashed)[1] < max(min_age, DAY):
                return _put_back(trashed, folder)
            shutil.rmtree(trashed)
    except FileNotFoundError:
        return "somebody else removed or moved it"
    except OSError as error:
        raise PathError(
            f"'{folder}' cannot be removed ({error.strerror or error}). Check who owns it and "
            "whether it may be written on this machine, then prune again."
        ) from error
    return ""


def _find_why_kept(
    processed: Path, path: PurePosixPath, references: Sequence[References], min_age: float
) -> str:
    now = read_clock(processed)
    for known in references:
        verdict = judge(processed, path, known, now, min_age)
        if isinstance(verdict, str):
            return verdict
    return ""


@contextmanager
def _announce(processed: Path, path: PurePosixPath) -> Iterator[Path]:
    """Say which folder is going to be removed, for `files.claim`, and where to.

    The announcement is an empty folder, over which the other is then renamed.
    """
    trash = make_folder(processed / _split(path)[0], TRASH)
    trashed = trash / f"{path.name}.{uuid.uuid4().hex[:12]}"
    trashed.mkdir()
    try:
        yield trashed
    finally:
        with contextlib.suppress(OSError):  # only the announcement is empty
            trashed.rmdir()


def _put_back(trashed: Path, folder: Path) -> str:
    """A worker found it between the last look at it and the rename."""
    try:
        os.rename(trashed, folder)
    except OSError:  # the worker made it again; both are the same result
        if not os.path.lexists(folder):
            raise
        shutil.rmtree(trashed)
    return YOUNG


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


# --- where to look --------------------------------------------------------------------------------


def _list_folders(processed: Path, references: References) -> Iterator[PurePosixPath]:
    containers = _list_containers(processed, references)
    for container in containers:
        for drawer in ("", ATTEMPTS, DAMAGED, TRASH):
            parent = container / drawer
            for name in _list_subfolders(processed, parent):
                is_hidden = name.startswith(".")  # a drawer, or nothing of ours
                is_container = parent / name in containers and not _is_run(processed, parent / name)
                if not is_hidden and not is_container:
                    yield parent / name


def _list_containers(processed: Path, references: References) -> dict[PurePosixPath, None]:
    """Name the folders that hold results of some kind, sorted."""
    found = {PurePosixPath(name) for name in _PLACES}
    for parent in map(PurePosixPath, _PLACES_OF_FOLDERS):
        found.add(parent)
        found.update(
            parent / name
            for name in _list_subfolders(processed, parent)
            if not _is_run(processed, parent / name)
        )
    found.update(map(PurePosixPath, references.output_dirs))
    hidden = {path for path in found if any(part.startswith(".") for part in path.parts)}
    return dict.fromkeys(sorted(found - hidden))


def _is_run(processed: Path, relative: PurePosixPath) -> bool:
    return os.path.lexists(processed / relative / MANIFEST)


def _list_subfolders(processed: Path, relative: PurePosixPath) -> list[str]:
    if not _is_plain(processed, relative):
        return []
    with os.scandir(processed / relative) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def _is_plain(processed: Path, relative: PurePosixPath) -> bool:
    """Whether every part of a path below the processed directory is a folder, and no link."""
    folder = processed
    for part in relative.parts:
        folder = folder / part
        try:
            if not stat.S_ISDIR(os.lstat(folder).st_mode):
                return False
        except OSError:
            return False
    return ".." not in relative.parts and not relative.is_absolute()


def _kinds_in(container: PurePosixPath, references: References) -> set[str]:
    """Which kinds of results this package puts directly into a folder."""
    kinds = set()
    if str(container) in _PLACES:
        kinds.add(_PLACES[str(container)])
    for top, kind in _PLACES_OF_FOLDERS.items():
        if container == PurePosixPath(top) or container.parent == PurePosixPath(top):
            kinds.add(kind)
    if str(container) in references.output_dirs:
        kinds.add(POSES)
    return kinds


def _split(path: PurePosixPath) -> tuple[PurePosixPath, str]:
    """Split a folder's path into the folder of its kind and the drawer in it, if any."""
    parent = path.parent
    if parent.name in (ATTEMPTS, DAMAGED, TRASH):
        return parent.parent, parent.name
    return parent, ""


# --- what to think of it --------------------------------------------------------------------------


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
    container, drawer = _split(path)
    kinds = _kinds_in(container, references)
    if not kinds or not _is_plain(processed, path):
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
        size, newest = _measure(processed / path)
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
    if key in rows.tasks and key not in rows.results:
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


def _measure(folder: Path) -> tuple[int, float]:
    """Bytes of the files in a folder, and the newest modification of anything inside.

    Raises:
        OSError: Part of it cannot be read, so neither is known.
    """
    info = os.lstat(folder)
    size, newest = 0, info.st_mtime
    if stat.S_ISDIR(info.st_mode):
        with os.scandir(folder) as entries:
            for entry in entries:
                inner_size, inner_newest = _measure(Path(entry.path))
                size, newest = size + inner_size, max(newest, inner_newest)
    elif stat.S_ISREG(info.st_mode):
        size = info.st_size
    return size, newest
