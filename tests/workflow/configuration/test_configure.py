"""``workflow-deeplabcut configure`` with flags and at a terminal, on a real server."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow_deeplabcut import database
from workflow_deeplabcut.cli import main

from .conftest import Desk


@pytest.fixture
def data(desk: Desk) -> Path:
    folder = desk.folder / "data"
    folder.mkdir()
    return folder


def flags(server: database.Server, data: Path) -> list[str]:
    return ["configure", "--non-interactive", "--host", f"{server.host}:{server.port}",
            "--user", server.user, "--root", str(data), "--prefix", "lab_"]  # fmt: skip


def read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def test_flags_are_tried_and_written(
    desk: Desk,
    data: Path,
    server: database.Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    desk.local.write_text('{"safemode": false, "custom": {"mine": 1}}')
    desk.local.chmod(0o644)
    monkeypatch.setenv("DJ_PASS", server.password)
    assert main(flags(server, data)) == 0
    assert read(desk.local) == {
        "safemode": False,
        "database.host": server.host,
        "database.port": server.port,
        "database.user": server.user,
        "database.password": server.password,
        "database.use_tls": False,  # this server offers none, and the way to it is short
        "custom": {"mine": 1, "database.prefix": "lab_", "dlc_root_data_dir": [str(data)]},
    }
    assert stat.S_IMODE(desk.local.stat().st_mode) == 0o600
    said = capfd.readouterr()
    assert f'database.host: (not set) -> "{server.host}"' in said.out
    assert "database.password: (not set) -> (hidden)" in said.out
    assert re.search(r"MariaDB \d+|MySQL \d+", said.out)
    assert "only you can now" in said.out
    assert server.password not in said.out + said.err
    assert main(["configure", "--non-interactive"]) == 0
    assert "Nothing to change" in capfd.readouterr().out


@pytest.mark.parametrize("source", ["file", "stdin"])
def test_a_script_gives_the_password(
    desk: Desk, data: Path, server: database.Server, source: str
) -> None:
    """In a process of its own, whose standard input is really a file."""
    secret = desk.folder / "secret"
    secret.write_text(f"{server.password}\n")
    given = str(secret) if source == "file" else "-"
    command = [sys.executable, "-m", "workflow_deeplabcut", *flags(server, data)]
    with secret.open() as stream:
        ended = desk.run([*command, "--password-file", given, "--json"], stdin=stream)
    assert ended.returncode == 0, ended.stderr
    assert read(desk.local)["database.password"] == server.password
    report = json.loads(ended.stdout)
    assert report["written"]
    assert report["settings"]["database.password"] == "(hidden)"
    assert report["server"]["encrypted"] is False
    assert server.password not in ended.stdout + ended.stderr


def test_printing_writes_nothing(
    desk: Desk,
    data: Path,
    server: database.Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DJ_PASS", server.password)
    assert main([*flags(server, data), "--print"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["database.password"] == "(hidden)"
    assert shown["custom"]["dlc_root_data_dir"] == [str(data)]
    assert not desk.local.exists()


def test_the_file_of_the_user_is_written_and_shadowed(
    desk: Desk,
    data: Path,
    server: database.Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DJ_PASS", server.password)
    assert main([*flags(server, data), "--global"]) == 0
    assert not desk.local.exists()
    # A local file hides all of the personal one, so it begins as a copy.
    assert main(["configure", "--local", "--prefix", "other_"]) == 0
    assert read(desk.local)["database.user"] == server.user
    assert read(desk.local)["custom"]["database.prefix"] == "other_"
    assert read(desk.personal)["custom"]["database.prefix"] == "lab_"
    capsys.readouterr()
    assert main(["configure", "--global", "--prefix", "third_"]) == 0
    assert "is read instead of it" in capsys.readouterr().out


def test_a_password_may_stay_out_of_the_file(
    desk: Desk, data: Path, server: database.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJ_PASS", server.password)
    assert main([*flags(server, data), "--omit-password"]) == 0
    assert read(desk.local)["database.password"] is None
    assert server.password not in desk.local.read_text()


@contextlib.contextmanager
def mute_server() -> Iterator[int]:
    """A server that accepts, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("first", ["clock", "socket"])
