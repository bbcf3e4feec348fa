"""Keeps what DeepLabCut does to its process inside a call.

Measured on 3.0.2: training removes every handler of the root logger (and leaves its own behind
after an exception), seeds the global random generators, and the TensorFlow engine changes the
working directory. It also prints a page per call. All of that is undone on the way out; the
prints go to a file of the run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

_ENVIRONMENT = {
    "DLClight": "True",  # no graphical interface
    "MPLBACKEND": "Agg",
}


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
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(open(log_file or os.devnull, "a", encoding="utf-8"))
        stack.enter_context(contextlib.redirect_stdout(log))
        stack.enter_context(contextlib.redirect_stderr(log))
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
