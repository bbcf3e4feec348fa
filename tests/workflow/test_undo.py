"""What is taken back and queued again is computed, whatever became of it the first time."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_deeplabcut import batches, cli, synthetic
from workflow_deeplabcut.worker import Lease, RetryPolicy, list_jobs, run_worker
from workflow_deeplabcut.worker.lease import LeaseStore
from workflow_deeplabcut.worker.server import Server

from ..conftest import Lab
from ..drills import scripted_engine
from ..element.conftest import write_fake_project

MODEL = "undo"
NUMBERS = {"video_set_id": 1170}
WORKER = "elsewhere:7:worker"


@pytest.fixture(scope="module")
def project(lab: Lab) -> Path:
    """A project that the scripted engine trains in milliseconds."""
    return write_fake_project(lab.root / "open-undo-2026-01-01")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(scripted_engine.CALLS, str(tmp_path / "calls.txt"))
    with scripted_engine.in_place_of_pytorch():
        yield


@pytest.fixture
def paramset(lab: Lab) -> int:
    train = lab.pipeline.train
    train.VideoSet.insert1(NUMBERS, skip_duplicates=True)
    params = {"shuffle": 1, "trainingsetindex": 0, "engine": "pytorch", "seed": 1170}
    return int(train.TrainingParamSet.insert_new_params("undo", params))


@pytest.fixture
def recording(lab: Lab, project: Path, engine: None, paramset: int) -> Iterator[dict[str, Any]]:
    """A recording that has been read, and a model to analyze it with; nothing of it is queued."""
    model, train = lab.pipeline.model, lab.pipeline.train
    if not model.Model & {"model_name": MODEL}:
        key = {**NUMBERS, "paramset_idx": paramset, "training_id": 1170}
        train.TrainingTask.insert1({**key, "project_path": project.name})
        train.ModelTraining.populate(key)
        model.Model.insert_from_training(key, MODEL)
    video = lab.root / "raw" / "undo.mp4"
    synthetic.render_video(video, 6, width=80, height=80, seed=1)
    found = lab.session_key | {"recording_id": 1170}
    if not model.VideoRecording & found:
        lab.add_recording(1170, "raw/undo.mp4")
        model.RecordingInfo.populate(found)
    yield found
    (model.PoseEstimation & found).delete(safemode=False)
    (model.PoseEstimationTask & found).delete_quick()
    model.schema.jobs.delete()


def queue(capsys: pytest.CaptureFixture[str], *arguments: str) -> int:
    """Queue as a user does; the number of the batch."""
    capsys.readouterr()
    assert cli.main(["queue", *arguments, "--yes", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["n_tasks"] == 1
    return int(plan["batch_id"])


def queue_poses(capsys: pytest.CaptureFixture[str], batch_size: int) -> int:
    params = json.dumps({"batch_size": batch_size})
    return queue(capsys, "inference", MODEL, "--restrict", "recording_id=1170", "--params", params)


def work(table: Any, key: dict[str, Any], **options: Any) -> Any:
    return run_worker([table], restrictions=[key], stop_when_idle=True, **options)


def fail_in_a_worker(table: Any, key: dict[str, Any]) -> None:
    assert work(table, key).failed == 1


def fail_in_a_notebook(table: Any, key: dict[str, Any]) -> None:
    done = table.populate(key, reserve_jobs=True, suppress_errors=True)
    assert len(done["error_list"]) == 1


@pytest.mark.parametrize("fail", [fail_in_a_worker, fail_in_a_notebook])
def test_an_analysis_that_failed_is_done_when_it_is_queued_again(
    lab: Lab, recording: dict[str, Any], capsys: pytest.CaptureFixture[str],
    fail: Callable[..., None],
) -> None:  # fmt: skip
    table = lab.pipeline.model.PoseEstimation
    batch = queue_poses(capsys, 2)
    video = lab.root / "raw" / "undo.mp4"
    whole = video.read_bytes()
    video.write_bytes(whole[: len(whole) // 2])
    fail(table, recording)
    assert [job.state for job in list_jobs([table], key={"recording_id": 1170})] == ["error"]

    assert cli.main(["queue", "undo", str(batch)]) == 0
    assert not list_jobs([table], key={"recording_id": 1170})
    video.write_bytes(whole)
    queue_poses(capsys, 4)
    assert work(table, recording).done == 1
    assert table & recording
    assert not list_jobs([table], key={"recording_id": 1170})


def test_an_analysis_that_waits_for_its_next_try_does_not_wait_when_queued_again(
    lab: Lab, recording: dict[str, Any], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def infer(*args: Any) -> Any:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    table = lab.pipeline.model.PoseEstimation
    batch = queue_poses(capsys, 2)
    with monkeypatch.context() as patch:
        patch.setattr(scripted_engine, "infer", infer)
        summary = work(table, recording, retry=RetryPolicy(first_delay=5000), max_jobs=1)
    assert summary.postponed == 1
    (job,) = list_jobs([table], key={"recording_id": 1170})
    assert job.state == "waiting"

    assert cli.main(["queue", "undo", str(batch)]) == 0
    batch = queue_poses(capsys, 4)
    assert not list_jobs([table], key={"recording_id": 1170})
    assert work(table, recording, max_jobs=1).done == 1
    capsys.readouterr()
    assert cli.main(["queue", "undo", str(batch)]) == 0
    assert "1 kept, as their results are there" in capsys.readouterr().out


def ignore(table: Any, key: dict[str, Any]) -> None:
    jobs = table.connection.schemas[table.database].jobs
    jobs.ignore(table.table_name, table._job_key(key))


def die_in_five_workers(table: Any, key: dict[str, Any]) -> None:
    server = Server(table.connection, WORKER)
    assert LeaseStore(server, os.environ["DATABASE_PREFIX"], 60).take(table, key)
    table.connection.query(
        f"UPDATE {Lease().full_table_name} SET expires_at=UTC_TIMESTAMP(6) - INTERVAL 1 HOUR, "
        f"attempts=5 WHERE owner='{WORKER}'"
    )


@pytest.mark.parametrize("spoil", [ignore, die_in_five_workers])
def test_what_was_said_of_an_analysis_is_forgotten_when_it_is_queued_again(
    lab: Lab, recording: dict[str, Any], capsys: pytest.CaptureFixture[str],
    spoil: Callable[..., None],
) -> None:  # fmt: skip
    model = lab.pipeline.model
    table = model.PoseEstimation()
    batch = queue_poses(capsys, 2)
    (key,) = (model.PoseEstimationTask & recording).fetch("KEY")
    spoil(table, key)
    assert cli.main(["queue", "undo", str(batch)]) == 0
    assert not list_jobs([table], key={"recording_id": 1170})
    queue_poses(capsys, 4)
    table.populate(recording, reserve_jobs=True)
    assert table & recording


def test_a_training_queued_again_has_the_number_of_the_one_that_failed(
    lab: Lab, project: Path, engine: None, paramset: int, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    train = lab.pipeline.train
    command = ("training", "--paramset", str(paramset), "--video-set", "1170",
               "--project", project.name, "--repeat")  # fmt: skip
    batch = queue(capsys, *command)
    (key,) = (train.TrainingTask & NUMBERS).fetch("KEY", order_by="training_id DESC", limit=1)
    labels = project / "labeled-data"
    shutil.move(labels, tmp_path / "labels")
    assert work(train.ModelTraining, key).failed == 1
    shutil.move(tmp_path / "labels", labels)

    assert cli.main(["queue", "undo", str(batch)]) == 0
    assert not train.TrainingTask & key
    queue(capsys, *command)
    assert train.TrainingTask & key
    assert work(train.ModelTraining, key).done == 1


def reserve_in_a_notebook(table: Any, key: dict[str, Any]) -> None:
    assert table.connection.schemas[table.database].jobs.reserve(
        table.table_name, table._job_key(key)
    )


def reserve_in_a_worker(table: Any, key: dict[str, Any]) -> None:
    store = LeaseStore(Server(table.connection, WORKER), os.environ["DATABASE_PREFIX"], 3600)
    assert store.take(table, key)


@pytest.mark.parametrize("reserve", [reserve_in_a_notebook, reserve_in_a_worker])
def test_what_is_reserved_at_the_last_moment_stays_reserved(
    lab: Lab, recording: dict[str, Any], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, reserve: Callable[..., None],
) -> None:  # fmt: skip
    """Its task is gone, which whoever computes it finds out; that nobody else begins it holds."""
    model = lab.pipeline.model
    table = model.PoseEstimation()
    batch = queue_poses(capsys, 2)
    (key,) = (model.PoseEstimationTask & recording).fetch("KEY")
    sort = batches._sort

    def sort_and_reserve(*args: Any) -> Any:
        sorted_keys = sort(*args)
        reserve(table, key)
        return sorted_keys

    monkeypatch.setattr(batches, "_sort", sort_and_reserve)
    assert cli.main(["queue", "undo", str(batch)]) == 0
    (job,) = list_jobs([table], key=recording)
    assert job.state == ("running" if reserve is reserve_in_a_worker else "reserved")
    (Lease & {"owner": WORKER}).delete_quick()


def test_what_others_compute_keeps_its_reservation(
    lab: Lab, recording: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two tasks of a batch one failed, and a worker computes the other one."""
    model = lab.pipeline.model
    table = model.PoseEstimation()
    batch = queue_poses(capsys, 2)
    (key,) = (model.PoseEstimationTask & recording).fetch("KEY")
    others = {**key, "model_name": "somebody else's"}
    jobs = model.schema.jobs
    jobs.reserve(table.table_name, table._job_key(key))
    jobs.error(table.table_name, table._job_key(others), "Error: not of this batch")
    assert cli.main(["queue", "undo", str(batch)]) == 0
    assert "1 kept, as somebody computes them now" in capsys.readouterr().out
    assert sorted(jobs.fetch("status")) == ["error", "reserved"]
    jobs.complete(table.table_name, table._job_key(key))
    assert cli.main(["queue", "undo", str(batch)]) == 0
    assert list(jobs.fetch("status")) == ["error"]
