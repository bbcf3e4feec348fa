"""The database of the Compose file: its options and its grants, on a real server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest

from workflow_deeplabcut.database.process import as_root

from .test_files import FOLDER, read_compose

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("mariadbd") is None, reason="MariaDB is not installed"),
]
PASSWORD = "a 'quoted' pa$$word\\"


@dataclass(frozen=True)
class Server:
    """A server as the image starts it.

    Attributes:
        folder: Its files.
        port: Where it listens.
    """

    folder: Path
    port: int

    def connect(self) -> pymysql.Connection:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="lab", password=PASSWORD)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    folder = Path(tempfile.mkdtemp(prefix="compose-db-"))
    # A server that starts deletes temporary tables of others in a folder that they share.
    own = {**os.environ, "TMPDIR": str(folder)}
    # Debian's installer, with what its image gives it.
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db",
         "--auth-root-authentication-method=normal", *as_root()],
        check=True, capture_output=True, env=own,
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["mariadbd", "--no-defaults", f"--datadir={folder / 'data'}", f"--port={port}",
         f"--socket={folder / 'socket'}", "--bind-address=127.0.0.1", *as_root(),
         *read_compose()["services"]["database"]["command"]],
        stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"), env=own,
    )  # fmt: skip
    try:
        started = Server(folder, port)
        _set_up(started, process)
        yield started
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(folder)


def _set_up(server: Server, process: subprocess.Popen[bytes]) -> None:
    """What the image's entry point does: root's password, the user, and then our script."""
    until = time.monotonic() + 60
    while not (server.folder / "socket").exists():
        assert process.poll() is None, (server.folder / "log").read_text()
        assert time.monotonic() < until
        time.sleep(0.1)
    path = str(server.folder / "socket")
    with _connect_as_root(path, until).cursor() as cursor:
        cursor.execute("CREATE USER 'lab'@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute("SET PASSWORD FOR 'root'@'localhost' = PASSWORD('root it is')")
    # In the image the client's default socket is the server's.
    (server.folder / ".my.cnf").write_text(f"[client]\nsocket={path}\n")
    subprocess.run(
        ["bash", FOLDER / "grant-schemas.sh"], check=True,
        env={**os.environ, "HOME": str(server.folder), "MARIADB_ROOT_PASSWORD": "root it is",
             "MARIADB_USER": "lab", "DATABASE_PREFIX": "dlc_"},
    )  # fmt: skip


def _connect_as_root(path: str, until: float) -> pymysql.Connection:
    """The socket is there a moment before the server listens to it."""
    while True:
        try:
            return pymysql.connect(unix_socket=path, user="root")
        except pymysql.err.OperationalError as error:
            if error.args[0] not in (2002, 2003) or time.monotonic() > until:
                raise
        time.sleep(0.1)


def test_the_user_may_use_the_schemas_of_the_prefix_only(server: Server) -> None:
    with server.connect().cursor() as cursor:
        cursor.execute("CREATE DATABASE dlc_train")
        cursor.execute("CREATE TABLE dlc_train.t (a int)")
        cursor.execute("INSERT INTO dlc_train.t VALUES (1)")
        cursor.execute("DROP DATABASE dlc_train")
        for other in ("dlcxtrain", "other"):  # an underscore is no wildcard
            with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
                cursor.execute(f"CREATE DATABASE {other}")


def test_names_that_differ_are_different(server: Server) -> None:
    with server.connect().cursor() as cursor:
        cursor.execute("CREATE DATABASE dlc_names")
        cursor.execute("CREATE TABLE dlc_names.part (name varchar(32) PRIMARY KEY)")
        cursor.execute("INSERT INTO dlc_names.part VALUES ('Nose'), ('nose'), ('鼻')")
        cursor.execute("SHOW VARIABLES LIKE 'max_allowed_packet'")
        assert cursor.fetchone() == ("max_allowed_packet", str(1 << 30))
        cursor.execute("DROP DATABASE dlc_names")
