"""Which database is used, and what is said where there is none: nothing is ever asked unasked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from element_deeplabcut.errors import SetupError
from workflow_deeplabcut import cli, database
from workflow_deeplabcut.configuration.login import read_port_and_tls

from .conftest import Desk

CONNECT = """
from workflow_deeplabcut.configuration.login import use_configured_database
use_configured_database()
import datajoint as dj
print("PORT", dj.conn().conn_info["port"])
"""
PIPELINE = "from workflow_deeplabcut.pipeline import model"
CHOICES = ("No database is configured", "DJ_HOST, DJ_USER and DJ_PASS",
           "workflow-deeplabcut configure", "workflow-deeplabcut db start")  # fmt: skip


def last_line(ended: subprocess.CompletedProcess[str]) -> str:
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended.stderr.strip().splitlines()[-1]


# --- there is no connection -----------------------------------------------------------------------


def test_a_notebook_is_told_why_there_is_no_connection(desk: Desk, server: database.Server) -> None:
    """And the worker, which looks at what the server said, what may pass."""
    code = f"""
from workflow_deeplabcut.worker.retry import is_transient
try:
    {PIPELINE}
except Exception as error:
    print(type(error).__name__, is_transient(error), error)"""
    login = {"DJ_HOST": "127.0.0.1", "DJ_PORT": str(server.port), "DJ_USER": server.user,
             "DJ_PASS": "wrong", "DJ_USE_TLS": "false"}  # fmt: skip
    refused = desk.python(code, **login).stdout
    assert refused.startswith("DatabaseError False The database refuses the login (Access denied")
    assert "workflow-deeplabcut configure" in refused
    away = desk.python(code, **login | {"DJ_PORT": "1"}).stdout
    assert away.startswith("DatabaseError True The database cannot be reached (Can't connect")
    del login["DJ_USE_TLS"]  # DataJoint then insists on encryption, and this server has none
    open_only = desk.python(code, **login).stdout
    assert open_only.startswith("DatabaseError False The database server offers no encryption")
    assert "set DJ_USE_TLS=false" in open_only


# --- nothing configured, or not enough ------------------------------------------------------------


def test_importing_with_nothing_configured_offers_the_choices(desk: Desk) -> None:
    said = last_line(desk.python(PIPELINE))
    assert said.startswith("element_deeplabcut.errors.SetupError: ")
    assert all(choice in said for choice in CHOICES)


def test_a_missing_password_is_not_waited_for(desk: Desk) -> None:
    """Standard input is open, and nobody will ever write to it."""
    process = subprocess.Popen(
        [sys.executable, "-c", PIPELINE], cwd=desk.folder, text=True, stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**desk.environment, "DJ_HOST": "127.0.0.1", "DJ_USER": "ada"},
    )  # fmt: skip
    process.wait(60)
    assert process.stdin is not None
    process.stdin.close()
    assert process.stderr is not None
    with process.stderr as stream:
        said = stream.read()
    assert "SetupError: No password is configured for the database user ada" in said
    assert "Set DJ_PASS" in said


@pytest.mark.slow
def test_in_a_notebook_nothing_is_asked_either(desk: Desk, tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(PIPELINE)])
    client = nbclient.NotebookClient(
        notebook, timeout=60, allow_errors=True, kernel_name="python3",
        resources={"metadata": {"path": str(desk.folder)}},
    )  # fmt: skip
    client.execute(env=desk.environment)
    (output,) = [out for out in notebook.cells[0].outputs if out.output_type == "error"]
    assert output.ename == "SetupError"
    assert all(choice in output.evalue for choice in CHOICES)


def test_a_malformed_file_is_named_with_its_line(desk: Desk) -> None:
    desk.local.write_text('{\n    "database.host": "db",\n    "database.user" "ada"\n}\n')
    for said in (last_line(desk.python(PIPELINE)), desk.command("jobs").stderr.strip()):
        assert f"'{desk.local}', line 3, column 21: this is not JSON" in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DJ_PORT", "x", "DJ_PORT is 'x'; set it to a number from 1 to 65535"),
        ("DJ_PORT", "70000", "DJ_PORT is '70000'"),
        ("DJ_USE_TLS", "maybe", "DJ_USE_TLS is 'maybe'; set it to true or false"),
    ],
)
def test_a_mistake_in_the_environment(
    name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SetupError, match=said):
        read_port_and_tls()


# --- in the order users know ----------------------------------------------------------------------


def write(file: Path, server: database.Server, **changes: Any) -> None:
    settings = {
        "database.host": server.host,
        "database.port": server.port,
        "database.user": server.user,
        "database.password": server.password,
        "database.use_tls": False,
    }
    file.write_text(json.dumps(settings | changes))


def test_the_environment_comes_before_the_file(desk: Desk, server: database.Server) -> None:
    write(desk.local, server, **{"database.port": 1, "database.password": "wrong"})
    ended = desk.python(CONNECT, DJ_PORT=str(server.port), DJ_PASS=server.password)
    assert f"PORT {server.port}" in ended.stdout, ended.stderr


def test_the_local_file_comes_before_the_personal_one(desk: Desk, server: database.Server) -> None:
    write(desk.personal, server)
    assert f"PORT {server.port}" in desk.python(CONNECT).stdout
    desk.local.write_text("{}")  # DataJoint mixes nothing, and neither do we
    assert "No database is configured" in last_line(desk.python(CONNECT))


def test_a_program_comes_before_all(desk: Desk, server: database.Server) -> None:
    write(desk.local, server, **{"database.port": 1})
    code = f"""
