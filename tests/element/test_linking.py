from __future__ import annotations

import os
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import PathError, SetupError
from element_deeplabcut.linking import (
    Roots,
    check_linking_module,
    check_relative,
    read_roots,
    show_path,
)

NOT_UTF8 = os.fsdecode(b"caf\xe9.mp4")


@dataclass(frozen=True)
class Disk:
    """Two roots, a processed directory, and a folder that belongs to neither."""

    first: Path
    second: Path
    processed: Path
    outside: Path
    roots: Roots


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    top = tmp_path_factory.mktemp("disk")
    first, second, processed, outside = (top / n for n in ("first", "second", "out", "private"))
    for folder in (first / "a" / "b", second / "a", processed / "poses", outside / "deep"):
        folder.mkdir(parents=True)
    for file in (
        first / "a" / "one.mp4",
        first / "a" / "b" / "two.mp4",
        first / "both.mp4",
        second / "both.mp4",
        second / "a" / "three.mp4",
        processed / "poses" / "four.h5",
        outside / "secret.mp4",
        outside / "deep" / "secret.mp4",
    ):
        file.write_text(f"content of {file}")
    (first / "leak.mp4").symlink_to(outside / "secret.mp4")
    (first / "leak").symlink_to(outside)
    (first / "climbing").symlink_to("../private")
    (first / "raw.mp4").symlink_to(second / "a" / "three.mp4")
    (first / "gone.mp4").symlink_to(top / "unmounted" / "gone.mp4")
    (first / "loop").symlink_to(first / "loop")
    return Disk(first, second, processed, outside, Roots((first, second), processed))


# ---- the form of a path ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("a/b.mp4", "a/b.mp4"),
        ("a//b.mp4", "a/b.mp4"),
        ("./a/./b.mp4", "a/b.mp4"),
        ("a/", "a"),
        ("a/..b/c..", "a/..b/c.."),
        ("mäuse/鼠.mp4", "mäuse/鼠.mp4"),
        ("~/x", "~/x"),
    ],
)
def test_a_relative_path_is_normalised(path, normal):
    assert check_relative(path) == normal


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "empty"),
        ("a\0b", "null byte"),
        ("/etc/passwd", "absolute"),
        ("//server/share", "absolute"),
        ("..", "climbs"),
        ("../x", "climbs"),
        ("a/../../x", "climbs"),
        ("a/b/..", "climbs"),
        ("a\\b.mp4", "Windows"),
        ("C:/data/x.mp4", "Windows"),
        ("C:\\data\\x.mp4", "Windows"),
        ("C:x", "Windows"),
        (NOT_UTF8, "UTF-8"),
        ("lone \ud800 surrogate", "UTF-8"),
    ],
)
def test_other_forms_are_refused(path, sentence):
    with pytest.raises(PathError, match=sentence):
        check_relative(path)


def test_a_name_that_is_not_utf8_can_be_shown():
    assert show_path(NOT_UTF8) == "caf\\xe9.mp4"
    with pytest.raises(PathError) as caught:
        check_relative(NOT_UTF8)
    str(caught.value).encode("utf-8")


# ---- finding a file --------------------------------------------------------------------------


def test_the_first_root_that_holds_a_path_wins(disk):
    assert disk.roots.resolve("both.mp4") == disk.first / "both.mp4"
    swapped = Roots((disk.second, disk.first), disk.processed)
    assert swapped.resolve("both.mp4") == disk.second / "both.mp4"


def test_later_roots_and_the_processed_directory_are_searched(disk):
    assert disk.roots.resolve("a/three.mp4") == disk.second / "a" / "three.mp4"
    assert disk.roots.resolve("poses/four.h5") == disk.processed / "poses" / "four.h5"


def test_the_processed_directory_comes_last(disk):
    roots = Roots((disk.first,), disk.second)
    assert roots.resolve("both.mp4") == disk.first / "both.mp4"


def test_a_missing_path_names_the_roots_that_were_searched(disk):
    with pytest.raises(PathError) as caught:
        disk.roots.resolve("a/none.mp4")
    for root in (disk.first, disk.second, disk.processed):
        assert str(root) in str(caught.value)


