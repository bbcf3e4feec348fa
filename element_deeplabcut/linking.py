"""What the lab's linking module provides: root directories, the processed directory, paths.

Paths in the database are POSIX and relative to one of the lab's root directories, so that a row
means the same file on every machine, wherever the storage is mounted there. This module turns
such a path into a file of this machine and back, and keeps both inside the roots: a path is
refused when it is absolute, climbs with ``..``, or ends outside every root once links are
resolved (DeepLabCut's ``videos/`` folder holds links to raw data by default; the folder they
point into is then a root of its own).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from .errors import MountError, PathError, SetupError

PROCESSED_DIR_NAME = "dlc_processed"
"""Folder used below the first root when a lab names no processed directory of its own."""


@dataclass(frozen=True)
class Roots:
    """The directories a lab keeps its data in, and the one results go to.

    Attributes:
        data: Root directories, in the order in which they are searched.
        processed: Directory that run directories, model bundles and results are written to.
    """

    data: tuple[Path, ...]
    processed: Path

    def resolve(self, relative: str) -> Path:
        """Find the file or folder that a path of the database means on this machine.

        The processed directory is searched after the data roots, because results (a loaded
        inference, say) may live there.

        Args:
            relative: POSIX path relative to a root.

        Returns:
            The absolute path, with links as they are.

        Raises:
            PathError: The path is absolute, climbs, does not exist below any root, or leads out
                of every root through a link.
            MountError: It does not exist, and the roots hold nothing at all.
        """
        check_relative(relative)
        searched = (*self.data, self.processed)
        for root in searched:
            candidate = root / relative
            if os.path.lexists(candidate):
                self.confine(candidate)
                return candidate
        self._insist_on_content(relative)
        listing = ", ".join(str(root) for root in searched)
        raise PathError(
            f"'{show_path(relative)}' exists below none of the root directories ({listing}). Check "
            "the path, or add the root that holds it to get_dlc_root_data_dir()."
        )

    def _insist_on_content(self, relative: str) -> None:
        """Tell a drive that is not mounted, whose folder is there and empty, from a wrong path.

        Raises:
            MountError: No root holds anything but the processed directory.
        """
        if any(_holds_something(root, self.processed) for root in self.data):
            return
        listing = ", ".join(f"'{root}'" for root in self.data)
        raise MountError(
            f"'{show_path(relative)}' is not there, and nor is anything else: {listing} "
            f"{'is' if len(self.data) == 1 else 'are'} empty on this machine. Mount what belongs "
            "there, or correct get_dlc_root_data_dir()."
        )

    def confine(self, path: Path) -> Path:
        """Resolve every link in ``path`` and insist that what it names lies inside a root.

        Raises:
            PathError: It does not exist (a dangling link, say) or lies outside every root.
        """
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise PathError(
                f"'{show_path(path)}' cannot be opened ({error}). If it is a link, check that the "
                "folder it points to is mounted on this machine."
            ) from error
        if not any(_is_inside(real, root) for root in (*self.data, self.processed)):
            raise PathError(
                f"'{show_path(path)}' leads to '{show_path(real)}', which is outside every root "
                f"directory. Add '{show_path(real.parent)}' or a folder above it to "
                "get_dlc_root_data_dir() if it may be used."
            )
        return real

    def relativize(self, path: str | os.PathLike[str]) -> str:
        """Express an existing file or folder of this machine as a path of the database.

        Args:
            path: Absolute path below a root, or already relative to one.

        Returns:
            POSIX path relative to the first root that holds it.

        Raises:
            PathError: It is below no root, or does not exist.
        """
        given = os.fspath(path)
        if not os.path.isabs(given):
            return check_relative(given) if self.resolve(given) else given
        absolute = Path(os.path.abspath(given))
        for root in (*self.data, self.processed):
            # Both spellings of the root are tried: users see mounts through links.
            for spelling in (root, root.resolve()):
                if absolute.is_relative_to(spelling):
                    relative = check_relative(absolute.relative_to(spelling).as_posix())
                    found = self.resolve(relative)
                    if not (os.path.lexists(absolute) and found.samefile(absolute)):
                        raise PathError(
                            f"'{show_path(absolute)}' is hidden behind '{show_path(found)}', which "
                            "has the same path below an earlier root directory. Rename one of the "
                            "two."
                        )
                    return relative
        listing = ", ".join(str(root) for root in self.data)
        raise PathError(
            f"'{show_path(absolute)}' is outside every root directory ({listing}). Move it below "
            f"one, or add '{show_path(absolute.parent)}' to get_dlc_root_data_dir()."
        )

    def locate(self, path: str | os.PathLike[str]) -> Path:
        """Find a file given either as a path of the database or as an absolute one.

        Raises:
            PathError: As `resolve` and `relativize`.
        """
        return self.resolve(self.relativize(path))


def show_path(path: str | os.PathLike[str]) -> str:
    """Render a path for a message, also one whose bytes are not valid UTF-8."""
    text = os.fsdecode(path)
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a lone surrogate that is no byte of a file name
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def check_relative(path: str) -> str:
    """Insist on the form in which the database holds paths.

    Returns:
        The path, normalised (no ``.`` parts, no doubled slashes).

    Raises:
        PathError: It is empty, absolute, climbs with ``..``, uses backslashes or a drive letter,
            or is not valid UTF-8 (the database could not hold it).
    """
    shown = show_path(path)
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PathError(f"The name '{shown}' is not valid UTF-8; rename the file.") from error
    if not path or "\0" in path:
        raise PathError("A path is empty or holds a null byte; give one relative to a root.")
    pure = PurePosixPath(path)
    if "\\" in path or str(pure)[1:2] == ":":
        raise PathError(f"'{shown}' looks like a Windows path; write it with forward slashes, "
                        "relative to a root directory.")  # fmt: skip
    if pure.is_absolute():
        raise PathError(
            f"'{shown}' is absolute. Give the path relative to one of the root directories, so "
            "that every machine finds it."
        )
    if ".." in pure.parts:
        raise PathError(f"'{shown}' climbs with '..'. Give the path relative to a root directory.")
    return str(pure)


def _holds_something(folder: Path, exception: Path) -> bool:
    try:
        return any(path != exception for path in folder.iterdir())
    except OSError:  # it may be opened, and not listed
        return True


def _is_inside(real: Path, root: Path) -> bool:
    return real.is_relative_to(root.resolve())


def read_roots(linking_module: ModuleType) -> Roots:
    """Ask the linking module for its directories.

    Raises:
        SetupError: The module lacks ``get_dlc_root_data_dir``, or a root does not exist.
    """
    name = linking_module.__name__
    ask_roots = getattr(linking_module, "get_dlc_root_data_dir", None)
    if ask_roots is None:
        raise SetupError(
            f"The linking module {name} has no get_dlc_root_data_dir(). Define it to return the "
            "directory (or a list of directories) that holds the videos and projects."
        )
    data = tuple(_as_directory(root, name) for root in _as_list(ask_roots()) if root)
    if not data:
        raise SetupError(f"get_dlc_root_data_dir() of {name} returned no directory.")
    ask_processed = getattr(linking_module, "get_dlc_processed_data_dir", None)
    processed = ask_processed() if ask_processed is not None else None
    return Roots(data, _absolute(processed) if processed else data[0] / PROCESSED_DIR_NAME)


def check_linking_module(linking_module: ModuleType, names: Sequence[str]) -> None:
    """Insist that the linking module provides every name a schema needs.

    Raises:
        SetupError: Some are missing; the message lists them.
    """
    missing = [name for name in names if not hasattr(linking_module, name)]
    if missing:
        raise SetupError(
            f"The linking module {linking_module.__name__} lacks {', '.join(missing)}. Define "
            "them there (see 'Use it in your own pipeline' in the README)."
        )


def _as_list(value: Any) -> Iterable[Any]:
    if value is None or value == "":
        return ()
    return (value,) if isinstance(value, (str, os.PathLike)) else tuple(value)


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def _as_directory(root: Any, module_name: str) -> Path:
    path = _absolute(root)
    if not path.is_dir():
        raise SetupError(
            f"The root directory '{path}' (from get_dlc_root_data_dir() of {module_name}) does "
            "not exist on this machine. Mount it, or correct the configuration."
        )
    return path
