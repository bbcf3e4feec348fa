"""The schema object of ``report``, and how it is bound to ``model``."""

from __future__ import annotations

from types import ModuleType

import datajoint as dj

from .. import model
from ..tables import activate_beside

schema = dj.schema()


def activate(
    report_schema_name: str,
    *,
    create_schema: bool = True,
    create_tables: bool = True,
    linking_module: str | ModuleType | None = None,
) -> None:
    """Activate the schema, after `model`.

    Args:
        report_schema_name: Name of the database schema.
        create_schema: Create it if it does not exist.
        create_tables: Create tables that do not exist.
        linking_module: Module, or its name, as for ``model.activate``. Nothing is asked of it that
            `model` has not asked; it may be left out.

    Raises:
        SetupError: `model` is not active.
    """
    activate_beside(
        model.schema,
        schema,
        report_schema_name,
        "report",
        create_schema=create_schema,
        create_tables=create_tables,
        linking_module=linking_module,
    )
