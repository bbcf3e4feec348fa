"""HDF5 files that somebody else may have prepared."""

from __future__ import annotations

import contextlib
import os
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import tables

from element_deeplabcut.errors import ResultError
from element_deeplabcut.readers.hdf5 import check_hdf5, read_hdf5_table

from ...dlc_results import make_table, write_table

GROUP, TABLE = "/df_with_missing", "/df_with_missing/table"


class Touch:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.file}'",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_table(make_table("DLC_S", ["nose", "tail"], 9), tmp_path / "a.h5")
    return tmp_path / "a.h5"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def refuse(file: Path, match: str = "a.h5") -> None:
    with pytest.raises(ResultError, match=match):
        read_hdf5_table(file.read_bytes(), f"'{file.name}'")


# --- what pandas writes ---------------------------------------------------------------------------

COLUMNS = {
    "single": make_table("S", ["nose", "tail."], 7),
    "float32": make_table("S", ["nose"], 7, dtype="float32"),
    "several": make_table("S", ["nose"], 7, individuals=["a", "b"], unique=["corner"]),
    "3-D": make_table("S", ["nose"], 7, coords=("x", "y", "z")),
    "other letters": make_table("S", ["鼻", "Öhrchen"], 7),
    "many": make_table("S", [f"part{i}" for i in range(60)], 7),
}
mixed = make_table("S", ["nose"], 7)
mixed[("S", "nose", "x")] = mixed[("S", "nose", "x")].astype("float32")
COLUMNS["mixed types"] = mixed


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
@pytest.mark.parametrize(
    "options",
    [
        {"format": "table"},
        {"format": "fixed"},
        {"format": "table", "complevel": 9, "complib": "zlib"},
        {"format": "fixed", "complevel": 5, "complib": "zlib"},
    ],
)
@pytest.mark.parametrize("name", COLUMNS)
def test_what_pandas_writes_is_read_as_pandas_reads_it(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "a.h5"
    COLUMNS[name].to_hdf(file, key="tracks", mode="w", **options)
    read = read_hdf5_table(file.read_bytes(), "'a.h5'")
    pd.testing.assert_frame_equal(read, pd.read_hdf(file), check_exact=True)


def test_a_frozen_list_of_older_pandas_is_read(file: Path) -> None:
    """pandas 0.x and 1.x wrote the levels' names as FrozenList, a class of its own."""
    with tables.open_file(file, "a") as opened:
        info = opened.get_node(GROUP)._v_attrs.info
        info[1]["names"] = pd.Index([]).names.__class__(info[1]["names"])
        opened.get_node(GROUP)._v_attrs.info = info
    assert b"FrozenList" in file.read_bytes()
    assert read_hdf5_table(file.read_bytes(), "'a.h5'").columns.names == [
        "scorer", "bodyparts", "coords",
    ]  # fmt: skip


def test_numpy_numbers_in_attributes_are_read(file: Path) -> None:
    with tables.open_file(file, "a") as opened:
        opened.get_node(GROUP)._v_attrs.levels = [np.int64(1), np.float32(0.5), b"\xff"]
    check_hdf5(file.open("rb"), "'a.h5'")


# --- attributes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("node", ["/", GROUP, TABLE, f"{GROUP}/_i_table/index/sorted"])
@pytest.mark.parametrize("attribute", ["info", "TITLE", "CLASS", "FILTERS", "FIELD_0_FILL", "new"])
def test_a_pickle_in_any_attribute_is_refused(
    node: str, attribute: str, file: Path, canary: Path
) -> None:
    payload = pickle.dumps(Touch(canary), 0)
    with h5py.File(file, "a") as opened:
        opened[node].attrs[attribute] = np.bytes_(payload)
    refuse(file, r"could run code: it asks for posix\.system")
    assert not canary.exists()


def test_the_canary_would_have_sung(file: Path, canary: Path) -> None:
    """pandas alone runs such a file: the tests above would notice."""
    with h5py.File(file, "a") as opened:
        opened[GROUP].attrs["info"] = np.bytes_(pickle.dumps(Touch(canary), 0))
    with contextlib.suppress(Exception):
        pd.read_hdf(file)
    assert canary.exists()


@pytest.mark.parametrize("padding", [h5py.h5t.STR_NULLTERM, h5py.h5t.STR_NULLPAD,
                                     h5py.h5t.STR_SPACEPAD])  # fmt: skip
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_null_bytes_hide_nothing(protocol: int, padding: int, file: Path, canary: Path) -> None:
    """A conversion that ends a text at its first null byte would show a harmless beginning."""
    payload = pickle.dumps(Touch(canary), protocol)
    with h5py.File(file, "a") as opened:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(len(payload))
        kind.set_strpad(padding)
        h5py.h5a.delete(opened[GROUP].id, b"info")
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        attribute = h5py.h5a.create(opened[GROUP].id, b"info", kind, space)
        attribute.write(np.frombuffer(payload, f"V{len(payload)}").reshape(()), mtype=kind)
    refuse(file)
    assert not canary.exists()


@pytest.mark.parametrize("value", [
    "cos\nsystem\n(S'touch canary'\ntR.", np.array([b"x", b"cos\nsystem\n."]), np.void(b"cos\n."),
    h5py.Empty("V3"), np.array([(1, 2)], dtype=[("a", "i4"), ("b", "i4")]),
])  # fmt: skip
def test_other_kinds_of_attributes_are_refused(value: Any, file: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened[TABLE].attrs["index_kind"] = value
    refuse(file)


# --- datasets and links ---------------------------------------------------------------------------


def plant_object_array(file: Path, canary: Path) -> None:
    with tables.open_file(file, "a") as opened:
        opened.create_vlarray(GROUP, "objects", tables.ObjectAtom()).append(Touch(canary))


def plant_text_of_any_length(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened.create_dataset("text", data=["a"], dtype=h5py.string_dtype())


def plant_external_link(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened["more"] = h5py.ExternalLink("/etc/passwd", "/")


def plant_soft_link(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened["more"] = h5py.SoftLink(TABLE)


def plant_external_storage(file: Path, canary: Path) -> None:
    canary.with_suffix(".bin").write_bytes(bytes(80))
    with h5py.File(file, "a") as opened:
        storage = [(str(canary.with_suffix(".bin")), 0, 80)]
        opened.create_dataset("more", (10,), "f8", external=storage)


def plant_virtual(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        layout = h5py.VirtualLayout((10,), "f8")
        layout[:] = h5py.VirtualSource(str(canary), "x", (10,))
        opened.create_virtual_dataset("more", layout)


def plant_named_type(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened["more"] = np.dtype("f8")


def plant_second_name(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened[f"{GROUP}/loop"] = opened["/"]


def plant_giant(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened.create_dataset("more", (1 << 40,), "f8", chunks=(1 << 20,), compression="gzip")


def plant_reference(file: Path, canary: Path) -> None:
    with h5py.File(file, "a") as opened:
        opened.create_dataset("more", data=[opened[GROUP].ref], dtype=h5py.ref_dtype)


@pytest.mark.parametrize("plant", [
    plant_object_array, plant_text_of_any_length, plant_external_link, plant_soft_link,
    plant_external_storage, plant_virtual, plant_named_type, plant_second_name, plant_giant,
    plant_reference,
])  # fmt: skip
def test_what_no_table_needs_is_refused(
    plant: Callable[[Path, Path], None], file: Path, canary: Path
) -> None:
    plant(file, canary)
    refuse(file, "which no result of DeepLabCut does. It was not read")
    assert not canary.exists()


# --- damage ---------------------------------------------------------------------------------------


def test_damage_is_a_sentence(file: Path) -> None:
    whole = file.read_bytes()
    dice = random.Random(0)
    for size in (0, 1, 100, 3000, len(whole) // 2, len(whole) - 1):
        with pytest.raises(ResultError, match="no table that pandas wrote"):
            read_hdf5_table(whole[:size], "'a.h5'")
    for _ in range(300):
        broken = bytearray(whole)
        for _ in range(dice.randrange(1, 40)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        with contextlib.suppress(ResultError):
            read_hdf5_table(bytes(broken), "'a.h5'")


def test_a_series_or_two_tables_are_refused(tmp_path: Path) -> None:
    pd.Series([1.0]).to_hdf(tmp_path / "a.h5", key="s")
    refuse(tmp_path / "a.h5", "no table that pandas wrote")
    for key in ("a", "b"):
        make_table("S", ["nose"], 3).to_hdf(tmp_path / "b.h5", key=key, format="table")
    refuse(tmp_path / "b.h5", "no table that pandas wrote")
