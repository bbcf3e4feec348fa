"""Reading vectors of numbers out of part tables, one row at a time and only the wanted range.

DataJoint's ``fetch`` unpacks a blob in four copies and holds every row of the answer at once. Here
each row travels alone, and the server cuts out the range.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from ..blobs import select_range, unpack_range, unpack_vector
from ..errors import DatabaseError, QueryError


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

    def list_rows(self, body_parts: Sequence[str]) -> set[tuple[str, str]]:
        """List (individual, body part) of the rows there are of these body parts."""
        condition = f"body_part IN ({', '.join(['%s'] * len(body_parts))})"
        return set(self._query("individual, body_part", condition, body_parts))

    def read(
        self, individual: str, body_part: str, columns: Sequence[str]
    ) -> list[npt.NDArray[Any] | None]:
        """Read the range of some columns of one row; None for a column that is null.

        Raises:
            QueryError: There is no such row.
            DatabaseError: A column does not hold a vector of that length.
        """
        span = self.span
        selected = [select_range(name, span.start, span.stop, span.length) for name in columns]
        blobs = self._read_row(individual, body_part, selected)
        vectors: list[npt.NDArray[Any] | None] = []
        for column, blob in zip(columns, blobs, strict=True):
            vector = None
            if blob is not None:
                vector = unpack_range(blob, span.start, span.stop, span.length)
                if vector is None:
                    vector = self._read_whole(individual, body_part, column)
            vectors.append(vector)
        return vectors

    def _read_whole(self, individual: str, body_part: str, column: str) -> npt.NDArray[Any]:
        """Read a column that the server cannot cut, because another client wrote it."""
        (blob,) = self._read_row(individual, body_part, [f"`{column}`"])
        vector = unpack_vector(blob)
        if len(vector) != self.span.length:
            raise DatabaseError(
                f"{column} of '{body_part}' holds {len(vector)} frames, and the recording has "
                f"{self.span.length}. Delete the row {dict(self.key)} and populate it again."
            )
        return vector[self.span.start : self.span.stop]

    def _read_row(self, individual: str, body_part: str, columns: Sequence[str]) -> Any:
        condition = "individual=%s AND body_part=%s"
        rows = self._query(", ".join(columns), condition, (individual, body_part))
        if len(rows) != 1:
            raise QueryError(
                f"{dict(self.key)} has no row of '{body_part}' (any more). Fetch it again."
            )
        return rows[0]

    def _query(self, columns: str, condition: str, args: Sequence[str]) -> Any:
        where = " AND ".join(f"`{name}`=%s" for name in self.key)
        return self.table.connection.query(
            f"SELECT {columns} FROM {self.table.full_table_name} WHERE {where} AND {condition}",
            args=(*self.key.values(), *args),
        ).fetchall()


def count_frames(table: Any, key: Mapping[str, Any]) -> int:
    """Count the frames of a key's trajectories, where the recording's facts were deleted."""
    where = " AND ".join(f"`{name}`=%s" for name in key)
    row = table.connection.query(
        f"SELECT frame_index FROM {table.full_table_name} WHERE {where} LIMIT 1",
        args=tuple(key.values()),
    ).fetchone()
    return 0 if row is None else len(unpack_vector(row[0]))
