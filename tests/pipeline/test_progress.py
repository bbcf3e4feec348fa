"""Progress of trainings and inferences in the tables: real ones, and work that goes wrong."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from element_deeplabcut.compute import training
from element_deeplabcut.connections import connect_plainly
from element_deeplabcut.engines.base import TrainingProgress
from element_deeplabcut.errors import ParameterError, Stopped, VideoError
from element_deeplabcut.progress import TRAINING, announced, show_frames, show_training
from element_deeplabcut.readers.learning_curve import LEARNING_RATE, LOSS, read_learning_curve
from element_deeplabcut.report import recorder
from workflow_deeplabcut import database

from ..conftest import TENSORFLOW_PARAMS, TRAINING_PARAMS, Lab, Trained

QUICK = {**TRAINING_PARAMS, "epochs": 2, "save_epochs": 1}


NOT_WAITING = "test_a_server_that_does_not_answer_costs_two_seconds"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Last rows are there when the work has ended, also where the disk is busy for seconds."""
    if request.node.originalname != NOT_WAITING:
        monkeypatch.setattr(recorder, "_END_WAIT_S", 30)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "INTERVAL_S", 0.05)


@pytest.fixture
def task(lab: Lab) -> Iterator[dict[str, Any]]:
    """A training task that nobody trains."""
    key = lab.add_training(1000, QUICK)
    yield key
    (lab.pipeline.train.TrainingTask & key).delete(safemode=False)


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)
    return value


def row_of(lab: Lab, key: dict[str, Any]) -> dict[str, Any]:
    report = lab.pipeline.report
    table = report.TrainingProgress if "training_id" in key else report.InferenceProgress
    return (table & key).fetch1()


def states_of(lab: Lab, key: dict[str, Any]) -> list[str]:
    return list((lab.pipeline.report.TrainingProgress & key).fetch("state"))


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "progress"]


# --- what a user sees -----------------------------------------------------------------------------


