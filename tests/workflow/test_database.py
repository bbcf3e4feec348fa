"""The private database server, with the real thing: every test talks to one that runs."""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pymysql
import pytest

from element_deeplabcut.errors import DatabaseError, PathError, SetupError
from workflow_deeplabcut import database
from workflow_deeplabcut.database import Server, home, install, process

REPOSITORY = Path(__file__).parents[2]

START = "import sys; from workflow_deeplabcut import database\n" + (
    "server = database.start(sys.argv[1]); print(server.pid, server.port)"
)


def child(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Run Python code in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)} | options.pop("env", {})
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        **({"stdout": subprocess.PIPE, "text": True, "env": environment} | options),
    )


def output(of: subprocess.Popen[str]) -> str:
    text = of.communicate(timeout=60)[0]
    assert of.returncode == 0
    return text


def query(server: Server, *statements: str) -> list[tuple]:
    """Run statements and give the rows of the last one."""
    with server.connect(autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())
    return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that only ask it something."""
    with database.running(tmp_path_factory.mktemp("shared") / "my dàta") as running:
        yield running


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a server that has run and was stopped, with one row in it."""
    path = tmp_path_factory.mktemp("template") / "database"
    with database.running(path) as running:
        query(
            running,
            "CREATE DATABASE kept",
            "CREATE TABLE kept.row (value INT PRIMARY KEY)",
            "INSERT INTO kept.row VALUES (7)",
        )
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    """A directory that does not exist yet."""
    path = tmp_path / "database"
    yield path
    database.stop(path)


@pytest.fixture
def stopped(fresh: Path, template: Path) -> Path:
    """A directory whose server is not running, which holds a database already."""
    shutil.copytree(template, fresh)
    return fresh


def kept_rows(server: Server) -> list[tuple]:
    return query(server, "SELECT value FROM kept.row")


# -- what a running server is like -----------------------------------------------------------------


def test_settings(server: Server) -> None:
    expected = {
        "character_set_server": "utf8mb4",
        "collation_server": "utf8mb4_bin",
        "max_allowed_packet": 1 << 30,
        "wait_timeout": 31536000,
        "interactive_timeout": 31536000,
        "net_read_timeout": 3600,
        "net_write_timeout": 3600,
        "innodb_flush_log_at_trx_commit": 1,
        "performance_schema": 0,
        "log_bin": 0,
        "local_infile": 0,
        "bind_address": "127.0.0.1",
        "port": server.port,
    }
    (found,) = query(server, "SELECT " + ", ".join(f"@@global.{name}" for name in expected))
    assert dict(zip(expected, found, strict=True)) == expected


def test_only_our_account_can_log_in(server: Server) -> None:
    accounts = set(query(server, "SELECT user, host FROM mysql.user"))
    ours = {("element", "localhost"), ("element", "127.0.0.1")}
    assert ours < accounts
    accounts_and_proxies = accounts | set(
        query(server, "SELECT user, host FROM mysql.proxies_priv")
    )
    assert {host for _, host in accounts_and_proxies} == {"localhost", "127.0.0.1"}
    for name in {user for user, _ in accounts - ours} | {"", "nobody", "element"}:
        for way in ({}, {"unix_socket": str(server.socket)}):
            with pytest.raises(pymysql.err.OperationalError) as refused:
                server.connect(user=name, password="", **way)
            assert refused.value.args[0] in {1045, 1698, 4151, 3118}  # denied, or locked


def test_our_account_may_do_everything(server: Server) -> None:
    for way in ({}, {"unix_socket": str(server.socket)}):
        with server.connect(**way) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW GRANTS")
            grants = " ".join(row[0] for row in cursor.fetchall())
            assert "GRANT ALL PRIVILEGES ON *.* TO" in grants
            assert "WITH GRANT OPTION" in grants


def test_listens_on_the_loopback_only(server: Server) -> None:
    inodes = set()
    for descriptor in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(descriptor)
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    listening = {row[1] for row in rows if row[9] in inodes and row[3] == "0A"}
    assert listening == {f"0100007F:{server.port:04X}"}


