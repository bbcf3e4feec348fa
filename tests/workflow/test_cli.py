"""The command line as a whole: what it says of itself, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pymysql
import pytest
from datajoint.errors import AccessError

from element_deeplabcut.version import __version__
from workflow_deeplabcut import cli, database
from workflow_deeplabcut.commands import jobs

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("datajoint", "pandas", "matplotlib", "torch", "deeplabcut", "pymysql")


def start(*arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "workflow_deeplabcut", *arguments], text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, **options,
    )  # fmt: skip


def list_commands() -> dict[str, object]:
    (action,) = [a for a in cli.make_parser()._actions if a.dest == "==SUPPRESS==" and a.choices]
    return dict(action.choices)


def test_the_commands_are_listed_in_the_order_of_the_story(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    order = ["demo", "db", "configure", "worker", "jobs", "plot", "export", "diagram", "prune"]
    places = [shown.index(f"\n    {name} ") for name in order]
    assert places == sorted(places)
    assert "exit codes: 0 done" in shown


@pytest.mark.parametrize("name", list(list_commands()))
def test_every_command_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: workflow-deeplabcut {name} [-h]")
    if name == "export":  # its formats have
        with pytest.raises(SystemExit):
            cli.main([name, "nwb", "--help"])
        shown = capsys.readouterr().out
    assert "example" in shown
    assert f"workflow-deeplabcut {name}" in shown.partition("example")[2]


@pytest.mark.parametrize("option", ["--restrict", "--key"])
@pytest.mark.parametrize(
    "command",
    ["check", "run", "worker", "jobs", "describe Model", "plot trajectory",
     "queue inference top", "export nwb --output a.nwb"],
)  # fmt: skip
def test_rows_are_chosen_in_the_same_way_everywhere(command: str, option: str) -> None:
    options = cli.make_parser().parse_args([*command.split(), option, "recording_id=1"])
    assert options.restrict == ["recording_id=1"]


def test_version_and_usage(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in ((["--version"], 0), ([], 2), (["paint"], 2), (["db", "stat"], 2)):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == code
    assert __version__ in capsys.readouterr().out


def test_help_needs_nothing_heavy(tmp_path: Path) -> None:
    code = f"""
import sys
from workflow_deeplabcut.cli import make_parser
make_parser().format_help()
print([name for name in {HEAVY} if name in sys.modules])"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    # The embedded server is talked to with PyMySQL, which is light.
    assert ended.stdout.strip() in ("[]", "['pymysql']"), ended.stdout + ended.stderr


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    """As in ``workflow-deeplabcut diagram --json | head``."""
    code = """
import sys
from workflow_deeplabcut import cli
from workflow_deeplabcut.commands import database
def run(options):
    for number in range(100_000):
        print(number)
    return 0
database.run = run
sys.exit(cli.main(["db", "status"]))"""
    command = f"{sys.executable} -c '{code}' | head -1; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, text=True,
                           env={**os.environ, "PYTHONPATH": str(REPOSITORY)})  # fmt: skip
    assert ended.returncode == cli.PIPE_CLOSED
    assert ended.stdout == "0\n"
    assert ended.stderr == ""


def test_an_interrupt_ends_without_a_traceback(tmp_path: Path) -> None:
    """While another process holds the lock under which a server is started."""
    import fcntl

    folder = tmp_path / "database"
    folder.mkdir()
    lock = folder / "element-deeplabcut.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        process = start("db", "start", "--data-dir", str(folder), cwd=tmp_path)
        time.sleep(1)
        deadline = time.monotonic() + 60
        while str(lock) not in list_open_files(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.strip() == "workflow-deeplabcut: interrupted"


def list_open_files(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(os.readlink(entry))
        except OSError:  # closed meanwhile
            continue
    return found


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (pymysql.err.OperationalError(1045, "Access denied for user 'ada'"), "refuses the login"),
        (pymysql.err.OperationalError(2003, "Can't connect"), "cannot be reached"),
        (AccessError("Insufficient privileges.", "CREATE denied to 'ada'", "CREATE"), "privilege"),
        (EOFError(), "no answer"),
    ],
)
def test_what_a_user_can_put_right_is_a_sentence(
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(options: object) -> int:
        raise error

    monkeypatch.setattr(jobs, "run", fail)
    assert cli.main(["jobs"]) == 1
    assert said in capsys.readouterr().err


def test_our_own_mistake_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: object) -> int:
        raise ValueError("a bug")

    monkeypatch.setattr(jobs, "run", fail)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["jobs"])


def test_the_state_of_the_database_as_json(
    server: database.Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    status = ["db", "status", "--json", "--data-dir"]
    assert cli.main([*status, str(server.data_dir)]) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed) == {
        "running": True,
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "data_dir": str(server.data_dir),
    }
    assert server.password not in printed
    assert cli.main([*status, str(tmp_path / "none")]) == 3
    assert json.loads(capsys.readouterr().out) == {"running": False}
    assert cli.main(["db", "stop", "--json", "--data-dir", str(tmp_path / "none")]) == 0
    assert json.loads(capsys.readouterr().out) == {"running": False, "was_running": False}
    assert list(tmp_path.iterdir()) == []
