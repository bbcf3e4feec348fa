"""``workflow-deeplabcut jobs``: what a user reads and does about jobs that failed or hang."""

from __future__ import annotations

import json
import os
import signal

import pytest

from workflow_deeplabcut import cli
from workflow_deeplabcut.worker import RetryPolicy, clear_jobs, list_jobs, retry_jobs

from .conftest import Site, until

PIPELINE = ("--pipeline", "tests.workflow.worker.scripted")


def run_jobs(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["jobs", *arguments, *PIPELINE]) == 0
    return capsys.readouterr().out


def test_errors_are_listed_shown_and_retried(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _ = site.add("bad", "bad")
    site.run(site.Parts)
    listed = run_jobs(capsys)
    assert listed.count("error    Parts a=1 b=") == 2
    assert "VideoError: 'bad.mp4' is damaged after frame 7. Copy it again." in listed
    assert f"process {os.getpid()}" in listed
    assert listed.endswith("2 jobs listed\n")
    assert "in make_compute" in run_jobs(capsys, "show", "--key", "b=0")

    site.Task.update1({**first, "script": ""})
    assert "1 job free" in run_jobs(capsys, "retry", "--message", "DAMAGED", "--key", "b=0")
    assert site.run(site.Parts).done == 1
    assert "1 job listed" in run_jobs(capsys)
    assert "0 jobs listed" in run_jobs(capsys, "--table", "Plain")
    run_jobs(capsys, "clear", "--all")
    assert not site.jobs


def test_a_waiting_job_is_tried_at_once_when_told(site: Site) -> None:
    site.add("once 1")
    site.run(site.Parts, retry=RetryPolicy(first_delay=500), max_jobs=1)
    (job,) = list_jobs([site.Parts])
    assert (job.state, job.attempts) == ("waiting", 1)
    assert 300 < job.due_in < 700
    assert "Stale file handle" in job.message
    retry_jobs([site.Parts])
    assert site.run(site.Parts).done == 1
    assert not list_jobs([site.Parts])


def test_a_running_job_is_left_alone_and_a_dead_one_is_cleared(site: Site) -> None:
    site.add("work 60")
    worker = site.start(site.Parts)
    until(site.calls)
    (job,) = list_jobs([site.Parts])
    assert (job.state, job.pid, job.message) == ("running", worker.pid, "")
    assert not clear_jobs([site.Parts])
    worker.send(signal.SIGKILL)
    worker.wait()
    until(lambda: list_jobs([site.Parts])[0].state == "expired")
    assert len(clear_jobs([site.Parts])) == 1
    assert not site.jobs
    assert not site.leases


def test_a_notebooks_reservations(site: Site) -> None:
    alive, dead = site.add("", "")
    for key in (alive, dead):
        site.jobs.reserve(site.Parts.table_name, site.Parts()._job_key(key))
    row = next(row for row in site.jobs.fetch(as_dict=True) if row["key"]["b"] == dead["b"])
    site.jobs.update1(
        {**{name: row[name] for name in site.jobs.primary_key}, "connection_id": 2**32,
         "host": "elsewhere"}
    )  # fmt: skip
    states = {job.key["b"]: job.state for job in list_jobs([site.Parts])}
    assert states == {alive["b"]: "reserved", dead["b"]: "dead"}
    assert len(clear_jobs([site.Parts], states=["dead"])) == 1
    assert [job.key for job in list_jobs([site.Parts])] == [alive]


def test_a_script_reads_json(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add("bad")
    site.run(site.Plain)
    (job,) = json.loads(run_jobs(capsys, "--json"))
    assert job["key"] == {"a": 1, "b": 0}
    assert job["state"] == "error"
    assert job["message"].startswith("VideoError")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clear"], "Say which jobs to clear"),
        (["--state", "lost"], "There is no state lost"),
        (["--key", "recording"], "not of the form NAME=VALUE"),
        (["--key", "recording=1"], "No table has an attribute 'recording'"),
        (["--key", "a=1x"], "a must be a number, and is '1x'"),
        (["retry", "--state", "dead"], "in the state dead cannot be retried"),
        (["--table", "Nothing"], "There is no computed table 'Nothing'"),
    ],
)
def test_a_mistake_gets_a_sentence(
    site: Site, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["jobs", *arguments, *PIPELINE]) == 1
    assert said in capsys.readouterr().err
