"""Tables whose columns are read one at a time, and files that wait outside of memory.

A result of a million frames has half a gigabyte. Up to `LONG_BYTES` a file and its numbers are held
in memory; longer ones wait in files without a name, which nobody else can open and which are gone
with the process, however it ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ResultError
from ..linking import show_path
from .untrusted import open_regular

LONG_BYTES = 64 << 20
"""What fits into memory several times over on any machine."""

_STEP_BYTES = 4 << 20


@dataclass(frozen=True)
class Columns:
    """Columns of a table.

    Attributes:
        names: One tuple per column.
        index: Labels of the rows.
        types: Type of each column's values.
        read: Place of a column -> its values, shape (n_rows,).
    """

    names: pd.MultiIndex
    index: pd.Index
    types: tuple[np.dtype[Any], ...]
    read: Callable[[int], npt.NDArray[Any]]

    @classmethod
    def of(cls, table: pd.DataFrame) -> Columns:
        """View a table in memory."""
        return cls(
            table.columns,
            table.index,
            tuple(table.dtypes),
            lambda place: table.iloc[:, place].to_numpy(),
        )


class ColumnStore:
    """Room for columns, in memory or in a file without a name."""

    def __init__(
        self, n_rows: int, types: Sequence[np.dtype[Any]], what: str, in_memory: int
    ) -> None:
        """Make room.

        Args:
            n_rows: Length of each column.
            types: Type of each column's values.
            what: Name of the table, for messages.
            in_memory: Most bytes that are held in memory.
        """
        self._n_rows, self._types, self._what = n_rows, types, what
        self._starts = np.cumsum([0, *(n_rows * kind.itemsize for kind in types)]).tolist()
        self._arrays: list[npt.NDArray[Any]] = []
        if self._starts[-1] <= in_memory:
            self._arrays = [np.empty(n_rows, kind) for kind in types]
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- it lives as long as we do

    def write(self, first: int, columns: Sequence[npt.NDArray[Any]]) -> None:
        """Write some rows of all columns.

        Raises:
            ResultError: There is no room for them.
        """
        if self._arrays:
            for array, column in zip(self._arrays, columns, strict=True):
                array[first : first + len(column)] = column
            return
        with explain_no_room(self._what, self._starts[-1]):
            for column, kind, start in zip(columns, self._types, self._starts, strict=False):
                self._file.seek(start + first * kind.itemsize)
                self._file.write(np.ascontiguousarray(column).data)
            self._file.flush()

    def read(self, place: int) -> npt.NDArray[Any]:
        """Read a column, shape (n_rows,)."""
        if self._arrays:
            return self._arrays[place]
        self._file.seek(self._starts[place])
        return np.fromfile(self._file, self._types[place], self._n_rows)


@dataclass(frozen=True)
class FileCopy:
    """What a file held when it was read.

    Attributes:
        stream: Its bytes.
        size: How many.
        sha256: Their hash, hexadecimal.
    """

    stream: BinaryIO
    size: int
    sha256: str


@contextlib.contextmanager
def copy_file(file: Path, in_memory: int = LONG_BYTES) -> Iterator[FileCopy]:
    """Read a regular file once, so that what is examined, hashed and read is the same bytes.

    Args:
        file: The file, with links resolved already.
        in_memory: Longest file that is held in memory, bytes.

    Yields:
        A copy, which is gone after the ``with`` block.

    Raises:
        ResultError: The file cannot be read, is not a regular file, or there is no room.
    """
    with open_regular(file) as source, contextlib.ExitStack() as stack:
        size = os.fstat(source.fileno()).st_size
        if size <= in_memory:
            data = source.read()
            yield FileCopy(io.BytesIO(data), len(data), hashlib.sha256(data).hexdigest())
            return
        target = stack.enter_context(tempfile.TemporaryFile())
        digest = hashlib.sha256()
        while step := source.read(_STEP_BYTES):
            digest.update(step)
            with explain_no_room(f"'{show_path(file)}'", size):
                target.write(step)
        size = target.tell()
        target.seek(0)
        yield FileCopy(target, size, digest.hexdigest())


@contextlib.contextmanager
def explain_no_room(what: str, size: int) -> Iterator[None]:
    """Say what to do when there is no room for a temporary file.

    Args:
        what: What is copied, for messages.
        size: Its length, bytes.

    Raises:
        ResultError: Writing failed.
    """
    try:
        yield
    except OSError as error:
        raise ResultError(
            f"{what} is too long for memory, and the folder for temporary files "
            f"({tempfile.gettempdir()}) does not take {size} bytes ({error.strerror}). Make room "
            "there, or set TMPDIR to a folder that has it."
        ) from error
