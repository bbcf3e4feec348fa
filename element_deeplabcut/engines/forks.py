"""What computes in a forked process, as those of DataJoint's ``populate(processes=2)``.

A fork copies the memory of its parent and none of its threads. PyTorch's pool of threads (OpenMP)
goes on to believe in them: where the parent has computed before, the first computation of the child
waits for ever. With one thread the pool is not asked. TensorFlow cannot do without its threads.
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


def leave_parents_threads() -> None:
    """Compute in one thread from now on, if this process was forked from one that had PyTorch."""
    if _has_parents_pool:
        import torch

        torch.set_num_threads(1)


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
