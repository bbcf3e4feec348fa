"""Where this package puts what it makes: the folders of each kind, and the drawers in them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..bundles import MODELS
from ..files import ATTEMPTS, TRASH
from ..runs import MANIFEST
from .needs import References

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


def list_folders(processed: Path, references: References) -> Iterator[PurePosixPath]:
    """Name every folder that this package may have made, relative to the processed directory."""
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
    if not is_plain(processed, relative):
        return []
    with os.scandir(processed / relative) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def is_plain(processed: Path, relative: PurePosixPath) -> bool:
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


def find_kinds(container: PurePosixPath, references: References) -> set[str]:
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


def split_drawer(path: PurePosixPath) -> tuple[PurePosixPath, str]:
    """Split a folder's path into the folder of its kind and the drawer in it, if any."""
    parent = path.parent
    if parent.name in (ATTEMPTS, DAMAGED, TRASH):
        return parent.parent, parent.name
    return parent, ""
