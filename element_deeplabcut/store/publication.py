"""Adding files to a user's project: the one place where anything is written there.

Files are written to a hidden folder of the project first and get their names by renaming, whole
folders at a time where the project lacks them, so DeepLabCut never sees a half-written one. What
fails is taken back. Nothing that is there is overwritten, save through `Publication.replace`.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from ..errors import ProjectError
from .files import publish, write_new

STAGE = ".publishing"
_LOCK = ".publishing.lock"

Content = Path | str
"""A file to copy, or a text to write."""


class Publication:
    """Files on their way into a project; see `start_publication`."""

    def __init__(self, project: Path, stage: Path, undo: ExitStack) -> None:
        self._project = project
        self._stage = stage
        self._undo = undo

    def add(self, files: Mapping[PurePosixPath, Content]) -> None:
        """Add files that the project must not have yet.

        Args:
            files: Path relative to the project -> content.

        Raises:
            ProjectError: Something of that name is there.
        """
        top = self._stage / uuid.uuid4().hex
        top.mkdir()
        for relative, content in files.items():
            self._write(top / relative, content)
        for staged in sorted(top.iterdir()):
            self._place(staged, self._project / staged.name)

    def replace(self, relative: PurePosixPath, text: str) -> None:
        """Give a text file of the project another content, from one instant to the next."""
        target = self._project / relative
        before, staged = (self._stage / uuid.uuid4().hex for _ in range(2))
        shutil.copy2(target, before)
        write_new(staged, text)
        shutil.copymode(target, staged)
        os.replace(staged, target)
        self._undo.callback(os.replace, before, target)

    def _write(self, staged: Path, content: Content) -> None:
        staged.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            write_new(staged, content)
        else:
            shutil.copyfile(content, staged)

    def _place(self, staged: Path, target: Path) -> None:
        if not os.path.lexists(target) and publish(staged, target):
            self._undo.callback(os.rename, target, staged)
        elif staged.is_dir() and stat.S_ISDIR(os.lstat(target).st_mode):
            for child in sorted(staged.iterdir()):
                self._place(child, target / child.name)
        else:
            raise ProjectError(
                f"'{target}' exists already, and publishing overwrites nothing. Move it away."
            )


@contextmanager
def start_publication(project: Path) -> Iterator[Publication]:
    """Begin to add files to a project; an error takes back what was added so far.

    One publication per project runs at a time; others wait.

    Raises:
        ProjectError: The project cannot be written.
    """
    stage = project / STAGE
    with _explained(project), _locked(project / _LOCK), ExitStack() as cleanup:
        if os.path.lexists(stage):  # left by a publication that was killed
            shutil.rmtree(stage)
        stage.mkdir(mode=0o700)
        cleanup.callback(shutil.rmtree, stage, ignore_errors=True)
        with ExitStack() as undo:
            yield Publication(project, stage, undo)
            undo.pop_all()


@contextmanager
def _explained(project: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ProjectError(
            f"The model cannot be published to '{project}' ({error.strerror or error}). Nothing in "
            "it has changed. Publishing writes into the project: check that it may be written on "
            "this machine and that there is space."
        ) from error


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold a lock that ends with its process, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows; then only one at a time may publish
        yield
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    while True:
        descriptor = os.open(file, flags, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if _is_open_as(descriptor, file):
            break
        os.close(descriptor)  # the one before removed it; lock the new one
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(descriptor)


def _is_open_as(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(file))
    except FileNotFoundError:
        return False
