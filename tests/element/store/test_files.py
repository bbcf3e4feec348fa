from __future__ import annotations

import os
import threading
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import PathError
from element_deeplabcut.store.files import (
    attempt_folder,
    dump_json,
    find_changed,
    fingerprint,
    hash_file,
    hash_json,
    list_files,
    make_folder,
    publish,
    slugify,
    write_new,
)

# ---- creating --------------------------------------------------------------------------------


def test_folders_are_created_and_may_be_there(tmp_path):
    for _ in range(2):
        assert make_folder(tmp_path / "out", "a", "b") == tmp_path / "out" / "a" / "b"
    assert (tmp_path / "out" / "a" / "b").is_dir()


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("kind", ["link", "dangling link", "file"])
def test_something_planted_where_a_folder_is_created_is_refused(tmp_path, level, kind):
    base, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    base.mkdir()
    elsewhere.mkdir()
    parts = ("a", "b", "c")
    planted = base.joinpath(*parts[: level + 1])
    planted.parent.mkdir(parents=True, exist_ok=True)
    if kind == "file":
        planted.write_text("x")
    else:
        planted.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    with pytest.raises(PathError, match=f"'{planted}' is a link or a file"):
        make_folder(base, *parts)
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()


def test_the_base_is_the_labs_own_choice_and_may_be_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    make_folder(tmp_path / "out", "a")
    assert (tmp_path / "disk" / "a").is_dir()


def test_a_folder_that_cannot_be_created_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PathError, match="cannot be created"):
        make_folder(tmp_path / "file", "a")
    with pytest.raises(PathError, match="cannot be created"):
        make_folder(tmp_path, "x" * 300)


def test_a_new_file_is_written_once(tmp_path):
    write_new(tmp_path / "a.json", "größe")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "größe"
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "a.json", "other")
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == "größe"


@pytest.mark.parametrize("target", ["existing", "nowhere"])
def test_a_new_file_is_not_written_through_a_link(tmp_path, target):
    (tmp_path / "existing").write_text("precious")
    (tmp_path / "a.json").symlink_to(tmp_path / target)
    with pytest.raises(OSError, match=r"a\.json"):
        write_new(tmp_path / "a.json", "text")
    assert (tmp_path / "existing").read_text() == "precious"
    assert not (tmp_path / "nowhere").exists()


# ---- attempts and publishing -----------------------------------------------------------------


def test_an_attempt_leaves_nothing_behind_when_it_fails(tmp_path):
    def fail():
        with attempt_folder(tmp_path, "run") as folder:
            (folder / "deep" / "er").mkdir(parents=True)
            (folder / "deep" / "file").write_text("half")
            (folder / "deep" / "file").chmod(0o444)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list((tmp_path / ".attempts").iterdir()) == []


def test_an_attempt_that_was_not_published_is_removed_too(tmp_path):
    with attempt_folder(tmp_path, "run") as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()


def test_cleaning_up_does_not_follow_links(tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    with attempt_folder(tmp_path / "out", "run") as folder:
        (folder / "link").symlink_to(precious)
    assert (precious / "file").exists()


def test_attempts_of_one_name_do_not_meet(tmp_path):
    with attempt_folder(tmp_path, "run") as one, attempt_folder(tmp_path, "run") as other:
        assert one != other
        assert one.parent == other.parent == tmp_path / ".attempts"
        assert one.name.startswith("run.")


def test_a_planted_link_in_place_of_the_attempts_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".attempts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PathError), attempt_folder(tmp_path, "run"):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_publishing_is_one_rename(tmp_path):
    with attempt_folder(tmp_path, "run") as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("result")
        (folder / "link").symlink_to(tmp_path / "nowhere")
        inode = folder.stat().st_ino
        assert publish(folder, tmp_path / "run")
    assert (tmp_path / "run").stat().st_ino == inode
    assert (tmp_path / "run" / "sub" / "file").read_text() == "result"
    assert (tmp_path / "run" / "link").is_symlink()
    assert list((tmp_path / ".attempts").iterdir()) == []


def test_what_was_published_first_stays(tmp_path):
    for text, published in (("first", True), ("second", False)):
        with attempt_folder(tmp_path, "run") as folder:
            (folder / "file").write_text(text)
            assert publish(folder, tmp_path / "run") is published
    assert (tmp_path / "run" / "file").read_text() == "first"
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["file"]


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_nothing_is_published_over_something_else(tmp_path, kind):
    target, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        target.write_text("precious")
    else:
        target.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    with attempt_folder(tmp_path, "run") as folder:
        (folder / "file").write_text("x")
        assert publish(folder, target) is False
    assert not target.is_dir() or target.is_symlink()
    assert list(elsewhere.iterdir()) == []


def test_of_many_publishers_exactly_one_wins(tmp_path):
    n_workers, outcomes = 8, []
    gate = threading.Barrier(n_workers)

    def work(number):
        with attempt_folder(tmp_path, "run") as folder:
            (folder / "file").write_text(str(number))
            gate.wait()
            outcomes.append((publish(folder, tmp_path / "run"), number))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(n_workers)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    winners = [number for won, number in outcomes if won]
    assert len(outcomes) == n_workers
    assert len(winners) == 1
    assert (tmp_path / "run" / "file").read_text() == str(winners[0])


def test_publishing_into_a_folder_that_is_gone_is_an_error(tmp_path):
    with attempt_folder(tmp_path, "run") as folder, pytest.raises(FileNotFoundError):
        publish(folder, tmp_path / "gone" / "run")


# ---- names and hashes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slug"),
    [("a b", "a-b"), ("a-b", "a-b"), ("mouse_1", "mouse-1"), ("../../etc", "etc"), ("", "run"),
     ("ä", "run"), ("--a--", "a"), ("2026-01-01 10:00:00", "2026-01-01-10-00-00")],
)  # fmt: skip
def test_slugs(text, slug):
    assert slugify(text) == slug


