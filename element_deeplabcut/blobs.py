"""Long arrays in the database: uncompressed, as short as exactness allows, in statements that fit.

DataJoint compresses blobs with zlib, which costs seven times the time of the insert itself for a
fifth of the space. Its format also allows an uncompressed blob, which any DataJoint client fetches
with plain ``fetch``; that is what is written here. This is the one place that knows how.

A statement must fit the server's ``max_allowed_packet``. Where a row does not, it is written
column by column, and a long column in pieces that the server puts together, all inside the same
transaction. A byte takes up to two in a statement (PyMySQL writes blobs in hexadecimal, or escaped
in older versions), but only one in what the server puts together: an array may be as long as the
limit.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from datajoint.blob import Blob, pack, unpack

from .errors import DatabaseError

BLOB = "longblob"
"""How a table definition spells a column of arrays. DataJoint 2 would want ``<blob>``."""

_BLOCK = 8192

_MAGIC = b"mYm\0"
_OVERHEAD_BYTES = 4096  # statement text and key columns
_ARRAY_BYTES = 64  # what a packed array has beside its numbers, at most


def pack_array(array: npt.NDArray[Any]) -> bytes:
    """Pack a numeric array in DataJoint's own format, without compression."""
    return bytes(_MAGIC + Blob().pack_array(np.ascontiguousarray(array)))


def shorten(array: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.floating[Any]]:
    """Return the array as float32 if not one number changes by that, as float64 otherwise."""
    if array.dtype == np.float32:
        return array
    short = np.empty(array.shape, np.float32)
    with np.errstate(over="ignore"):
        for start in range(0, len(array), _BLOCK):  # while a block is in the processor's cache
            block = array[start : start + _BLOCK].astype(np.float64, copy=False)
            part = short[start : start + _BLOCK]
            part[...] = block
            if not ((part == block) | np.isnan(block)).all():
                return array.astype(np.float64)
    return short


def read_packet_limit(connection: Any) -> int:
    """Ask the server for the longest statement it accepts, in bytes."""
    return int(connection.query("SELECT @@max_allowed_packet").fetchone()[0])


