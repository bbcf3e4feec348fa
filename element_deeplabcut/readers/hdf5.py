"""Tables in HDF5 files of unknown origin, read without pandas' own reader.

``pandas.read_hdf`` runs code that a file brings along: PyTables unpickles every attribute that
looks like a pickle, and every element of an object array; and it crashes the process on some
damaged files. HDF5 itself can lead to other files (external links, external storage, virtual
datasets). So the file is walked with h5py, which unpickles nothing, and refused if it holds
anything that pandas does not write for a table of numbers. The table is then put together here,
from the same bytes in memory; it equals what pandas reads, bit for bit.

pandas has two formats. In ``table``, which DeepLabCut uses, rows are records of an index and of one
array per type of number, whose columns are named in a pickled attribute. In ``fixed`` arrays lie
side by side, and columns are stored as levels and labels.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import h5py
import numpy as np
import pandas as pd

from ..errors import ResultError
from .columns import LONG_BYTES, Columns, ColumnStore
from .untrusted import load_attribute_pickle

_STEP_BYTES = 2 << 20  # what a processor keeps at hand while it is turned
_MAX_OBJECTS = 10_000
_MIN_UNPACKED_BYTES = 256 << 20
_MAX_PACKING = 50
_PLAIN_TYPES = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.BITFIELD, h5py.h5t.ENUM)
# Built into HDF5: deflate, shuffle, fletcher32, szip, nbit, scale-offset. DeepLabCut uses none, and
# any other would make HDF5 look for a plug-in.
_FILTERS = frozenset((1, 2, 3, 4, 5, 6))


def read_hdf5_table(data: bytes, what: str) -> pd.DataFrame:
    """Read the one table of a file that pandas wrote.

    Args:
        data: The whole file.
        what: How messages call it.

    Raises:
        ResultError: The file is damaged, holds anything but a table, or could run code.
    """
    with _open_table(io.BytesIO(data), what) as group:
        return _read_table(group)


def read_hdf5_columns(stream: BinaryIO, what: str, in_memory: int = LONG_BYTES) -> Columns:
    """Read the same, so that the numbers of a long table wait outside of memory.

    Args:
        stream: The whole file.
        what: How messages call it.
        in_memory: Longest table that is held in memory, bytes.

    Raises:
        ResultError: As `read_hdf5_table`; or there is no room for a temporary file.
    """
    with _open_table(stream, what) as group:
        if _attribute(group, "pandas_type") == "frame_table":
            return _turn_records(group, what, in_memory)
        return Columns.of(_read_table(group))


@contextlib.contextmanager
def _open_table(stream: BinaryIO, what: str) -> Iterator[Any]:
    check_hdf5(stream, what)
    try:
        with h5py.File(stream, "r") as file:
            groups = [item for item in file.values() if "pandas_type" in item.attrs]
            if len(groups) != 1:
                raise ValueError(f"it holds {len(groups)} tables")
            yield groups[0]
    except ResultError:
        raise
    except Exception as error:  # h5py raises anything for a damaged file
        raise ResultError(_damaged(what, error)) from error


def _read_table(group: Any) -> pd.DataFrame:
    return _READERS[_attribute(group, "pandas_type")](group)


def _read_records(group: Any) -> pd.DataFrame:
    records = group["table"][:]
    blocks = [
        pd.DataFrame(_native(records[name]).reshape(-1, len(columns)), columns=columns)
        for name, columns in _list_blocks(group)
    ]
    table = _put_together(blocks, _read_names(group))
    table.index = pd.Index(_native(records["index"]))
    return table


def _list_blocks(group: Any) -> list[tuple[str, pd.MultiIndex]]:
    """Fields of the records that hold numbers, each with the names of its columns."""
    return [
        (name, pd.MultiIndex.from_tuples(_attribute(group["table"], f"{name}_kind")))
        for name in _attribute(group, "values_cols")
    ]


def _read_names(group: Any) -> pd.MultiIndex:
    ((_, columns),) = _attribute(group, "non_index_axes")
    names = _attribute(group, "info")[1]["names"]
    return pd.MultiIndex.from_tuples(columns, names=list(names))


def _turn_records(group: Any, what: str, in_memory: int) -> Columns:
    """Turn records into columns, some records at a time."""
    records, blocks = group["table"], _list_blocks(group)
    types = [records.dtype[name].base.newbyteorder("=") for name, names in blocks for _ in names]
    store = ColumnStore(len(records), types, what, in_memory)
    index = np.empty(len(records), records.dtype["index"].newbyteorder("="))
    step = max(1, _STEP_BYTES // records.dtype.itemsize)
    for first in range(0, len(records), step):
        some = records[first : first + step]
        index[first : first + step] = some["index"]
        store.write(first, [column for name, _ in blocks for column in _native(some[name]).T])
    numbers = iter(range(len(types)))
    numbered = [
        pd.DataFrame([[next(numbers) for _ in names]], columns=names) for _, names in blocks
    ]
    order = _put_together(numbered, names := _read_names(group)).to_numpy()[0].tolist()
    return Columns(
        names,
        pd.Index(index),
        tuple(types[place] for place in order),
        lambda place: store.read(order[place]),
    )


def _read_arrays(group: Any) -> pd.DataFrame:
    blocks = []
    for number in range(int(_attribute(group, "nblocks"))):
        values = _native(group[f"block{number}_values"][:])
        blocks.append(pd.DataFrame(values, columns=_read_levels(group, f"block{number}_items")))
    table = _put_together(blocks, _read_levels(group, "axis0"))
    table.index = pd.Index(_native(group["axis1"][:]))
    return table


_READERS = {"frame_table": _read_records, "frame": _read_arrays}


def _read_levels(group: Any, axis: str) -> pd.MultiIndex:
    levels, labels, names = [], [], []
    for number in range(int(_attribute(group, f"{axis}_nlevels"))):
        level = group[f"{axis}_level{number}"]
        levels.append([text.decode("utf-8") for text in level[:].tolist()])
        labels.append(group[f"{axis}_label{number}"][:])
        names.append(_attribute(level, "name"))
    return pd.MultiIndex(levels=levels, codes=labels, names=names)


def _put_together(blocks: list[pd.DataFrame], columns: pd.MultiIndex) -> pd.DataFrame:
    table = blocks[0] if len(blocks) == 1 else pd.concat(blocks, axis=1)
    if not columns.is_unique or len(table.columns) != len(columns):
        raise ValueError("it names its columns twice or not at all")
    if set(table.columns) != set(columns) or (len(blocks) == 1 and [*table.columns] != [*columns]):
        raise ValueError("it names its columns in two ways")
    if len(blocks) > 1:
        table = table.iloc[:, table.columns.get_indexer(columns)]
    table.columns = columns
    return table


def _native(values: Any) -> Any:
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _attribute(item: Any, name: str) -> Any:
    """Read an attribute as pandas means it: a number, a text, or what its pickle holds."""
    attribute = h5py.h5a.open(item.id, name.encode())
    if attribute.get_type().get_class() != h5py.h5t.STRING:
        return item.attrs[name]
    (value,) = _read_texts(attribute, attribute.get_type())
    return load_attribute_pickle(value, name) if value.endswith(b".") else value.decode("utf-8")


def check_hdf5(stream: BinaryIO, what: str) -> None:
    """Insist that a file holds nothing but what pandas writes for a table of numbers.

    Raises:
        ResultError: It is damaged, could run code when read, or refers to other files.
    """
    try:
        size = stream.seek(0, os.SEEK_END)
        with h5py.File(stream, "r") as file:
            _check_objects(file, what, max(_MIN_UNPACKED_BYTES, _MAX_PACKING * size))
    except ResultError:
        raise
    except Exception as error:  # h5py raises anything for a damaged file
        raise ResultError(_damaged(what, error)) from error


def _check_objects(file: Any, what: str, max_bytes: int) -> None:
    n_bytes = 0
    for count, (name, item) in enumerate(_walk(file, what)):
        if count > _MAX_OBJECTS:
            raise ResultError(_unsafe(what, f"holds more than {_MAX_OBJECTS} objects"))
        for attribute, value in _attribute_texts(item, f"{what}, '{name}'"):
            if b"\0" in value:
                raise ResultError(_unsafe(what, f"has null bytes in '{attribute}' of '{name}'"))
            # This is how PyTables decides what to unpickle.
            if value.rstrip(b" ").endswith(b"."):
                load_attribute_pickle(value, f"{what}: attribute '{attribute}' of '{name}'")
        if isinstance(item, h5py.Dataset):
            _check_dataset(item, name, what)
            n_bytes += item.id.get_type().get_size() * int(np.prod(item.shape, dtype=object))
            if n_bytes > max_bytes:
                raise ResultError(_unsafe(what, f"claims to unpack to more than {max_bytes} bytes"))


def _walk(file: Any, what: str) -> Iterator[tuple[str, Any]]:
    """Give every object once, refusing every link that is not a plain one."""
    seen = {file.id.__hash__()}
    waiting = [("/", file["/"])]
    while waiting:
        path, item = waiting.pop()
        yield path, item
        if not isinstance(item, h5py.Group):
            continue
        for name in item:
            child = f"{path.rstrip('/')}/{name}"
            link = item.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise ResultError(_unsafe(what, f"holds a link to elsewhere, '{child}'"))
            found = item[name]
            if not isinstance(found, (h5py.Group, h5py.Dataset)):
                raise ResultError(_unsafe(what, f"holds '{child}', which is no table"))
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                raise ResultError(_unsafe(what, f"holds '{child}' a second time"))
            seen.add(address)
            waiting.append((child, found))


def _attribute_texts(item: Any, where: str) -> Iterator[tuple[str, bytes]]:
    """Give the texts among an object's attributes as bytes, refusing kinds pandas never writes."""
    for index in range(h5py.h5a.get_num_attrs(item.id)):
        attribute = h5py.h5a.open(item.id, index=index)
        name = attribute.name.decode("utf-8", "backslashreplace")
        kind = attribute.get_type()
        if kind.get_class() in _PLAIN_TYPES:
            continue
        if kind.get_class() != h5py.h5t.STRING:
            raise ResultError(_unsafe(where, f"has an attribute '{name}' that is no plain value"))
        if attribute.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            continue
        for value in _read_texts(attribute, kind):
            yield name, value


