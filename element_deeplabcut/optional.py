"""Libraries that only some uses need, imported when one of them comes up."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import SetupError


def import_optional(name: str, extra: str) -> Any:
    """Import a library of an extra.

    Args:
        name: Module to import.
        extra: Extra of this package that brings it.

    Returns:
        The module.

    Raises:
        SetupError: It is not installed; the message says how to get it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # it is there, and lacks something of its own
        raise SetupError(
            f"This needs {name.split('.')[0]}, which is not installed. Install it with: "
            f"pip install 'element-deeplabcut[{extra}]'"
        ) from error
