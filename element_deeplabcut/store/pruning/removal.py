"""Removing what nothing needs, safely beside living workers."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ...errors import PathError
from ..files import TRASH, make_folder
from .clock import DAY, read_clock
from .needs import References
from .places import split_drawer
from .verdicts import YOUNG, Candidate, judge, measure


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
        if split_drawer(path)[1] == TRASH:
            shutil.rmtree(folder)
            return ""
        with _announce(processed, path) as trashed:
            kept = _find_why_kept(processed, path, references, min_age)
            if kept:
                return kept
            os.rename(folder, trashed)
            if read_clock(processed) - measure(trashed)[1] < max(min_age, DAY):
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
    trash = make_folder(processed / split_drawer(path)[0], TRASH)
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
