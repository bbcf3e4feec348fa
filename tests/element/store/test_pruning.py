"""What pruning takes and, above all, what it leaves alone."""

from __future__ import annotations

import datetime
import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import ParameterError, PathError
from element_deeplabcut.readers.project import read_project
from element_deeplabcut.store import files, pruning
from element_deeplabcut.store.bundles import build_bundle, open_bundle
from element_deeplabcut.store.pruning import (
    DAY,
    PATIENCE,
    References,
    RowKeys,
    check_days,
    clock,
    make_key,
    read_clock,
    remove,
    survey,
)
from element_deeplabcut.store.runs import RunIdentity, find_run, start_run

KINDS = ("training", "evaluation", "recording", "inference", "video")
FOLDERS = {
    "training": "trainings",
    "evaluation": "evaluations",
    "recording": "recordings",
    "inference": "poses/mouse-1",
    "video": "videos/mouse-1",
}
KEY = {"subject": "mouse 1", "when": datetime.datetime(2026, 2, 1, 10), "training_id": 1}
EVERYTHING = dict.fromkeys(KINDS, RowKeys())
NOTHING_NEEDED = References(rows=EVERYTHING)


def age_all(folder: Path, days: float) -> None:
    stamp = time.time() - days * DAY
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (stamp, stamp), follow_symlinks=False)


def make_run(processed: Path, kind: str = "training", days: float = 2, **inputs) -> Path:
    with start_run(processed / FOLDERS[kind], RunIdentity(kind, KEY, inputs)) as attempt:
        (attempt.directory / "train").mkdir()
        (attempt.directory / "train" / "snapshot.pt").write_bytes(b"w" * 1000)
        run = attempt.finish({"epochs": 3})
    age_all(run.directory, days)
    return run.directory


def make_attempt(processed: Path, kind: str = "training", days: float = 2) -> Path:
    name = f"{RunIdentity(kind, KEY, {}).name}.0123456789ab"
    folder = processed / FOLDERS[kind] / ".attempts" / name
    folder.mkdir(parents=True)
    (folder / "snapshot-001.pt").write_text("weights")
    age_all(folder, days)
    return folder


def pending(kind: str = "training", key=KEY) -> References:
    return References(rows={**EVERYTHING, kind: RowKeys(frozenset({make_key(key)}))})


def done(kind: str = "training", *paths: str) -> References:
    keys = frozenset({make_key(KEY)})
    return References(rows={**EVERYTHING, kind: RowKeys(keys, keys)}, paths=frozenset(paths))


def listed(processed: Path, references: References = NOTHING_NEEDED, **options) -> list[str]:
    return [one.path for one in survey(processed, references, **options).candidates]


def relative(folder: Path, processed: Path) -> str:
    return folder.relative_to(processed).as_posix()


