"""Configuration files: what is read, what is kept, and what nobody gets to see."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import PathError, SetupError
from workflow_deeplabcut.configuration.files import (
    SECRET,
    find_file,
    hide_secrets,
    is_open_to_others,
    list_changes,
    merge,
    read_file,
    write_file,
)

from .conftest import Desk

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_the_local_file_hides_the_personal_one(desk: Desk) -> None:
    assert find_file() is None
    desk.personal.write_text("{}")
    assert find_file() == desk.personal
    desk.local.write_text("{}")
    assert find_file() == desk.local


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "database.host": "a",\n  "database.user" "b"\n}', "line 3, column 19: this is not"),
        ("", "line 1, column 1: this is not JSON"),
        ("[1]", "line 1: the settings must be an object"),
        ('{\n"database.port": "3306"}', 'line 2: "database.port" must be a number such as 3306'),
        ('{\n\n"database.port": true}', 'line 3: "database.port" must be a number'),
        ('{"custom": []}', 'line 1: "custom" must be an object'),
        ('{"database.host": 5}', '"database.host" must be a text, and is 5'),
    ],
)
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "dj_local_conf.json"
    file.write_text(text)
    with pytest.raises(SetupError) as caught:
        read_file(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_malformed_password_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "dj_local_conf.json"
    file.write_text('{"database.password": 12345}')
    with pytest.raises(SetupError, match="is \\(hidden\\)"):
        read_file(file)


def test_a_file_is_written_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "dj_local_conf.json"
    file.write_text("{}")
    file.chmod(0o644)
    assert is_open_to_others(file)
    write_file(file, {"database.host": "a", "name": "é"})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"database.host": "a", "name": "é"}
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target, link = tmp_path / "shared.json", tmp_path / "dj_local_conf.json"
    target.write_text("{}")
    link.symlink_to(target)
    write_file(link, {"a": 1})
    assert link.is_symlink()
    assert json.loads(target.read_text()) == {"a": 1}


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="cannot be written"):
        write_file(tmp_path / "gone" / "dj_local_conf.json", {})


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "dj_local_conf.json"
    file.write_text('{"a": 1}')
    with pytest.raises(TypeError):
        write_file(file, {"a": object()})
    assert file.read_text() == '{"a": 1}'
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@given(st.dictionaries(st.text(max_size=8), plain), st.dictionaries(st.text(max_size=8), plain))
def test_merging_keeps_what_is_not_given(before: dict[str, Any], given_: dict[str, Any]) -> None:
    before.pop("custom", None)
    given_.pop("custom", None)
    merged = merge({**before, "custom": before}, {**given_, "custom": given_})
    assert {name: value for name, value in merged.items() if name != "custom"} == before | given_
    left = {name: value for name, value in (before | given_).items() if value is not None}
    assert merged.get("custom", {}) == left


@given(st.text(min_size=12, max_size=20), plain)
def test_a_password_is_never_shown(password: str, other: Any) -> None:
    before = {"database.password": "old " + password, "custom": {"other": other}}
    after = {
        "database.password": password,
        "stores": {"s3": {"secret_key": password, "list": [{"pass": password}]}},
        "custom": {"api_token": password},
    }
    assert password not in json.dumps(hide_secrets(after), ensure_ascii=False)
    changes = list_changes(before, after)
    assert changes["database.password"] == (SECRET, SECRET)
    assert not any(password in text for pair in changes.values() for text in pair)
