"""The server's process: launching it, knowing it again, ending it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import DatabaseError

from .home import POLL_SECONDS, Home, choose_socket

HOST = "127.0.0.1"
PORT_LOOKS = 200
PORT_PAUSE_S = 0.05
SYSTEM_PORT = 3306
"""Never used, even when free: whoever connects to it means the system's own server."""


def live_pid(home: Home) -> int | None:
    """The process that serves this directory, if there is one."""
    try:
        pid = int(home.pid.read_text())
    except (OSError, ValueError):
        return None
    return pid if serves(pid, home) else None


def serves(pid: int, home: Home) -> bool:
    """Whether a process is our server: pids are reused, so a number alone says nothing."""
    argument = f"--datadir={home.data}"
    try:
        if not os.path.isdir("/proc/self"):  # macOS
            asked = ["ps", "-ww", "-o", "command=", "-p", str(pid), "-U", str(os.geteuid())]
            return argument in subprocess.run(asked, capture_output=True, text=True).stdout
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return False
        for _ in range(1000):
            # Empty for a moment while the shell turns into the server, and for good in a zombie;
            # but a zombie has no program either, and one that nobody reaps counts as ended.
            os.readlink(f"/proc/{pid}/exe")
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if command:
                break
            time.sleep(0.001)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return os.fsencode(argument) in command.split(b"\0")


def end(home: Home, pid: int, number: signal.Signals, deadline: float) -> bool:
    """Signal the server and wait; whether it has ended."""
    if serves(pid, home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    while serves(pid, home):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def launch(home: Home, program: Path, lock: int) -> None:
    """Start the server on its own, so that it survives us and is never our zombie.

    Args:
        home: Its directory.
        program: Its program.
        lock: Descriptor that holds the directory's lock.
    """
    port, path = choose_port(home.read_state().get("port")), choose_socket(home)
    home.write_state(port=port, socket=str(path))
    home.tmp.mkdir(mode=0o700, exist_ok=True)
    if home.log.exists():
        home.log.replace(home.log.with_suffix(".log.old"))
    command = [
        *(str(program), "--no-defaults", *options(home.data)),
        *(f"--socket={path}", f"--port={port}", f"--bind-address={HOST}"),
        *(f"--pid-file={home.path / 'server.own.pid'}", f"--tmpdir={home.tmp}"),
        *([f"--init-file={home.first}"] if home.first.exists() else []),
        *as_root(),
    ]
    # The shell notes the pid at once: were we killed now, the next start would find the server. Its
    # input is the lock, so that the next start waits until the pid is noted; the server has none.
    script = '"$@" </dev/null & echo $! >"$0"'
    with home.log.open("wb") as log:
        subprocess.run(
            ["/bin/sh", "-c", script, str(home.pid), *command],
            check=True,
            stdin=lock,
            stdout=log,
            stderr=log,
            cwd=home.path,
            env=environment(),
            start_new_session=True,
        )


def as_root() -> list[str]:
    """The option without which a server refuses to run as root."""
    return ["--user=root"] if os.geteuid() == 0 else []


def options(data: Path) -> list[str]:
    """Settings that a database has from its first moment; all that matters is spelled out."""
    return [
        f"--datadir={data}",
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_bin",
        "--skip-name-resolve",
        "--skip-log-bin",
        "--performance-schema=OFF",
        "--loose-mysqlx=OFF",  # MySQL's second protocol would open a port of its own
        "--local-infile=OFF",
        "--max-allowed-packet=1G",
        # A worker may compute for days between two queries: a year is the longest there is.
        *("--wait-timeout=31536000", "--interactive-timeout=31536000"),
        *("--net-read-timeout=3600", "--net-write-timeout=3600"),
        # What was committed survives a killed server and a power cut.
        *("--innodb-flush-log-at-trx-commit=1", "--innodb-doublewrite=ON"),
        # MySQL refuses a blob above a tenth of the log; the log is on the disk in full.
        "--loose-innodb-log-file-size=128M",
    ]


def environment() -> dict[str, str]:
    """Our environment without what would redirect the server or its installer."""
    dropped = ("MYSQL", "MARIADB", "NOTIFY_SOCKET", "LISTEN_", "TMPDIR")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def choose_port(remembered: Any) -> int:
    """The port of last time if it is free, or becomes free in a moment, else any other free one.

    A server that was killed keeps its port for some milliseconds after it stopped to be a process
    (for seconds, where one of its threads waits for a busy disk), and whoever knows the old port
    should find the new server there.
    """
    usable = isinstance(remembered, int) and 1024 <= remembered <= 65535
    for wanted in [*([remembered] * PORT_LOOKS if usable else []), *[0] * 8]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
            try:
                probe.bind((HOST, wanted))
            except OSError:
                time.sleep(PORT_PAUSE_S)
                continue
            port: int = probe.getsockname()[1]
        if port != SYSTEM_PORT:
            return port
    raise DatabaseError(f"No free port was found on {HOST}.")
