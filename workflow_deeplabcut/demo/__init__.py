"""The demo: train, evaluate and run a model on an animal whose body parts are known exactly.

Run it with ``python -m workflow_deeplabcut.demo``. Everything it makes, its database included, lies
in one folder; nothing else on the machine is touched, whatever ``DJ_HOST`` or a
``dj_local_conf.json`` say. Afterwards, in a fresh Python::

    from workflow_deeplabcut.demo import connect

    connect()
    from workflow_deeplabcut.pipeline import model
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .connection import check_configuration, connect

if TYPE_CHECKING:
    from .run import run_demo

__all__ = ["connect", "run_demo"]


def __getattr__(name: str) -> Any:
    """Import `run_demo` when it is asked for: with it comes DataJoint, which reads files."""
    if name != "run_demo":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_configuration()
    from .run import run_demo

    return run_demo
