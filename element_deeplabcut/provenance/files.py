"""Whether files are still what they were: looked at, and hashed again when asked.

What may not be read, or cannot be just now, is neither the same nor changed: it is not seen.
"""

from __future__ import annotations

import errno
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ElementError, MountError, PathError
from ..linking import Roots
from ..progress import show_bytes
from ..readers.labels import (
    LABELS_FOLDER,
    digest_picture,
    digest_positions,
    labels_file,
    read_labels,
)
from ..readers.project import CONFIG_NAME, ProjectConfig, read_project
from ..store.bundles import BUNDLE, MODELS, recognize_bundle
from ..store.files import hash_file, list_files
from ..store.runs import MANIFEST, read_manifest
from .description import CHANGED, MISSING, PRESENT, SAME, UNSEEN, FileState

_SHOWN = 4
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}
"""What a system says of a file that is not there; anything else leaves open whether it is."""

_NO_ROOT = "its root directory is not on this machine"
_NO_STORE = "the processed directory is not on this machine"

Frames = Mapping[str, tuple[str, str]]
Verdict = tuple[str, str]
"""State of a file or folder, and what there is to say of it."""


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
        except (ElementError, OSError) as error:
            self.why_unseen = str(error)

    def check_file(
        self, what: str, path: str, size: int | None = None, sha256: str | None = None
    ) -> FileState:
        """Say whether a file, relative to a root, is the one that was recorded."""
        state, detail = _look(lambda: self._compare_file(path, size, sha256))
        return FileState(what, path, state, sha256, size, detail)

    def check_run(self, directory: str | None, size: int | None = None) -> tuple[FileState, ...]:
        """Say whether a run directory is as it was published."""
        if not directory:
            return ()
        state, detail = _look(lambda: self._compare_run(directory))
        return (FileState("run directory", directory, state, None, size, detail),)

    def check_bundle(self, name: str) -> FileState:
        """Say whether a model bundle is the one that was registered."""
        state, detail = _look(lambda: self._compare_bundle(name))
        return FileState("model bundle", f"{MODELS}/{name}", state, name, None, detail)

    def check_labels(self, project_path: str, frames: Frames) -> tuple[FileState, ...]:
        """Say of each labelled-data folder whether its labels and pictures are as they were."""
        folders: dict[str, dict[str, tuple[str, str]]] = {}
        for image, pair in frames.items():
            folders.setdefault(PurePosixPath(image).parts[-2], {})[image] = pair
        opened = self._open_project(project_path)
        states = []
        for name, own in sorted(folders.items()):
            if isinstance(opened, ProjectConfig):
                state, detail = _look(functools.partial(self._compare_labels, opened, name, own))
            else:
                state, detail = opened
            path = f"{project_path}/{LABELS_FOLDER}/{name}"
            states.append(FileState("labelled frames", path, state, detail=detail))
        return tuple(states)

    # --- files of the lab -------------------------------------------------------------------------

    def _compare_file(self, path: str, size: int | None, sha256: str | None) -> Verdict:
        if self.roots is None:
            return UNSEEN, _NO_ROOT
        try:
            file = self.roots.confine(self.roots.resolve(path))
        except PathError as error:
            return self._judge_path(path, error)
        if not file.is_file():
            return CHANGED, "it is no file any more"
        found = file.stat().st_size
        if size is not None and found != size:
            return CHANGED, f"it has {found} bytes now, and had {size}"
        if sha256 is None:
            return PRESENT, "no hash was recorded"
        if not self.hashes:
            return PRESENT, "of the recorded size" if size else ""
        return (SAME, "") if self._hash(file) == sha256 else (CHANGED, "its content is another")

    def _judge_path(self, path: str, error: PathError) -> Verdict:
        """Tell a path that is gone from one that cannot be looked at below some root."""
        roots = () if self.roots is None else (*self.roots.data, self.roots.processed)
        obstacles = (_find_obstacle(root / path, Path.stat) for root in roots)
        state = UNSEEN if isinstance(error, MountError) else MISSING
        return _judge(state, str(error), next(filter(None, obstacles), ""))

    def _open_project(self, path: str) -> ProjectConfig | Verdict:
        """Read a project's config, or say why its labels cannot be compared."""
        if self.roots is None:
            return UNSEEN, _NO_ROOT
        try:
            folder = self.roots.resolve(path)
        except PathError as error:
            return self._judge_path(path, error)
        try:
            return read_project(folder)
        except (ElementError, OSError) as error:
            return _judge(MISSING, str(error), _find_obstacle(folder / CONFIG_NAME))

    def _compare_labels(self, project: ProjectConfig, name: str, frames: Frames) -> Verdict:
        file = labels_file(project, name)
        if not file.is_file():
            return MISSING, f"{file.name} is not there"
        if not self.hashes:
            return PRESENT, ""
        try:
            positions = digest_positions(read_labels(file))
        except ElementError as error:
            return _judge(CHANGED, str(error), _find_obstacle(file))
        found: dict[Verdict, list[str]] = {
            (CHANGED, "labels moved"): [
                i for i in frames if i in positions and positions[i] != frames[i][0]
            ],
            (CHANGED, "no longer labelled"): [i for i in frames if i not in positions],
            (CHANGED, "labelled since"): [i for i in positions if i not in frames],
        }
        for image, (_, expected) in frames.items():
            verdict = _compare_picture(project.directory / image, expected)
            found.setdefault(verdict, []).append(image)
        return self._sum_up(found, lambda images: f"{len(images)} frames", ", ")

    # --- folders of our own -----------------------------------------------------------------------

    def _compare_run(self, directory: str) -> Verdict:
        if self.roots is None or not self.roots.processed.is_dir():
            return UNSEEN, _NO_STORE
        folder = self.roots.processed / directory
        if not folder.is_dir():
            return MISSING, ""
        manifest = read_manifest(folder)
        if manifest is None:
            return _judge(CHANGED, "", _find_obstacle(folder / MANIFEST))
        return self._compare_hashes(folder, manifest["files"])

    def _compare_bundle(self, name: str) -> Verdict:
        if self.roots is None or not self.roots.processed.is_dir():
            return UNSEEN, _NO_STORE
        folder = self.roots.processed / MODELS / name
        if not folder.is_dir():
            return MISSING, ""
        files = recognize_bundle(folder)
        if files is None:
            return _judge(CHANGED, f"{BUNDLE} is another", _find_obstacle(folder / BUNDLE))
        planted = sorted(set(list_files(folder)) - files)
        if planted:
            return CHANGED, f"{planted[0]} was added"
        hashes = json.loads((folder / BUNDLE).read_text(encoding="utf-8"))["files"]
        return self._compare_hashes(folder, hashes)

    def _compare_hashes(self, folder: Path, hashes: Mapping[str, Any]) -> Verdict:
        found: dict[Verdict, list[str]] = {(CHANGED, "gone"): [], (CHANGED, "changed"): []}
        for name, expected in hashes.items():
            found.setdefault(self._compare_hash(folder / name, expected), []).append(name)
        return self._sum_up(found, _name_some, "; ")

    def _compare_hash(self, file: Path, expected: str) -> Verdict:
        try:
            if not file.is_file():
                return CHANGED, "gone"
            is_same = not self.hashes or self._hash(file) == expected
        except OSError as error:
            return (CHANGED, "gone") if error.errno in _GONE else (UNSEEN, _explain(error))
        return (SAME, "") if is_same else (CHANGED, "changed")

    def _sum_up(
        self,
        found: Mapping[Verdict, Sequence[str]],
        show: Callable[[Sequence[str]], str],
        separator: str,
    ) -> Verdict:
        """Judge a folder by what is in it; that something changed counts whatever is not seen."""
        found = {verdict: names for verdict, names in found.items() if names and verdict[1]}
        states = {state for state, _ in found}
        state = next((bad for bad in (CHANGED, UNSEEN) if bad in states), "")
        texts = [f"{show(names)} {what}" for (_, what), names in found.items()]
        return state or (SAME if self.hashes else PRESENT), separator.join(texts)

    def _hash(self, file: Path) -> str:
        if file not in self._known:
            with show_bytes(f"Hashing {file.name}", file.stat().st_size) as on_bytes:
                self._known[file] = hash_file(file, on_bytes)
        return self._known[file]


