"""Parts of a story that are worked out from plain values."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.compute.provenance import list_changes
from element_deeplabcut.provenance.description import Description, FileState, LabelChanges, Labels
from element_deeplabcut.provenance.reading import (
    compare_frames,
    compare_with_defaults,
    read_computation,
    read_labels,
)

FRAMES = st.dictionaries(
    st.text("abc", min_size=1, max_size=2), st.tuples(st.sampled_from("pq"), st.sampled_from("xy"))
)
SETTINGS = st.recursive(
    st.integers(0, 3) | st.none(),
    lambda inner: st.dictionaries(st.text("ab", min_size=1, max_size=2), inner),
    max_leaves=6,
).filter(lambda value: isinstance(value, dict))


@given(FRAMES, FRAMES)
def test_every_difference_of_two_label_sets_is_named_once(old: Any, new: Any) -> None:
    changes = compare_frames({}, old, new)
    assert set(changes.added) == set(new) - set(old)
    assert set(changes.removed) == set(old) - set(new)
    both = set(old) & set(new)
    assert set(changes.moved) == {image for image in both if old[image][0] != new[image][0]}
    assert set(changes.repictured) == {image for image in both if old[image][1] != new[image][1]}
    assert bool(changes) == (old != new)


@given(SETTINGS, SETTINGS)
def test_changes_of_settings_lead_from_the_one_to_the_other(old: Any, new: Any) -> None:
    changes = list_changes(old, new)
    assert list_changes(new, old) == {path: pair[::-1] for path, pair in changes.items()}
    assert not list_changes(old, old)
    if not changes:
        assert _drop_nothing(old) == _drop_nothing(new)


def _drop_nothing(settings: Any, trail: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= _drop_nothing(value, f"{trail}{name}.")
        elif value is not None:
            flat[trail + name] = value
    return flat


def test_what_differs_from_the_defaults_comes_first() -> None:
    group = compare_with_defaults("Parameters", {"a": 1, "b": 2}, {"a": 1, "b": 1})
    assert [(one.name, one.is_default) for one in group.settings] == [("b", False), ("a", True)]


def test_frames_are_counted_by_video() -> None:
    frames = {f"labeled-data/{video}/img{n}.png": ["p", "x"] for video in "mn" for n in range(3)}
    frames["labeled-data/n/img9.png"] = ["p", "x"]
    info = {"labelled_frames": frames, "labels_hash": "h", "split": {"train": [0, 1], "test": [2]}}
    labels = read_labels(info)
    assert labels.frames == {"m": 3, "n": 4}
    assert (labels.n_train, labels.n_test) == (2, 1)


def test_an_old_row_knows_its_folders_only() -> None:
    labels = read_labels({"labelled_folders": ["m"], "labels_hash": "h"})
    page = str(Description("train.ModelTraining", {}, {}, read_computation({}), labels=labels))
    assert labels.frames == {"m": None}
    assert page.count("not recorded") == 5  # started, took, host, versions, frames of m


def test_a_page_escapes_what_it_shows() -> None:
    story = Description(
        table="lab.Table", key={"name": "<b>|*"}, facts={"note": "<script>"},
        files=(FileState("video", "a_b.mp4", "changed", "f" * 64, 2_000_000, "other size"),),
    )  # fmt: skip
    assert "<script>" not in story._repr_html_()
    assert "\\<b>\\|\\*" in story.to_markdown()
    assert "CHANGED  video a_b.mp4, 2.0 MB, sha256 ffffffffffffffff, other size" in str(story)


def test_a_row_is_told_once_however_many_refer_to_it() -> None:
    root = Description("m.Root", {"id": 1}, {})
    left, right = (Description(f"m.{name}", {"id": 1}, {}, made_from=(root,)) for name in "LR")
    top = Description("m.Top", {"id": 1}, {}, made_from=(left, right))
    assert [one.table for one in top.walk()] == ["m.Top", "m.L", "m.R", "m.Root"]
    assert str(top).count("m.Root") == 1


def test_many_frames_are_named_by_the_first_few() -> None:
    images = tuple(f"labeled-data/m/img{n}.png" for n in range(9))
    changes = LabelChanges({"training_id": 1}, images, (), (), ())
    page = str(Description("t.T", {}, {}, labels=Labels("h", {}, changes=changes)))
    assert "that was training_id=1" in page
    assert "9 added" in page
    assert "m/img0.png, m/img1.png" in page
    assert "and 3 more" in " ".join(page.split())
