"""What the rows of a pipeline need of a processed directory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from ..runs import name_key

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
        results: Keys of what is recorded, or None: runs stay as long as their task.
    """

    tasks: frozenset[Key] = frozenset()
    results: frozenset[Key] | None = frozenset()

    @cached_property
    def pending_names(self) -> frozenset[str]:
        """How the names of attempts begin whose task has no result yet."""
        return frozenset(name_key(dict(key)) for key in self.tasks - (self.results or set()))


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
