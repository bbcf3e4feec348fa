"""Which tables there are to work on: those of a pipeline module, and those that a lab names."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import datajoint as dj

from element_deeplabcut.errors import ParameterError, SetupError
from element_deeplabcut.wording import show_key

from ..configuration.login import use_configured_database

PIPELINE = "workflow_deeplabcut.pipeline"
_USUAL_ORDER = ("RecordingInfo", "PoseEstimation", "ModelEvaluation", "ModelTraining")
"""What others wait for comes first, what takes long last."""

LONG = frozenset({"ModelTraining"})
"""Tables whose jobs take hours or days."""


def list_tables(pipeline: str = PIPELINE, names: Iterable[str] = ()) -> list[Any]:
    """List the computed tables of a pipeline, in the order in which a worker turns to them.

    Args:
        pipeline: Module that activates the schemas; importing it connects to the database. Its
            computed tables are those it defines or imports, and those of schema modules it imports.
        names: Tables to take, in this order: ``PoseEstimation``, ``model.PoseEstimation``, or
            ``my_lab.behaviour.Arena`` for a table that is in none of these. None takes all.

    Returns:
        Table classes.

    Raises:
        SetupError: There is no such module or table.
    """
    module = import_pipeline(pipeline)
    known = _find_computed(module)
    wanted = list(names)
    if wanted:
        return [_pick(name, known) for name in wanted]
    if not known:
        raise SetupError(f"'{pipeline}' has no computed tables. Name the module that activates the "
                         "schemas.")  # fmt: skip
    tables = list(dict.fromkeys(known.values()))
    return sorted(tables, key=_rank)


def import_pipeline(name: str) -> ModuleType:
    """Import the module of a pipeline, which connects to the configured database.

    Raises:
        SetupError: There is no such module, or no database is configured.
    """
    use_configured_database()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise SetupError(
            f"There is no module '{name}'. Check the name, and that its folder is on PYTHONPATH."
        ) from error


def _find_computed(module: ModuleType) -> dict[str, Any]:
    """Computed tables by the names under which a user may know them."""
    found: dict[str, Any] = {}
    for space in (module, *(value for value in vars(module).values() if _is_schema_module(value))):
        for name, value in vars(space).items():
            if is_computed(value):
                found.setdefault(name, value)
                found.setdefault(f"{space.__name__.rpartition('.')[2]}.{name}", value)
    return found


def _is_schema_module(value: Any) -> bool:
    return inspect.ismodule(value) and any(
        isinstance(entry, dj.Schema) for entry in vars(value).values()
    )


def is_computed(value: Any) -> bool:
    """Whether a value is the class of a table that `populate` fills, declared in a schema."""
    return (
        inspect.isclass(value)
        and issubclass(value, (dj.Computed, dj.Imported))
        and getattr(value, "database", None) is not None
    )


def _pick(name: str, known: dict[str, Any]) -> Any:
    if name in known:
        return known[name]
    module_name, _, class_name = name.rpartition(".")
    if module_name:
        table = getattr(import_pipeline(module_name), class_name, None)
        if is_computed(table):
            return table
    choice = ", ".join(sorted({table.__name__ for table in known.values()}))
    raise SetupError(
        f"There is no computed table '{name}'. Choose from {choice}, or name one as "
        "'package.module.Table'."
    )


def _rank(table: Any) -> int:
    names: Sequence[str] = _USUAL_ORDER
    # A lab's own table comes before the trainings, unless the lab says otherwise.
    return names.index(table.__name__) if table.__name__ in names else len(names) - 1


def check_restrictions(tables: Iterable[Any], restrictions: Iterable[Any]) -> None:
    """Insist that restrictions choose: DataJoint passes over a name that a table does not have.

    And the server takes '3x' for the number 3.

    Args:
        tables: Computed tables.
        restrictions: Of their jobs; only dictionaries are looked at.

    Raises:
        ParameterError: None of the tables has such an attribute, so all jobs would be taken; or a
            number is none.
    """
    sources = [table().key_source for table in tables]
    known = {name: attribute for source in sources
             for name, attribute in source.heading.attributes.items()}  # fmt: skip
    for restriction in restrictions:
        given = restriction if isinstance(restriction, Mapping) else {}
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ParameterError(
                f"No table has an attribute '{unknown[0]}' to choose jobs by; choose from "
                f"{', '.join(sorted({name for source in sources for name in source.primary_key}))}."
            )
        for name, value in given.items():
            if known[name].numeric and isinstance(value, str) and not _is_number(value):
                raise ParameterError(f"{name} must be a number, and is '{value}'.")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def show_job(table: Any, key: Mapping[str, Any]) -> str:
    """Name a job in one line of a log."""
    name = table.__name__ if isinstance(table, type) else type(table).__name__
    return f"{name} {show_key(key)}"
