"""A real Slurm of one node, started for one test run: its own munge, controller and node daemon.

All of its state, logs, sockets and keys are in one folder, and it runs as the user who runs the
tests. Two partitions stand for a cluster where one group's jobs preempt another's.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
_PATH = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
_ENDED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY")

_CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MpiDefault=none
ReturnToService=2
GresTypes=gpu
SlurmdParameters=config_overrides
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=64000 Gres=gpu:2
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 State=UP
PartitionName=high Nodes=ALL PriorityTier=10 PreemptMode=OFF State=UP
"""
# Credentials that live for two minutes would keep a requeued job waiting for as long.

_GPUS = "NodeName=localhost Name=gpu File=/dev/null,/dev/zero\n"
"""Any two device files do: Slurm hands out their numbers."""


def find_missing() -> list[str]:
    """Programs of Slurm that are not installed here."""
    return [name for name in PROGRAMS if shutil.which(name, path=_PATH) is None]


class Slurm:
    """A running cluster."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH}

    def run(self, *command: str, **environment: str) -> str:
        """Run one of Slurm's commands in the folder, and return what it says."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        ended = subprocess.run(
            command, cwd=self.folder, env={**kept, **self._environment, **environment},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert ended.returncode == 0, f"{' '.join(command)}: {ended.stderr}"
        return ended.stdout.strip()

    def submit(self, *arguments: str) -> str:
        """Submit a job and return its number."""
        return self.run("sbatch", "--parsable", *arguments)

    def show(self, job: str) -> dict[str, str]:
        """What Slurm says of a job."""
        return dict(re.findall(r"(\w+)=(\S*)", self.run("scontrol", "show", "job", job)))

    def until(self, condition: Callable[[], Any], seconds: float) -> Any:
        """Wait until something is so; where it does not come to be, say what was logged."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, self.read_logs()
            time.sleep(0.1)
        return value

    def wait(self, job: str, *states: str, seconds: float = 60) -> dict[str, str]:
        """Wait until a job is in one of some states, or has ended."""
        until = time.monotonic() + seconds
        while (found := self.show(job))["JobState"] not in (states or _ENDED):
            assert time.monotonic() < until, f"{found}\n{self.read_logs()}"
            time.sleep(0.2)
        return found

    def read_logs(self) -> str:
        """What jobs and daemons said, for a test that fails."""
        return "\n".join(f"{file.name}:\n{file.read_text()[-2000:]}"
                         for file in sorted(self.folder.glob("*.log")))  # fmt: skip


@contextlib.contextmanager
def running() -> Iterator[Slurm]:
    """Start a cluster, and end it."""
    # Sockets have short names at most, and temporary folders of tests have long ones.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    _write_settings(folder)
    processes: list[subprocess.Popen[bytes]] = []
    slurm = Slurm(folder)
    try:
        for command in _list_daemons(folder):
            processes.append(_start(command, folder))
            if command[0] == "munged":
                _wait_for(folder / "munge.sock")
        _wait_for_node(slurm, processes)
        yield slurm
    finally:
        with contextlib.suppress(AssertionError):
            slurm.run("scancel", "--user", _user())
            slurm.run("scancel", "--signal=KILL", "--full", "--user", _user())
        for process in reversed(processes):
            process.terminate()
        for process in reversed(processes):
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _write_settings(folder: Path) -> None:
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(128))
    key.chmod(0o600)
    (folder / "gres.conf").write_text(_GPUS)
    values: Mapping[str, object] = {
        "folder": folder, "user": _user(), "host": socket.gethostname().partition(".")[0],
        "controller_port": _find_port(), "node_port": _find_port(),
    }  # fmt: skip
    (folder / "slurm.conf").write_text(_CONFIG.format(**values))


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _list_daemons(folder: Path) -> list[list[str]]:
    files = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munge.pid",
             "log-file": "munge.log", "seed-file": "munge.seed"}  # fmt: skip
    named = [f"--{option}={folder / name}" for option, name in files.items()]
    # It wants folders that nobody else can write to; a temporary one is below /tmp.
    munged = ["munged", "--foreground", "--force", *named]
    return [munged, ["slurmctld", "-D"], ["slurmd", "-D", "-N", "localhost"]]


def _start(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    with (folder / f"{command[0]}.out").open("wb") as out:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env={**kept, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _PATH},
        )  # fmt: skip


def _wait_for(file: Path) -> None:
    until = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < until, f"no {file.name}: {list(file.parent.iterdir())}"
        time.sleep(0.05)


def _wait_for_node(slurm: Slurm, processes: list[subprocess.Popen[bytes]]) -> None:
    until = time.monotonic() + 60
    while True:
        said = [file.read_text() for file in slurm.folder.glob("*.out")]
        assert all(process.poll() is None for process in processes), said
        with contextlib.suppress(AssertionError):
            if slurm.run("sinfo", "-h", "-o", "%t", "-p", "low") == "idle":
                return
        assert time.monotonic() < until, (said, slurm.read_logs())
        time.sleep(0.3)
