"""A lab's own tables, whose makes do what their task says.

``Plain`` computes inside DataJoint's transaction, as tables of old do; ``Parts`` has the three
parts that this package's tables have. Each call of a make adds a line to a file, so that a test
sees what was computed, by whom, and how often.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path
from typing import Any

import datajoint as dj

from element_deeplabcut.errors import VideoError
from element_deeplabcut.interruption import check_interruption
from element_deeplabcut.tables import DistinctJobs

schema = dj.Schema()
LOG = "SCRIPTED_LOG"


@schema
class Task(dj.Manual):
    definition = """
    a : int
    b : int
    ---
    script='' : varchar(64)
    """


def note(table: str, key: dict[str, Any]) -> None:
    with Path(os.environ[LOG]).open("a") as stream:
        stream.write(f"{table} {key['a']} {key['b']} {os.getpid()}\n")


def is_first(name: str) -> bool:
    """Whether nobody has asked this in this test before."""
    try:
        Path(os.environ[LOG]).with_name(f"asked-{name}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def follow(script: str) -> None:
    """Do what a task says: one word, and a number of seconds or of a process."""
    word, _, number = script.partition(" ")
    if word == "sleep":  # never looks whether it should stop
        time.sleep(float(number))
    elif word == "work":
        until = time.monotonic() + float(number)
        while time.monotonic() < until:
            time.sleep(0.02)
            check_interruption()
    elif word == "bad":
        raise VideoError("'bad.mp4' is damaged after frame 7. Copy it again.")
    elif word == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    elif word == "once":  # a storage hiccup that is over at the second try
        if is_first(number):
            raise OSError(errno.ESTALE, "Stale file handle")
    elif word == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif word == "gpu":  # what PyTorch says when a GPU has failed
        if is_first(number):
            raise RuntimeError("CUDA error: unspecified launch failure\nCompile with TORCH_USE_")
    elif word == "pool":
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB")


@schema
class Plain(DistinctJobs, dj.Computed):
    definition = """
    -> Task
    ---
    pid : int
    """

    def make(self, key: dict[str, Any]) -> None:
        note("Plain", key)
        script = (Task & key).fetch1("script")
        follow(script)
        self.insert1({**key, "pid": os.getpid()})
        if script == "hold" and is_first("hold"):
            time.sleep(3)


@schema
class Parts(DistinctJobs, dj.Computed):
    definition = """
    -> Task
    ---
    pid : int
    """

    class Piece(dj.Part):
        definition = """
        -> master
        piece : int
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[str]:
        return ((Task & key).fetch1("script"),)

    def make_compute(self, key: dict[str, Any], script: str) -> tuple[int]:
        note("Parts", key)
        follow(script)
        return (os.getpid(),)

    def make_insert(self, key: dict[str, Any], pid: int) -> None:
        self.insert1({**key, "pid": pid})
        self.Piece.insert({**key, "piece": number} for number in range(3))


@schema
class ModelTraining(DistinctJobs, dj.Computed):
    """Stands for a table of long jobs, by its name."""

    definition = """
    -> Task
    """

    def make(self, key: dict[str, Any]) -> None:
        note("Long", key)
        follow("work 0.5")
        self.insert1(key)