def _look(compare: Callable[[], Verdict]) -> Verdict:
    try:
        return compare()
    except OSError as error:
        if error.errno in _GONE:  # between two looks
            return MISSING, ""
        return UNSEEN, f"it {_explain(error)}"


def _judge(state: str, detail: str, obstacle: str) -> Verdict:
    """What cannot be looked at may be what it was, though it could not be opened as such."""
    return (UNSEEN, obstacle) if obstacle else (state, detail)


def _read_a_byte(file: Path) -> None:
    if file.is_file():  # reading from a pipe would wait
        with file.open("rb") as stream:
            stream.read(1)


def _find_obstacle(file: Path, look: Callable[[Path], object] = _read_a_byte) -> str:
    """Say why a file cannot be read; '' if it can, or is gone."""
    try:
        look(file)
    except OSError as error:
        return "" if error.errno in _GONE else f"{file.name} {_explain(error)}"
    except ValueError:  # a null byte
        return ""
    return ""


def _explain(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"


def _compare_picture(file: Path, expected: str) -> Verdict:
    try:
        is_same = digest_picture(file) == expected
    except OSError as error:
        if error.errno not in _GONE:
            return UNSEEN, f"with a picture that {_explain(error)}"
        is_same = False
    return (SAME, "") if is_same else (CHANGED, "picture changed or gone")


def _name_some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (" ..." if len(names) > _SHOWN else "")
