"""Long arrays in the database: uncompressed, as short as exactness allows, in statements that fit.

DataJoint compresses blobs with zlib, which costs seven times the time of the insert itself for a
fifth of the space. Its format also allows an uncompressed blob, which any DataJoint client fetches
with plain ``fetch``; that is what is written here. This is the one place that knows how.

A statement must fit the server's ``max_allowed_packet``. Where a row does not, it is written
column by column (inside the same transaction), so the limit holds for one array at a time. A byte
takes up to two in a statement: PyMySQL writes blobs in hexadecimal, or escaped in older versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from datajoint.blob import Blob

from .errors import DatabaseError

BLOB = "longblob"
"""How a table definition spells a column of arrays. DataJoint 2 would want ``<blob>``."""

_MAGIC = b"mYm\0"
_OVERHEAD_BYTES = 4096  # statement text, key columns, and the packet header of an array


def pack_array(array: npt.NDArray[Any]) -> bytes:
    """Pack a numeric array in DataJoint's own format, without compression."""
    return bytes(_MAGIC + Blob().pack_array(np.ascontiguousarray(array)))


def shorten(array: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return the array as float32 if not one number changes by that, as float64 otherwise."""
    with np.errstate(over="ignore"):
        short = array.astype(np.float32)
    exact = np.array_equal(short.astype(np.float64), array.astype(np.float64), equal_nan=True)
    return short if exact else array.astype(np.float64)


def read_packet_limit(connection: Any) -> int:
    """Ask the server for the longest statement it accepts, in bytes."""
    return int(connection.query("SELECT @@max_allowed_packet").fetchone()[0])


def check_fits(connection: Any, n_values: int, bytes_per_value: int = 4) -> None:
    """Insist, before anything is computed, that an array of that length can be stored.

    Raises:
        DatabaseError: It cannot; the message names the setting and the value it needs.
    """
    limit = read_packet_limit(connection)
    needed = 2 * n_values * bytes_per_value + _OVERHEAD_BYTES
    if needed > limit:
        raise DatabaseError(
            f"An array of {n_values} frames may need a statement of {needed} bytes, and the "
            f"database server accepts {limit}. Raise max_allowed_packet to at least {needed} on "
            "the server (SET GLOBAL, or in its configuration), or split the recording."
        )


def insert_row(table: Any, row: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Insert one row with array columns, in one statement or as many as the server needs.

    Call it inside a transaction: a row that needs several statements is whole only at its end.

    Args:
        table: DataJoint table.
        row: Plain columns.
        arrays: Array columns.

    Raises:
        DatabaseError: One array alone exceeds the server's packet limit.
    """
    blobs = {name: pack_array(array) for name, array in arrays.items()}
    sizes = {name: _literal_size(blob) for name, blob in blobs.items()}
    limit = read_packet_limit(table.connection) - _OVERHEAD_BYTES
    too_long = [name for name, size in sizes.items() if size > limit]
    if too_long:
        raise DatabaseError(
            f"The column {too_long[0]} needs a statement of {sizes[too_long[0]]} bytes, more than "
            f"the server's max_allowed_packet allows. Raise that setting, then populate again: the "
            "computed result is kept."
        )
    fits = sum(sizes.values()) <= limit
    first = blobs if fits else dict.fromkeys(blobs, b"")
    _insert(table, row, first)
    if not fits:
        for name, blob in blobs.items():
            _update(table, row, name, blob)


def _literal_size(blob: bytes) -> int:
    return 2 * len(blob) + len("_binary'',")


def _insert(table: Any, row: Mapping[str, Any], blobs: Mapping[str, bytes]) -> None:
    columns = ", ".join(f"`{name}`" for name in (*row, *blobs))
    places = ", ".join(["%s"] * (len(row) + len(blobs)))
    table.connection.query(
        f"INSERT INTO {table.full_table_name} ({columns}) VALUES ({places})",
        args=(*row.values(), *blobs.values()),
    )


def _update(table: Any, row: Mapping[str, Any], column: str, blob: bytes) -> None:
    key = {name: value for name, value in row.items() if name in table.primary_key}
    where = " AND ".join(f"`{name}`=%s" for name in key)
    table.connection.query(
        f"UPDATE {table.full_table_name} SET `{column}`=%s WHERE {where}",
        args=(blob, *key.values()),
    )