def test_a_server_that_says_nothing_is_given_up(
    desk: Desk, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    first: str,
) -> None:  # fmt: skip
    """Whoever is first to see that time is up, the sentence is the same."""
    monkeypatch.setenv("DJ_PASS", "?")
    if first == "socket":
        join = threading.Thread.join
        monkeypatch.setattr(threading.Thread, "join", lambda thread, timeout: join(thread))
    begin = time.monotonic()
    with mute_server() as port:
        arguments = ["configure", "--host", f"127.0.0.1:{port}", "--user", "ada", "--root", "data"]
        assert main([*arguments, "--timeout", "0.5"]) == 1
    assert time.monotonic() - begin < 5
    assert f"127.0.0.1:{port} does not answer within 0.5 s" in capsys.readouterr().err
    assert not desk.local.exists()


ask_name_server = socket.getaddrinfo


def look_up(host: Any, *arguments: Any, **options: Any) -> Any:
    """Say at once that a name is not known, where a name server may take longer than we wait."""
    if host == "no-such-host.invalid":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return ask_name_server(host, *arguments, **options)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (["--user", "nobody"], "refuses the user 'nobody'"),
        (["--host", "127.0.0.1:1"], "127.0.0.1:1 cannot be reached"),
        (["--host", "127.0.0.1:x"], "is no server"),
        (["--host", "no-such-host.invalid"], "cannot be reached"),
        (["--tls", "on"], "offers no encryption"),
        (["--root", "nowhere"], "does not exist on this machine"),
        (["--root", "a_file"], "is no directory"),
        (["--processed", "a_file/results"], "Results cannot be written"),
        (["--prefix", "a`b"], "does not suit names of schemas"),
        (["--password-file", "nowhere"], "The password cannot be read"),
        (["--password-file", "empty"], "holds no password"),
        (["--timeout", "0"], "--timeout is 0"),
    ],
)
def test_what_does_not_work_is_not_written(
    desk: Desk,
    data: Path,
    server: database.Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: list[str],
    said: str,
) -> None:
    (desk.folder / "a_file").touch()
    (desk.folder / "empty").touch()
    monkeypatch.setenv("DJ_PASS", server.password)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert main([*flags(server, data), *change]) == 1
    printed = capsys.readouterr()
    assert said in printed.err
    assert server.password not in printed.out + printed.err
    assert not desk.local.exists()


