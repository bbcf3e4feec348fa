"""``workflow-deeplabcut status``: what a user sees of a pipeline at a glance."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from element_deeplabcut import train
from element_deeplabcut.engines.base import TrainingProgress
from element_deeplabcut.progress import TRAINING, announced, show_training
from element_deeplabcut.readers.learning_curve import LOSS
from workflow_deeplabcut import cli
from workflow_deeplabcut.status import QueueCounter, gather_status
from workflow_deeplabcut.status.gathering import merge
from workflow_deeplabcut.worker import RetryPolicy, list_jobs
from workflow_deeplabcut.worker.listing import count_jobs

from ...conftest import TRAINING_PARAMS, Lab
from .conftest import Site, until
from .test_command import start

PIPELINE = ("--pipeline", "tests.workflow.worker.scripted")


def run_status(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["status", *arguments]) == 0
    return capsys.readouterr().out


def find_line(text: str, begin: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(begin)]
    return line.split()


@pytest.fixture
def training(lab: Lab) -> Iterator[dict[str, Any]]:
    """A training task that nobody trains."""
    key = lab.add_training(1015, TRAINING_PARAMS)
    yield key
    (lab.pipeline.train.TrainingTask & key).delete(safemode=False)


# --- once -----------------------------------------------------------------------------------------


def test_queue_running_and_errors(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add("", "", "bad", "bad", "once 1")
    site.run(site.Parts, retry=RetryPolicy(first_delay=500), stop_when_idle=False, max_jobs=5)
    site.add("work 60", "", "")
    worker = site.start(site.Parts)
    until(lambda: len(site.calls()) == 6)
    until(lambda: count_jobs(site.Parts())["reserved"] == 1)
    text = run_status(capsys, *PIPELINE, "--table", "Parts")
    # waiting, waiting for the next try, taken, failed, done
    assert find_line(text, "Parts")[1:] in (["2", "1", "1", "2", "2"], ["0", "1", "1", "2", "4"])
    assert "running (1)\n  Parts a=1 b=" in text
    assert f"(process {worker.pid})" in text
    assert "errors (2)" in text
    assert "VideoError: 'bad.mp4' is damaged after frame 7. Copy it again. (on " in text
    assert "Traceback" not in text
    worker.send(signal.SIGKILL)
    until(lambda: [job for job in list_jobs([site.Parts]) if job.state == "expired"])
    text = run_status(capsys, *PIPELINE, "--table", "Parts")
    assert "running (0)" in text
    assert "its worker shows no life; the next one takes it over" in text


def test_errors_of_jobs_that_are_gone_hide_none_that_waits(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """One task was deleted, one computed by a `populate` without reservation, one is still bad."""
    keys = site.add("bad", "bad", "bad")
    site.run(site.Parts)
    site.Parts.insert1({**keys[1], "pid": 1}, allow_direct_insert=True)
    site.add("", "")
    (site.Task & keys[0]).delete_quick()
    text = run_status(capsys, *PIPELINE, "--table", "Parts")
    # waiting, waiting for the next try, taken, failed, done
    assert find_line(text, "Parts")[1:] == ["2", "0", "0", "3", "1"]


def test_an_empty_pipeline(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    text = run_status(capsys, *PIPELINE, "--table", "Plain")
    assert find_line(text, "Plain") == ["Plain", *["0"] * 5]
    for part in ("running: nothing", "finished in the last 24 h: nothing", "errors: none"):
        assert part in text


def test_only_the_newest_errors_are_read(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add(*["bad"] * 12)
    site.run(site.Parts)
    text = run_status(capsys, *PIPELINE, "--table", "Parts", "--errors", "3")
    assert "errors (12, the newest 3)" in text
    assert text.count("VideoError") == 3
    assert len(list_jobs([site.Parts], states=("error",), newest=3)) == 3
    status = gather_status([site.Parts], errors=0)
    assert (status.errors, status.n_errors) == ([], 12)


def test_progress_of_a_populate_without_reservation(
    lab: Lab, site: Site, training: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """It stands in no list of jobs; its progress says that it runs."""
    with announced(TRAINING, training), show_training("", "pytorch", 0, "cuda:1") as update:
        update(TrainingProgress(10, 12_000, {}))
        time.sleep(0.3)
        update(TrainingProgress(30, 12_000, {LOSS: 0.00123, "learning_rate": 5e-4}))
        until(lambda: lab.pipeline.report.list_progress(training, states=["running"]))
        until(lambda: lab.pipeline.report.list_progress(training)[0].done == 30, 20)
        text = run_status(capsys, "--table", "ModelTraining")
        plain = json.loads(run_status(capsys, "--table", "ModelTraining", "--json"))
    assert "30 of 12,000 epochs (0 %), loss 0.00123, learning rate 0.0005" in text
    assert f"(process {os.getpid()}), cuda:1" in text
    (running,) = [job for job in plain["running"] if job["key"]["training_id"] == 1015]
    assert running["state"] == "running"
    assert running["progress"]["seconds_left"] > 0
    assert plain["queues"][0]["table"] == "ModelTraining"
    assert set(plain) == {"at", "queues", "running", "throughput", "hours", "errors", "n_errors"}


@pytest.mark.parametrize("loss", [float("inf"), float("nan")])
def test_a_loss_that_diverged_is_no_broken_json(
    lab: Lab, training: dict[str, Any], capsys: pytest.CaptureFixture[str], loss: float
) -> None:
    with announced(TRAINING, training), show_training("") as update:
        update(TrainingProgress(1, 4, {LOSS: loss}))
        until(lambda: lab.pipeline.report.list_progress(training, states=["running"]), 20)
        until(lambda: lab.pipeline.report.list_progress(training)[0].metrics, 20)
        text = run_status(capsys, "--table", "ModelTraining", "--json")
    plain = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    (running,) = [job for job in plain["running"] if job["key"]["training_id"] == 1015]
    assert running["progress"]["metrics"] == {LOSS: None}


def test_a_notebook_and_its_progress_are_one(lab: Lab, training: dict[str, Any]) -> None:
    """`populate(reserve_jobs=True)` reserves without a lease: what it says of itself counts."""
    table = lab.pipeline.train.ModelTraining()
    jobs = lab.pipeline.train.schema.jobs
    assert jobs.reserve(table.table_name, table._job_key(training))
    try:
        with announced(TRAINING, training), show_training("") as update:
            update(TrainingProgress(1, 4, {}))
            until(lambda: lab.pipeline.report.list_progress(training, states=["running"]))
            taken = list_jobs([table], key={"training_id": 1015})
            (found,) = merge(taken, lab.pipeline.report.list_progress(training))
        assert (taken[0].state, found.state) == ("reserved", "running")
        assert found.progress is not None
    finally:
        jobs.complete(table.table_name, table._job_key(training))


def test_what_the_one_before_said_is_not_how_far_a_job_is(
    lab: Lab, training: dict[str, Any]
) -> None:
    """Its worker was killed at epoch 3; who took it over still prepares."""
    table = lab.pipeline.train.ModelTraining()
    progress, jobs = lab.pipeline.report.TrainingProgress, lab.pipeline.train.schema.jobs
    with announced(TRAINING, training), show_training("") as update:
        update(TrainingProgress(3, 4, {}))
    progress.connection.query(
        f"UPDATE {progress.full_table_name} SET state='running', pid=pid+1, "
        "updated_at=updated_at - INTERVAL 90 SECOND WHERE training_id=1015"
    )
    assert jobs.reserve(table.table_name, table._job_key(training))
    try:
        taken = list_jobs([table], key={"training_id": 1015})
        (found,) = merge(taken, lab.pipeline.report.list_progress(training))
        assert (found.pid, found.progress) == (os.getpid(), None)
    finally:
        jobs.complete(table.table_name, table._job_key(training))
    (left,) = merge([], lab.pipeline.report.list_progress(training))
    assert (left.state, left.pid) == ("silent", os.getpid() + 1)


def test_a_training_that_kills_its_workers_is_an_error_and_not_silent(
    lab: Lab, site: Site, training: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them had begun it; nobody is left to say so but the one that gives it up."""
    table, policy = lab.pipeline.train.ModelTraining, RetryPolicy(limit=2)

    def die(*args: Any) -> None:
        with show_training("", "pytorch", 0, "cuda:1"):
            until(lambda: progress & training & {"pid": os.getpid()})
            os.kill(os.getpid(), signal.SIGKILL)

    progress = lab.pipeline.report.TrainingProgress
    monkeypatch.setattr(train, "run_training", die)
    options = {"restrictions": [training], "retry": policy, "max_jobs": 1}
    try:
        for _ in range(2):
            worker = site.start(table, **options, lease=0.5)
            assert worker.wait(60) == -signal.SIGKILL
            assert (progress & training).fetch1("state", "message") == ("running", "")
        assert site.run(table, **options, stop_when_idle=False).failed == 1
        state, message = (progress & training).fetch1("state", "message")
        status = gather_status([table])
    finally:
        lab.pipeline.train.schema.jobs.delete()
    assert state == "failed"
    assert message.startswith("WorkerDied: 2 workers began this job")
    assert not [job for job in status.running if job.key == training]
    assert [job.message for job in status.errors if job.key == training] == [message]


