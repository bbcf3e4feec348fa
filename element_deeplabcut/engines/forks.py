"""What computes in a forked process, as those of DataJoint's ``populate(processes=2)``.

A fork copies the memory of its parent and none of its threads. PyTorch's pool of threads (OpenMP)
goes on to believe in them: where the parent has computed before, the first computation of the child
waits for ever. With one thread the pool is not asked.
"""

from __future__ import annotations

import os
import sys

_has_parents_pool = False


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
