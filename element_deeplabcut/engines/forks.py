"""In how many threads PyTorch computes, and what computes in a forked process.

Forked are the processes of DataJoint's ``populate(processes=2)``. A fork copies the memory of its
parent and none of its threads. PyTorch's pool of threads (OpenMP) goes on to believe in them: where
the parent has computed before, the first computation of the child waits for ever. With one thread
the pool is not asked. TensorFlow cannot do without its threads.
"""

from __future__ import annotations

import os
import sys

from ..errors import EngineError

_has_parents_pool = False
_tensorflow_at: int | None = None
"""Process that was the first to compute with TensorFlow."""


def _note_fork() -> None:
    global _has_parents_pool
    _has_parents_pool = _has_parents_pool or "torch" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def settle_threads() -> None:
    """Compute in as many threads as the environment allows, or in one in a fork.

    ``OMP_NUM_THREADS`` has to be said again: numba, by which movement interpolates, sets OpenMP's
    threads to the number of cores for the whole process, and with other threads the same seed
    gives another network.
    """
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    n_threads = 1 if _has_parents_pool else int(limit) if limit.isdecimal() else 0
    if n_threads:
        import torch

        torch.set_num_threads(n_threads)


def claim_tensorflow() -> None:
    """Note that this process computes with TensorFlow.

    Raises:
        EngineError: The process that it was forked from did, and it would wait for ever.
    """
    global _tensorflow_at
    _tensorflow_at = _tensorflow_at or os.getpid()
    if _tensorflow_at != os.getpid():
        raise EngineError(
            "This process was forked from one that has used TensorFlow, which cannot go on in a "
            "fork. Call populate without processes, start workers instead, or restart the "
            "notebook's kernel and begin with populate(processes=...)."
        )