def _read_texts(attribute: Any, kind: Any) -> list[bytes]:
    if kind.is_variable_str():
        values = np.empty(attribute.shape, dtype=attribute.dtype)
        attribute.read(values)
        texts = values.ravel().tolist()
        return [text if isinstance(text, bytes) else str(text).encode() for text in texts]
    # Raw, because a conversion may end a text at its first null byte where PyTables reads on.
    raw = np.empty(attribute.shape, dtype=f"V{kind.get_size()}")
    attribute.read(raw, mtype=kind)
    return [text.tobytes().rstrip(b"\0") for text in raw.ravel()]


def _check_dataset(dataset: Any, name: str, what: str) -> None:
    properties = dataset.id.get_create_plist()
    if properties.get_layout() == h5py.h5d.VIRTUAL or properties.get_external_count():
        raise ResultError(_unsafe(what, f"takes '{name}' from other files"))
    if not _is_plain(dataset.id.get_type()):
        raise ResultError(_unsafe(what, f"holds Python objects in '{name}'"))
    for index in range(properties.get_nfilters()):
        if properties.get_filter(index)[0] not in _FILTERS:
            raise ResultError(_unsafe(what, f"packs '{name}' by a plug-in"))


def _is_plain(kind: Any) -> bool:
    """Whether a type holds numbers and texts of fixed length only."""
    if kind.get_class() == h5py.h5t.COMPOUND:
        return all(_is_plain(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if kind.get_class() == h5py.h5t.ARRAY:
        return _is_plain(kind.get_super())
    if kind.get_class() == h5py.h5t.STRING:
        return not kind.is_variable_str()
    return kind.get_class() in _PLAIN_TYPES


def _damaged(what: str, why: object) -> str:
    return (
        f"{what} is no table that pandas wrote ({why}). It is damaged or of another kind; write it "
        "again with DeepLabCut, or restore it."
    )


def _unsafe(what: str, why: str) -> str:
    return (
        f"{what} {why}, which no result of DeepLabCut does. It was not read. Find out where it "
        "comes from; write the result again with DeepLabCut, or remove the file."
    )
