"""A notebook's job is called dead only where that can be known."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datajoint as dj
import pytest
from datajoint.hash import key_hash

from element_deeplabcut.engines.base import TrainingProgress
from element_deeplabcut.progress import TRAINING, announced, show_training
from workflow_deeplabcut import cli
from workflow_deeplabcut.status import gather_status
from workflow_deeplabcut.worker import clear_jobs, list_jobs
from workflow_deeplabcut.worker.lease import declare_leases

from ...conftest import TRAINING_PARAMS, Lab
from .conftest import Site, until
from .test_command import start

NOBODYS = 2**32
"""Number that no connection of these tests has."""


def reserve(table: Any, key: dict[str, Any], **row: Any) -> None:
    """Reserve a job as ``populate(reserve_jobs=True)`` does on another machine."""
    jobs = table.connection.schemas[table.database].jobs
    job_key = table._job_key(key)
    assert jobs.reserve(table.table_name, job_key)
    name = {"table_name": table.table_name, "key_hash": key_hash(job_key)}
    jobs.update1({**name, "host": "elsewhere", **row})


# --- whose connections are seen -------------------------------------------------------------------


@pytest.fixture
def account(site: Site) -> Iterator[dict[str, str]]:
    """An account that owns the lab's schemas and nothing else, as labs give them out."""
    login = {"user": "student", "password": "of the lab"}
    with site.server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER student@'%%' IDENTIFIED BY %s", (login["password"],))
        cursor.execute("GRANT ALL ON `test\\_%`.* TO student@'%'")
        yield login
        cursor.execute("DROP USER student@'%'")


@contextlib.contextmanager
def seen_by(account: dict[str, str], site: Site) -> Iterator[Any]:
    """The table ``Parts`` as an account sees it."""
    where = dj.config["database.host"], *account.values()
    connection = dj.Connection(*where, port=dj.config["database.port"], use_tls=False)
    dj.Schema(site.Parts.database, connection=connection)
    kind = type(site.Parts)("Parts", (site.Parts,), {"_connection": connection})
    yield kind()
    connection.close()
    declare_leases(dj.conn(), os.environ["DATABASE_PREFIX"])  # a class has one connection


@pytest.fixture
def theirs(site: Site, account: dict[str, str]) -> Iterator[Any]:
    with seen_by(account, site) as table:
        yield table


def run_jobs(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "workflow_deeplabcut.cli", "jobs", *arguments,
               "--pipeline", "my_pipeline", "--table", "Parts"]  # fmt: skip
    process = start(folder, command, stdout=subprocess.PIPE)
    said, problems = process.communicate(timeout=120)
    assert process.returncode == 0, problems
    return str(said)