@given(st.text(), st.integers(1, 50))
def test_any_text_gives_a_safe_name(text, length):
    slug = slugify(text, length)
    assert slug.replace("-", "a").isascii()
    assert slug.replace("-", "a").isalnum()
    assert not slug.startswith("-")
    assert not slug.endswith("-")
    assert slug == "run" or len(slug) <= length


def test_the_hash_of_a_file_is_sha256(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert hash_file(tmp_path / "file") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    (tmp_path / "long").write_bytes(b"a" * 1_000_000)
    assert hash_file(tmp_path / "long") == (
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
    )


def test_the_hash_of_a_value_does_not_depend_on_key_order():
    assert hash_json({"a": 1, "b": [1, {"x": 0, "y": 1}]}) == hash_json(
        {"b": [1, {"y": 1, "x": 0}], "a": 1}
    )
    assert len({hash_json(value) for value in (1, 1.0, True, "1", [1], None, "null")}) == 7


@pytest.mark.parametrize("number", [np.int64(1), np.float32(0.5), np.bool_(True)])
def test_numpy_numbers_hash_as_the_numbers_they_are(number):
    assert hash_json({"a": number}) == hash_json({"a": number.item()})


def test_dates_and_uuids_are_written_as_texts():
    assert dump_json({"b": uuid.UUID(int=1), "a": 1}) == (
        '{"a":1,"b":"00000000-0000-0000-0000-000000000001"}'
    )


# ---- folders at a glance ---------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    (folder / "b" / "c").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a.txt").write_text("a")
    (folder / "b" / "c" / "d.txt").write_text("d")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s")
    (folder / "b" / "linked").symlink_to(tmp_path / "outside")
    (folder / "b" / "link.txt").symlink_to(tmp_path / "outside" / "secret")
    return folder


def test_files_are_listed_without_following_links(folder):
    assert list(list_files(folder)) == ["a.txt", "b/c/d.txt", "b/link.txt", "b/linked"]
    assert list_files(folder)["b/c/d.txt"] == folder / "b" / "c" / "d.txt"


def test_a_fingerprint_covers_regular_files(folder):
    prints = fingerprint(folder)
    assert prints == {
        "a.txt": hash_file(folder / "a.txt"),
        "b/c/d.txt": hash_file(folder / "b" / "c" / "d.txt"),
    }
    assert list(fingerprint(folder, without=("a.txt",))) == ["b/c/d.txt"]


@pytest.mark.parametrize("damage", ["changed", "removed", "shortened", "a folder"])
def test_changed_files_are_found(folder, damage):
    prints = fingerprint(folder)
    assert find_changed(folder, prints) == []
    file = folder / "b" / "c" / "d.txt"
    os.remove(file)
    if damage == "changed":
        file.write_text("e")
    elif damage == "shortened":
        file.write_text("")
    elif damage == "a folder":
        file.mkdir()
    assert find_changed(folder, prints) == ["b/c/d.txt"]
