from __future__ import annotations

import warnings

import numpy as np
import pytest
from datajoint.blob import unpack
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from element_deeplabcut.blobs import pack_array, shorten

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
