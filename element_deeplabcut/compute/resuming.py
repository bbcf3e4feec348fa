"""Going on with a training that was stopped: by a signal, a lost machine, a lost lease.

A training that is stopped leaves its attempt folder, with a note of who worked on it. The next one
with the same identity (the same task, parameters, labels and project) copies the newest complete
snapshot from there and goes on after it. It copies rather than takes over, because whoever is
thought dead may only have been paused, and may still write. DeepLabCut's version must be the same.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engines.base import Engine
from ..errors import ElementError, Stopped
from ..readers.learning_curve import EARLIER_CURVE, LEARNING_STATS, cut_learning_curve
from ..readers.snapshots import Snapshot, list_snapshots
from ..store.files import make_folder, mark_used, write_new
from ..store.runs import Attempt
from ..store.views import ProjectView

NOTE = "attempt.json"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resumption:
    """Where a training goes on.

    Attributes:
        snapshot: Snapshot in the new view to go on from; None starts from the beginning.
        history: Where it was resumed, the first time first: epochs done, host and start of the
            attempt that had done them.
    """

    snapshot: Snapshot | None
    history: list[dict[str, Any]]

    @property
    def epochs(self) -> int:
        """Epochs (iterations) that are done."""
        return self.snapshot.epochs if self.snapshot else 0


def is_resumable(folder: Path, error: BaseException) -> bool:
    """Whether an attempt that ended so is worth keeping: stopped, not failed, with a snapshot."""
    was_stopped = isinstance(error, (KeyboardInterrupt, SystemExit, Stopped))
    return was_stopped and any(folder.glob("project/**/train/snapshot-*"))


def resume(attempt: Attempt, view: ProjectView, engine: Engine, version: str) -> Resumption:
    """Bring a fresh view to where an earlier attempt at the same training stopped, if one did.

    Args:
        attempt: The new attempt.
        view: Its view, with dataset and engine config but no snapshots.
        engine: The engine.
        version: DeepLabCut's version here.
    """
    resumption = _copy_newest(attempt, view, engine, version) or Resumption(None, [])
    write_new(attempt.directory / NOTE, json.dumps(_describe(version, resumption.history)))
    if resumption.snapshot:
        logger.info("Resuming after %d epochs or iterations.", resumption.epochs)
    return resumption


def _describe(version: str, history: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "deeplabcut": version,
        "host": socket.gethostname(),
        "started_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        "resumed": history,
    }


def _copy_newest(
    attempt: Attempt, view: ProjectView, engine: Engine, version: str
) -> Resumption | None:
    for earlier, note, snapshot in _find_snapshots(attempt, view, version):
        try:
            if engine.is_complete(snapshot):
                _copy_dataset(earlier, view)
                _copy_snapshots(snapshot, view, engine)
                _copy_curve(snapshot.path.parent, view.train_folder, snapshot.epochs)
                return _go_on_from(snapshot, view, note)
        except (OSError, ElementError) as error:  # its worker may live, and tidy up
            logger.warning("Cannot resume from '%s' (%s).", snapshot.path, error)
    return None


def _go_on_from(snapshot: Snapshot, view: ProjectView, note: Mapping[str, Any]) -> Resumption:
    copy = dataclasses.replace(snapshot, path=view.train_folder / snapshot.path.name)
    stop = {"epochs": snapshot.epochs, "host": note["host"], "started_at": note["started_at"]}
    return Resumption(copy, [*note["resumed"], stop])


def _find_snapshots(
    attempt: Attempt, view: ProjectView, version: str
) -> list[tuple[Path, Mapping[str, Any], Snapshot]]:
    """List the snapshots of all earlier attempts, the longest trained first.

    Each comes with the view it was trained in and the note of its attempt.
    """
    project = view.directory.relative_to(attempt.directory)
    train_folder = view.train_folder.relative_to(view.directory)
    found = []
    for folder in attempt.list_earlier():
        note = _read_note(folder)
        if note.get("deeplabcut") == version and mark_used(folder):
            earlier = folder / project
            snapshots = list_snapshots(earlier / train_folder, view.engine)
            found += [(earlier, note, snapshot) for snapshot in snapshots]
    return sorted(found, key=lambda item: item[2].epochs, reverse=True)


def _read_note(folder: Path) -> dict[str, Any]:
    try:
        note = json.loads((folder / NOTE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # killed before it was written
        return {}
    return note if isinstance(note, dict) else {}


def _copy_dataset(project: Path, view: ProjectView) -> None:
    """Take the split the snapshot was trained on, which another numpy might draw otherwise."""
    folder = make_folder(view.directory, *view.project.dataset_folder().parts)
    for file in (project / view.project.dataset_folder()).iterdir():
        shutil.copyfile(file, folder / file.name)


def _copy_snapshots(newest: Snapshot, view: ProjectView, engine: Engine) -> None:
    """Copy a snapshot and those before it, as if the training had never stopped."""
    for snapshot in list_snapshots(newest.path.parent, view.engine):
        if snapshot.epochs <= newest.epochs and engine.is_complete(snapshot):
            for file in snapshot.files:
                shutil.copyfile(file, view.train_folder / file.name)


def _copy_curve(source: Path, target: Path, epochs: int) -> None:
    parts = [source / EARLIER_CURVE, source / LEARNING_STATS]
    text = "".join(
        cut_learning_curve(part.read_text(encoding="utf-8"), epochs)
        for part in parts
        if part.is_file()
    )
    (target / LEARNING_STATS).write_text(text, encoding="utf-8")
