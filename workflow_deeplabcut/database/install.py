"""Finding the server's programs and making a new database with them."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from element_deeplabcut.errors import DatabaseError, SetupError

from .home import POLL_SECONDS, Home, sync, write_private
from .process import HOST, as_root, environment, options

USER = "element"
SEARCH_DIRS = (
    *("/usr/sbin", "/usr/bin", "/usr/libexec", "/usr/local/sbin", "/usr/local/bin"),
    *("/usr/local/libexec", "/usr/local/mysql/bin", "/usr/local/mariadb/bin", "/opt/homebrew/bin"),
)
"""Where servers are installed outside an ordinary user's PATH."""


def find(*names: str) -> Path:
    """Find the first of several programs that is installed."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *SEARCH_DIRS])
    for name in names:
        found = shutil.which(name, path=places)
        if found:
            return Path(found)
    raise SetupError(
        f"No {' or '.join(names)} was found on this machine. Install a server's programs, with "
        "`apt-get install mariadb-server-core mariadb-client-core` or `conda install mariadb`, "
        "or configure DataJoint for a database server that you already have."
    )


def initialise(home: Home, program: Path, deadline: float) -> None:
    """Make the system tables; only complete ones are ever seen under their final name."""
    for left in home.path.glob("data.partial-*"):
        _end_installers(left)
        shutil.rmtree(left, ignore_errors=True)
    password = secrets.token_urlsafe(24)
    write_private(home.password, password)
    write_private(home.first, _account_sql(password))
    partial = Path(tempfile.mkdtemp(prefix="data.partial-", dir=home.path))
    try:
        _install(home, _install_command(program, partial), deadline)
        for folder, _, names in os.walk(partial):
            for name in ["", *names]:  # before the name says that it is complete
                sync(Path(folder, name))
        partial.rename(home.data)
        sync(home.path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _end_installers(partial: Path) -> None:
    """End what a killed starter left at work: it would go on writing into a folder that is removed.

    The folder's name is ours and unique, so whoever was given it is ours, too.
    """
    argument = os.fsencode(f"--datadir={partial}")
    for _ in range(20):  # a script may just be starting the next program
        found = [pid for pid in _list_processes() if argument in _read_command(pid)]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(POLL_SECONDS)


def _list_processes() -> list[int]:
    """Numbers of this user's processes; none where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry.stat().st_uid == os.geteuid():
                found.append(int(entry.name))
    return found


def _read_command(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _account_sql(password: str) -> str:
    """Statements for the server's first start, one a line; running them twice does no harm."""
    lines = []
    for host in ("localhost", HOST):
        account = f"'{USER}'@'{host}'"
        lines.append(f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{password}';")
        lines.append(f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;")
    never = secrets.token_urlsafe(24)  # MySQL makes root without a password
    lines.append(f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{never}' ACCOUNT LOCK;")
    return "\n".join([*lines, ""])


def _install_command(program: Path, data: Path) -> list[str]:
    """The command that makes the system tables, which differs between MariaDB and MySQL."""
    asked = [str(program), "--no-defaults", "--version"]
    version = subprocess.run(asked, capture_output=True, text=True, env=environment()).stdout
    if "MariaDB" not in version:
        return [str(program), "--no-defaults", "--initialize-insecure", *options(data), *as_root()]
    return [
        str(find("mariadb-install-db", "mysql_install_db")),
        "--no-defaults",
        f"--datadir={data}",
        # Its own --user would have it change the owner of files of the system.
        "--auth-root-authentication-method=socket",
        "--auth-root-socket-user=root",
        "--skip-test-db",
        "--cross-bootstrap",  # no rows for the machine's name, which is not even looked up
        *options(data)[1:],
    ]


def _install(home: Home, command: list[str], deadline: float) -> None:
    # In a folder that it shares, temporary tables are deleted by any other server that starts. By
    # the environment, because MariaDB's script breaks an option that has a space.
    home.tmp.mkdir(mode=0o700, exist_ok=True)
    with home.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.path,
            env={**environment(), "TMPDIR": str(home.tmp)},
            start_new_session=True,
        )
    try:
        process.wait(max(deadline - time.monotonic(), POLL_SECONDS))
    except subprocess.TimeoutExpired:
        raise DatabaseError(
            f"Making a new database in {home.path} took too long: allow a longer timeout."
        ) from None
    finally:
        if process.poll() is None:  # too late, or interrupted; it has children of its own
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        raise DatabaseError(f"No database could be made in {home.path}. {home.log_tail()}")
