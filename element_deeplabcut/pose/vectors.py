"""Reading vectors of numbers out of part tables, row by row and only the wanted range.

DataJoint's ``fetch`` copies a blob several times and holds every row of the answer at once. Here
the server cuts out the range, and each row is used where it lies before the next one arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
from pymysql.cursors import SSCursor

from ..blobs import encode_value, select_range, unpack_range, unpack_vector
from ..errors import DatabaseError, QueryError

Track = tuple[str, str]
"""Individual and body part."""


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

    def list_rows(self) -> set[Track]:
        """List the trajectories there are."""
        return set(self._query("individual, body_part", "TRUE", ()))

    def read(
        self, tracks: Sequence[Track], columns: Sequence[str]
    ) -> Iterator[tuple[Track, list[npt.NDArray[Any] | None]]]:
        """Read the range of some columns of some trajectories.

        The answer arrives while it is used: run it to its end before another statement is sent.

        Args:
            tracks: Which.
            columns: Names of the columns.

        Yields:
            Each trajectory, in any order, and its vectors; None for a column that is null.

        Raises:
            QueryError: There is no such trajectory.
            DatabaseError: A column does not hold a vector of the wanted length.
        """
        span, uncut, lost = self.span, [], dict.fromkeys(tracks)
        selected = [select_range(name, span.start, span.stop, span.length) for name in columns]
        for individual, part, *blobs in self._stream(tracks, selected):
            track = (individual, part)
            if track not in lost:
                continue  # a case-blind server found a name that is spelled otherwise
            del lost[track]
            vectors = [
                None if blob is None else unpack_range(blob, span.start, span.stop, span.length)
                for blob in blobs
            ]
            if any(one is None is not other for one, other in zip(vectors, blobs, strict=True)):
                uncut.append(track)
            else:
                yield track, vectors
        if lost:
            raise QueryError(
                f"{dict(self.key)} has no row of '{next(iter(lost))[1]}' (any more). Fetch it "
                "again."
            )
        for track in uncut:
            yield track, self._read_whole(track, columns)

    def _read_whole(self, track: Track, columns: Sequence[str]) -> list[npt.NDArray[Any] | None]:
        """Read columns that the server cannot cut, because another client wrote them."""
        rows = list(self._stream([track], [f"`{name}`" for name in columns]))
        return [
            None if blob is None else self._cut(unpack_vector(blob), track, name)
            for _, _, *blobs in rows
            for blob, name in zip(blobs, columns, strict=True)
        ]

    def _cut(self, vector: npt.NDArray[Any], track: Track, column: str) -> npt.NDArray[Any]:
        if len(vector) != self.span.length:
            raise DatabaseError(
                f"{column} of '{track[1]}' holds {len(vector)} frames, and the recording has "
                f"{self.span.length}. Delete the row {dict(self.key)} and populate it again."
            )
        return vector[self.span.start : self.span.stop]

    def _stream(
        self, tracks: Sequence[Track], selected: Sequence[str]
    ) -> Iterator[tuple[str, str, bytes | None]]:
        """Read rows one by one, without waiting for the last or holding them all."""
        places = ", ".join(["(%s, %s)"] * len(tracks))
        sql, args = self._spell(
            ", ".join(["individual", "body_part", *selected]),
            f"(individual, body_part) IN ({places})",
            [name for track in tracks for name in track],
        )
        # DataJoint has used the connection a moment ago, and reconnected where that was needed.
        with self.table.connection._conn.cursor(SSCursor) as cursor:
            cursor.execute(sql, args)
            yield from cursor

    def _query(self, columns: str, condition: str, args: Sequence[str]) -> Any:
        sql, values = self._spell(columns, condition, args)
        return self.table.connection.query(sql, args=values).fetchall()

    def _spell(
        self, columns: str, condition: str, args: Sequence[str]
    ) -> tuple[str, tuple[Any, ...]]:
        where = " AND ".join(f"`{name}`=%s" for name in self.key)
        sql = f"SELECT {columns} FROM {self.table.full_table_name} WHERE {where} AND {condition}"
        return sql, (*map(encode_value, self.key.values()), *args)


def count_frames(table: Any, key: Mapping[str, Any]) -> int:
    """Count the frames of a key's trajectories, where the recording's facts were deleted."""
    where = " AND ".join(f"`{name}`=%s" for name in key)
    row = table.connection.query(
        f"SELECT frame_index FROM {table.full_table_name} WHERE {where} LIMIT 1",
        args=tuple(key.values()),
    ).fetchone()
    return 0 if row is None else len(unpack_vector(row[0]))
