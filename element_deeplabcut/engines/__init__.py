"""The engine room: the only one that imports deeplabcut, torch or tensorflow.

It does so inside functions, so that importing this package needs none of them.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import cast

from ..errors import EngineError
from .base import Engine

_NEEDS = {
    "pytorch": ("dlc", ("deeplabcut", "torch")),
    "tensorflow": ("dlc-tf", ("deeplabcut", "tensorflow", "tf_slim")),
}
"""Engine -> the extra that installs it, and the modules it cannot do without."""


def get_engine(name: str) -> Engine:
    """Return the engine of that name.

    Raises:
        EngineError: There is no such engine, or what it needs is not installed here.
    """
    if name not in _NEEDS:
        raise EngineError(
            f"This version cannot work with the {name} engine; it offers {', '.join(_NEEDS)}."
        )
    extra, modules = _NEEDS[name]
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise EngineError(
            f"The {name} engine needs what is not installed on this machine: {', '.join(missing)}. "
            f"Install it with: pip install 'element-deeplabcut[{extra}]', or run this on a worker "
            "that has it."
        )
    return cast(Engine, importlib.import_module(f".{name}", __package__))


def list_engines() -> tuple[str, ...]:
    """Name the engines whose modules are installed on this machine."""
    found = []
    for name, (_, modules) in _NEEDS.items():
        if all(importlib.util.find_spec(module) is not None for module in modules):
            found.append(name)
    return tuple(found)
