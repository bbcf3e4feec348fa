"""A process that forks workers and lets them die; see dying_worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Lab

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def worker(lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """A process that forks workers and lets them die; see dying_worker."""
    environment = {
        **os.environ,
        "DJ_HOST": lab.server.host,
        "DJ_PORT": str(lab.server.port),
        "DJ_USER": lab.server.user,
        "DJ_PASS": lab.server.password,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying_worker"],
        cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield process
    process.stdin.close()
    process.wait(30)


def kill_at(worker: subprocess.Popen[str], table: str, moment: str, key: dict[str, Any]) -> None:
    """Let a worker populate a key and kill itself at the moment."""
    worker.stdin.write(json.dumps([table, moment, key]) + "\n")
    worker.stdin.flush()
    assert int(worker.stdout.readline()) == -signal.SIGKILL
