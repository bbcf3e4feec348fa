from __future__ import annotations

import datetime
import json
import logging
import shutil
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ResultError
from element_deeplabcut.store.runs import (
    MANIFEST,
    RunIdentity,
    find_run,
    open_run,
    start_run,
)

IDENTITY = RunIdentity(
    "training",
    {"video_set_id": 1, "paramset_idx": 2, "when": datetime.datetime(2026, 2, 1, 10)},
    {"params": {"epochs": 3}, "labels": "abc", "tuple": (1, 2), "id": uuid.UUID(int=5)},
)


def with_inputs(**inputs):
    return RunIdentity(IDENTITY.kind, IDENTITY.key, {**IDENTITY.inputs, **inputs})


def finish(parent, identity=IDENTITY, text="weights", result=None):
    with start_run(parent, identity) as attempt:
        (attempt.directory / "train").mkdir()
        (attempt.directory / "train" / "snapshot.pt").write_text(text)
        return attempt.finish(result or {"epochs": 3, "split": (1, 2)})


def list_runs(parent):
    return [path.parent for path in parent.glob(f"*/{MANIFEST}")]


# ---- found again -----------------------------------------------------------------------------


def test_a_finished_run_is_found_again(tmp_path):
    run = finish(tmp_path)
    assert run.directory == tmp_path / IDENTITY.name
    assert run.result == {"epochs": 3, "split": [1, 2]}
    age = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) - run.finished_at
    assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=1)
    assert find_run(tmp_path, IDENTITY) == run


def test_nothing_is_found_where_nothing_was_done(tmp_path):
    assert find_run(tmp_path, IDENTITY) is None
    assert find_run(tmp_path / "none", IDENTITY) is None


@pytest.mark.parametrize(
    "other",
    [
        with_inputs(labels="abd"),
        with_inputs(params={"epochs": 4}),
        with_inputs(params={"epochs": "3"}),
        with_inputs(more=None),
        RunIdentity("evaluation", IDENTITY.key, IDENTITY.inputs),
        RunIdentity("training", {**IDENTITY.key, "video_set_id": 2}, IDENTITY.inputs),
    ],
    ids=["labels", "params", "type of a param", "one more", "kind", "key"],
)
def test_a_run_with_other_inputs_is_another_run(tmp_path, other):
    run = finish(tmp_path)
    assert find_run(tmp_path, other) is None
    assert finish(tmp_path, other).directory != run.directory
    assert find_run(tmp_path, IDENTITY) == run


def test_equal_identities_find_each_other_however_they_are_spelled(tmp_path):
    run = finish(tmp_path)
    same = RunIdentity(
        "training",
        dict(reversed(IDENTITY.key.items())),
        {**dict(reversed(IDENTITY.inputs.items())), "tuple": [1, 2]},
    )
    assert find_run(tmp_path, same) == run


def test_an_unfinished_attempt_is_no_run(tmp_path):
    with start_run(tmp_path, IDENTITY) as attempt:
        (attempt.directory / "snapshot.pt").write_text("half")
        assert find_run(tmp_path, IDENTITY) is None
        assert list_runs(tmp_path) == []
    assert find_run(tmp_path, IDENTITY) is None


def test_a_failed_attempt_leaves_nothing(tmp_path):
    def fail():
        with start_run(tmp_path, IDENTITY) as attempt:
            (attempt.directory / "snapshot.pt").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list((tmp_path / ".attempts").iterdir()) == []
    assert find_run(tmp_path, IDENTITY) is None


def test_two_attempts_of_one_run_give_one_result(tmp_path):
    with start_run(tmp_path, IDENTITY) as slow:
        (slow.directory / "snapshot.pt").write_text("slow")
        fast = finish(tmp_path, result={"epochs": 1})
        late = slow.finish({"epochs": 2})
    assert late == fast
    assert (fast.directory / "train" / "snapshot.pt").read_text() == "weights"
    assert list_runs(tmp_path) == [fast.directory]
    assert not slow.directory.exists()


def test_links_to_frames_are_no_part_of_a_run(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "img0.png").write_text("picture")
    with start_run(tmp_path / "runs", IDENTITY) as attempt:
        (attempt.directory / "labeled-data").symlink_to(frames)
        run = attempt.finish({})
    shutil.rmtree(frames)
    assert find_run(tmp_path / "runs", IDENTITY) == run


# ---- damage ----------------------------------------------------------------------------------


