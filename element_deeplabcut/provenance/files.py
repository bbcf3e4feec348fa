"""Whether files are still what they were: looked at, and hashed again when asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ElementError, PathError
from ..linking import Roots
from ..progress import show_bytes
from ..readers.labels import (
    LABELS_FOLDER,
    digest_picture,
    digest_positions,
    labels_file,
    read_labels,
)
from ..readers.project import ProjectConfig, read_project
from ..store.bundles import BUNDLE, MODELS, recognize_bundle
from ..store.files import hash_file, list_files
from ..store.runs import read_manifest
from .description import CHANGED, MISSING, PRESENT, SAME, UNSEEN, FileState

_SHOWN = 4
Frames = Mapping[str, tuple[str, str]]


class FileChecker:
    """Looks at the files of a story.

    Attributes:
        roots: The lab's directories; None where they are not on this machine.
        why_unseen: Why they are not.
        hashes: Whether files are hashed again.
    """

    def __init__(self, get_roots: Callable[[], Roots], hashes: bool) -> None:
        self.roots: Roots | None = None
        self.why_unseen = ""
        self.hashes = hashes
        self._known: dict[Path, str] = {}
        try:
            self.roots = get_roots()
        except ElementError as error:
            self.why_unseen = str(error)

    def check_file(
        self, what: str, path: str, size: int | None = None, sha256: str | None = None
    ) -> FileState:
        """Say whether a file, relative to a root, is the one that was recorded."""

        def tell(state: str, detail: str = "") -> FileState:
            return FileState(what, path, state, sha256, size, detail)

        if self.roots is None:
            return tell(UNSEEN, "its root directory is not on this machine")
        try:
            file = self.roots.confine(self.roots.resolve(path))
        except PathError as error:
            return tell(MISSING, str(error))
        found = file.stat().st_size
        if size is not None and found != size:
            return tell(CHANGED, f"it has {found} bytes now, and had {size}")
        if sha256 is None:
            return tell(PRESENT, "no hash was recorded")
        if not self.hashes:
            return tell(PRESENT, "of the recorded size" if size else "")
        return tell(SAME) if self._hash(file) == sha256 else tell(CHANGED, "its content is another")

    def check_run(self, directory: str | None, size: int | None = None) -> tuple[FileState, ...]:
        """Say whether a run directory is as it was published."""
        if not directory:
            return ()
        if self.roots is None or not self.roots.processed.is_dir():
            detail = "the processed directory is not on this machine"
            return (FileState("run directory", directory, UNSEEN, None, size, detail),)
        folder = self.roots.processed / directory
        manifest = read_manifest(folder) if folder.is_dir() else None
        if manifest is None:
            state = CHANGED if folder.is_dir() else MISSING
            return (FileState("run directory", directory, state, None, size),)
        problem = self._compare(folder, manifest["files"])
        state = CHANGED if problem else SAME if self.hashes else PRESENT
        return (FileState("run directory", directory, state, None, size, problem),)

    def check_bundle(self, name: str) -> FileState:
        """Say whether a model bundle is the one that was registered."""
        path = f"{MODELS}/{name}"
        if self.roots is None or not self.roots.processed.is_dir():
            detail = "the processed directory is not on this machine"
            return FileState("model bundle", path, UNSEEN, name, None, detail)
        folder = self.roots.processed / MODELS / name
        if not folder.is_dir():
            return FileState("model bundle", path, MISSING, name)
        files = recognize_bundle(folder)
        if files is None:
            return FileState("model bundle", path, CHANGED, name, None, f"{BUNDLE} is another")
        planted = sorted(set(list_files(folder)) - files)
        hashes = json.loads((folder / BUNDLE).read_text(encoding="utf-8"))["files"]
        problem = f"{planted[0]} was added" if planted else self._compare(folder, hashes)
        state = CHANGED if problem else SAME if self.hashes else PRESENT
        return FileState("model bundle", path, state, name, None, problem)

    def check_labels(self, project_path: str, frames: Frames) -> tuple[FileState, ...]:
        """Say of each labelled-data folder whether its labels and pictures are as they were."""
        folders = sorted({PurePosixPath(image).parts[-2] for image in frames})
        paths = {name: f"{project_path}/{LABELS_FOLDER}/{name}" for name in folders}
        what = "labelled frames"
        if self.roots is None:
            detail = "its root directory is not on this machine"
            return tuple(FileState(what, paths[name], UNSEEN, detail=detail) for name in folders)
        try:
            project = read_project(self.roots.resolve(project_path))
        except ElementError as error:
            return tuple(
                FileState(what, paths[name], MISSING, detail=str(error)) for name in folders
            )
        states = []
        for name in folders:
            own = {i: pair for i, pair in frames.items() if PurePosixPath(i).parts[-2] == name}
            state, detail = self._check_folder(project, name, own)
            states.append(FileState(what, paths[name], state, detail=detail))
        return tuple(states)

    def _check_folder(self, project: ProjectConfig, name: str, frames: Frames) -> tuple[str, str]:
        file = labels_file(project, name)
        if not file.is_file():
            return MISSING, f"{file.name} is not there"
        if not self.hashes:
            return PRESENT, ""
        try:
            positions = digest_positions(read_labels(file))
        except ElementError as error:
            return CHANGED, str(error)
        changes = {
            "labels moved": [i for i in frames if i in positions and positions[i] != frames[i][0]],
            "no longer labelled": [i for i in frames if i not in positions],
            "labelled since": [i for i in positions if i not in frames],
            "picture changed or gone": [
                i for i in frames if self._picture(project.directory / i) != frames[i][1]
            ],
        }
        texts = [f"{len(images)} frames {what}" for what, images in changes.items() if images]
        return CHANGED if texts else SAME, ", ".join(texts)

    def _picture(self, file: Path) -> str:
        try:
            return digest_picture(file)
        except OSError:
            return ""

    def _compare(self, folder: Path, hashes: Mapping[str, Any]) -> str:
        """Say what of a folder is not what it was; '' where nothing is, as far as is looked."""
        gone = [name for name in hashes if not (folder / name).is_file()]
        odd = [
            name
            for name, expected in (hashes.items() if self.hashes else ())
            if name not in gone and self._hash(folder / name) != expected
        ]
        texts = [
            f"{', '.join(names[:_SHOWN])}{' ...' if len(names) > _SHOWN else ''} {what}"
            for names, what in ((gone, "gone"), (odd, "changed"))
            if names
        ]
        return "; ".join(texts)

    def _hash(self, file: Path) -> str:
        if file not in self._known:
            with show_bytes(f"Hashing {file.name}", file.stat().st_size) as on_bytes:
                self._known[file] = hash_file(file, on_bytes)
        return self._known[file]
