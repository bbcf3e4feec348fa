from __future__ import annotations

import warnings

import numpy as np
import pytest
from datajoint.blob import pack, unpack
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from element_deeplabcut.blobs import (
    pack_array,
    select_range,
    shorten,
    unpack_range,
    unpack_vector,
)
from element_deeplabcut.errors import DatabaseError

DTYPES = ["float64", "float32", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
          "uint64", "bool"]  # fmt: skip


def assert_identical(one, other):
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_datajoint_client_reads_a_packed_array(dtype):
    array = np.arange(7).astype(dtype)
    assert_identical(unpack(pack_array(array)), array)


@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(max_dims=3)))
def test_packing_keeps_every_bit(array):
    assert_identical(unpack(pack_array(array)), array)


def test_packing_is_not_compressed():
    array = np.zeros(10_000, np.float32)
    packed = pack_array(array)
    # magic, "A", number of dimensions, shape, type and complex flag; then the numbers themselves
    assert len(packed) == 4 + 1 + 8 + 8 + 4 + 4 + array.nbytes
    assert packed.endswith(array.tobytes())


def test_the_numbers_lie_at_a_fixed_place():
    # SUBSTRING in SQL reads a range of frames with this.
    packed = pack_array(np.arange(100, dtype=np.float32))
    assert np.frombuffer(packed[29 + 4 * 10 : 29 + 4 * 20], np.float32).tolist() == list(
        range(10, 20)
    )


@pytest.mark.parametrize(
    "array",
    [
        np.arange(20.0)[::2],
        np.arange(12.0).reshape(3, 4)[:, 1],
        np.arange(12.0).reshape(3, 4).T,
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.array([], np.float32),
    ],
    ids=["strided", "column", "transposed", "fortran", "empty"],
)
def test_the_layout_in_memory_does_not_matter(array):
    unpacked = unpack(pack_array(array))
    assert unpacked.shape == array.shape
    np.testing.assert_array_equal(unpacked, array)


@given(hnp.arrays(np.float32, st.integers(0, 20)))
def test_numbers_exact_in_single_precision_are_shortened(array):
    short = shorten(array.astype(np.float64))
    assert short.dtype == np.float32
    np.testing.assert_array_equal(short, array)


@given(hnp.arrays(np.float64, st.integers(0, 20)))
def test_shortening_never_changes_a_number(array):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        short = shorten(array)
    assert short.dtype in (np.float32, np.float64)
    np.testing.assert_array_equal(short.astype(np.float64), array)


@pytest.mark.parametrize("number", [0.1, 1e300, 1e-300, 2.0**24 + 1, 1 + 2.0**-24])
def test_one_number_that_needs_it_keeps_double_precision(number):
    array = np.array([1.0, np.nan, number])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        short = shorten(array)
    assert_identical(short, array)


def test_missing_points_do_not_cost_double_precision():
    assert shorten(np.array([0.5, np.nan, np.inf])).dtype == np.float32


def test_shortening_warns_nobody():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shorten(np.array([1e300]))


# --- ranges ---------------------------------------------------------------------------------------


def cut(blob: bytes, start: int, stop: int, length: int) -> bytes:
    """What the server answers to `select_range`."""
    if (start, stop) == (0, length) or length == 0:
        return blob
    width = (len(blob) - 29) // length
    return blob[:29] + blob[29 + start * width : 29 + stop * width]


@given(
    hnp.arrays(st.sampled_from(["f4", "f8", "i4", "i8", "u1"]), st.integers(0, 20)),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_a_range_is_read_where_it_lies(array, one, other):
    start, stop = sorted((min(one, len(array)), min(other, len(array))))
    blob = cut(pack_array(array), start, stop, len(array))
    assert_identical(unpack_range(blob, start, stop, len(array)), array[start:stop])


@pytest.mark.parametrize(
    "blob",
    [
        pack(np.arange(1000.0)),  # compressed
        pack_array(np.arange(6.0)[:, None]),
        pack_array(np.arange(5.0)),  # of another length
        pack_array(np.arange(6, dtype=complex)),
        pack([1.0, 2.0]),
        b"",
        b"mYm",
    ],
    ids=["compressed", "column", "short", "complex", "list", "empty", "torn"],
)
def test_what_cannot_be_cut_is_told(blob):
    assert unpack_range(cut(blob, 1, 3, 6), 1, 3, 6) is None
    assert unpack_range(blob, 0, 6, 6) is None


def test_the_expression_names_bytes_from_one():
    assert select_range("x", 0, 6, 6) == "`x`"
    assert "SUBSTRING(`x`, 30 + 2 * ((LENGTH(`x`) - 29) DIV 6), 3 * " in select_range("x", 2, 5, 6)


def test_vectors_of_any_client():
    for value in (np.arange(3.0), np.arange(3.0)[:, None], [0.0, 1.0, 2.0], (0, 1, 2)):
        assert unpack_vector(pack(value)).tolist() == [0, 1, 2]
    with pytest.raises(DatabaseError, match="holds a dict"):
        unpack_vector(pack({"a": 1}))
