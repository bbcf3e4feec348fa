from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.trajectories import list_body_parts, name_output_dir

# ---- folder names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"subject": "a b"}, {"subject": "a-b"}),
        ({"subject": "A"}, {"subject": "a"}),
        ({"subject": "a", "id": "b-c"}, {"subject": "a-b", "id": "c"}),
        ({"subject": "ä"}, {"subject": "ö"}),
        ({"subject": "x" * 200 + "1"}, {"subject": "x" * 200 + "2"}),
        ({"subject": "a"}, {"mouse": "a"}),
        ({"subject": "../x"}, {"subject": "x"}),
    ],
)
def test_output_folders_of_distinct_keys_are_distinct(one, other):
    assert name_output_dir(one) != name_output_dir(other)


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=8), min_size=1),
       st.dictionaries(st.sampled_from("abc"), st.text(max_size=8), min_size=1))  # fmt: skip
def test_output_folders_are_equal_exactly_for_equal_keys(one, other):
    assert (name_output_dir(one) == name_output_dir(other)) == (one == other)


@given(st.dictionaries(st.sampled_from("abc"), st.text(max_size=300) | st.integers(), min_size=1))
def test_an_output_folder_is_one_plain_name_below_poses(key):
    folder = name_output_dir(key)
    assert not folder.is_absolute()
    assert folder.parts[0] == "poses"
    assert len(folder.parts) == 2
    assert set(folder.name) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
    )
    assert len(folder.name) <= 128


def test_an_output_folder_is_readable():
    key = {"subject": "mouse 1", "session_datetime": datetime.datetime(2026, 2, 1), "id": 3}
    for value in ("mouse-1", "2026-02-01-00-00-00", "3"):
        assert f"{value}-" in name_output_dir(key).name


def test_the_order_of_a_key_does_not_matter():
    key = {"subject": "m", "recording_id": 1}
    assert name_output_dir(key) == name_output_dir(dict(reversed(key.items())))


# ---- body parts ------------------------------------------------------------------------------


def test_body_parts_are_listed_as_deeplabcut_orders_them():
    assert list_body_parts({"bodyparts": ["nose", "tail"]}) == ["nose", "tail"]
    several = {
        "multianimalproject": True,
        "bodyparts": "MULTI!",
        "multianimalbodyparts": ["nose", "tail"],
        "uniquebodyparts": ["corner", "nose"],
    }
    assert list_body_parts(several) == ["nose", "tail", "corner"]
