"""Long results: the same bytes and the same numbers, outside of memory."""

from __future__ import annotations

import hashlib
import io
import resource
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from element_deeplabcut.errors import ResultError
from element_deeplabcut.readers.columns import LONG_BYTES, copy_file
from element_deeplabcut.readers.hdf5 import read_hdf5_columns
from element_deeplabcut.readers.pose import parse_pose

from .test_hdf5 import COLUMNS


@pytest.mark.parametrize("in_memory", [0, LONG_BYTES], ids=["on disk", "in memory"])
@pytest.mark.parametrize("content", [b"abc" * 1000, b"a", bytes(9 << 20)], ids=len)
def test_a_copy_has_the_same_bytes(content: bytes, in_memory: int, tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(content)
    with copy_file(file, in_memory) as copy:
        file.write_bytes(b"changed meanwhile")
        assert (copy.size, copy.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert copy.stream.read() == content
    assert copy.stream.closed or isinstance(copy.stream, io.BytesIO)


def test_only_regular_files_are_copied(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    for name in ("link", "gone"):
        with pytest.raises(ResultError, match="cannot be read"), copy_file(tmp_path / name):
            pass


@pytest.fixture
def small_disk() -> Iterator[None]:
    """Files cannot grow beyond a megabyte."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    file = tmp_path / "long"
    file.write_bytes(bytes(9 << 20))
    return file


def test_no_room_for_a_copy_is_said(long_file: Path, small_disk: None) -> None:
    with pytest.raises(ResultError, match=r"does not take 9437184 bytes.*set TMPDIR"):  # noqa: SIM117
        with copy_file(long_file, 0):
            pass


@pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")
@pytest.mark.parametrize("format_", ["table", "fixed"])
@pytest.mark.parametrize("name", COLUMNS)
def test_columns_on_disk_are_those_pandas_reads(name: str, format_: str, tmp_path: Path) -> None:
    file = tmp_path / "a.h5"
    COLUMNS[name].to_hdf(file, key="tracks", mode="w", format=format_)
    expected = pd.read_hdf(file)
    with file.open("rb") as stream:
        columns = read_hdf5_columns(stream, "'a.h5'", in_memory=0)
    pd.testing.assert_index_equal(columns.names, expected.columns)
    pd.testing.assert_index_equal(columns.index, expected.index)
    for place, kind in reversed(list(enumerate(columns.types))):  # in any order, and twice
        for _ in range(2):
            values = columns.read(place)
            assert values.dtype == kind == expected.dtypes.iloc[place]
            assert np.array_equal(values, expected.iloc[:, place].to_numpy(), equal_nan=True)


def test_a_long_result_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    n_frames, parts = 150_000, [f"part{number}" for number in range(20)]
    values = np.random.default_rng(0).random((n_frames, 3 * len(parts)))
    names = pd.MultiIndex.from_product(
        [["DLC_it"], parts, ["x", "y", "likelihood"]], names=["scorer", "bodyparts", "coords"]
    )
    file = tmp_path / "long.h5"
    pd.DataFrame(values, columns=names).to_hdf(file, key="a", format="table", mode="w")
    assert file.stat().st_size > LONG_BYTES
    tracemalloc.start()
    with copy_file(file) as copy:
        pose = parse_pose(copy.stream, False, "it")
    for number, track in enumerate(pose.tracks):
        assert np.array_equal(track.x, values[:, 3 * number])
        assert np.array_equal(track.y, values[:, 3 * number + 1])
        assert np.array_equal(track.likelihood, values[:, 3 * number + 2])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40e6  # the file has 73e6
