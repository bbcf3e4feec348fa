"""Run directories: one folder per long computation, found again whatever happened after it.

A run is identified by the row it is for and by everything its result depends on (parameters,
hashes of labels, model and videos). Its folder is built under ``.attempts``, gets a manifest, and
is published by one rename. If the worker dies before the result is in the database, the next
``populate`` asks for the same identity, finds the folder and only inserts. A folder without a
manifest is never a result; one whose inputs differ is another run.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ResultError
from ..interruption import check_interruption
from .files import (
    attempt_folder,
    claim,
    dump_json,
    find_changed,
    fingerprint,
    hash_json,
    make_folder,
    mark_used,
    publish,
    slugify,
    write_new,
)

MANIFEST = "manifest.json"
_FORMAT = 1
_PARTS = {"identity", "result", "files", "finished_at"}
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunIdentity:
    """What makes two runs the same run.

    Attributes:
        kind: ``training``, ``evaluation`` or ``inference``.
        key: Primary key of the row the run is for.
        inputs: Everything else the result depends on, as plain values.
    """

    kind: str
    key: Mapping[str, Any]
    inputs: Mapping[str, Any]

    @property
    def plain(self) -> dict[str, Any]:
        """The identity as the manifest holds it."""
        identity = {"kind": self.kind, "key": dict(self.key), "inputs": dict(self.inputs)}
        return json.loads(dump_json(identity))

    @property
    def name(self) -> str:
        """Folder name: readable, and distinct for distinct identities."""
        return f"{name_key(self.key)}-{hash_json(self.plain)[:16]}"


def name_key(key: Mapping[str, Any]) -> str:
    """Begin the name of every run of a key. Different keys may read the same."""
    return slugify("-".join(slugify(str(value), 20) for _, value in sorted(key.items())), 60)


@dataclass(frozen=True)
class Run:
    """A published run.

    Attributes:
        directory: Its folder.
        result: What the computation reported, as plain values.
        finished_at: When it was published, UTC.
    """

    directory: Path
    result: dict[str, Any]
    finished_at: datetime.datetime


class Attempt:
    """A run in the making: work in `directory`, then call `finish`."""

    def __init__(self, directory: Path, target: Path, identity: RunIdentity) -> None:
        self.directory = directory
        self._target = target
        self._identity = identity

    def list_earlier(self) -> list[Path]:
        """List the folders of other unfinished attempts at the same run."""
        pattern = f"{self._identity.name}.*"  # the name ends in a hash of the identity
        return [folder for folder in self.directory.parent.glob(pattern)
                if folder != self.directory and folder.is_dir()]  # fmt: skip

    def finish(self, result: Mapping[str, Any]) -> Run:
        """Write the manifest and publish the folder.

        When another worker published the same run first, that one is returned and this attempt is
        discarded: a result is published once.

        Raises:
            Interrupted: Another worker has this work now, or this one has to end.
            ResultError: Something else has the name of the run.
        """
        # Links lead out of the folder (labelled frames); they help a reader but are no result.
        manifest = {
            "format": _FORMAT,
            "identity": self._identity.plain,
            "result": json.loads(dump_json(dict(result))),
            "files": fingerprint(self.directory),
            "finished_at": datetime.datetime.now(datetime.timezone.utc).isoformat(),
        }
        check_interruption()
        write_new(self.directory / MANIFEST, json.dumps(manifest, indent=1))
        publish(self.directory, self._target)
        published = _read_run(self._target, self._identity)
        if published is None:
            raise ResultError(
                f"'{self._target}' exists but is not the run that was to be published there. Move "
                "it away and populate again."
            )
        return published


Keep = Callable[[Path, BaseException], bool]
"""Decides, of a failed attempt's folder and what failed, whether it is worth keeping."""


@contextmanager
def start_run(parent: Path, identity: RunIdentity, keep: Keep | None = None) -> Iterator[Attempt]:
    """Begin a run whose folder will be published in ``parent``.

    Failing leaves nothing behind, unless ``keep`` says that a later attempt can go on from it. A
    kept folder is no result: it has no manifest, and lies among the attempts.
    """
    with attempt_folder(parent, identity.name, keep) as folder:
        yield Attempt(folder, parent / identity.name, identity)


def find_run(parent: Path, identity: RunIdentity) -> Run | None:
    """Find the finished run with this identity, with every file as it was when published.

    A damaged run is set aside under another name and reported, so that the work is done again.
    """
    run = _read_run(parent / identity.name, identity) if claim(parent / identity.name) else None
    if run is not None:
        logger.info("Found finished %s in '%s'; not computing again.", identity.kind, run.directory)
    return run


def is_published(parent: Path, identity: RunIdentity) -> bool:
    """Whether a run with this identity seems to be there; its files are not looked at."""
    manifest = read_manifest(parent / identity.name)
    return manifest is not None and manifest["identity"] == identity.plain


def open_run(folder: Path) -> Run:
    """Open a published run by its folder.

    Raises:
        ResultError: It is missing or was changed since it was published.
    """
    manifest = read_manifest(folder)
    changed = find_changed(folder, manifest["files"]) if manifest else [MANIFEST]
    if manifest is None or changed:
        problem = ", ".join(changed)
        raise ResultError(
            f"The run directory '{folder}' is missing or damaged ({problem}). Restore it from a "
            "backup, or delete its row and populate again."
        )
    return _to_run(folder, manifest)


def _to_run(folder: Path, manifest: dict[str, Any]) -> Run:
    finished_at = datetime.datetime.fromisoformat(manifest["finished_at"])
    return Run(folder, manifest["result"], finished_at.replace(tzinfo=None))


def _read_run(folder: Path, identity: RunIdentity) -> Run | None:
    if not os.path.lexists(folder):
        return None
    manifest = read_manifest(folder)
    problem = _find_problem(folder, manifest, identity)
    if manifest is None or problem:
        _set_aside(folder, problem)
        return None
    return _to_run(folder, manifest)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Read a manifest; None when there is none, or none that this version wrote."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(manifest, dict) and manifest.get("format") == _FORMAT
    return manifest if is_ours and manifest.keys() >= _PARTS else None


def _find_problem(folder: Path, manifest: dict[str, Any] | None, identity: RunIdentity) -> str:
    if manifest is None:
        return "it has no manifest that can be read"
    if manifest["identity"] != identity.plain:
        return "its manifest is of another run"
    changed = find_changed(folder, manifest["files"])
    return f"changed since it was published: {', '.join(changed)}" if changed else ""


def _set_aside(folder: Path, why: str) -> None:
    damaged = make_folder(folder.parent, ".damaged") / f"{folder.name}.{uuid.uuid4().hex[:8]}"
    mark_used(folder)  # its days aside are counted from now on
    with contextlib.suppress(FileNotFoundError):  # another worker was first
        folder.rename(damaged)
        logger.warning("'%s' is not used (%s); it was moved to '%s'.", folder, why, damaged)


def recognize_run(folder: Path) -> tuple[RunIdentity, frozenset[str]] | None:
    """Say which run a published folder is, from its name and manifest alone.

    Returns:
        The identity and the files it was published with (POSIX paths, the manifest's included), or
        None for anything that is not a run this version published under this name.
    """
    manifest = None if (folder / MANIFEST).is_symlink() else read_manifest(folder)
    try:
        identity = RunIdentity(**manifest["identity"]) if manifest else None
        if manifest is None or identity is None or identity.name != folder.name:
            return None
        return identity, frozenset({*manifest["files"], MANIFEST})
    except (TypeError, AttributeError):  # a manifest with other things in these places
        return None