@pytest.mark.slow
def test_an_account_that_sees_its_own_connections_alone_calls_no_other_dead(
    site: Site, account: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reservation is by this very process, which lives and is connected."""
    (key,) = site.add("")
    reserve(site.Parts(), key)
    for name, value in account.items():
        monkeypatch.setitem(dj.config, f"database.{name}", value)
    (job,) = json.loads(run_jobs(tmp_path, "--json"))
    assert (job["key"], job["state"]) == (key, "reserved")
    assert "0 jobs cleared" in run_jobs(tmp_path, "clear", "--state", "dead")
    assert len(site.jobs & "status='reserved'") == 1


def test_what_an_account_cannot_see_it_does_not_claim(site: Site, theirs: Any) -> None:
    assert theirs.connection.get_user() == "student@127.0.0.1"
    (key,) = site.add("")
    reserve(site.Parts(), key, connection_id=NOBODYS)
    assert [job.state for job in list_jobs([theirs])] == ["reserved"]
    assert not clear_jobs([theirs], states=["dead"])
    assert [job.state for job in list_jobs([site.Parts])] == ["dead"]


def test_an_account_sees_its_own_connections(site: Site, theirs: Any) -> None:
    alive, dead = site.add("", "")
    reserve(theirs, alive)
    reserve(theirs, dead, connection_id=NOBODYS)
    assert {job.key["b"]: job.state for job in list_jobs([theirs])} == {
        alive["b"]: "reserved", dead["b"]: "dead",
    }  # fmt: skip
    assert [job.key for job in clear_jobs([theirs], states=["dead"])] == [dead]


@pytest.mark.parametrize(
    "grants",
    [
        ["GRANT PROCESS ON *.* TO student@'%'"],
        ["CREATE ROLE watchers", "GRANT PROCESS ON *.* TO watchers",
         "GRANT watchers TO student@'%'", "SET DEFAULT ROLE watchers FOR student@'%'"],
    ],
)  # fmt: skip
def test_an_account_with_the_privilege_sees_all(
    site: Site, account: dict[str, str], grants: list[str]
) -> None:
    alive, dead = site.add("", "")
    reserve(site.Parts(), alive)
    reserve(site.Parts(), dead, connection_id=NOBODYS)
    with site.server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for grant in grants:
            cursor.execute(grant)
        with seen_by(account, site) as table:
            states = {job.key["b"]: job.state for job in list_jobs([table])}
        cursor.execute("DROP ROLE IF EXISTS watchers")
    assert states == {alive["b"]: "reserved", dead["b"]: "dead"}


def test_an_account_with_the_privilege_knows_that_nobody_else_is_connected(site: Site) -> None:
    """The tests' own account has it, and no other one is there to be seen."""
    (key,) = site.add("")
    reserve(site.Parts(), key, user="student@192.168.0.7", connection_id=NOBODYS)
    assert [job.state for job in list_jobs([site.Parts])] == ["dead"]


def test_a_process_that_ended_on_this_machine_is_dead_for_everybody(
    site: Site, theirs: Any
) -> None:
    (key,) = site.add("")
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    here = {"host": platform.node(), "pid": process.pid}
    reserve(site.Parts(), key, **here, connection_id=NOBODYS)
    assert [job.state for job in list_jobs([theirs])] == ["dead"]


# --- what a job says of itself --------------------------------------------------------------------


@pytest.fixture
def training(lab: Lab) -> Iterator[dict[str, Any]]:
    """A training in a notebook elsewhere, whose idle connection the server has ended."""
    key = lab.add_training(1018, TRAINING_PARAMS)
    table = lab.pipeline.train.ModelTraining()
    with lab.server.connect() as idle:
        number = idle.thread_id()
        table.connection.query(f"KILL {number}")
    seen = "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID=%s"
    until(lambda: not table.connection.query(seen, args=(number,)).fetchall())
    reserve(table, key, connection_id=number)
    with announced(TRAINING, key), show_training("") as update:
        update(TrainingProgress(3, 4, {}))
    until(lambda: lab.pipeline.report.list_progress(key, states=["finished"]))
    yield key
    lab.pipeline.train.schema.jobs.delete()
    (lab.pipeline.train.TrainingTask & key).delete(safemode=False)


def say(lab: Lab, age: str, pid: int | None = None) -> None:
    """Let the progress be of that notebook, and its latest sign of life so old."""
    progress = lab.pipeline.report.TrainingProgress
    progress.connection.query(
        f"UPDATE {progress.full_table_name} SET state='running', host='elsewhere', pid=%s, "
        f"updated_at=UTC_TIMESTAMP(6) - INTERVAL {age} WHERE training_id=1018",
        args=(os.getpid() if pid is None else pid,),
    )


def test_a_long_training_whose_idle_connection_was_ended_is_not_dead(
    lab: Lab, training: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    table = lab.pipeline.train.ModelTraining
    say(lab, "-1 HOUR")  # it will not grow old while this test runs
    assert [job.state for job in list_jobs([table], key=training)] == ["reserved"]
    (running,) = [job for job in gather_status([table]).running if job.key == training]
    assert running.state == "running"
    assert running.progress is not None
    assert cli.main(["jobs", "clear", "--state", "dead", "--table", "ModelTraining"]) == 0
    assert "0 jobs cleared" in capsys.readouterr().out

    say(lab, "90 SECOND")
    (running,) = [job for job in gather_status([table]).running if job.key == training]
    assert running.state == "dead"
    assert cli.main(["jobs", "clear", "--state", "dead", "--table", "ModelTraining"]) == 0
    assert "1 job cleared" in capsys.readouterr().out


def test_what_another_process_says_is_no_sign_of_life(lab: Lab, training: dict[str, Any]) -> None:
    say(lab, "-1 HOUR", os.getpid() + 1)
    states = [job.state for job in list_jobs([lab.pipeline.train.ModelTraining], key=training)]
    assert states == ["dead"]