def test_counts_are_kept_while_counting_takes_long(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a watching screen's time the server counts for a tenth at most."""
    from workflow_deeplabcut.status import queue

    calls, now = [], [0.0]

    def count(table: Any) -> Any:
        calls.append(table)
        now[0] += 2.0
        return len(calls)

    monkeypatch.setattr(queue, "count_queue", count)
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    counter = QueueCounter([site.Parts])
    assert counter.count() == [1]
    now[0] += 17.9
    assert counter.count() == [1]
    now[0] += 0.2
    assert counter.count() == [2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--watch", "0"], "--watch takes seconds"),
        (["--hours", "-1"], "--hours takes a number above 0"),
        (["--table", "Nothing", *PIPELINE], "no computed table 'Nothing'"),
        (["--pipeline", "no_such_module"], "There is no module 'no_such_module'"),
    ],
)
def test_a_mistake_gets_a_sentence(
    site: Site, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["status", *arguments]) == 1
    assert said in capsys.readouterr().err


# --- watching -------------------------------------------------------------------------------------

WATCH = (sys.executable, "-m", "workflow_deeplabcut.cli", "status", "--watch", "0.2",
         "--pipeline", "my_pipeline", "--table", "Parts")  # fmt: skip


def read_rows(file: Path) -> list[list[str]]:
    lines = file.read_text().splitlines()
    return [line.split() for line in lines if line.startswith("Parts")]


