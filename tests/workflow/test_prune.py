"""``workflow-deeplabcut prune`` on a real pipeline: what it lists, removes, and never removes."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from element_deeplabcut import housekeeping, model, train
from element_deeplabcut.errors import DatabaseError, ParameterError, SetupError
from element_deeplabcut.store import pruning
from element_deeplabcut.store.pruning import DAY
from element_deeplabcut.store.runs import RunIdentity, start_run
from workflow_deeplabcut.cli import main

from ..conftest import TRAINING_PARAMS, Lab, Trained

Prune = Callable[..., tuple[int, dict[str, Any]]]


def age_all(folder: Path, days: float) -> None:
    stamp = time.time() - days * DAY
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (stamp, stamp), follow_symlinks=False)


@pytest.fixture(scope="module", autouse=True)
def _lab_in_use(lab: Lab) -> None:
    """The word of an empty pipeline is not taken, so there is a recording at least."""
    lab.add_recording(9500, lab.new_video)


@pytest.fixture
def prune(lab: Lab, capsys: pytest.CaptureFixture[str]) -> Prune:
    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()  # what the test itself printed
        code = main(["prune", "--json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    return call


def paths(report: dict[str, Any]) -> set[str]:
    return {candidate["path"] for candidate in report["candidates"]}


def make_run(lab: Lab, kind: str, key: dict[str, Any], days: float = 2) -> tuple[Path, str]:
    """Publish an old run; returns its folder, and its path in the processed directory."""
    parent = {"training": "trainings", "inference": "poses/of-a-test"}[kind]
    identity = RunIdentity(kind, key, {"test": uuid.uuid4()})
    with start_run(lab.processed / parent, identity) as attempt:
        (attempt.directory / "result.txt").write_text("result")
        folder = attempt.finish({}).directory
    age_all(folder, days)
    return folder, folder.relative_to(lab.processed).as_posix()


# ---- a pipeline with real results ------------------------------------------------------------


@pytest.mark.dlc
def test_nothing_that_a_row_needs_goes_however_old_it_is(
    lab: Lab, trained: Trained, estimated: dict[str, Any], prune: Prune
) -> None:
    tables = lab.pipeline.model
    tables.ModelEvaluation.populate(trained.model_key)
    needed = {
        (lab.pipeline.train.ModelTraining & trained.training_key).fetch1("run_info")[
            "run_directory"
        ],
        (tables.ModelEvaluation & trained.model_key).fetch1("run_info")["run_directory"],
        (tables.PoseEstimation & estimated).fetch1("run_info")["run_directory"],
        "models/" + (tables.Model & trained.model_key).fetch1("bundle_hash"),
    }
    shutil.copytree(lab.processed, lab.processed.with_name("backup"), symlinks=True)
    try:
        for path in needed:
            age_all(lab.processed / path, 1000)
        for recording in (lab.processed / "recordings").iterdir():
            age_all(recording, 1000)
        code, report = prune("--remove", "--yes")
        assert code == 0
        assert report["failed"] == {}
        assert needed <= set(report["kept"])
        assert {report["kept"][path] for path in needed} == {pruning.NAMED}
        assert not paths(report) & needed
        recordings = {
            why for path, why in report["kept"].items() if path.startswith("recordings/1-")
        }
        assert recordings == {pruning.STAYS}
        for path in needed:
            assert (lab.processed / path).is_dir()
    finally:
        shutil.rmtree(lab.processed.with_name("backup"))


@pytest.mark.dlc
def test_what_was_deleted_from_the_database_goes_and_comes_back_by_populate(
    lab: Lab, trained: Trained, prune: Prune
) -> None:
    tables = lab.pipeline.model
    key = {**lab.add_recording(9501, lab.new_video), **trained.model_key}
    tables.RecordingInfo.populate(key)
    tables.PoseEstimationTask.generate(key)
    tables.PoseEstimation.populate(key)
    run = (tables.PoseEstimation & key).fetch1("run_info")["run_directory"]
    before = tables.PoseEstimation.get_trajectory(key)
    age_all(lab.processed / run, 3)

    # The result alone is deleted: the next populate finds the run, so it stays.
    (tables.PoseEstimation & key).delete(safemode=False)
    assert prune("--remove", "--yes")[1]["kept"][run] == pruning.PENDING

    # The task is deleted too: nothing needs it.
    (tables.PoseEstimationTask & key).delete(safemode=False)
    code, report = prune()
    assert (code, report["removed"]) == (0, [])
    assert (lab.processed / run).is_dir()
    (candidate,) = [one for one in report["candidates"] if one["path"] == run]
    assert (candidate["kind"], candidate["reason"]) == ("inference", "its task is gone")
    n_bytes = sum(f.stat().st_size for f in (lab.processed / run).rglob("*") if f.is_file())
    assert candidate["size"] == n_bytes
    assert run in prune("--remove", "--yes")[1]["removed"]
    assert not (lab.processed / run).exists()

    tables.PoseEstimationTask.generate(key)
    tables.PoseEstimation.populate(key)
    assert (lab.processed / run).is_dir()
    assert tables.PoseEstimation.get_trajectory(key).equals(before)


@pytest.mark.dlc
def test_a_bundle_goes_with_its_last_model(lab: Lab, trained: Trained, prune: Prune) -> None:
    tables = lab.pipeline.model
    options = {"params": {"pcutoff": 0.123}}
    for name in ("pruned1", "pruned2"):
        tables.Model.insert_from_training(trained.training_key, name, **options)
    bundle = "models/" + (tables.Model & {"model_name": "pruned1"}).fetch1("bundle_hash")
    age_all(lab.processed / bundle, 2)
    (tables.Model & {"model_name": "pruned1"}).delete(safemode=False)
    assert prune("--remove", "--yes")[1]["kept"][bundle] == pruning.NAMED
    (tables.Model & {"model_name": "pruned2"}).delete(safemode=False)
    assert bundle in prune("--remove", "--yes")[1]["removed"]
    tables.Model.insert_from_training(trained.training_key, "pruned3", **options)
    assert (lab.processed / bundle / "bundle.json").is_file()
    (tables.Model & {"model_name": "pruned3"}).delete(safemode=False)


@pytest.mark.dlc
def test_results_that_a_task_loads_are_kept(lab: Lab, trained: Trained, prune: Prune) -> None:
    tables = lab.pipeline.model
    folder, path = make_run(lab, "inference", {"recording_id": 1})
    key = {**lab.add_recording(9502, lab.new_video), **trained.model_key}
    assert path in paths(prune()[1])
    tables.PoseEstimationTask.generate(key, task_mode="load", output_dir=folder)
    assert prune()[1]["kept"][path] == pruning.NAMED
    (tables.PoseEstimationTask & key).delete(safemode=False)
    assert path in prune("--remove", "--yes")[1]["removed"]


# ---- trainings, without training -----------------------------------------------------------------


def test_a_run_and_its_attempts_are_kept_while_the_training_is_still_to_be_recorded(
    lab: Lab, prune: Prune
) -> None:
    key = lab.add_training(510, {**TRAINING_PARAMS, "split_seed": 510})
    folder, path = make_run(lab, "training", key)
    attempt = lab.processed / "trainings" / ".attempts" / f"{folder.name}.0123456789ab"
    shutil.copytree(folder, attempt)
    age_all(attempt, 5)
    attempt_path = attempt.relative_to(lab.processed).as_posix()
    kept = prune("--remove", "--yes")[1]["kept"]
    assert (kept[path], kept[attempt_path]) == (pruning.PENDING, pruning.PENDING)
    (train.TrainingTask & key).delete(safemode=False)
    report = prune("--remove", "--yes")[1]
    assert {path, attempt_path} <= set(report["removed"])
    assert not folder.exists()
    assert not attempt.exists()


def test_a_project_that_lies_in_a_run_keeps_it(lab: Lab, prune: Prune) -> None:
    _, path = make_run(lab, "training", {"training_id": 9999})
    assert path in paths(prune()[1])
    relative = os.path.relpath(lab.processed / path / "project", lab.root)
    assert relative.startswith("..")  # the processed directory lies beside the root here
    key = lab.add_training(511, {**TRAINING_PARAMS, "split_seed": 511}, project_path=path)
    assert prune()[1]["kept"][path] == pruning.NAMED
    (train.TrainingTask & key).delete(safemode=False)
    assert path in prune("--remove", "--yes")[1]["removed"]


def test_trainings_are_not_judged_where_train_is_not_active(
    lab: Lab, prune: Prune, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, training = make_run(lab, "training", {"training_id": 9998})
    _, pose = make_run(lab, "inference", {"recording_id": 9998})
    with monkeypatch.context() as patch:
        patch.setattr(train.schema, "is_activated", lambda: False)
        report = prune("--remove", "--yes")[1]
    assert report["kept"][training] == pruning.NOT_JUDGED
    assert pose in report["removed"]
    assert training in prune("--remove", "--yes")[1]["removed"]


def test_a_task_queued_after_the_list_keeps_its_run(lab: Lab) -> None:
    params = {**TRAINING_PARAMS, "split_seed": 513}
    key = lab.add_training(513, params)
    (train.TrainingTask & key).delete_quick()
    folder, path = make_run(lab, "training", key)
    listed = [one for one in housekeeping.list_unneeded().candidates if one.path == path]
    removing = housekeeping.remove_unneeded([*listed, *listed])
    lab.add_training(513, params)
    outcomes = list(removing)
    assert [outcome.kept for outcome in outcomes] == [pruning.PENDING] * 2
    assert folder.is_dir()
    # Also one queued between two removals is seen: the rows are asked before each.
    (train.TrainingTask & key).delete_quick()
    _, other = make_run(lab, "training", {**key, "training_id": 5130})
    first = [one for one in housekeeping.list_unneeded().candidates if one.path == other]
    removing = housekeeping.remove_unneeded([*first, *listed])
    assert next(removing).is_removed
    lab.add_training(513, params)
    assert next(removing).kept == pruning.PENDING
    (train.TrainingTask & key).delete_quick()
    assert next(housekeeping.remove_unneeded(listed)).is_removed


# ---- the command -----------------------------------------------------------------------------


COMMAND = """
import sys
import datajoint as dj
dj.config["database.use_tls"] = False
from workflow_deeplabcut.cli import main
sys.exit(main(["prune", *sys.argv[1:]]))
"""


def run_command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def environment(lab: Lab) -> dict[str, str]:
    server = lab.server
    return {
        **os.environ,
        "DJ_HOST": f"{server.host}:{server.port}",
        "DJ_USER": server.user,
        "DJ_PASS": server.password,
    }


def test_the_list_says_what_how_big_how_old_and_why(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = make_run(lab, "training", {"training_id": 9997}, days=12)
    assert main(["prune"]) == 0
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if path in line]
    assert "12 d" in line
    assert "training" in line
    assert "its task is gone" in line
    assert str(lab.processed) in shown
    assert "If another database uses the same directory, remove nothing." in shown
    assert "Remove them with --remove." in shown
    assert folder.is_dir()
    assert main(["prune", "--older-than", "13"]) == 0
    assert path not in capsys.readouterr().out
    assert main(["prune", "--keep", path, "--remove", "--yes"]) == 0
    assert folder.is_dir()
    assert main(["prune", "--remove", "--yes"]) == 0
    assert "Removed" in capsys.readouterr().out
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--remove",), "Add --yes to remove without asking"),
        (("--yes",), "--yes is for --remove"),
        (("--older-than", "0.5"), "Nothing younger than a day is removed"),
        (("--remove", "--yes", "--older-than", "0"), "Nothing younger than a day is removed"),
    ],
)
def test_a_mistake_ends_in_a_sentence(
    lab: Lab, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...], said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    folder, _ = make_run(lab, "training", {"training_id": 9996})
    assert main(["prune", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert folder.is_dir()
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "goes"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_a_person_is_asked(lab: Lab, environment: dict[str, str], answer: str, goes: bool) -> None:
    folder, _ = make_run(lab, "training", {"training_id": 9995})
    terminal, end = pty.openpty()
    try:
        os.write(terminal, answer.encode())
        done = run_command("--remove", stdin=end, env=environment)
    finally:
        os.close(terminal)
        os.close(end)
    assert done.returncode == 0, done.stderr
    assert "[y/N]" in done.stderr
    assert ("Nothing was removed." in done.stdout) is not goes
    assert folder.exists() is not goes
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_an_empty_pipeline_is_not_believed(lab: Lab, environment: dict[str, str]) -> None:
    folder, _ = make_run(lab, "training", {"training_id": 9994})
    wrong = {**environment, "DATABASE_PREFIX": "mistyped_"}
    done = run_command("--remove", "--yes", env=wrong)
    assert done.returncode == 1
    assert "Check that it is the right database" in done.stderr
    assert "Traceback" not in done.stderr
    assert folder.is_dir()
    shutil.rmtree(folder)


@pytest.mark.slow
def test_an_unreachable_database_is_a_sentence(environment: dict[str, str]) -> None:
    done = run_command(env={**environment, "DJ_HOST": "127.0.0.1:9"})
    assert done.returncode == 1
    assert "The database cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr


# ---- from Python -----------------------------------------------------------------------------


def test_a_transaction_hides_rows_so_it_is_refused(lab: Lab) -> None:
    with model.schema.connection.transaction, pytest.raises(DatabaseError, match="outside of one"):
        housekeeping.list_unneeded()


def test_less_than_a_day_is_refused_in_python_too(lab: Lab) -> None:
    with pytest.raises(ParameterError, match="younger than a day"):
        housekeeping.list_unneeded(0.99)
    with pytest.raises(ParameterError, match="younger than a day"):
        next(housekeeping.remove_unneeded([], 0.99))


def test_two_processed_directories_are_refused(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = model.get_roots().__class__(model.get_roots().data, tmp_path)
    monkeypatch.setattr(train, "get_roots", lambda: other)
    with pytest.raises(SetupError, match="one linking module"):
        housekeeping.list_unneeded()
