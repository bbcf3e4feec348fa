"""A worker that is killed at a chosen moment of a make.

``python -m tests.faults.dying_worker`` imports everything once, then reads jobs from standard
input, one JSON list ``[table, moment, key]`` a line. Each job runs in a forked process of its own,
which populates the table for real and sends itself SIGKILL when the moment comes; nothing of it
runs afterwards, as on a machine that lost power. The answer is a line with the exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

MOMENTS = ("fetch", "compute", "published", "insert", "commit")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        die()

    return call


def dying_bar(epoch: int = 0) -> Callable[..., Any]:
    """Stand for a progress bar that dies at an epoch; 0 is the first sign of progress."""

    @contextlib.contextmanager
    def show(*args: Any, **kwargs: Any) -> Any:
        yield lambda done: die() if not epoch or done.epoch >= epoch else None

    return show


def populate_and_die(table_name: str, moment: str, key: dict[str, Any]) -> None:
    from element_deeplabcut import train
    from element_deeplabcut.compute import inference, training
    from element_deeplabcut.model import poses

    is_training = table_name == "ModelTraining"
    tables, room = (train, training) if is_training else (poses, inference)
    table = getattr(tables, table_name)
    if moment == "fetch":
        table.make_fetch = dying_after(table.make_fetch)
    elif moment == "compute":
        setattr(room, "show_training" if is_training else "show_frames", dying_bar())
    elif moment.startswith("epoch "):
        room.show_training = dying_bar(int(moment.split()[1]))
    elif moment == "published":
        name = "run_training" if is_training else "run_inference"
        setattr(tables, name, dying_after(getattr(tables, name)))
    elif moment == "insert":
        table.make_insert = dying_after(table.make_insert)
    elif moment == "commit":
        connection = table.connection
        connection.commit_transaction = dying_after(connection.commit_transaction)
    table.populate(key)


def run_forked(job: list[Any]) -> int:
    import datajoint as dj

    pid = os.fork()
    if pid == 0:
        dj.conn().connect()  # a connection of its own; the parent keeps the first
        with contextlib.suppress(Exception):
            populate_and_die(*job)
        os._exit(1)  # it should have died
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    import datajoint as dj

    dj.config["database.host"] = os.environ["DJ_HOST"]
    dj.config["database.port"] = int(os.environ["DJ_PORT"])
    dj.config["database.user"] = os.environ["DJ_USER"]
    dj.config["database.password"] = os.environ["DJ_PASS"]
    dj.config["database.use_tls"] = False
    import deeplabcut.pose_estimation_pytorch.apis  # noqa: F401 -- once, for every fork

    from workflow_deeplabcut import pipeline  # noqa: F401

    for line in sys.stdin:
        print(run_forked(json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
