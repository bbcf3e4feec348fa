"""The engine room: the only one that imports deeplabcut, torch or tensorflow.

It does so inside functions, so that importing this package needs none of them.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import cast

from ..errors import EngineError
from .base import Engine

_MODULES = {"pytorch": "deeplabcut"}


def get_engine(name: str) -> Engine:
    """Return the engine of that name.

    Raises:
        EngineError: There is no such engine, or what it needs is not installed here.
    """
    if name not in _MODULES:
        raise EngineError(
            f"This version cannot work with the {name} engine; it offers {', '.join(_MODULES)}."
        )
    if importlib.util.find_spec(_MODULES[name]) is None:
        raise EngineError(
            f"The {name} engine needs DeepLabCut, which is not installed on this machine. Install "
            "it with: pip install 'element-deeplabcut[dlc]', or run this on a worker that has it."
        )
    return cast(Engine, importlib.import_module(f".{name}", __package__))
