"""Jobs of a second engine on a GPU: PyTorch and TensorFlow cannot share one within a process.

The first engine that a worker uses is its own. A job of the other one is left to a worker in a
process of its own, which takes that one job, with a lease of its own, and ends. On a CPU the two
live in one process.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import datajoint as dj

from element_deeplabcut.engines.loaded import MODELS

from .engines import find_engine, has_gpu
from .options import WorkerOptions
from .signals import StopRequest
from .tables import show_job

logger = logging.getLogger(__name__)

_POLL_S = 0.2


class ChildWorkers:
    """Starts workers for jobs of other engines."""

    def __init__(self, options: WorkerOptions, stop: StopRequest) -> None:
        self._options, self._stop = options, stop
        self._has_gpu = has_gpu(options.device)
        self._own_engine: str | None = None
        self._asked_engine: str | None = None

    def needs(self, table: Any, key: Mapping[str, Any]) -> bool:
        """Whether a job is of another engine than the worker's own, on a GPU."""
        if not self._has_gpu:
            return False
        self._asked_engine = find_engine(table, key)
        return None not in (self._own_engine, self._asked_engine) and (
            self._asked_engine != self._own_engine
        )

    def settle_engine(self) -> None:
        """The job that was asked for last is done in this process: its engine is the worker's."""
        self._own_engine = self._own_engine or self._asked_engine

    def run(self, table: Any, key: Mapping[str, Any]) -> bool:
        """Let a child do a job, and wait for it; whether it ended in order."""
        logger.info("leaving %s to a process of its own", show_job(table, key))
        MODELS.release()  # this process waits; the GPU's memory is the child's
        command = child_command(table, key, self._options, find_engine(table, key))
        # A session of its own: a Ctrl-C is passed on once, and not twice.
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, text=True, start_new_session=True
        ) as child:
            _send_settings(child)
            asked = 0
            while child.poll() is None:
                wanted = 2 if self._stop.expired else int(self._stop.requested)
                if asked < wanted:
                    child.send_signal(signal.SIGTERM)
                    asked += 1
                try:
                    child.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        return child.returncode == 0


def child_command(
    table: Any, key: Mapping[str, Any], options: WorkerOptions, engine: str | None
) -> list[str]:
    """Command line of a worker that does one job."""
    device = ["--device", options.device] if options.device else []
    restrictions = [part for name in key for part in ("--restrict", f"{name}={key[name]}")]
    return [
        *(sys.executable, "-m", __name__, "worker"),
        *("--pipeline", options.pipeline, "--table", type(table).__name__, *restrictions),
        *("--engine", str(engine), *device, "--max-jobs", "1", "--stop-when-idle"),
        *("--grace", str(options.grace), "--lease", str(options.lease)),
        *("--attempts", str(options.retry.limit)),
        *("--retry-delay", str(options.retry.first_delay)),
    ]


def _send_settings(child: subprocess.Popen[str]) -> None:
    """Give a child what this process was configured with, wherever that came from."""
    settings = {name: dj.config[name] for name in dj.config}
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError), child.stdin as stream:
            json.dump(settings, stream, default=str)


def main() -> int:
    """Read DataJoint's settings from standard input, and run the command line."""
    dj.config.update(json.load(sys.stdin))
    from ..cli import main as run_command

    return run_command()


if __name__ == "__main__":
    sys.exit(main())