def check_fits(connection: Any, n_values: int, bytes_per_value: int = 8) -> None:
    """Insist, before anything is computed, that an array of that length can be stored.

    Raises:
        DatabaseError: It cannot; the message names the setting and the value it needs.
    """
    limit = read_packet_limit(connection)
    needed = n_values * bytes_per_value + _ARRAY_BYTES + _OVERHEAD_BYTES
    if needed > limit:
        raise DatabaseError(
            f"An array of {n_values} numbers may need {needed} bytes, and the database server "
            f"accepts {limit} at a time. Raise max_allowed_packet to at least {needed} on "
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
    row = {name: encode_value(value) for name, value in row.items()}
    blobs = {name: pack_array(array) for name, array in arrays.items()}
    sizes = {name: _literal_size(blob) for name, blob in blobs.items()}
    limit = read_packet_limit(table.connection) - _OVERHEAD_BYTES
    for name, blob in blobs.items():
        if len(blob) > limit:
            raise DatabaseError(
                f"The column {name} has {len(blob)} bytes, more than the server's "
                "max_allowed_packet allows. Raise that setting, then populate again: the computed "
                "result is kept."
            )
    fits = sum(sizes.values()) <= limit
    first = blobs if fits else dict.fromkeys(blobs, b"")
    _insert(table, row, first)
    if not fits:
        for name, blob in blobs.items():
            _write_in_pieces(table, row, name, blob, limit // 2)


def encode_value(value: Any) -> Any:
    """Give a plain value as the server has it: DataJoint keeps a uuid as its 16 bytes."""
    return value.bytes if isinstance(value, uuid.UUID) else value


def _literal_size(blob: bytes) -> int:
    return 2 * len(blob) + len("_binary'',")


def _insert(table: Any, row: Mapping[str, Any], blobs: Mapping[str, bytes]) -> None:
    columns = ", ".join(f"`{name}`" for name in (*row, *blobs))
    places = ", ".join(["%s"] * (len(row) + len(blobs)))
    table.connection.query(
        f"INSERT INTO {table.full_table_name} ({columns}) VALUES ({places})",
        args=(*row.values(), *blobs.values()),
    )


def _write_in_pieces(
    table: Any, row: Mapping[str, Any], column: str, blob: bytes, n_bytes: int
) -> None:
    key = {name: value for name, value in row.items() if name in table.primary_key}
    where = " AND ".join(f"`{name}`=%s" for name in key)
    for start in range(0, len(blob), n_bytes):
        value = f"CONCAT(`{column}`, %s)" if start else "%s"
        table.connection.query(
            f"UPDATE {table.full_table_name} SET `{column}`={value} WHERE {where}",
            args=(blob[start : start + n_bytes], *key.values()),
        )


# --- reading a range ------------------------------------------------------------------------------

_HEADER = len(_MAGIC) + 1 + 8 + 8 + 4 + 4
"""Bytes before the numbers of a packed vector: magic, "A", dimensions, length, type, complex."""

_TYPES = {
    pack_array(np.empty(0, kind))[-8:]: np.dtype(kind) for kind in ("f4", "f8", "i4", "i8", "u1")
}
"""Type and complex flag, as a packed vector's header spells them -> type of its numbers."""


def select_range(column: str, start: int, stop: int, length: int) -> str:
    """Spell the SQL expression of a range of a packed vector, which `unpack_range` takes.

    The server cuts the range out, so only that much travels. (The width of a number follows from
    the blob's own length, hence one round trip.)

    Args:
        column: Name of the column.
        start: First number of the range.
        stop: The number after the last.
        length: How many numbers the vector holds.
    """
    if (start, stop) == (0, length) or length == 0:
        return f"`{column}`"
    width = f"((LENGTH(`{column}`) - {_HEADER}) DIV {length})"
    return (
        f"CONCAT(SUBSTRING(`{column}`, 1, {_HEADER}), "
        f"SUBSTRING(`{column}`, {_HEADER + 1} + {start} * {width}, {stop - start} * {width}))"
    )


def unpack_range(blob: bytes, start: int, stop: int, length: int) -> npt.NDArray[Any] | None:
    """Unpack what `select_range` selected, without copying it.

    Returns:
        The numbers, read-only; None where the column is not a packed vector of that length
        (compressed by another client, say): fetch all of it then, and use `unpack_vector`.
    """
    dtype = _TYPES.get(blob[_HEADER - 8 : _HEADER])
    if dtype is None or len(blob) != _HEADER + (stop - start) * dtype.itemsize:
        return None
    if blob[:_HEADER] != _spell_header(dtype, length):
        return None
    return np.frombuffer(blob, dtype, offset=_HEADER)


def unpack_vector(blob: bytes) -> npt.NDArray[Any]:
    """Unpack a vector that any DataJoint client stored.

    Raises:
        DatabaseError: It holds something else than a vector of numbers.
    """
    value = unpack(blob)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise DatabaseError(
            f"A column of numbers holds a {type(value).__name__}. Restore the row, or delete it "
            "and populate again."
        )
    return array.ravel()  # MATLAB's vectors have two dimensions


@functools.lru_cache(maxsize=64)
def _spell_header(dtype: np.dtype[Any], length: int) -> bytes:
    empty = pack_array(np.empty(0, dtype))
    return empty[: _HEADER - 16] + np.uint64(length).tobytes() + empty[-8:]


# --- looking into blobs on the server -------------------------------------------------------------

_DICT_HEADER = len(_MAGIC) + 1 + 8
"""Bytes before the first entry of a packed dictionary: magic, type, number of entries."""


def mentions(column: str, name: str) -> str:
    """Spell the SQL condition that a column of dictionaries has an entry, not None nor False.

    Args:
        column: Column of dictionaries as DataJoint packs them, zipped or not.
        name: Key of the entry.
    """
    # The server's own format of zipped texts has four bytes of length where DataJoint's has eight.
    content = (
        f"IF(LEFT(`{column}`, 5)='ZL123', "
        f"UNCOMPRESS(CONCAT(SUBSTRING(`{column}`, 7, 4), SUBSTRING(`{column}`, 15))), `{column}`)"
    )
    key = Blob().pack_blob(name)
    nothing = [pack({name: value}, compress=False)[_DICT_HEADER:] for value in (None, False)]
    conditions = [f"LOCATE({_spell_bytes(key)}, {content}) > 0"]
    conditions += [f"LOCATE({_spell_bytes(entry)}, {content}) = 0" for entry in nothing]
    return f"({' AND '.join(conditions)})"


def _spell_bytes(value: bytes) -> str:
    return f"X'{value.hex()}'"


def hash_columns(query: Any, keys: Sequence[str], columns: Sequence[str]) -> list[list[str]]:
    """Hash columns of arrays where they are, so that none of them travels.

    Args:
        query: Restricted table.
        keys: Columns that tell the rows apart.
        columns: Columns of arrays.

    Returns:
        Per row, the keys and the SHA-256 of the columns, in the order of the keys.
    """
    hashes = [f"SHA2(`{column}`, 256)" for column in columns]
    hashed = query.proj(content_hash=f"SHA2(CONCAT({', '.join(hashes)}), 256)")
    rows = hashed.fetch(*keys, "content_hash")
    return sorted([*map(str, row)] for row in zip(*rows, strict=True))