@pytest.mark.dlc
def test_a_training_can_be_followed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it runs the row tells of each epoch; from another connection, as another user would."""
    report, seen = lab.pipeline.report, []
    monkeypatch.setattr(recorder, "INTERVAL_S", 0.01)
    original = training.show_training

    @contextlib.contextmanager
    def show(*args: Any) -> Any:
        with original(*args) as update:

            def update_and_look(progress: Any) -> None:
                update(progress)
                with (
                    lab.server.connect(autocommit=True) as connection,
                    connection.cursor() as cursor,
                ):
                    # Nothing ends this wait but the row that tells of the epoch.
                    until(
                        lambda: cursor.execute(
                            "SELECT state, epoch, total_epochs, loss, seconds_left, pid, host "
                            f"FROM {report.TrainingProgress.full_table_name} "
                            "WHERE training_id=1001 AND epoch=%s",
                            progress.epoch,
                        )
                    )
                    seen.extend(cursor.fetchall())

            yield update_and_look

    monkeypatch.setattr(training, "show_training", show)
    key = lab.add_training(1001, {**QUICK, "epochs": 3})
    lab.pipeline.train.ModelTraining.populate(key)

    info = (lab.pipeline.train.ModelTraining & key).fetch1("run_info")
    (file,) = (lab.processed / info["run_directory"]).rglob("learning_stats.csv")
    losses = read_learning_curve(file).columns[LOSS]
    states = {state for state, *_ in seen}
    assert states == {"running"}
    assert [(epoch, total) for _, epoch, total, *_ in seen] == [(1, 3), (2, 3), (3, 3)]
    for _, epoch, _, loss, _, pid, host in seen:
        assert loss == pytest.approx(losses[epoch - 1])
        assert (pid, host) == (os.getpid(), info["host"])
    # An estimate sinks to 0 while nothing moves; the first one includes the start, and is long.
    after_first, after_second, _ = [seconds for _, _, _, _, seconds, *_ in seen]
    assert after_first > 0
    assert 0 <= after_second < 60

    row = row_of(lab, key)
    assert (row["state"], row["epoch"], row["total_epochs"]) == ("finished", 3, 3)
    assert (row["engine"], row["device"], row["seconds_left"]) == ("pytorch", "cpu", 0)
    assert row["loss"] == pytest.approx(losses[-1])
    rate = TRAINING_PARAMS["pytorch_cfg_updates"]["runner.optimizer.params.lr"]
    assert 0 < row["learning_rate"] <= rate
    assert row["metrics"][LOSS] == pytest.approx(losses[-1])
    assert not threads()


@pytest.mark.dlc
def test_an_inference_says_frames_and_frames_per_second(
    lab: Lab, estimated: dict[str, Any]
) -> None:
    report = lab.pipeline.report
    row = row_of(lab, estimated)
    assert (row["state"], row["frames_done"], row["total_frames"]) == ("finished", 100, 100)
    assert row["frames_per_s"] > 1
    (progress,) = report.list_progress(estimated)
    assert (progress.table, progress.unit, progress.state) == (
        "PoseEstimation", "frames", "finished",
    )  # fmt: skip
    (measured,) = [
        found for found in report.measure_throughput() if found.table == "PoseEstimation"
    ]
    assert measured.n_frames >= 100
    assert measured.frames_per_s == pytest.approx(
        measured.n_frames / (measured.n_finished * measured.mean_s)
    )


@pytest.mark.dlc
def test_tensorflow_counts_iterations(lab: Lab, often: None) -> None:
    key = lab.add_training(
        1002, {**TENSORFLOW_PARAMS, "max_iters": 4, "save_iters": 4, "display_iters": 1}
    )
    lab.pipeline.train.ModelTraining.populate(key)
    row = row_of(lab, key)
    assert (row["state"], row["epoch"], row["total_epochs"]) == ("finished", 4, 4)
    assert row["learning_rate"] == pytest.approx(0.002)
    (progress,) = lab.pipeline.report.list_progress(key)
    assert progress.unit == "iterations"


@pytest.mark.dlc
def test_populate_with_processes(lab: Lab) -> None:
    """DataJoint forks; each child writes on a connection of its own."""
    keys = [lab.add_training(number, QUICK) for number in (1003, 1004)]
    lab.pipeline.train.ModelTraining.populate(keys, processes=2)
    rows = [row_of(lab, key) for key in keys]
    assert [row["state"] for row in rows] == ["finished"] * 2
    assert len({row["pid"] for row in rows} | {os.getpid()}) == 3
    assert len(lab.pipeline.train.ModelTraining & keys) == 2


# --- states ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "state"),
    [(Stopped("has to end"), "stopped"), (KeyboardInterrupt(), "stopped"),
     (VideoError("'a.mp4' is damaged."), "failed"),
     (VideoError("'b\udcff.mp4' is damaged. " * 100), "failed")],
)  # fmt: skip
def test_how_it_ended_is_said(
    lab: Lab, task: dict[str, Any], error: BaseException, state: str
) -> None:
    def work() -> None:
        with announced(TRAINING, task), show_training("", "pytorch", 0, "cuda:3") as update:
            update(TrainingProgress(1, 10, {LOSS: float("nan"), LEARNING_RATE: 0.1}))
            raise error

    with pytest.raises(type(error)):
        work()
    row = row_of(lab, task)
    assert (row["state"], row["epoch"], row["total_epochs"]) == (state, 1, 10)
    assert (row["device"], row["loss"], row["learning_rate"]) == ("cuda:3", None, 0.1)
    assert row["message"].startswith(type(error).__name__)
    (progress,) = lab.pipeline.report.list_progress(task)
    assert (progress.state, progress.seconds_left) == (state, None)


@pytest.fixture
def latin(lab: Lab) -> Iterator[None]:
    """The column of messages, as in a lab whose schemas were made with the character set latin1."""
    table = lab.pipeline.report.TrainingProgress()
    query = table.connection.query
    modify = f"ALTER TABLE {table.full_table_name} MODIFY message varchar(1000) CHARACTER SET "
    rest = f"NOT NULL DEFAULT '' COMMENT '{table.heading.attributes['message'].comment}'"
    charset, collation = query(
        "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLUMNS WHERE "
        "TABLE_SCHEMA=%s AND TABLE_NAME=%s AND COLUMN_NAME='message'",
        args=(table.database, table.table_name),
    ).fetchone()
    declared = query(f"SHOW CREATE TABLE {table.full_table_name}").fetchone()
    query(f"{modify} latin1 {rest}")
    yield
    query(f"{modify} {charset} COLLATE {collation} {rest}")
    assert query(f"SHOW CREATE TABLE {table.full_table_name}").fetchone() == declared


@pytest.mark.parametrize("has_begun", [True, False])
@pytest.mark.parametrize(
    ("said", "stored"),
    [("'Mäuse.mp4' is damaged.", "'Mäuse.mp4' is damaged."),
     ("'マウス.mp4' is damaged.", r"'\u30de\u30a6\u30b9.mp4' is damaged."),
     ("マ" * 999, r"\u30de" * 164)],
)  # fmt: skip
def test_a_message_that_the_database_has_no_letters_for_is_said_in_others(
    lab: Lab, task: dict[str, Any], latin: None, caplog: pytest.LogCaptureFixture,
    has_begun: bool, said: str, stored: str,
) -> None:  # fmt: skip
    """An attempt that had begun ends its own row; one that had not, that of the one before."""
    with announced(TRAINING, task), show_training("", "pytorch", 0, "cuda:3"):
        pass
    table = lab.pipeline.report.TrainingProgress
    query = f"UPDATE {table.full_table_name} SET state='running' WHERE training_id=1000"
    table.connection.query(query)

    def work() -> None:
        with announced(TRAINING, task):
            if has_begun:
                with show_training("", "pytorch", 0, "cuda:3"):
                    raise VideoError(said)
            raise VideoError(said)

    with pytest.raises(VideoError):
        work()
    row = row_of(lab, task)
    assert row["state"] == "failed"
    assert row["message"].startswith(f"VideoError: {stored}")
    assert not caplog.records


def test_a_result_that_is_found_ends_the_row_of_who_died(lab: Lab, task: dict[str, Any]) -> None:
    """A worker was killed after it had published, before it recorded; the next only inserts."""
    table = lab.pipeline.report.TrainingProgress
    with announced(TRAINING, task), show_training("") as update:
        update(TrainingProgress(2, 10, {}))
    table.connection.query(
        f"UPDATE {table.full_table_name} SET state='running', epoch=9 WHERE training_id=1000"
    )
    with announced(TRAINING, task):
        pass
    row = row_of(lab, task)
    assert (row["state"], row["epoch"]) == ("finished", 10)


def test_without_a_row_nothing_is_written_for_a_result_that_is_found(
    lab: Lab, task: dict[str, Any]
) -> None:
    with announced(TRAINING, task):
        pass
    assert not lab.pipeline.report.TrainingProgress & task


def test_who_shows_no_life_is_silent(lab: Lab, task: dict[str, Any]) -> None:
    report = lab.pipeline.report
    table = report.TrainingProgress
    with announced(TRAINING, task), show_training("") as update:
        update(TrainingProgress(2, 10, {}))
        until(lambda: states_of(lab, task) == ["running"])
        (progress,) = report.list_progress(task, states=["running"])
        assert progress.age < 5
    table.connection.query(
        f"UPDATE {table.full_table_name} SET state='running', "
        "updated_at=updated_at - INTERVAL 90 SECOND WHERE training_id=1000"
    )
    (progress,) = report.list_progress(task)
    assert progress.state == "silent"
    assert 90 < progress.age < 110
    assert not report.list_progress(task, states=["running"])
    with pytest.raises(ParameterError, match="no state lost"):
        report.list_progress(states=["lost"])


def test_a_row_is_renewed_between_epochs(lab: Lab, task: dict[str, Any], often: None) -> None:
    """An epoch may take an hour; the row shows life all the time."""
    with announced(TRAINING, task), show_training("") as update:
        update(TrainingProgress(1, 10, {}))
        first = until(lambda: states_of(lab, task) and row_of(lab, task)["updated_at"])
        until(lambda: row_of(lab, task)["updated_at"] > first)


def test_another_attempt_takes_the_row_over(lab: Lab, task: dict[str, Any], often: None) -> None:
    """A worker that was paused, and whose job another one has by now, falls silent."""
    with announced(TRAINING, task), show_training("", "pytorch", 0, "first") as update:
        until(lambda: states_of(lab, task))
        with announced(TRAINING, task), show_training("", "pytorch", 0, "second") as other:
            other(TrainingProgress(7, 10, {}))
        update(TrainingProgress(3, 10, {}))
        time.sleep(0.3)
    row = row_of(lab, task)
    assert (row["device"], row["epoch"], row["state"]) == ("second", 7, "finished")


@pytest.mark.slow
def test_an_attempt_that_could_not_write_leaves_the_row_of_a_later_one_alone(
    lab: Lab, task: dict[str, Any]
) -> None:
    """A worker cut off from the database as it began; by its return another one has the job."""
    table = lab.pipeline.report.TrainingProgress
    blocking = connect_plainly(table.connection)

    def work() -> None:
        with announced(TRAINING, task), show_training("", "pytorch", 0, "first"):
            time.sleep(recorder._TIMEOUT_S + 0.5)  # its first row has failed
            blocking.close()
            with announced(TRAINING, task), show_training("", "pytorch", 0, "second") as other:
                other(TrainingProgress(7, 10, {}))
            raise Stopped("another worker has it")

    with blocking.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {table.full_table_name} WRITE")
    with pytest.raises(Stopped):
        work()
    until(lambda: not threads())
    row = row_of(lab, task)
    assert (row["device"], row["epoch"], row["state"]) == ("second", 7, "finished")


@pytest.mark.dlc
def test_what_is_recorded_is_finished_whatever_its_row_says(lab: Lab, trained: Trained) -> None:
    """The last word was lost with the process, or the attempt was where none is recorded."""
    report, key = lab.pipeline.report, trained.training_key
    with keeping_the_row(lab, key):
        report.TrainingProgress.update1({**key, "state": "failed", "message": "no space left"})
        (progress,) = report.list_progress(key)
        assert (progress.state, progress.message) == ("finished", "")
        assert len(report.list_progress(key, states=["finished"])) == 1
        assert not report.list_progress(key, states=["failed"])


@pytest.mark.dlc
@pytest.mark.parametrize("before", ["finished", "running"])
def test_an_attempt_that_begins_after_the_work_was_recorded_leaves_its_row(
    lab: Lab, trained: Trained, often: None, before: str
) -> None:
    """A worker was paused between its reservation and its computation; another one did the work."""
    table, key = lab.pipeline.report.TrainingProgress, trained.training_key

    def stop() -> None:
        with announced(TRAINING, key), show_training("", "pytorch", 0, "too late") as update:
            until(lambda: not threads())
            update(TrainingProgress(1, 2000, {}))
            raise Stopped("another worker has it")

    with keeping_the_row(lab, key) as row:
        table.update1({**key, "state": before})
        with pytest.raises(Stopped):
            stop()
        now = row_of(lab, key)
        assert (now["state"], now["device"]) == ("finished", row["device"])
        assert now["epoch"] == now["total_epochs"] == row["epoch"]


@pytest.mark.dlc
def test_an_attempt_that_stops_after_the_work_was_recorded_leaves_it_finished(
    lab: Lab, trained: Trained, task: dict[str, Any], often: None
) -> None:
    """It began a moment before another worker recorded."""

    def stop() -> None:
        with announced(TRAINING, task), show_training("", "pytorch", 0, "late") as update:
            update(TrainingProgress(1, 20, {}))
            until(lambda: [row["total_epochs"] for row in rows_of(lab, task)] == [20])
            record_as(lab, trained, task)
            raise Stopped("another worker has it")

    with pytest.raises(Stopped):
        stop()
    row = row_of(lab, task)
    assert (row["state"], row["message"], row["epoch"]) == ("finished", "", 20)


@pytest.mark.dlc
def test_an_attempt_that_is_paused_before_its_first_row_is_too_late(
    lab: Lab, trained: Trained, task: dict[str, Any], often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has looked, and found the work undone; then another one does all of it."""
    insert, looked, woken = recorder.Recorder._insert, threading.Event(), threading.Event()

    def pause_and_insert(self: recorder.Recorder, *args: Any) -> None:
        if self._key == key:
            looked.set()
            woken.wait(30)
        insert(self, *args)

    with announced(TRAINING, task), show_training("", "pytorch", 0, "first") as update:
        update(TrainingProgress(20, 20, {}))
    key = {name: task[name] for name in lab.pipeline.train.TrainingTask.primary_key}
    monkeypatch.setattr(recorder.Recorder, "_insert", pause_and_insert)
    with announced(TRAINING, task), show_training("", "pytorch", 0, "paused"):
        assert looked.wait(30)
        record_as(lab, trained, task)
        woken.set()
        until(lambda: not threads())
        row = row_of(lab, task)
    assert (row["state"], row["device"]) == ("finished", "first")
    assert row_of(lab, task) == row