def test_the_working_directory_is_no_root(disk, monkeypatch):
    monkeypatch.chdir(disk.outside)
    with pytest.raises(PathError):
        disk.roots.resolve("secret.mp4")


@pytest.mark.parametrize("path", ["leak.mp4", "leak/secret.mp4", "climbing/secret.mp4"])
def test_a_link_out_of_every_root_is_refused_and_the_root_to_add_is_named(disk, path):
    with pytest.raises(PathError) as caught:
        disk.roots.resolve(path)
    assert f"Add '{disk.outside}'" in str(caught.value)


def test_a_link_out_of_the_roots_passes_once_its_target_is_a_root(disk):
    wider = Roots((disk.first, disk.outside), disk.processed)
    assert wider.resolve("leak.mp4") == disk.first / "leak.mp4"


def test_a_link_into_another_root_is_followed(disk):
    found = disk.roots.resolve("raw.mp4")
    assert found == disk.first / "raw.mp4"  # the link as it is
    assert disk.roots.confine(found) == (disk.second / "a" / "three.mp4").resolve()


def test_a_root_that_only_starts_with_the_same_letters_is_another_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data-private").mkdir()
    (tmp_path / "data-private" / "x").write_text("x")
    roots = Roots((tmp_path / "data",), tmp_path / "data" / "out")
    with pytest.raises(PathError):
        roots.confine(tmp_path / "data-private" / "x")
    with pytest.raises(PathError):
        roots.relativize(tmp_path / "data-private" / "x")


@pytest.mark.parametrize("path", ["gone.mp4", "loop"])
def test_a_link_that_leads_nowhere_is_refused_with_a_sentence(disk, path):
    with pytest.raises(PathError, match=r"cannot be opened.*mounted"):
        disk.roots.resolve(path)


def test_roots_given_through_a_linked_mount(disk, tmp_path):
    mount = tmp_path / "mnt"
    mount.symlink_to(disk.first)
    roots = Roots((mount,), tmp_path / "out")
    assert roots.resolve("a/one.mp4") == mount / "a" / "one.mp4"
    assert roots.relativize(mount / "a" / "one.mp4") == "a/one.mp4"
    assert roots.relativize(disk.first / "a" / "one.mp4") == "a/one.mp4"
    with pytest.raises(PathError):
        roots.resolve("leak.mp4")


# ---- and back --------------------------------------------------------------------------------


def test_an_absolute_path_becomes_relative_to_its_root(disk):
    assert disk.roots.relativize(disk.first / "a" / "b" / "two.mp4") == "a/b/two.mp4"
    assert disk.roots.relativize(str(disk.second / "a" / "three.mp4")) == "a/three.mp4"
    assert disk.roots.relativize(disk.processed / "poses" / "four.h5") == "poses/four.h5"


def test_a_relative_path_is_kept_if_it_exists(disk):
    assert disk.roots.relativize("a//one.mp4") == "a/one.mp4"
    with pytest.raises(PathError):
        disk.roots.relativize("a/none.mp4")


def test_an_absolute_path_outside_names_the_root_to_add(disk):
    with pytest.raises(PathError, match="get_dlc_root_data_dir") as caught:
        disk.roots.relativize(disk.outside / "secret.mp4")
    assert str(disk.outside) in str(caught.value)


@pytest.mark.parametrize("path", ["a/none.mp4", "leak.mp4", "../private/secret.mp4"])
def test_an_absolute_path_that_may_not_be_used_is_refused(disk, path):
    with pytest.raises(PathError):
        disk.roots.relativize(disk.first / path)


def test_a_name_that_is_not_utf8_is_refused_as_an_absolute_path(tmp_path):
    try:
        (tmp_path / NOT_UTF8).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(PathError, match="UTF-8"):
        Roots((tmp_path,), tmp_path / "out").relativize(tmp_path / NOT_UTF8)


def test_locate_takes_both_forms(disk):
    file = disk.second / "a" / "three.mp4"
    assert disk.roots.locate(file) == file
    assert disk.roots.locate("a/three.mp4") == file


def test_a_file_hidden_behind_its_namesake_is_never_mistaken_for_it(disk):
    hidden = disk.second / "both.mp4"  # "both.mp4" means the one in the first root
    try:
        found = disk.roots.locate(hidden)
    except PathError:
        return
    assert found.samefile(hidden)


