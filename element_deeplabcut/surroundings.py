"""Where the code runs: at a terminal, in a notebook, or where nobody looks."""

from __future__ import annotations

import sys


def is_in_notebook() -> bool:
    """Whether the cells of a notebook run here; that ipykernel is imported does not say so."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