def test_a_password_does_not_travel_in_the_clear_unasked(
    desk: Desk,
    data: Path,
    server: database.Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """127.1 is this machine, too, but by a name that could be any."""
    monkeypatch.setenv("DJ_PASS", server.password)
    arguments = [*flags(server, data), "--host", f"127.1:{server.port}"]
    assert main(arguments) == 1
    assert "offers no encryption (TLS). Say that" in capsys.readouterr().err
    assert main([*arguments, "--tls", "off"]) == 0
    assert read(desk.local)["database.use_tls"] is False


def test_what_is_missing_is_listed(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["configure"]) == 1
    said = capsys.readouterr().err
    for flag in ("--host", "--embedded", "DJ_PASS", "--password-file", "--root"):
        assert flag in said
    assert "nobody can be asked" in said
    assert list(desk.folder.iterdir()) == []


def test_nothing_is_tried_when_told_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJ_PASS", "secret")
    arguments = ["configure", "--host", "db.invalid", "--user", "ada", "--root", "/not/here"]
    assert main([*arguments, "--no-test"]) == 0
    assert read(desk.local)["database.host"] == "db.invalid"


def test_the_embedded_database_is_left_with_all_of_its_login(
    desk: Desk,
    data: Path,
    server: database.Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    embedded = ["configure", "--embedded", "--data-dir", str(server.data_dir), "--root", "data"]
    assert main(embedded) == 0
    settings = read(desk.local)
    assert settings["database.password"] == server.password
    assert settings["custom"]["database.embedded"] == str(server.data_dir)
    assert main(["configure", "--host", "db.invalid", "--no-test", "--user", "ada"]) == 1
    assert "a password" in capsys.readouterr().err  # not that of the embedded one
    assert read(desk.local) == settings


# --- at a terminal --------------------------------------------------------------------------------


class Terminal:
    """A command at a pseudo terminal, and somebody who types."""

    def __init__(self, desk: Desk, *arguments: str) -> None:
        self.shown = ""
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(desk.folder)
            command = [sys.executable, "-m", "workflow_deeplabcut", *arguments]
            os.execve(sys.executable, command, desk.environment)

    def expect(self, text: str, answer: str | None = None, timeout: float = 120) -> None:
        """Wait until a text is shown, after what was waited for before; then type."""
        deadline = time.monotonic() + timeout
        start = len(self.shown) - len(self._unseen)
        while text not in self._unseen:
            if not select.select([self.descriptor], [], [], deadline - time.monotonic())[0]:
                raise AssertionError(f"'{text}' was not shown: {self.shown}")
            self._read()
        self._seen = self.shown.index(text, start) + len(text)
        if answer is not None:
            os.write(self.descriptor, f"{answer}\n".encode())

    _seen = 0

    @property
    def _unseen(self) -> str:
        return self.shown[self._seen :]

    def _read(self) -> bool:
        try:
            got = os.read(self.descriptor, 4096)
        except OSError:  # Linux says so at the end
            got = b""
        self.shown += got.decode()
        return bool(got)

    def wait(self) -> int:
        """Read to the end, and return the exit code."""
        while self._read():
            pass
        os.close(self.descriptor)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_somebody_is_asked_for_what_is_missing(
    desk: Desk, data: Path, server: database.Server
) -> None:
    terminal = Terminal(desk, "configure")
    terminal.expect("Database server", f"127.0.0.1:{server.port}")
    terminal.expect("Database user", server.user)
    terminal.expect("Password of element", "mistyped")
    terminal.expect("Directories of your videos", "nowhere")
    terminal.expect("does not exist on this machine")
    terminal.expect("Directories of your videos", str(data))
    terminal.expect("Directory for results", str(desk.folder / "results"))
    terminal.expect("Prefix of schema names", "lab`")
    terminal.expect("does not suit")
    terminal.expect("Prefix of schema names", "lab_")
    terminal.expect("refuses the user 'element'")
    terminal.expect("try again?", "y")
    terminal.expect("Database server", "")  # as before
    terminal.expect("Database user", "")
    terminal.expect("Password of element", server.password)
    assert terminal.wait() == 0, terminal.shown
    assert server.password not in terminal.shown
    assert "mistyped" not in terminal.shown
    settings = read(desk.local)
    assert settings["database.port"] == server.port
    assert settings["database.password"] == server.password
    assert settings["custom"] == {
        "database.prefix": "lab_",
        "dlc_root_data_dir": [str(data)],
        "dlc_processed_data_dir": str(desk.folder / "results"),
    }
    # A second time there is nothing to ask.
    again = Terminal(desk, "configure")
    assert again.wait() == 0, again.shown
    assert "Nothing to change" in again.shown


def test_who_thinks_better_of_it_changes_nothing(desk: Desk, data: Path) -> None:
    terminal = Terminal(desk, "configure", "--root", str(data))
    terminal.expect("Database server", "db.invalid")
    terminal.expect("Database user")
    os.write(terminal.descriptor, b"\x03")  # Ctrl-C
    assert terminal.wait() == 130
    assert "Traceback" not in terminal.shown
    assert not desk.local.exists()


def test_only_a_missing_password_is_asked_for(
    desk: Desk, data: Path, server: database.Server
) -> None:
    settings = {
        "database.host": "127.0.0.1",
        "database.port": server.port,
        "database.user": server.user,
        "custom": {"dlc_root_data_dir": str(data)},
    }
    desk.local.write_text(json.dumps(settings))
    terminal = Terminal(desk, "configure")
    terminal.expect("Password of element", server.password)
    assert terminal.wait() == 0, terminal.shown
    assert read(desk.local)["database.password"] == server.password


def test_the_embedded_database_is_an_answer(
    desk: Desk, data: Path, server: database.Server
) -> None:
    terminal = Terminal(desk, "configure", "--data-dir", str(server.data_dir))
    terminal.expect("'embedded' for one on this machine", "embedded")
    terminal.expect("Directories of your videos", "data")
    terminal.expect("Directory for results", "")
    terminal.expect("Prefix of schema names", "")
    assert terminal.wait() == 0, terminal.shown
    settings = read(desk.local)
    assert settings["database.port"] == server.port
    assert settings["custom"] == {
        "database.embedded": str(server.data_dir),
        "database.prefix": "",
        "dlc_root_data_dir": [str(data)],
    }
    assert server.password not in terminal.shown