def damage(folder, how):
    manifest = folder / MANIFEST
    content = json.loads(manifest.read_text())
    if how == "file changed":
        (folder / "train" / "snapshot.pt").write_text("other weights")
    elif how == "file removed":
        (folder / "train" / "snapshot.pt").unlink()
    elif how == "manifest cut":
        manifest.write_text(manifest.read_text()[:40])
    elif how == "manifest empty":
        manifest.write_text("")
    elif how == "manifest no text":
        manifest.write_bytes(b"\xff\xfe")
    elif how == "manifest a list":
        manifest.write_text("[]")
    elif how == "manifest null":
        manifest.write_text("null")
    elif how == "manifest of a later format":
        manifest.write_text(json.dumps({**content, "format": 99}))
    elif how == "manifest of another run":
        manifest.write_text(json.dumps({**content, "identity": with_inputs(labels="x").plain}))
    elif how.startswith("manifest without "):
        del content[how.rpartition(" ")[2]]
        manifest.write_text(json.dumps(content))
    elif how == "no manifest":
        manifest.unlink()


DAMAGES = [
    "file changed", "file removed", "manifest cut", "manifest empty", "manifest no text",
    "manifest a list", "manifest null", "manifest of a later format", "manifest of another run",
    "manifest without identity", "manifest without files", "manifest without result",
    "manifest without finished_at",
]  # fmt: skip


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_run_is_set_aside_and_done_again(tmp_path, caplog, how):
    run = finish(tmp_path)
    damage(run.directory, how)
    with caplog.at_level(logging.WARNING):
        assert find_run(tmp_path, IDENTITY) is None
    assert not run.directory.exists()
    assert len(list((tmp_path / ".damaged").iterdir())) == 1
    assert str(run.directory) in caplog.text
    assert finish(tmp_path, text="again").directory == run.directory
    assert find_run(tmp_path, IDENTITY) is not None


def test_damage_can_happen_more_than_once(tmp_path):
    for _ in range(3):
        run = finish(tmp_path)
        damage(run.directory, "file changed")
        assert find_run(tmp_path, IDENTITY) is None
    assert len(list((tmp_path / ".damaged").iterdir())) == 3


def test_a_folder_without_a_manifest_is_no_result_and_in_nobodys_way(tmp_path):
    run = finish(tmp_path)
    damage(run.directory, "no manifest")
    assert find_run(tmp_path, IDENTITY) is None
    assert list_runs(tmp_path) == []
    finish(tmp_path, text="again")
    assert find_run(tmp_path, IDENTITY) is not None


# ---- opened by folder ------------------------------------------------------------------------


def test_a_run_is_opened_by_its_folder(tmp_path):
    run = finish(tmp_path)
    assert open_run(run.directory) == run


@pytest.mark.parametrize(
    "how", [how for how in DAMAGES if "format" not in how and "another run" not in how
            and "identity" not in how] + ["no manifest"],
)  # fmt: skip
def test_a_damaged_run_is_not_opened(tmp_path, how):
    run = finish(tmp_path)
    damage(run.directory, how)
    with pytest.raises(ResultError, match="missing or damaged") as caught:
        open_run(run.directory)
    assert str(run.directory) in str(caught.value)
    assert run.directory.exists()


def test_a_run_that_is_gone_is_not_opened(tmp_path):
    with pytest.raises(ResultError, match="missing or damaged"):
        open_run(tmp_path / "gone")


# ---- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"subject": "a b"}, {"subject": "a-b"}),
        ({"subject": "a", "id": "b-c"}, {"subject": "a-b", "id": "c"}),
        ({"subject": "x" * 100 + "1"}, {"subject": "x" * 100 + "2"}),
        ({"subject": "A"}, {"subject": "a"}),
        ({"id": 1}, {"id": "1"}),
    ],
)
def test_names_of_distinct_keys_are_distinct(one, other):
    assert RunIdentity("k", one, {}).name != RunIdentity("k", other, {}).name


def test_a_name_is_readable():
    assert "2026-02-01-10-00-00-" in IDENTITY.name


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from(["", "a", "b", "1", "ab"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["a", "b", ""]), inner, max_size=2)
    ),
    max_leaves=4,
)
IDENTITIES = st.builds(
    RunIdentity,
    st.sampled_from(["training", "inference"]),
    st.dictionaries(
        st.sampled_from(["a", "b"]), st.text(max_size=3) | st.integers(0, 2), max_size=2
    ),
    st.dictionaries(st.sampled_from(["a", "b"]), PLAIN, max_size=2),
)


@given(IDENTITIES, IDENTITIES)
def test_names_are_equal_exactly_for_equal_identities(one, other):
    same = json.dumps(one.plain, sort_keys=True) == json.dumps(other.plain, sort_keys=True)
    assert (one.name == other.name) == same


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=200), max_size=5))
def test_any_key_gives_one_plain_folder_name(key):
    name = RunIdentity("k", key, {}).name
    assert name.isascii()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-")
    assert not name.startswith((".", "-"))
    assert len(name) < 100