def test_watching_without_a_terminal(site: Site, tmp_path: Path) -> None:
    """Into a file: one status below the other, no control characters, ended by Ctrl-C."""
    site.add("")
    with (tmp_path / "out.txt").open("w") as out:
        process = start(tmp_path, list(WATCH), stdout=out)
        until(lambda: (tmp_path / "out.txt").read_text().count("status at") >= 2, 180)
        site.run(site.Parts)
        # Counting may take long on a busy machine, and is then done less often.
        until(lambda: read_rows(tmp_path / "out.txt")[-1][1:] == ["0", "0", "0", "0", "1"], 180)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    text = (tmp_path / "out.txt").read_text()
    assert process.returncode == 0, said
    assert "Traceback" not in said
    assert "\x1b" not in text
    assert read_rows(tmp_path / "out.txt")[0][1:] == ["1", "0", "0", "0", "0"]


def test_watching_on_a_terminal_redraws_in_place(site: Site, tmp_path: Path) -> None:
    parent, child = pty.openpty()
    process = start(tmp_path, list(WATCH), stdout=child)
    os.close(child)
    os.set_blocking(parent, False)
    shown = ""

    def read() -> bool:
        nonlocal shown
        with contextlib.suppress(BlockingIOError):
            shown += os.read(parent, 65536).decode()
        return shown.count("status at") >= 3

    until(read, 180)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    os.close(parent)
    assert process.returncode == 0, said
    assert shown.startswith("\x1b[2J\x1b[H")  # cleared once ...
    assert shown.count("\x1b[2J") == 1
    assert shown.count("\x1b[H") >= 3  # ... and drawn over from then on


def test_a_reader_that_goes_away_is_no_error(site: Site, tmp_path: Path) -> None:
    process = start(tmp_path, list(WATCH), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("status at")
    process.stdout.close()
    assert process.wait(180) == 0
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
def test_watching_survives_an_outage(site: Site, tmp_path: Path) -> None:
    from .test_database_away import Outage

    outage = Outage(site.server)
    process = start(tmp_path, [*WATCH, "--json"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["n_errors"] == 0
    outage.begin()
    try:
        deadline = time.monotonic() + 180
        while "error" not in json.loads(process.stdout.readline()):
            assert time.monotonic() < deadline
    finally:
        outage.end()
    deadline = time.monotonic() + 180
    while "error" in json.loads(process.stdout.readline()):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