def test_secrets_stay_with_the_owner(server: Server) -> None:
    assert len(server.password) >= 32
    assert server.password not in repr(server)
    for kind in ("cmdline", "environ"):
        assert server.password.encode() not in Path(f"/proc/{server.pid}/{kind}").read_bytes()
    assert stat.S_IMODE(server.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((server.data_dir / "password").stat().st_mode) == 0o600
    assert not (server.data_dir / "first.sql").exists()
    assert server.password not in (server.data_dir / "server.log").read_text()


def test_starting_again_finds_it(server: Server) -> None:
    assert database.start(server.data_dir) == server  # the same process
    assert database.status(server.data_dir) == server
    with database.running(server.data_dir) as same:
        assert same == server
    assert database.status(server.data_dir) == server


def test_found_by_its_environment_variable(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLC_DATABASE_DIR", str(server.data_dir))
    assert database.status() == server


def test_detached_from_its_starter(server: Server) -> None:
    assert os.getsid(server.pid) != os.getsid(0)


DATAJOINT = """
import sys
import datajoint as dj
import numpy as np
from workflow_deeplabcut import database

server = database.status(sys.argv[1])
dj.config["database.port"] = 1
server.configure_datajoint()
assert dj.config["database.use_tls"] is False
schema = dj.Schema("whole")

@schema
class BodyPart(dj.Manual):
    definition = '''
    body_part: varchar(32)
    ---
    trace=null: longblob
    '''

BodyPart.insert([("Nose", None), ("nose", None), ("左前足", None)])
trace = np.random.default_rng(0).integers(0, 256, 20 << 20, dtype=np.uint8)
BodyPart.insert1(("tail", trace))
assert (BodyPart & {"body_part": "nose"}).fetch1("body_part") == "nose"
assert len(BodyPart & {"body_part": "左前足"}) == 1
assert (BodyPart & {"body_part": "tail"}).fetch1("trace").tobytes() == trace.tobytes()

held = dj.conn()
server.configure_datajoint()
assert dj.conn() is held and len(BodyPart()) == 4
with database.running(sys.argv[2]) as other:
    other.configure_datajoint()
    assert dj.conn().query("SELECT @@port").fetchone() == (other.port,)
    assert not held.is_connected
server.configure_datajoint()
assert dj.conn().query("SELECT @@port").fetchone() == (server.port,)
"""


@pytest.mark.slow
def test_datajoint_declares_inserts_and_fetches(server: Server, stopped: Path) -> None:
    output(child(DATAJOINT, server.data_dir, stopped, cwd=stopped.parent))


# -- starting and stopping -------------------------------------------------------------------------


@pytest.mark.slow
def test_starts_and_stops_with_its_block(stopped: Path) -> None:
    with database.running(stopped) as running:
        assert kept_rows(running) == [(7,)]
    assert not alive(running.pid)
    assert database.status(stopped) is None
    assert database.stop(stopped) is False
    first = database.start(stopped)
    assert first.port == running.port
    assert database.stop(stopped) is True
    assert not alive(first.pid)


def test_looking_creates_nothing(fresh: Path) -> None:
    assert database.status(fresh) is None
    assert database.stop(fresh) is False
    assert not fresh.exists()


@pytest.mark.slow
def test_two_starts_at_once_give_one_server(fresh: Path) -> None:
    starters = [child(START, fresh) for _ in range(3)]
    (found,) = {output(starter) for starter in starters}
    pid, port = map(int, found.split())
    running = database.start(fresh)  # its starters have ended, and it goes on
    assert (running.pid, running.port) == (pid, port)
    assert query(running, "SELECT 1") == [(1,)]


@pytest.mark.slow
def test_killed_server_starts_again_with_its_data(stopped: Path) -> None:
    killed = database.start(stopped)
    query(killed, "INSERT INTO kept.row VALUES (8)")
    os.kill(killed.pid, signal.SIGKILL)
    wait_for(lambda: not alive(killed.pid))
    assert database.status(stopped) is None
    again = database.start(stopped)
    assert again.pid != killed.pid
    assert kept_rows(again) == [(7,), (8,)]


@pytest.mark.slow
def test_hung_server_is_killed_and_keeps_its_data(stopped: Path) -> None:
    hung = database.start(stopped)
    query(hung, "INSERT INTO kept.row VALUES (9)")
    os.kill(hung.pid, signal.SIGSTOP)
    assert database.stop(stopped, timeout=0.3) is True
    assert not alive(hung.pid)
    assert kept_rows(database.start(stopped)) == [(7,), (9,)]


@pytest.mark.slow
def test_stale_pid_of_a_stranger(stopped: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            (stopped / "server.pid").write_text(f"{stranger.pid}\n")
            assert database.status(stopped) is None
            assert database.stop(stopped) is False
            assert kept_rows(database.start(stopped)) == [(7,)]
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a process as another user")
def test_another_users_process_is_never_ours(fresh: Path) -> None:
    found = home.Home.of(fresh)
    found.claim()
    posing = ["/bin/sh", "-c", "sleep 600; true", f"--datadir={found.data}"]
    with subprocess.Popen(posing, user=65534, start_new_session=True, cwd="/") as stranger:
        try:
            assert found.data.name in Path(f"/proc/{stranger.pid}/cmdline").read_text()
            found.pid.write_text(str(stranger.pid))
            assert database.stop(fresh) is False
            assert stranger.poll() is None
        finally:
            os.killpg(stranger.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("torn", ["", "{", "[1]", '{"port": "x", "socket": "/nowhere"}'])
def test_torn_state_and_pid_files(stopped: Path, torn: str) -> None:
    (stopped / "server.json").write_text(torn)
    (stopped / "server.pid").write_text(torn)
    assert kept_rows(database.start(stopped)) == [(7,)]


@pytest.mark.slow
def test_interrupted_initialisation_begins_again(fresh: Path) -> None:
    starter = child(START, fresh, stdout=subprocess.DEVNULL)
    wait_for(lambda: list(fresh.glob("data.partial-*/mysql")))
    starter.kill()
    starter.wait()
    assert not (fresh / "data").exists()
    running = database.start(fresh)
    assert query(running, "SELECT COUNT(*) FROM mysql.user WHERE user = 'element'") == [(2,)]
    assert not list(fresh.glob("data.partial-*"))


def test_initialisation_shares_no_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any server that starts deletes the temporary tables it finds, also those in use."""
    programs = {
        "mariadbd": "echo MariaDB",
        "mariadb-install-db": 'for a in "$@"; do case "$a" in --datadir=*) data="${a#*=}"; esac; '
        'done; echo "$TMPDIR" >"$data/asked"; test -d "$TMPDIR"',
    }
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = home.Home.of(tmp_path / "my database")
    found.claim()
    install.initialise(found, tmp_path / "mariadbd", time.monotonic() + 60)
    assert (found.data / "asked").read_text() == f"{found.tmp}\n"


@pytest.mark.slow
def test_starter_killed_before_the_accounts_are_made(fresh: Path) -> None:
    starter = child(START, fresh, stdout=subprocess.DEVNULL)
    wait_for((fresh / "data").exists)
    starter.kill()
    starter.wait()
    assert query(database.start(fresh), "SELECT 1") == [(1,)]


@pytest.mark.slow
def test_starter_killed_after_the_launch(stopped: Path) -> None:
    (stopped / "server.pid").unlink()
    starter = child(START, stopped, stdout=subprocess.DEVNULL)
    wait_for(lambda: (stopped / "server.pid").exists() and (stopped / "server.pid").read_text())
    starter.kill()
    starter.wait()
    pid = int((stopped / "server.pid").read_text())
    assert database.start(stopped).pid == pid


LAUNCH = """
import sys
from pathlib import Path
from workflow_deeplabcut.database import home, process

found = home.Home.of(Path(sys.argv[1]))
with home.locked(found, 0) as lock:
    process.launch(found, Path(sys.argv[2]), lock)
"""


def test_starter_killed_before_the_pid_is_noted(tmp_path: Path) -> None:
    """The lock holds until it is, or the next start would launch a second server."""
    found = home.Home.of(tmp_path / "database")
    found.claim()
    program, started = tmp_path / "mariadbd", tmp_path / "started"
    program.write_text(f"#!/bin/sh\ntouch '{started}'\nexec sleep 60\n")
    program.chmod(0o755)
    os.mkfifo(found.pid)  # the shell cannot write to it until somebody reads
    starter = child(LAUNCH, found.path, program)
    try:
        wait_for(started.exists)
    finally:
        starter.kill()
        starter.wait()
    with pytest.raises(DatabaseError, match="still starting"), home.locked(found, 0):
        pass
    pid = int(found.pid.read_text())
    try:
        with home.locked(found, time.monotonic() + 30):
            wait_for(lambda: alive(pid))  # and the server does not hold it
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_server_is_stopped_while_it_starts(stopped: Path) -> None:
    # From early in its start until it answers, MariaDB would hang when told to end.
    for stage in ("", "rollback segments", "log sequence number", "Server socket created"):
        with pytest.raises(DatabaseError):
            database.start(stopped, timeout=0)
        wait_for(lambda stage=stage: stage in (stopped / "server.log").read_text())
        before = time.monotonic()
        assert database.stop(stopped, timeout=30) is True
        assert time.monotonic() - before < 20
    assert kept_rows(database.start(stopped)) == [(7,)]


@pytest.mark.slow
def test_server_that_is_slow_to_start_is_left_to_finish(stopped: Path) -> None:
    with pytest.raises(DatabaseError, match="does not answer yet"):
        database.start(stopped, timeout=0)
    pid = int((stopped / "server.pid").read_text())
    assert database.start(stopped).pid == pid


def test_initialisation_out_of_time_leaves_nothing_behind(fresh: Path) -> None:
    with pytest.raises(DatabaseError, match="took too long"):
        database.start(fresh, timeout=0)
    assert not (fresh / "data").exists()
    assert not list(fresh.glob("data.partial-*"))


def test_waits_for_another_starter_only_so_long(fresh: Path) -> None:
    home.Home.of(fresh).claim()
    with (fresh / "element-deeplabcut.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for call in (database.start, database.stop):
            with pytest.raises(DatabaseError, match="still starting or stopping"):
                call(fresh, timeout=0.1)


@pytest.mark.slow
def test_failure_shows_the_end_of_the_log(stopped: Path) -> None:
    (stopped / "data" / "ibdata1").write_bytes(b"damaged" * 1000)
    before = time.monotonic()
    with pytest.raises(DatabaseError, match=r"(?s)server\.log.*InnoDB.*ibdata1"):
        database.start(stopped, timeout=30)
    assert time.monotonic() - before < 15


# -- ports, sockets, option files ------------------------------------------------------------------


@pytest.mark.slow
def test_taken_port_is_given_up(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "PORT_LOOKS", 2)
    with database.running(stopped) as before:
        pass
    with socket.create_server(("127.0.0.1", before.port)):
        after = database.start(stopped)
        assert after.port != before.port
        assert kept_rows(after) == [(7,)]


@pytest.mark.slow
def test_port_taken_at_the_last_moment(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1], process.choose_port(None)]
        monkeypatch.setattr(process, "choose_port", lambda _: ports.pop(0))
        assert kept_rows(database.start(stopped)) == [(7,)]
    assert not ports


@pytest.mark.parametrize("remembered", [3306, 80, 0, 99999, "x", None])
def test_unusable_ports_are_not_chosen(remembered: object) -> None:
    port = process.choose_port(remembered)
    assert port not in {remembered, 3306}
    assert port >= 1024


@pytest.mark.slow
def test_deep_directory_has_a_short_socket(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["folder" * 5] * 4)
    with database.running(deep) as running:
        assert len(os.fsencode(running.socket)) <= 103
        found = running.socket.parent.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (os.geteuid(), 0o700)
        running.socket.unlink()  # as a cleaner of temporary files may do
        assert database.status(deep) == running


@pytest.mark.parametrize("plant", ["link", "dangling", "file", "open"])
def test_planted_socket_directory(
    tmp_path: Path, plant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path(tempfile.mkdtemp(dir="/tmp"))
    monkeypatch.setattr(home, "SHORT_TEMP", base)
    monkeypatch.setattr(tempfile, "tempdir", str(base))
    planted, elsewhere = base / f"element-deeplabcut-{os.geteuid()}", base / "elsewhere"
    try:
        if plant == "file":
            planted.touch()
        elif plant == "open":
            planted.mkdir()
            planted.chmod(0o777)
        else:
            planted.symlink_to(elsewhere)
            if plant == "link":
                elsewhere.mkdir(mode=0o700)
        deep = home.Home(tmp_path.joinpath(*["folder" * 5] * 4))
        chosen = home.choose_socket(deep)
        assert chosen.parent.parent == base
        assert chosen.parent not in {planted, elsewhere}
        assert stat.S_IMODE(chosen.parent.lstat().st_mode) == 0o700
    finally:
        shutil.rmtree(base)


def test_short_directory_holds_its_socket(server: Server) -> None:
    if len(os.fsencode(server.data_dir / "server.sock")) <= 103:
        assert server.socket == server.data_dir / "server.sock"


@pytest.mark.slow
def test_option_files_and_variables_are_not_read(stopped: Path, tmp_path: Path) -> None:
    for name in (".my.cnf", "my.cnf"):
        (tmp_path / name).write_text("[mysqld]\nno-such-option\n[client]\nport=1\n")
    environment = {
        "HOME": str(tmp_path),
        "MYSQL_HOME": str(tmp_path),
        "MYSQL_TCP_PORT": "1",
        "TMPDIR": str(tmp_path / "gone"),
    }
    shutil.rmtree(stopped / "data")  # its maker must not read them either
    output(child(START, stopped, env=environment))
    running = database.status(stopped)
    assert running is not None
    assert query(running, "SELECT @@tmpdir") == [(str(stopped / "tmp"),)]


# -- the directory ---------------------------------------------------------------------------------


def test_other_peoples_directories_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ibdata1").write_text("somebody's tables")
    tmp_path.chmod(0o755)
    with pytest.raises(PathError, match="holds other files"):
        database.start(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["ibdata1"]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    with pytest.raises(PathError, match="cannot hold the database"):
        database.start(tmp_path / "ibdata1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_another_users_directory_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    with pytest.raises(PathError, match="another user"):
        database.start(tmp_path)


def test_open_directory_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    home.Home.of(tmp_path).claim()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.slow
def test_wrong_or_missing_password_file(stopped: Path) -> None:
    running = database.start(stopped)
    (stopped / "password").write_text("another")
    for call in (database.status, database.start):
        with pytest.raises(DatabaseError, match="refuses the password"):
            call(stopped)
    assert database.stop(stopped) is True
    assert not alive(running.pid)
    (stopped / "password").unlink()
    with pytest.raises(DatabaseError, match="password is gone"):
        database.start(stopped)


def test_default_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def default() -> Path:
        return home.Home.of(None).path

    monkeypatch.setenv("DLC_DATABASE_DIR", str(tmp_path / "mine"))
    assert default() == tmp_path / "mine"
    monkeypatch.delenv("DLC_DATABASE_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert default() == tmp_path / "xdg/element-deeplabcut/database"
    monkeypatch.setenv("HOME", str(tmp_path))
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_DATA_HOME", ignored)
        assert default() == tmp_path / ".local/share/element-deeplabcut/database"
    monkeypatch.delenv("HOME")
    folder = Path(pwd.getpwuid(os.getuid()).pw_dir).resolve()
    assert default() == folder / ".local/share/element-deeplabcut/database"


# -- programs and users ----------------------------------------------------------------------------


def test_missing_programs_are_named(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "SEARCH_DIRS", ())
    monkeypatch.setenv("PATH", str(fresh.parent))
    with pytest.raises(SetupError, match="apt-get install mariadb-server-core"):
        database.start(fresh)
    assert not fresh.exists()


@pytest.mark.slow
def test_server_outside_the_path_under_its_old_name(
    stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = install.find("mariadbd", "mysqld")
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin" / "mysqld").symlink_to(program)
    monkeypatch.setattr(install, "SEARCH_DIRS", (str(tmp_path / "sbin"),))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert kept_rows(database.start(stopped)) == [(7,)]


def use_as_ordinary_user(base: Path) -> None:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    os.chdir(base)
    for name in ("DLC_DATABASE_DIR", "XDG_DATA_HOME"):
        os.environ.pop(name, None)
    os.environ["HOME"] = str(base)
    with database.running() as server:
        assert query(server, "SELECT @@datadir") == [
            (f"{base}/.local/share/element-deeplabcut/database/data/",)
        ]
        assert os.stat(f"/proc/{server.pid}").st_uid == 65534
        users = {user for (user,) in query(server, "SELECT user FROM mysql.user")}
        assert users - {"mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema"} == {
            "element",
            "root",
        }
    assert database.status() is None


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user already")
def test_works_for_an_ordinary_user() -> None:
    base = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        os.chown(base, 65534, 65534)
        # Forked, because an ordinary user may not be able to read the interpreter or this checkout.
        user = multiprocessing.get_context("fork").Process(
            target=use_as_ordinary_user, args=(base,)
        )
        user.start()
        user.join(60)
        assert user.exitcode == 0
    finally:
        shutil.rmtree(base)


def test_a_colon_in_the_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathError, match="has a colon in its path"):
        database.start(tmp_path / "a:b")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_killed_server_comes_back_on_its_port(tmp_path: Path) -> None:
    """Also at once: the port outlives the process by some milliseconds."""
    server = database.start(tmp_path / "db")
    try:
        for _ in range(5):
            os.kill(server.pid, signal.SIGKILL)
            while database.status(tmp_path / "db"):
                time.sleep(0.005)
            again = database.start(tmp_path / "db")
            assert again.port == server.port
            server = again
    finally:
        database.stop(tmp_path / "db")
