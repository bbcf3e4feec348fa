"""Keeps what DeepLabCut does to its process inside a call.

Measured on 3.0.2: training removes every handler of the root logger (and leaves its own behind
after an exception), seeds the global random generators, and the TensorFlow engine changes the
working directory. It also prints a page per call. All of that is undone on the way out; the
prints go to a file of the run.

Libraries that are imported inside keep the ``sys.stderr`` of that moment in their log handlers, so
what they get is a stream that turns to the real one when the block ends.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_ENVIRONMENT = {
    "DLClight": "True",  # no graphical interface
    "MPLBACKEND": "Agg",
    "TF_CPP_MIN_LOG_LEVEL": "3",  # or its libraries write to the terminal when they are loaded
    "TORCH_LOAD_WEIGHTS_ONLY": "true",  # DeepLabCut's default where a config does not say
}


class _Stream(io.TextIOBase):
    """A text stream whose target can change."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def write(self, text: str) -> int:
        return int(self.target.write(text) or 0)

    def flush(self) -> None:
        self.target.flush()

    def writable(self) -> bool:
        return True


@contextlib.contextmanager
def contained(log_file: Path | None = None) -> Iterator[None]:
    """Run a block and restore logging, working directory, environment and random state.

    Args:
        log_file: Where the block's prints and log records go; None drops them.
    """
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    directory, environment = os.getcwd(), dict(os.environ)
    python_state, numpy_state = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    torch_state = torch.random.get_rng_state() if torch else None
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(log_file or os.devnull, "a", encoding="utf-8"))
        out, err = _Stream(log), _Stream(log)
        stack.callback(setattr, out, "target", sys.stdout)
        stack.callback(setattr, err, "target", sys.stderr)
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        os.environ.update(_ENVIRONMENT)
        # The caller's handlers must not see DeepLabCut's records, nor be closed by it:
        # logging.basicConfig(force=True) closes what it finds.
        root.handlers[:] = [logging.StreamHandler(log)]
        try:
            yield
        finally:
            for handler in root.handlers:
                with contextlib.suppress(Exception):
                    handler.close()
            root.handlers[:] = handlers
            root.setLevel(level)
            os.chdir(directory)
            os.environ.clear()
            os.environ.update(environment)
            random.setstate(python_state)
            np.random.set_state(numpy_state)
            if torch is not None:
                torch.random.set_rng_state(torch_state)
