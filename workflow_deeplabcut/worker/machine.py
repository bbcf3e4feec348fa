"""Whether the machine can do the work: a worker whose machine cannot must leave the queue alone.

A drive that is not mounted, or a GPU that has dropped off the bus, fails every job that the worker
takes, faster than any healthy worker could do them. So it looks before it begins, and a job that
meets such a fault later is put back to wait while the worker ends, with an exit code of 1: what
starts it again (systemd, Compose) does so until the machine is well.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from element_deeplabcut import model
from element_deeplabcut.errors import DeviceError, SetupError

from .retry import list_causes

logger = logging.getLogger(__name__)

_TRIAL = """
import sys
from element_deeplabcut.engines import get_engine
from element_deeplabcut.errors import ElementError
engine, device = sys.argv[1:]
try:
    get_engine(engine).resolve_device(device)
except ElementError as error:
    sys.exit(str(error))
"""

_BROKEN_DEVICE = (
    *("cuda error", "cuda driver error", "cudnn error", "cublas_status_execution_failed"),
    "cuda_error_",
)
"""What PyTorch, its libraries and TensorFlow say when a GPU has failed: the process cannot use it
any more, whatever it computes. Want of memory is said differently, or named beside."""


def check_machine(
    tables: Sequence[Any], engines: Sequence[str], device: str | None
) -> tuple[str, ...]:
    """Look whether storage and device are there before anything is taken from the queue.

    Args:
        tables: Those that the worker works on; a lab's own may need no storage.
        engines: Those that the worker would offer.
        device: Where they are to compute; None and ``auto`` leave the choice to them.

    Returns:
        The engines that can use the device.

    Raises:
        SetupError: A root directory is missing, or no engine can use the device.
    """
    if any(table.__module__.startswith("element_deeplabcut.") for table in tables):
        model.get_roots()
    if device in (None, "auto", "cpu"):
        return tuple(engines)
    # In processes of their own: this one may be another engine's, and a GPU has one per process.
    trials = {engine: _start_trial(engine, str(device)) for engine in engines}
    said = {engine: _hear_out(trial) for engine, trial in trials.items()}
    able = tuple(engine for engine, trial in trials.items() if trial.returncode == 0)
    if said and not able:
        raise DeviceError(" ".join(said.values()))
    for engine in set(said) - set(able):
        logger.warning("this worker does not offer %s: %s", engine, said[engine])
    return able


def _start_trial(engine: str, device: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _TRIAL, engine, device], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _hear_out(trial: subprocess.Popen[str]) -> str:
    """Wait for a trial; the last line it says is why it failed, before are libraries' remarks."""
    return (trial.communicate()[0].strip().splitlines() or [""])[-1]


def is_machines(error: BaseException) -> bool:
    """Whether a failure is the machine's, and every other job would fail here likewise."""
    return any(_blames_machine(cause) for cause in list_causes(error))


def _blames_machine(error: BaseException) -> bool:
    said = str(error).lower()
    is_broken = any(words in said for words in _BROKEN_DEVICE) and "out of memory" not in said
    return isinstance(error, SetupError) or is_broken