# ---- properties ------------------------------------------------------------------------------

PARTS = ["a", "b", "..", ".", "", "leak", "climbing", "loop", "one.mp4", "secret.mp4", "both.mp4",
         "poses", "~", "C:", "\\", "\0", "first", "private", NOT_UTF8]  # fmt: skip
PATHS = st.lists(st.sampled_from(PARTS), max_size=6).map("/".join) | st.text(
    st.characters() | st.sampled_from("./\\:~"), max_size=12
)
EXISTING = ["a/one.mp4", "a/b/two.mp4", "both.mp4", "a/three.mp4", "poses/four.h5", "raw.mp4"]


@given(PATHS)
def test_an_accepted_path_stays_below_its_root(path):
    try:
        accepted = check_relative(path)
    except PathError:
        return
    joined = Path(os.path.normpath(Path("/some/root") / accepted))
    assert joined.is_relative_to("/some/root")
    assert check_relative(accepted) == accepted


@given(PATHS)
def test_no_path_leads_out_of_the_roots(disk, path):
    try:
        found = disk.roots.resolve(path)
    except PathError:
        return
    real = Path(os.path.realpath(found))
    allowed = (disk.first, disk.second, disk.processed)
    assert any(real.is_relative_to(root.resolve()) for root in allowed)


@given(PATHS)
def test_no_absolute_path_leads_out_of_the_roots(disk, path):
    try:
        relative = disk.roots.relativize(f"{disk.first}/{path}")
    except PathError:
        return
    real = Path(os.path.realpath(disk.roots.resolve(relative)))
    assert not real.is_relative_to(disk.outside)


@given(st.sampled_from(EXISTING), st.lists(st.sampled_from(["./", "/"]), max_size=3))
def test_resolving_and_relativizing_are_inverse(disk, path, noise):
    first, *rest = path.split("/")
    spelled = "/".join([first, *("".join(noise).lstrip("/") + part for part in rest)])
    assert disk.roots.relativize(disk.roots.resolve(spelled)) == path


# ---- the linking module ----------------------------------------------------------------------


def make_module(**functions):
    module = types.ModuleType("lab_linking")
    for name, value in functions.items():
        setattr(module, name, lambda value=value: value)
    return module


def test_roots_are_given_as_text_path_or_list(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    for given_roots, expected in [
        (str(one), (one,)),
        (one, (one,)),
        ([str(one), two], (one, two)),
        ((two, one), (two, one)),
    ]:
        assert read_roots(make_module(get_dlc_root_data_dir=given_roots)).data == expected


def test_the_processed_directory_is_the_labs_own_or_below_the_first_root(tmp_path):
    module = make_module(get_dlc_root_data_dir=tmp_path)
    assert read_roots(module).processed == tmp_path / "dlc_processed"
    none = make_module(get_dlc_root_data_dir=tmp_path, get_dlc_processed_data_dir=None)
    assert read_roots(none).processed == tmp_path / "dlc_processed"
    own = make_module(get_dlc_root_data_dir=tmp_path, get_dlc_processed_data_dir="/scratch/out")
    assert read_roots(own).processed == Path("/scratch/out")


def test_the_home_directory_may_be_written_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    assert read_roots(make_module(get_dlc_root_data_dir="~/data")).data == (tmp_path / "data",)


def test_a_linking_module_without_roots_is_refused():
    with pytest.raises(SetupError, match="lab_linking has no get_dlc_root_data_dir"):
        read_roots(make_module())


@pytest.mark.parametrize("nothing", [None, [], ""])
def test_roots_that_name_no_directory_are_refused(nothing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError):
        read_roots(make_module(get_dlc_root_data_dir=nothing))


def test_a_root_that_does_not_exist_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("x")
    for wrong in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(SetupError, match="does not exist") as caught:
            read_roots(make_module(get_dlc_root_data_dir=[tmp_path, wrong]))
        assert str(wrong) in str(caught.value)


def test_missing_names_of_a_linking_module_are_listed():
    module = make_module(Session=1)
    check_linking_module(module, ["Session"])
    with pytest.raises(SetupError, match="lacks Device, Subject"):
        check_linking_module(module, ["Session", "Device", "Subject"])
