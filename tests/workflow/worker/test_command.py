"""``workflow-deeplabcut worker`` as a user starts it: a process of its own, ended by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import datajoint as dj
import pytest

from element_deeplabcut.engines.loaded import MODELS
from workflow_deeplabcut import cli
from workflow_deeplabcut.worker.children import ChildWorkers, child_command
from workflow_deeplabcut.worker.options import WorkerOptions
from workflow_deeplabcut.worker.signals import StopRequest

from . import scripted
from .conftest import Site, until

REPOSITORY = Path(__file__).parents[3]
PIPELINE = """
from tests.workflow.worker import scripted
scripted.schema.activate("test_scripted")
from tests.workflow.worker.scripted import Parts, Plain
"""


def start(folder: Path, command: list[str], **options: Any) -> subprocess.Popen[str]:
    """Start a command line in a folder with the test server's settings, as a user would."""
    (folder / "my_pipeline.py").write_text(PIPELINE)
    settings = {name: dj.config[name] for name in dj.config if name.startswith("database.")}
    (folder / "dj_local_conf.json").write_text(json.dumps(settings))
    path = f"{REPOSITORY}{os.pathsep}{folder}"
    return subprocess.Popen(
        command, cwd=folder, env={**os.environ, "PYTHONPATH": path},
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.slow
def test_a_worker_started_from_a_shell(site: Site, tmp_path: Path) -> None:
    site.add("", "bad", "work 60", a=1)
    site.add("", a=2)
    command = [sys.executable, "-m", "workflow_deeplabcut.cli", "worker",
               "--pipeline", "my_pipeline", "--table", "Parts", "--restrict", "a=1",
               "--poll", "0.1", "--grace", "0.3", "--code-if-stopped", "75"]  # fmt: skip
    process = start(tmp_path, command)
    until(lambda: len(site.calls()) == 3, 60)
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=10)
    assert process.returncode == 75, log
    assert list(site.Parts.fetch("KEY")) == [{"a": 1, "b": 0}]
    assert "failed Parts a=1 b=1" in log
    assert "VideoError: 'bad.mp4' is damaged" in log
    assert "handed back Parts a=1 b=2" in log
    assert "Traceback" not in log
    site.assert_nothing_left()


@pytest.mark.slow
def test_a_job_in_a_process_of_its_own(site: Site, tmp_path: Path) -> None:
    """What a worker starts for a second engine: it takes the one job, and ends."""
    first, _ = site.add("", "")
    options = WorkerOptions(pipeline="my_pipeline", lease=20)
    process = start(tmp_path, child_command(site.Parts(), first, options, "pytorch"))
    settings: dict[str, Any] = {name: dj.config[name] for name in dj.config}
    _, log = process.communicate(json.dumps(settings, default=str), timeout=60)
    assert process.returncode == 0, log
    assert list(site.Parts.fetch("KEY")) == [first]


def test_a_worker_that_waits_for_its_child_leaves_it_the_memory(site: Site) -> None:
    """A model that is kept on a small GPU would leave the other engine too little."""
    (key,) = site.add("")
    with MODELS.lend("a model", object):
        pass
    # What becomes of the child, whose table knows no engine, does not matter here.
    ChildWorkers(WorkerOptions(pipeline=scripted.__name__), StopRequest(1)).run(site.Parts(), key)
    assert len(MODELS) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pipeline", "no_such_module"], "There is no module 'no_such_module'"),
        (["--table", "Nothing", "--pipeline", scripted.__name__], "no computed table 'Nothing'"),
        (["--engine", "caffe", "--pipeline", scripted.__name__], "There is no engine caffe"),
        (["--restrict", "a"], "not of the form NAME=VALUE"),
        (["--restrict", "aa=1", "--pipeline", scripted.__name__], "No table has an attribute 'aa'"),
        (["--lease", "0"], "lease must be at least"),
    ],
)
def test_a_mistake_gets_a_sentence(
    site: Site, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["worker", *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("command", [["jobs"], ["prune"], ["worker", "--stop-when-idle"]])
def test_without_a_database_it_says_what_to_do(tmp_path: Path, command: list[str]) -> None:
    """In a shell without a terminal, where DataJoint cannot ask for a user."""
    left_out = ("DJ_HOST", "DJ_USER", "DJ_PASS")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    settings = {"HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    ended = subprocess.run(
        [sys.executable, "-m", "workflow_deeplabcut.cli", *command], cwd=tmp_path, text=True,
        env={**environment, **settings}, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "Set DJ_HOST, DJ_USER and DJ_PASS" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_server_that_does_not_answer_gets_a_sentence(tmp_path: Path) -> None:
    settings = {"DJ_HOST": "127.0.0.1:1", "DJ_USER": "lab", "DJ_PASS": "?"}
    ended = subprocess.run(
        [sys.executable, "-m", "workflow_deeplabcut.cli", "jobs"], cwd=tmp_path, text=True,
        env={**os.environ, **settings, "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1
    assert "The database cannot be reached" in ended.stderr
    assert "Traceback" not in ended.stderr


SLOW_PIPELINE = """
import os, time
from pathlib import Path
Path("importing").touch()
for _ in range(100):
    try:
        time.sleep(0.1)
    except BaseException:  # as packages do that try to import others
        pass
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_the_imports(site: Site, tmp_path: Path, number: int) -> None:
    (tmp_path / "slow_pipeline.py").write_text(SLOW_PIPELINE)
    command = [*(sys.executable, "-m", "workflow_deeplabcut.cli"), "worker"]
    asked = ["--pipeline", "slow_pipeline", "--code-if-stopped", "75"]
    worker = start(tmp_path, [*command, *asked])
    until((tmp_path / "importing").exists, 60)
    worker.send_signal(number)
    said = worker.communicate(timeout=8)[1]
    assert worker.returncode == 75
    assert "ending before the first job" in said


@pytest.mark.parametrize(("hours", "code"), [("0.0003", 75), ("1", 0)])
def test_the_exit_code_tells_a_script_what_is_left(
    site: Site, tmp_path: Path, hours: str, code: int
) -> None:
    """75 when its hours were over, 0 when nothing was left to do."""
    stop_when_idle = [] if code else ["--stop-when-idle"]
    command = [*(sys.executable, "-m", "workflow_deeplabcut.cli"), "worker", *stop_when_idle]
    asked = ["--pipeline", "my_pipeline", "--hours", hours, "--code-if-stopped", "75"]
    worker = start(tmp_path, [*command, *asked])
    said = worker.communicate(timeout=60)[1]
    assert worker.returncode == code, said


CUT_SHORT = """
from pathlib import Path
import pymysql
if not Path("tried").exists():
    Path("tried").touch()
    raise pymysql.err.ProgrammingError(1007, "Can't create database 'lab'; database exists")
from my_pipeline import *
"""


@pytest.mark.slow
def test_a_start_beside_others_is_repeated(site: Site, tmp_path: Path) -> None:
    """Of workers that start at once on a new server, one creates the schemas."""
    (tmp_path / "racing_pipeline.py").write_text(CUT_SHORT)
    command = [*(sys.executable, "-m", "workflow_deeplabcut.cli"), "worker", "--stop-when-idle"]
    worker = start(tmp_path, [*command, "--pipeline", "racing_pipeline"])
    said = worker.communicate(timeout=60)[1]
    assert worker.returncode == 0, said
    assert "starting anew" in said
    assert "worker ends" in said