# ---- runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_whose_task_is_gone_is_a_candidate(tmp_path, kind):
    run = make_run(tmp_path, kind)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    manifest = (run / "manifest.json").stat().st_size
    assert candidate.path == relative(run, tmp_path)
    assert (candidate.kind, candidate.reason) == (kind, "its task is gone")
    assert candidate.size == 1000 + manifest
    assert candidate.age == pytest.approx(2 * DAY, abs=60)
    assert candidate.key == {**KEY, "when": "2026-02-01 10:00:00"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_whose_result_is_still_to_be_recorded_is_kept(tmp_path, kind):
    run = make_run(tmp_path, kind, days=400)
    found = survey(tmp_path, pending(kind))
    assert found.candidates == ()
    assert found.kept == {relative(run, tmp_path): pruning.PENDING}


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_of_a_schema_that_is_not_active_is_not_judged(tmp_path, kind):
    run, attempt = make_run(tmp_path, kind), make_attempt(tmp_path, kind)
    others = {name: rows for name, rows in EVERYTHING.items() if name != kind}
    kept = survey(tmp_path, References(rows=others)).kept
    assert kept == {
        relative(run, tmp_path): pruning.NOT_JUDGED,
        relative(attempt, tmp_path): pruning.NOT_JUDGED,
    }


def test_the_run_that_its_row_names_is_kept_and_an_older_one_of_the_same_row_is_not(tmp_path):
    run, superseded = make_run(tmp_path, labels=2), make_run(tmp_path, labels=1)
    (candidate,) = survey(tmp_path, done("training", relative(run, tmp_path))).candidates
    assert candidate.path == relative(superseded, tmp_path)
    assert candidate.reason == "its row was made from another run"


def test_a_run_that_any_row_names_is_kept_whatever_its_key(tmp_path):
    run = relative(make_run(tmp_path), tmp_path)
    for path in (run, f"{run}/train", f"{run}/train/snapshot.pt"):
        assert listed(tmp_path, References(rows=EVERYTHING, paths=frozenset({path}))) == []
    # A name that only begins alike, or the folder around it, is another thing.
    for path in (f"{run}0", run[:-1], "trainings"):
        assert listed(tmp_path, References(rows=EVERYTHING, paths=frozenset({path}))) == [run]


def test_a_tree_that_a_row_names_is_kept_whole(tmp_path):
    run = relative(make_run(tmp_path, "inference"), tmp_path)
    for tree in ("poses", "poses/mouse-1", run, f"{run}/train"):
        assert listed(tmp_path, References(rows=EVERYTHING, trees=frozenset({tree}))) == []
    assert listed(tmp_path, References(rows=EVERYTHING, trees=frozenset({"poses/mouse"}))) == [run]


def test_runs_are_found_in_output_folders_that_tasks_name(tmp_path):
    run = make_run(tmp_path, "inference")
    moved = tmp_path / "mine" / "analysis" / run.name
    moved.parent.mkdir(parents=True)
    run.rename(moved)
    known = References(rows=EVERYTHING, output_dirs=frozenset({"mine/analysis"}))
    assert listed(tmp_path) == []  # a folder of that name may be anybody's
    assert listed(tmp_path, known) == [relative(moved, tmp_path)]


def test_a_video_run_directly_below_the_videos_folder_is_found(tmp_path):
    run = make_run(tmp_path, "video")
    moved = tmp_path / "videos" / run.name
    run.rename(moved)
    assert listed(tmp_path) == [relative(moved, tmp_path)]
    used = References(rows=EVERYTHING, paths=frozenset({f"videos/{run.name}/train/snapshot.pt"}))
    assert listed(tmp_path, used) == []


# ---- age -------------------------------------------------------------------------------------


@given(
    days=st.floats(0, 60),
    asked=st.floats(0, 60),
    touched=st.sampled_from(["train/snapshot.pt", "train", "manifest.json", "."]),
)
def test_nothing_younger_than_asked_or_than_a_day_is_listed(tmp_path_factory, days, asked, touched):
    processed = tmp_path_factory.mktemp("processed")
    run = make_run(processed, days=100)
    stamp = time.time() - days * DAY
    os.utime(run / touched, (stamp, stamp))
    limit = max(asked, 1)
    if abs(days - limit) > 0.01:
        expected = [relative(run, processed)] if days > limit else []
        assert listed(processed, min_age=asked * DAY) == expected


def test_a_time_in_the_future_is_young(tmp_path):
    make_run(tmp_path, days=-400)
    assert listed(tmp_path) == []


def test_a_link_counts_by_its_own_time_not_by_what_it_points_to(tmp_path):
    run = make_run(tmp_path)
    fresh = tmp_path / "elsewhere.png"
    fresh.write_text("frame")
    (run / "frame.png").symlink_to(fresh)
    age_all(run, 2)
    assert listed(tmp_path) == [relative(run, tmp_path)]
    os.utime(run / "frame.png", follow_symlinks=False)
    assert listed(tmp_path) == []


@pytest.mark.parametrize("days", [0.5, 0, -3, float("nan")])
def test_less_than_a_day_is_refused(days):
    with pytest.raises(ParameterError, match="younger than a day"):
        check_days(days)


def test_the_clock_is_the_storages_or_an_earlier_one(tmp_path, monkeypatch):
    assert read_clock(tmp_path) == pytest.approx(time.time(), abs=5)
    run = make_run(tmp_path)
    for skew in (-10 * DAY, 10 * DAY):  # this machine's clock is wrong; the storage's is right
        right = time.time()
        with monkeypatch.context() as patch:
            patch.setattr(clock.time, "time", lambda now=right + skew: now)
            assert read_clock(tmp_path) <= right + 5
            assert listed(tmp_path) == ([relative(run, tmp_path)] if skew > 0 else [])
    assert list(tmp_path.iterdir()) == [tmp_path / "trainings"]  # the probe is gone


def test_a_folder_that_cannot_be_written_says_so():
    with pytest.raises(PathError, match="Prune on a machine that may write there"):
        read_clock(Path("/proc"))


# ---- bundles ---------------------------------------------------------------------------------


@pytest.fixture
def bundle(project_dir, tmp_path):
    return register(project_dir, tmp_path)


def register(project_dir, processed):
    return build_bundle(read_project(project_dir), processed, shuffle=1, trainingsetindex=0)


def test_a_bundle_that_no_model_names_is_a_candidate(bundle, tmp_path):
    assert listed(tmp_path) == []
    age_all(bundle.directory, 2)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    assert (candidate.kind, candidate.path) == ("bundle", f"models/{bundle.hash}")
    used = References(rows=EVERYTHING, bundles=frozenset({bundle.hash}))
    assert survey(tmp_path, used).kept == {f"models/{bundle.hash}": pruning.NAMED}
    assert remove(tmp_path, candidate, [used]) == pruning.NAMED
    assert remove(tmp_path, candidate, [NOTHING_NEEDED]) == ""
    assert not bundle.directory.exists()


def test_a_bundle_that_is_registered_again_is_young_again(bundle, project_dir, tmp_path):
    age_all(bundle.directory, 2)
    register(project_dir, tmp_path)
    assert listed(tmp_path) == []
    assert open_bundle(tmp_path, bundle.hash) == bundle


@pytest.mark.parametrize("harm", ["facts", "name", "json", "link"])
def test_a_folder_that_is_no_valid_bundle_is_left_alone(bundle, tmp_path, harm):
    file = bundle.directory / "bundle.json"
    text = file.read_text()
    content = json.loads(text)
    file.unlink()
    if harm == "facts":
        content["facts"]["shuffle"] = 2
        file.write_text(json.dumps(content))
    elif harm == "name":
        file.write_text(text)
        bundle.directory.rename(bundle.directory.with_name("f" * 64))
    elif harm == "json":
        file.write_text("[1, 2]")
    else:
        (tmp_path / "bundle.json").write_text(text)
        file.symlink_to(tmp_path / "bundle.json")
    age_all(tmp_path / "models", 100)
    assert listed(tmp_path) == []


# ---- attempts, and what was set aside ----------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_an_attempt_is_kept_while_its_task_waits_but_not_for_ever(tmp_path, kind):
    attempt = make_attempt(tmp_path, kind, days=PATIENCE / DAY - 1)
    assert survey(tmp_path, pending(kind)).kept == {relative(attempt, tmp_path): pruning.PENDING}
    assert listed(tmp_path, done(kind)) == [relative(attempt, tmp_path)]
    assert listed(tmp_path) == [relative(attempt, tmp_path)]
    age_all(attempt, PATIENCE / DAY + 1)
    assert listed(tmp_path, pending(kind)) == [relative(attempt, tmp_path)]


def test_an_attempt_that_a_worker_writes_is_young_however_long_it_has_been_there(tmp_path):
    attempt = make_attempt(tmp_path, days=50)
    (attempt / "snapshot-001.pt").write_text("more weights")
    assert listed(tmp_path) == []


def test_an_attempt_at_a_bundle_is_abandoned_after_a_day(tmp_path):
    attempt = tmp_path / "models" / ".attempts" / "bundle.0123456789ab"
    attempt.mkdir(parents=True)
    assert listed(tmp_path) == []
    age_all(attempt, 2)
    assert listed(tmp_path) == [relative(attempt, tmp_path)]


def test_a_damaged_run_is_kept_for_a_while_from_when_it_was_set_aside(tmp_path):
    run = make_run(tmp_path, days=100)
    (run / "train" / "snapshot.pt").write_text("overwritten")
    age_all(run, 100)
    assert find_run(tmp_path / "trainings", RunIdentity("training", KEY, {})) is None
    (aside,) = (tmp_path / "trainings" / ".damaged").iterdir()
    assert survey(tmp_path, NOTHING_NEEDED).kept == {relative(aside, tmp_path): pruning.YOUNG}
    age_all(aside, PATIENCE / DAY - 1)
    assert survey(tmp_path, NOTHING_NEEDED).kept == {relative(aside, tmp_path): pruning.SET_ASIDE}
    age_all(aside, PATIENCE / DAY + 1)
    assert listed(tmp_path) == [relative(aside, tmp_path)]


# ---- what is not ours --------------------------------------------------------------------------


def test_what_this_package_did_not_make_is_never_touched(tmp_path):
    for path in (
        "trainings/my-notes/notes.txt",
        "trainings/.attempts/mine/notes.txt",
        "trainings/.damaged/mine/notes.txt",
        "trainings/.trash/mine/notes.txt",
        "trainings/.hidden/manifest.json",
        "trainings/loose.pt",
        "models/resnet/bundle.json",
        "poses/loaded/videoDLC_resnet50.h5",
        "videos/film.mp4",
        "videos/mouse-1/film.mp4",
        "mine/anything.txt",
        "archive/trainings/run/manifest.json",
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}")
    age_all(tmp_path, 1000)
    assert listed(tmp_path) == []


def test_a_copy_of_a_run_under_another_name_or_in_another_place_is_not_ours(tmp_path):
    run = make_run(tmp_path)
    run.rename(run.with_name("best-run-keep"))
    other = make_run(tmp_path, "evaluation")
    (tmp_path / "trainings" / other.name).mkdir()
    os.rename(other, tmp_path / "trainings" / other.name)
    age_all(tmp_path, 100)
    assert listed(tmp_path) == []


def test_a_run_that_somebody_put_a_file_into_is_kept_with_a_word_about_it(tmp_path):
    run = make_run(tmp_path)
    (run / "train" / "my figure.png").write_text("figure")
    age_all(run, 100)
    (why,) = survey(tmp_path, NOTHING_NEEDED).kept.values()
    assert why == "it holds files that this package did not make: train/my figure.png"


@pytest.mark.parametrize("place", ["trainings", "trainings/.attempts", "run"])
def test_links_are_not_followed(tmp_path, place):
    elsewhere = tmp_path / "elsewhere"
    run, attempt = make_run(elsewhere), make_attempt(elsewhere)
    processed = tmp_path / "processed"
    link = processed / (f"trainings/{run.name}" if place == "run" else place)
    link.parent.mkdir(parents=True)
    link.symlink_to(run if place == "run" else elsewhere / place)
    assert listed(processed) == []
    assert run.is_dir()
    assert attempt.is_dir()


def test_what_a_link_in_a_run_points_to_survives_its_removal(tmp_path):
    run = make_run(tmp_path)
    frames = tmp_path / "frames"
    frames.mkdir()
    (frames / "img1.png").write_text("frame")
    (run / "labeled-data").symlink_to(frames)
    age_all(run, 2)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    assert candidate.size < 2000
    assert remove(tmp_path, candidate, [NOTHING_NEEDED]) == ""
    assert not run.exists()
    assert (frames / "img1.png").read_text() == "frame"


def test_no_directory_holds_nothing(tmp_path):
    assert survey(tmp_path / "none", NOTHING_NEEDED).candidates == ()


# ---- removing ----------------------------------------------------------------------------------


def test_a_removed_run_is_computed_again(tmp_path):
    run = make_run(tmp_path)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    assert remove(tmp_path, candidate, [NOTHING_NEEDED]) == ""
    assert find_run(run.parent, RunIdentity("training", KEY, {})) is None
    assert make_run(tmp_path) == run
    assert [path.name for path in run.parent.iterdir() if not path.name.startswith(".")] == [
        run.name
    ]
    assert list((run.parent / ".trash").iterdir()) == []


def test_rows_that_appeared_since_the_list_keep_the_run(tmp_path):
    run = make_run(tmp_path)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    named = done("training", candidate.path)
    for fresh, why in ((pending(), pruning.PENDING), (named, pruning.NAMED)):
        assert remove(tmp_path, candidate, [NOTHING_NEEDED, fresh]) == why
        assert remove(tmp_path, candidate, [fresh, NOTHING_NEEDED]) == why
    assert run.is_dir()


def test_a_run_that_a_worker_found_since_the_list_is_kept(tmp_path):
    run = make_run(tmp_path)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    assert find_run(run.parent, RunIdentity("training", KEY, {})) is not None
    assert remove(tmp_path, candidate, [NOTHING_NEEDED]) == pruning.YOUNG
    assert run.is_dir()


@contextmanager
def before_the_rename(monkeypatch, happens) -> Iterator[None]:
    """Let a worker act in the instant between the last look at a run and its rename."""
    rename = os.rename

    def act_and_rename(*args):
        monkeypatch.setattr(os, "rename", rename)
        happens()
        rename(*args)

    monkeypatch.setattr(os, "rename", act_and_rename)
    yield


def test_a_run_that_a_worker_finds_at_the_last_instant_is_put_back(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    found = []
    identity = RunIdentity("training", KEY, {})
    monkeypatch.setattr(files, "_PATIENCE_S", 0.1)  # the pruner cannot go on meanwhile
    with before_the_rename(monkeypatch, lambda: found.append(find_run(run.parent, identity))):
        assert remove(tmp_path, candidate, [NOTHING_NEEDED]) == pruning.YOUNG
    assert found[0].directory == run
    assert find_run(run.parent, identity) == found[0]
    assert list((run.parent / ".trash").iterdir()) == []


def test_a_run_that_went_at_the_last_instant_is_no_error(tmp_path, monkeypatch):
    run = make_run(tmp_path)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    with before_the_rename(monkeypatch, lambda: os.rename(run, tmp_path / "taken")):
        assert "somebody else" in remove(tmp_path, candidate, [NOTHING_NEEDED])
    assert remove(tmp_path, candidate, [NOTHING_NEEDED]) == pruning.FOREIGN
    assert (tmp_path / "taken" / "manifest.json").is_file()


def test_what_an_interrupted_removal_left_is_removed_later(tmp_path):
    run = make_run(tmp_path)
    trashed = run.parent / ".trash" / f"{run.name}.0123456789ab"
    trashed.parent.mkdir()
    run.rename(trashed)
    (trashed / "manifest.json").unlink()
    age_all(trashed, 50)
    assert listed(tmp_path) == []  # the other prune may be at work on it
    age_all(trashed.parent, 2)
    (candidate,) = survey(tmp_path, NOTHING_NEEDED).candidates
    assert candidate.kind == "trash"
    assert remove(tmp_path, candidate, [NOTHING_NEEDED]) == ""
    assert not trashed.exists()


def test_a_candidate_that_was_made_up_does_not_reach_beyond_the_directory(tmp_path):
    outside = tmp_path / "outside"
    make_run(outside)
    processed = tmp_path / "processed"
    processed.mkdir()
    (candidate,) = survey(outside, NOTHING_NEEDED).candidates
    for path in (f"../outside/{candidate.path}", str(outside / candidate.path)):
        forged = pruning.Candidate(path, "training", 0, 0, "")
        assert remove(processed, forged, [NOTHING_NEEDED]) == pruning.FOREIGN
    assert (outside / candidate.path).is_dir()


# ---- beside living workers -----------------------------------------------------------------------


def _prune_for_ever(processed: Path, stop) -> None:
    while not stop.is_set():
        for candidate in survey(processed, NOTHING_NEEDED).candidates:
            remove(processed, candidate, [NOTHING_NEEDED])


@pytest.mark.slow
def test_a_worker_that_has_found_or_made_a_run_can_read_it_while_others_prune(tmp_path):
    """A run that lies there as an old one is found or made again, many times, beside pruners."""
    identity = RunIdentity("training", KEY, {})
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    pruners = [context.Process(target=_prune_for_ever, args=(tmp_path, stop)) for _ in range(2)]
    for pruner in pruners:
        pruner.start()
    n_found = n_made = 0
    moments = random.Random(1)
    try:
        until = time.monotonic() + 8
        while time.monotonic() < until:
            folder = make_run(tmp_path, days=0)
            stamp = time.time() - 2 * DAY
            for path in [*folder.rglob("*"), folder]:  # the folder's own time comes last
                try:
                    os.utime(path, (stamp, stamp))
                except FileNotFoundError:
                    break
            time.sleep(moments.uniform(0, 0.004))
            run = find_run(tmp_path / "trainings", identity)
            if run is None:
                n_made += 1
                continue
            n_found += 1
            time.sleep(0.01)
            assert (run.directory / "train" / "snapshot.pt").read_bytes() == b"w" * 1000
    finally:
        stop.set()
        for pruner in pruners:
            pruner.join(30)
    assert [pruner.exitcode for pruner in pruners] == [0, 0]
    assert n_found > 0
    assert n_made > 0


@given(st.lists(st.sampled_from(["a", "b.c", "..", ".", "", "trainings", ".attempts"]), max_size=5))
def test_no_path_is_judged_outside_the_folders_of_this_package(tmp_path_factory, parts):
    processed = tmp_path_factory.getbasetemp()
    verdict = pruning.judge(processed, PurePosixPath(*parts), NOTHING_NEEDED, time.time(), DAY)
    assert isinstance(verdict, str)
