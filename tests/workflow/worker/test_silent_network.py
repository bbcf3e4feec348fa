"""A network that falls silent, in a network namespace whose cable is pulled."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from workflow_deeplabcut import database
from workflow_deeplabcut.worker.server import _probe_silence

HERE, THERE = "10.213.77.1", "10.213.77.2"

WORKER = """
import sys, time
import datajoint as dj
from workflow_deeplabcut.worker import server as module

module.SILENCE_S = 6
host, port, user, password = sys.argv[1:]
connection = dj.Connection(host, user, password, port=int(port), use_tls=False)
server = module.Server(connection, "far-away")
server.mark_connection()
print("connected", flush=True)
started = time.monotonic()
try:
    server.query("SELECT SLEEP(300)").fetchall()
except Exception as error:
    print(module.is_away(error), round(time.monotonic() - started), flush=True)
"""


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def cable() -> Iterator[str]:
    """Name of a namespace, and of the device it hangs on: setting that down pulls the cable."""
    name = f"dlc{os.getpid() % 100_000}"
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("making a network namespace needs root and iproute2")
    try:
        _ip("netns", "add", name)
        _ip("link", "add", name, "type", "veth", "peer", "name", f"{name}p")
        _ip("link", "set", f"{name}p", "netns", name)
        _ip("addr", "add", f"{HERE}/24", "dev", name)
        _ip("link", "set", name, "up")
        _ip("-n", name, "addr", "add", f"{THERE}/24", "dev", f"{name}p")
        _ip("-n", name, "link", "set", f"{name}p", "up")
    except subprocess.CalledProcessError as error:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
        pytest.skip(f"this kernel makes no network namespace: {error.stderr.decode().strip()}")
    yield name
    subprocess.run(["ip", "link", "del", name], capture_output=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)


def _forward(port: int) -> socket.socket:
    """Let the namespace reach the test's server, which listens on the loopback device only."""

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass

    def accept() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", port))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=copy, args=pair, daemon=True).start()

    listener = socket.create_server((HERE, 0))
    threading.Thread(target=accept, daemon=True).start()
    return listener


def test_where_silence_cannot_be_probed_a_worker_works_without() -> None:
    """Sandboxes know only some options of sockets; one of UDP knows none of TCP's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        with pytest.raises(OSError):  # noqa: PT011 -- of which kind, says the kernel
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
        _probe_silence(SimpleNamespace(_sock=end))


@pytest.mark.slow
def test_a_pulled_cable_ends_a_waiting_statement(cable: str, server: database.Server) -> None:
    with _forward(server.port) as listener:
        command = ["ip", "netns", "exec", cable, sys.executable, "-c", WORKER]
        where = [HERE, str(listener.getsockname()[1]), server.user, server.password]
        with subprocess.Popen([*command, *where], stdout=subprocess.PIPE, text=True) as worker:
            try:
                assert worker.stdout.readline() == "connected\n"
                _ip("link", "set", cable, "down")
                said, _ = worker.communicate(timeout=60)
            finally:
                worker.kill()
    is_away, seconds = said.split()
    assert is_away == "True"
    assert int(seconds) < 30
