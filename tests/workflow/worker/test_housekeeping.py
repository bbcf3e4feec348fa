"""Which processes are certainly gone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from workflow_deeplabcut.worker.housekeeping import is_alive

from .conftest import until

_IN_A_CONTAINER = """
with open("/proc/sys/kernel/ns_last_pid", "w") as stream:
    stream.write("{last}")
import os, time
if not (child := os.fork()):
    time.sleep(60)
print(child, flush=True)
os.wait()
"""


def find_free_number() -> int:
    return next(number for number in range(20_000, 30_000) if not os.path.exists(f"/proc/{number}"))


def test_processes_of_this_machine() -> None:
    ended = subprocess.Popen(["true"])
    assert is_alive(os.getpid())
    assert is_alive(1)
    ended.wait()
    assert not is_alive(ended.pid)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="it needs root")
def test_a_process_in_a_container_with_its_hosts_name() -> None:
    """As `docker run --network host` makes one: its numbers mean nothing out here."""
    number = find_free_number()
    program = _IN_A_CONTAINER.format(last=number - 1)
    container = subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
         sys.executable, "-c", program],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        said = container.stdout.readline()
        if not said:
            pytest.skip(f"no namespaces here: {container.stderr.read()}")
        assert int(said) == number
        assert not os.path.exists(f"/proc/{number}")
        assert is_alive(number)
    finally:
        container.kill()
        container.wait()
    until(lambda: not is_alive(number))