import datajoint as dj
dj.config["database.port"] = {server.port}
{CONNECT}"""
    ended = desk.python(code, DJ_PORT="2")
    assert f"PORT {server.port}" in ended.stdout, ended.stderr


def test_a_file_that_is_written_later_counts(desk: Desk, server: database.Server) -> None:
    """A notebook that imported DataJoint, then configured it, need not be restarted."""
    write(desk.folder / "later.json", server, custom={"dlc_root_data_dir": "/data"})
    code = f"""
import os
import datajoint as dj
dj.config["custom"] = {{"database.prefix": "mine_"}}
os.rename("later.json", "dj_local_conf.json")
{CONNECT}
print(dj.config["custom"])"""
    ended = desk.python(code)
    assert f"PORT {server.port}" in ended.stdout, ended.stderr
    assert "{'dlc_root_data_dir': '/data', 'database.prefix': 'mine_'}" in ended.stdout


# --- the embedded database ------------------------------------------------------------------------


@pytest.mark.slow
def test_starting_the_embedded_database_configures_this_folder(
    desk: Desk, server: database.Server
) -> None:
    started = desk.command("db", "start", "--data-dir", str(server.data_dir), "--json")
    assert started.returncode == 0, started.stderr
    report = json.loads(started.stdout)
    assert report["port"] == server.port
    assert report["configuration"] == str(desk.local)
    assert server.password not in started.stdout + started.stderr
    assert desk.local.stat().st_mode & 0o777 == 0o600
    assert f"PORT {server.port}" in desk.python(CONNECT).stdout
    # It has another port after a restart.
    settings = json.loads(desk.local.read_text())
    desk.local.write_text(json.dumps({**settings, "database.port": 1}))
    assert f"PORT {server.port}" in desk.python(CONNECT).stdout
    # The environment names another database: this one is not used by accident.
    elsewhere = desk.python(CONNECT, DJ_HOST="127.0.0.1:2", DJ_USER="ada", DJ_PASS="?")
    assert "127.0.0.1" in last_line(elsewhere)
    # In another folder nothing is configured.
    other = desk.folder / "other"
    other.mkdir()
    (other / "connect.py").write_text(CONNECT)
    ended = desk.run(["env", "-C", str(other), sys.executable, "connect.py"])
    assert "No database is configured" in last_line(ended)


def test_an_embedded_database_that_does_not_run_is_not_started(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "database"
    custom = {"database.embedded": str(folder)}
    settings = {"database.host": "127.0.0.1", "database.user": "element",
                "database.password": "?", "custom": custom}  # fmt: skip
    desk.local.write_text(json.dumps(settings))
    said = last_line(desk.python(CONNECT))
    assert f"workflow-deeplabcut db start --data-dir '{folder}'" in said
    assert not folder.exists()


def test_starting_it_leaves_another_configuration_alone(
    desk: Desk,
    server: database.Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    start = ["db", "start", "--data-dir", str(server.data_dir)]
    before = '{"database.host": "db.lab.org", "database.user": "ada"}'
    desk.personal.write_text(before)
    assert cli.main(start) == 0
    said = capsys.readouterr().out
    assert f"It is not used: '{desk.personal}' names another database" in said
    assert "configure --embedded" in said
    assert desk.personal.read_text() == before
    assert not desk.local.exists()
    desk.personal.unlink()
    monkeypatch.setenv("DJ_HOST", "db.lab.org")
    assert cli.main(start) == 0
    assert "DJ_HOST in the environment" in capsys.readouterr().out
    monkeypatch.delenv("DJ_HOST")
    assert cli.main([*start, "--no-configure"]) == 0
    assert not desk.local.exists()
    desk.local.write_text('{"safemode": false}')
    assert cli.main(start) == 0
    assert json.loads(desk.local.read_text())["safemode"] is False