def rows_of(lab: Lab, key: dict[str, Any]) -> list[dict[str, Any]]:
    return (lab.pipeline.report.TrainingProgress & key).fetch(as_dict=True)


def record_as(lab: Lab, trained: Trained, key: dict[str, Any]) -> None:
    """Record a task as another worker would, with the result of one that was trained."""
    table = lab.pipeline.train.ModelTraining
    result = (table & trained.training_key).fetch1()
    table.insert1({**result, **key}, allow_direct_insert=True, ignore_extra_fields=True)


@contextlib.contextmanager
def keeping_the_row(lab: Lab, key: dict[str, Any]) -> Iterator[dict[str, Any]]:
    table = lab.pipeline.report.TrainingProgress
    (row,) = (table & key).fetch(as_dict=True)
    try:
        yield row
    finally:
        (table & key).delete(safemode=False)
        table.insert1(row)


# --- tasks come first -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["delete", "delete_quick"])
def test_a_task_can_be_deleted(lab: Lab, how: str) -> None:
    task = lab.pipeline.train.TrainingTask
    key = lab.add_training(1005, QUICK)
    with announced(TRAINING, key), show_training("") as update:
        update(TrainingProgress(1, 10, {}))
    assert states_of(lab, key) == ["finished"]
    (task & key).delete(safemode=False) if how == "delete" else (task & key).delete_quick()
    assert not task & key
    assert not states_of(lab, key)


