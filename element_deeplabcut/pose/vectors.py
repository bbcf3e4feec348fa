"""Reading vectors of numbers out of part tables, a few rows at a time and only the wanted range.

DataJoint's ``fetch`` copies a blob several times and holds every row of the answer at once. Here
the server cuts out the range, and what arrives is used where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ..blobs import encode_value, select_range, unpack_range, unpack_vector
from ..errors import DatabaseError, QueryError

BATCH_BYTES = 32 << 20
"""How much one answer may hold: few round trips, and no second copy of a long recording."""


@dataclass(frozen=True)
class Span:
    """Range of a vector.

    Attributes:
        start: First number.
        stop: The number after the last.
        length: How many numbers the whole vector has.
    """

    start: int
    stop: int
    length: int


class VectorReader:
    """Reads the trajectories of one key.

    Attributes:
        table: Part table with the columns ``individual`` and ``body_part``.
        key: The rest of its primary key.
        span: Range to read.
    """

    def __init__(self, table: Any, key: Mapping[str, Any], span: Span) -> None:
        self.table = table
        self.key = key
        self.span = span

    def list_rows(self) -> set[tuple[str, str]]:
        """List (individual, body part) of the rows there are."""
        return set(self._query("individual, body_part", "TRUE", ()))

    def read(
        self, tracks: Sequence[tuple[str, str]], columns: Sequence[str]
    ) -> Iterator[list[npt.NDArray[Any] | None]]:
        """Read the range of some columns of some rows, a few rows at a time.

        Args:
            tracks: (individual, body part) of the rows.
            columns: Names of the columns.

        Yields:
            Of each row, in the order of ``tracks``: its vectors; None for a column that is null.

        Raises:
            QueryError: There is no such row.
            DatabaseError: A column does not hold a vector of the wanted length.
        """
        span = self.span
        selected = [select_range(name, span.start, span.stop, span.length) for name in columns]
        row_bytes = 8 * len(columns) * (span.stop - span.start) + 1
        per_query = max(1, BATCH_BYTES // row_bytes)
        for start in range(0, len(tracks), per_query):
            batch = tracks[start : start + per_query]
            rows = self._read_rows(batch, selected)
            for track in batch:
                yield [
                    self._unpack(blob, track, column)
                    for column, blob in zip(columns, rows.pop(track), strict=True)
                ]

    def _unpack(
        self, blob: bytes | None, track: tuple[str, str], column: str
    ) -> npt.NDArray[Any] | None:
        if blob is None:
            return None
        span = self.span
        vector = unpack_range(blob, span.start, span.stop, span.length)
        return self._read_whole(track, column) if vector is None else vector

    def _read_whole(self, track: tuple[str, str], column: str) -> npt.NDArray[Any]:
        """Read a column that the server cannot cut, because another client wrote it."""
        (blob,) = self._read_rows([track], [f"`{column}`"])[track]
        vector = unpack_vector(blob or b"")
        if len(vector) != self.span.length:
            raise DatabaseError(
                f"{column} of '{track[1]}' holds {len(vector)} frames, and the recording has "
                f"{self.span.length}. Delete the row {dict(self.key)} and populate it again."
            )
        return vector[self.span.start : self.span.stop]

    def _read_rows(
        self, tracks: Sequence[tuple[str, str]], selected: Sequence[str]
    ) -> dict[tuple[str, str], Sequence[bytes | None]]:
        places = ", ".join(["(%s, %s)"] * len(tracks))
        rows = self._query(
            ", ".join(["individual", "body_part", *selected]),
            f"(individual, body_part) IN ({places})",
            [name for track in tracks for name in track],
        )
        found = {(individual, part): blobs for individual, part, *blobs in rows}
        lost = [track[1] for track in tracks if track not in found]
        if lost:
            raise QueryError(
                f"{dict(self.key)} has no row of '{lost[0]}' (any more). Fetch it again."
            )
        return found

    def _query(self, columns: str, condition: str, args: Sequence[str]) -> Any:
        where = " AND ".join(f"`{name}`=%s" for name in self.key)
        return self.table.connection.query(
            f"SELECT {columns} FROM {self.table.full_table_name} WHERE {where} AND {condition}",
            args=(*map(encode_value, self.key.values()), *args),
        ).fetchall()


def count_frames(table: Any, key: Mapping[str, Any]) -> int:
    """Count the frames of a key's trajectories, where the recording's facts were deleted."""
    where = " AND ".join(f"`{name}`=%s" for name in key)
    row = table.connection.query(
        f"SELECT frame_index FROM {table.full_table_name} WHERE {where} LIMIT 1",
        args=tuple(key.values()),
    ).fetchone()
    return 0 if row is None else len(unpack_vector(row[0]))
