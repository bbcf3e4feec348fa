"""Keys on the command line."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ParameterError, QueryError
from workflow_deeplabcut.commands.keys import find_key, name_file, read_key, show_key

from ..conftest import Lab

names = st.from_regex(r"[a-z_][a-z0-9_]{0,10}", fullmatch=True)
values = st.text(max_size=12).filter(lambda text: '"' not in text)


@given(st.dictionaries(names, values))
def test_what_is_typed_is_read(key: dict[str, str]) -> None:
    assert read_key([f"{name}={value}" for name, value in key.items()]) == key


@pytest.mark.parametrize("pairs", [["a"], ["=1"], ["a b=1"], ["a=1", "a=2"], ['a=b"']])
def test_another_form_is_refused(pairs: list[str]) -> None:
    with pytest.raises(ParameterError):
        read_key(pairs)


@given(st.dictionaries(names, values, max_size=6))
def test_a_file_is_named_plainly(key: dict[str, str]) -> None:
    name = name_file("trajectory", key, ".png")
    assert name.endswith(".png")
    assert not set(name) & set("/\\ :\0\n'\"")
    assert len(name) < 160


def test_a_name_holds_the_keys_values() -> None:
    key = {"subject": "mouse1", "session_datetime": "2026-02-01 10:00:00", "recording_id": 3}
    assert name_file("quality", key, ".svg") == "quality_mouse1_2026-02-01-10-00-00_3.svg"


def test_part_of_a_key_is_enough_where_it_fits_one_row(lab: Lab) -> None:
    first, second = (lab.add_recording(number, lab.new_video) for number in (1121, 1122))
    table = lab.pipeline.model.VideoRecording
    key = find_key(table, {"recording_id": "1121"})
    assert show_key(key) == "subject=mouse1 session_datetime=2026-02-01 10:00:00 recording_id=1121"
    assert (table & first).fetch1("KEY") == key
    assert find_key(table, {name: str(value) for name, value in second.items()}) != key


@pytest.mark.parametrize(
    ("key", "error", "said"),
    [
        ({"recording_id": "1139"}, QueryError, "no row for recording_id=1139. Try harder."),
        ({"recording_id": "1123x"}, ParameterError, "must be a number, and is '1123x'"),
        ({"recordingid": "1"}, ParameterError, "did you mean 'recording_id'"),
        ({"colour": "red"}, ParameterError, "no attribute 'colour'. Choose from subject"),
        ({"device": "Camera2", "subject": "mouse1"}, QueryError, "Add --key recording_id=VALUE"),
    ],
)
def test_a_key_that_fits_no_row_or_several(
    lab: Lab, key: dict[str, str], error: type[Exception], said: str
) -> None:
    table = lab.pipeline.model.VideoRecording
    rows: list[dict[str, Any]] = [
        {**lab.session_key, "recording_id": number, "device": "Camera2"} for number in (1123, 1124)
    ]
    table.insert(rows, skip_duplicates=True)
    with pytest.raises(error) as caught:
        find_key(table, key, "Try harder.")
    assert said in str(caught.value)