def test_a_task_deleted_while_it_runs_brings_no_row_and_no_warning(
    lab: Lab, often: None, caplog: pytest.LogCaptureFixture
) -> None:
    key = lab.add_training(1006, QUICK)
    with announced(TRAINING, key), show_training("") as update:
        until(lambda: states_of(lab, key))
        (lab.pipeline.train.TrainingTask & key).delete(safemode=False)
        update(TrainingProgress(1, 10, {}))
        until(lambda: not threads())
    assert not states_of(lab, key)
    assert not [record for record in caplog.records if "report" in record.name]


def test_a_row_that_was_deleted_comes_back(lab: Lab, task: dict[str, Any], often: None) -> None:
    table = lab.pipeline.report.TrainingProgress
    with announced(TRAINING, task), show_training(""):
        until(lambda: states_of(lab, task))
        (table & task).delete(safemode=False)
        until(lambda: states_of(lab, task))


# --- the work comes first -------------------------------------------------------------------------


def test_a_report_costs_next_to_nothing(lab: Lab, task: dict[str, Any]) -> None:
    """Whatever the database does: an iteration of TensorFlow takes milliseconds."""
    with announced(TRAINING, task), show_training("") as update:
        began = time.perf_counter()
        for number in range(20_000):
            update(TrainingProgress(number, 20_000, {LOSS: 1.0}))
        seconds = time.perf_counter() - began
    assert seconds / 20_000 < 2e-4
    assert row_of(lab, task)["epoch"] == 19_999


