"""The schema object of ``model``, and how a lab binds it to its own tables."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import datajoint as dj

from ..errors import SetupError
from ..linking import Roots, read_roots
from ..tables import activate_linked

schema = dj.schema()
_linking_module: ModuleType | None = None


def activate(
    model_schema_name: str,
    *,
    create_schema: bool = True,
    create_tables: bool = True,
    linking_module: str | ModuleType | None = None,
) -> None:
    """Activate the schema.

    Args:
        model_schema_name: Name of the database schema.
        create_schema: Create it if it does not exist.
        create_tables: Create tables that do not exist.
        linking_module: Module, or its name, that provides ``Session``, ``Device`` and
            ``get_dlc_root_data_dir()``.

    Raises:
        SetupError: The linking module is missing or lacks something.
    """
    global _linking_module
    _linking_module = activate_linked(
        schema,
        model_schema_name,
        "model",
        linking_module,
        ("Session", "Device", "get_dlc_root_data_dir"),
        create_schema=create_schema,
        create_tables=create_tables,
    )


def get_roots() -> Roots:
    """Return the lab's directories.

    Raises:
        SetupError: The schema is not active, or a root does not exist.
    """
    if _linking_module is None:
        raise SetupError("Call model.activate(...) first.")
    return read_roots(_linking_module)


def get_linked(name: str) -> Any:
    """Return something that the linking module provides, or None where it does not.

    Raises:
        SetupError: The schema is not active.
    """
    if _linking_module is None:
        raise SetupError("Call model.activate(...) first.")
    return getattr(_linking_module, name, None)