def test_the_connection_of_the_make_is_not_used(
    lab: Lab, task: dict[str, Any], often: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = lab.pipeline.train.schema.connection

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("DataJoint's connection was used")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "query", refuse)
        with announced(TRAINING, task), show_training("") as update:
            for number in range(3):
                update(TrainingProgress(number, 3, {}))
                time.sleep(0.1)
    assert states_of(lab, task) == ["finished"]


@pytest.mark.slow
def test_a_server_that_restarts_costs_nothing(
    lab: Lab, task: dict[str, Any], often: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is killed while the work runs, and started again: the rows go on, with one warning."""
    with announced(TRAINING, task), show_training("") as update:
        until(lambda: states_of(lab, task))
        os.kill(database.status(lab.server.data_dir).pid, signal.SIGKILL)
        until(lambda: database.status(lab.server.data_dir) is None)
        for number in range(5):
            began = time.perf_counter()
            update(TrainingProgress(number, 10, {}))
            assert time.perf_counter() - began < 2.5  # a statement would wait for 3 s
            time.sleep(0.1)
        database.start(lab.server.data_dir)
        lab.pipeline.train.schema.connection.connect()
        until(lambda: row_of(lab, task)["epoch"] == 4)
    # Until the recorder has heard that this row is written, its end does not wait for the last.
    until(lambda: states_of(lab, task) == ["finished"])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "its result is not concerned" in record.getMessage()


@pytest.mark.slow
def test_a_server_that_does_not_answer_costs_two_seconds(
    lab: Lab, task: dict[str, Any], often: None
) -> None:
    """Stopped as by a full disk or a dead network: connections hang."""
    pid = database.status(lab.server.data_dir).pid
    with announced(TRAINING, task), show_training("") as update:
        until(lambda: states_of(lab, task))
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(0.2)
            began = time.perf_counter()
            update(TrainingProgress(8, 10, {}))
            assert time.perf_counter() - began < 2.5  # a statement would wait for 3 s
        except BaseException:
            os.kill(pid, signal.SIGCONT)
            raise
        ending_at = time.perf_counter()
    took = time.perf_counter() - ending_at
    os.kill(pid, signal.SIGCONT)
    assert took < 6
    until(lambda: states_of(lab, task) == ["finished"])
    assert row_of(lab, task)["epoch"] == 8


@pytest.mark.dlc
@pytest.mark.slow
def test_a_training_survives_a_restart_of_the_server(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real thing: the server is killed after the first epoch; training ends and inserts."""
    train, original = lab.pipeline.train, training.show_training
    killed = []

    @contextlib.contextmanager
    def show(*args: Any) -> Any:
        with original(*args) as update:

            def update_and_kill(progress: Any) -> None:
                update(progress)
                if not killed:
                    killed.append(database.status(lab.server.data_dir).pid)
                    os.kill(killed[0], signal.SIGKILL)
                    until(lambda: database.status(lab.server.data_dir) is None)

            yield update_and_kill
            database.start(lab.server.data_dir)

    monkeypatch.setattr(training, "show_training", show)
    key = lab.add_training(1007, QUICK)
    train.ModelTraining.populate(key)
    assert killed
    assert (train.ModelTraining & key).fetch1("latest_snapshot") == 2
    until(lambda: row_of(lab, key)["state"] == "finished")


def test_an_observer_that_fails_is_dropped_with_one_warning(
    task: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def update(self: Any, *args: Any) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(recorder.Recorder, "update", update)
    with announced(TRAINING, task), show_training("") as report:
        for number in range(3):
            report(TrainingProgress(number, 3, {}))
    (record,) = caplog.records
    assert "a defect); the work goes on" in record.getMessage()


def test_a_user_who_may_not_write_is_told_once(
    lab: Lab, task: dict[str, Any], often: None, caplog: pytest.LogCaptureFixture
) -> None:
    """A table that is gone stands for one that is not to be written to."""
    table = lab.pipeline.report.TrainingProgress.full_table_name
    query = lab.pipeline.report.schema.connection.query
    query(f"RENAME TABLE {table} TO `test_report`.`hidden`")
    try:
        with announced(TRAINING, task), show_training("") as update:
            for number in range(3):
                update(TrainingProgress(number, 3, {}))
                time.sleep(0.1)
    finally:
        query(f"RENAME TABLE `test_report`.`hidden` TO {table}")
    (record,) = caplog.records
    assert "doesn't exist" in record.getMessage()


# --- forks ----------------------------------------------------------------------------------------


def test_a_process_forked_from_the_work_leaves_its_connection_alone(
    lab: Lab, task: dict[str, Any], often: None
) -> None:
    """As loaders of data are: they inherit the socket, and end."""
    with announced(TRAINING, task), show_training("") as update:
        until(lambda: states_of(lab, task))
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(0.1,))
        child.start()
        child.join(10)
        update(TrainingProgress(1, 10, {}))
        until(lambda: row_of(lab, task)["epoch"] == 1)
    assert states_of(lab, task) == ["finished"]


def _end_in_child(key: dict[str, Any], watching: Any) -> None:
    watching.update(5, 10, {})
    watching.end("failed", "in a child")


def test_the_end_of_a_forked_process_is_not_the_end_of_the_work(
    lab: Lab, task: dict[str, Any], often: None
) -> None:
    recording = recorder.observe(TRAINING, task)
    recording.begin("pytorch", "cpu", 0, 10)
    until(lambda: states_of(lab, task))
    child = multiprocessing.get_context("fork").Process(
        target=_end_in_child, args=(task, recording)
    )
    child.start()
    child.join(10)
    assert child.exitcode == 0
    time.sleep(0.2)
    assert (row_of(lab, task)["state"], row_of(lab, task)["epoch"]) == ("running", 0)
    recording.end("finished", "")
    assert states_of(lab, task) == ["finished"]


def test_frames_of_an_inference_without_a_task_are_not_recorded(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    """Reading videos, and drawing them, is shown and not recorded."""
    with show_frames("Reading", 10) as update:
        update(10)
    assert not threads()
    assert not caplog.records


@pytest.mark.dlc
def test_a_training_that_is_found_again_is_finished(lab: Lab) -> None:
    """Its row said something else: its worker was killed before the last word."""
    train, table = lab.pipeline.train, lab.pipeline.report.TrainingProgress
    key = lab.add_training(1008, QUICK)
    train.ModelTraining.populate(key)
    (train.ModelTraining & key).delete(safemode=False)
    table.connection.query(
        f"UPDATE {table.full_table_name} SET state='running', epoch=1 WHERE training_id=1008"
    )
    train.ModelTraining.populate(key)
    assert (row_of(lab, key)["state"], row_of(lab, key)["epoch"]) == ("finished", 2)
