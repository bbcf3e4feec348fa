"""What the schema modules share: activation, and checks of rows before they are inserted."""

from __future__ import annotations

import functools
import importlib
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import datajoint as dj
from datajoint.errors import DuplicateError

from .errors import DatabaseError, ParameterError, QueryError, SetupError
from .linking import check_linking_module, check_relative
from .store.files import hash_json

logger = logging.getLogger(__name__)

JOB_MARK = "~job"
"""Entry that `DistinctJobs` adds to the keys of reservations; no column can have this name."""


def load_linking_module(linking_module: str | ModuleType | None, schema: str) -> ModuleType:
    """Return the linking module, importing it when given by name.

    Raises:
        SetupError: None was given, or it is not a module.
    """
    if isinstance(linking_module, str):
        linking_module = importlib.import_module(linking_module)
    if not isinstance(linking_module, ModuleType):
        raise SetupError(
            f"{schema}.activate() needs linking_module: the module (or its name) that provides the "
            "lab's tables and directories. In a pipeline script: linking_module=__name__."
        )
    return linking_module


def activate_linked(
    schema: Any,
    name: str,
    what: str,
    linking_module: str | ModuleType | None,
    needed: Sequence[str],
    *,
    create_schema: bool,
    create_tables: bool,
) -> ModuleType:
    """Activate a schema on what the lab's linking module provides, and return that module.

    Raises:
        SetupError: The linking module is missing or lacks something.
    """
    module = load_linking_module(linking_module, what)
    check_linking_module(module, needed)
    schema.activate(
        name,
        create_schema=create_schema,
        create_tables=create_tables,
        add_objects=module.__dict__,
    )
    check_collation(schema)
    return module


def activate_beside(
    model_schema: Any,
    schema: Any,
    name: str,
    what: str,
    *,
    create_schema: bool,
    create_tables: bool,
    linking_module: str | ModuleType | None,
) -> None:
    """Activate a schema whose tables refer to those of `model` and to none of the lab's.

    Raises:
        SetupError: `model` is not active.
    """
    if not model_schema.is_activated():
        raise SetupError(f"Call model.activate(...) before {what}.activate(...).")
    objects = None
    if linking_module is not None:
        objects = load_linking_module(linking_module, what).__dict__
    schema.activate(
        name, create_schema=create_schema, create_tables=create_tables, add_objects=objects
    )
    check_collation(schema)


def check_collation(schema: Any) -> None:
    """Warn when the database cannot tell ``Nose`` from ``nose``, or cannot hold every name.

    A warning, not an error, because the other schemas of a lab usually share the collation, and
    foreign keys need them to.
    """
    row = schema.connection.query(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
        " WHERE SCHEMA_NAME=%s",
        args=(schema.database,),
    ).fetchone()
    if row is None:
        return
    charset, collation = row
    if not charset.startswith("utf8") or is_case_blind(collation):
        logger.warning(
            "The database `%s` uses the character set %s with the collation %s: names that differ "
            "in case only are taken for one, and names outside that character set are refused. "
            "For new databases use: ALTER DATABASE `%s` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            schema.database, charset, collation, schema.database,
        )  # fmt: skip


def is_case_blind(collation: str) -> bool:
    """Whether a collation takes names that differ in case only for one."""
    return collation.lower().endswith("_ci")


def check_distinct_names(table: Any, column: str, names: Iterable[str]) -> None:
    """Insist that the server can tell names apart that are to be keys of different rows.

    Raises:
        DatabaseError: Two differ in case only and the column is case-blind.
    """
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name and _column_is_case_blind(table, column):
            raise DatabaseError(
                f"'{other}' and '{name}' differ in case only, and this database takes them for one "
                "name. Rename one of them, or convert the tables to the collation utf8mb4_bin."
            )


def _column_is_case_blind(table: Any, column: str) -> bool:
    row = table.connection.query(
        "SELECT COLLATION_NAME FROM information_schema.COLUMNS"
        " WHERE TABLE_SCHEMA=%s AND TABLE_NAME=%s AND COLUMN_NAME=%s",
        args=(table.database, table.table_name, column),
    ).fetchone()
    return row is not None and is_case_blind(row[0])


def check_lengths(table: Any, row: Mapping[str, Any]) -> None:
    """Insist that every text of a row fits its column.

    Raises:
        ParameterError: One does not.
    """
    for name, attribute in table.heading.attributes.items():
        size = re.fullmatch(r"varchar\((\d+)\)", attribute.type)
        value = row.get(name)
        if size and isinstance(value, str) and len(value) > int(size[1]):
            raise ParameterError(
                f"{name} has {len(value)} characters ('{value[:60]}...') and its column holds "
                f"{size[1]}. Shorten it."
            )


def check_restrictable(name: str, value: str) -> None:
    """Insist that a table can be restricted by a text of its key.

    DataJoint 0.14 does not escape the quotes that it puts texts in.

    Raises:
        ParameterError: The text holds a double quote.
    """
    if '"' in value:
        raise ParameterError(
            f"{name} holds a double quote ({value}), which DataJoint cannot look for. Use single "
            "quotes, or none."
        )


def pick_primary_key(table: Any, key: Mapping[str, Any]) -> dict[str, Any]:
    """Take a table's primary key out of a key that may hold more.

    Raises:
        ParameterError: A part of it is missing.
    """
    missing = [name for name in table.primary_key if name not in key]
    if missing:
        raise ParameterError(
            f"The key {dict(key)} lacks {', '.join(missing)}. Give all of "
            f"{', '.join(table.primary_key)}."
        )
    return {name: key[name] for name in table.primary_key}


def fetch_one(query: Any, what: str) -> dict[str, Any]:
    """Fetch the one row of a query.

    Raises:
        QueryError: It matches none, or several.
    """
    rows = query.fetch(as_dict=True, limit=2)
    if len(rows) != 1:
        raise explain_not_one(query, what)
    return rows[0]


def explain_not_one(query: Any, what: str) -> QueryError:
    """Say of a query that should match one row how many it matches."""
    n_rows = len(query)
    hint = "Check the key." if n_rows == 0 else "Give a key that matches exactly one."
    return QueryError(f"The restriction matches {n_rows} rows of {what}. {hint}")


def populate_one(table: Any, key: Mapping[str, Any], **options: Any) -> None:
    """Compute a row, unless somebody else records it first.

    Without reservation a worker may be about the same row: of two that compute it, the second one
    finds it there when it comes to insert its own, and that is the row that was wanted.

    Args:
        table: Computed table.
        key: Restriction of its jobs that matches one.
        **options: As ``populate`` takes them.

    Raises:
        DuplicateError: A row is in the way of an insert, and it is not this one.
    """
    try:
        table.populate(key, **options)
    except DuplicateError:
        if not table & key:
            raise


class DistinctJobs:
    """Mixin of computed tables: distinct keys are distinct jobs.

    DataJoint names a reservation by a hash of the key's values in a row, so that (1, 11, 1) and
    (11, 1, 1) are one job: while one is computed, or has failed, the other is not. A hash of names
    and values, added to the key of the reservation, tells them apart. Everybody who populates the
    table with reservation, from a notebook or a worker, goes through this.
    """

    def _job_key(self, key: Mapping[str, Any]) -> dict[str, Any]:
        """Key under which DataJoint reserves a job (its own hook)."""
        return {**key, JOB_MARK: hash_json(dict(key))}


def read_job_key(key: Mapping[str, Any]) -> dict[str, Any]:
    """Restore the primary key from the key of a reservation in ``~jobs``."""
    return {name: value for name, value in key.items() if name != JOB_MARK}


class QueryMethod:
    """Method that a table's class and every restriction of it answer.

    ``TrainingTask.check(key)`` and ``(TrainingTask & key).check()`` are the same: the function
    gets the table, restricted as far as it is.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    def __get__(self, query: Any, table: type) -> Callable[..., Any]:
        query = table() if query is None else query

        @functools.wraps(self._function)
        def method(*arguments: Any, **options: Any) -> Any:
            return self._function(query, *arguments, **options)

        return method


class RelativePaths:
    """Mixin of tables that hold paths: every inserted one must be relative to a root.

    Attributes:
        path_columns: Names of the columns.
    """

    path_columns: tuple[str, ...] = ("file_path",)

    def insert(self, rows: Any, **options: Any) -> None:
        """Insert rows after checking their paths; see ``datajoint.Table.insert``.

        Raises:
            PathError: A path is absolute or climbs out of its root.
        """
        if isinstance(rows, Iterable) and not _is_table_like(rows):
            rows = list(rows)
            for row in rows:
                self._check_paths(row)
        super().insert(rows, **options)  # type: ignore[misc]

    def _check_paths(self, row: Any) -> None:
        names = self.heading.names  # type: ignore[attr-defined]
        for column in self.path_columns:
            if isinstance(row, Mapping):
                value = row.get(column)
            elif isinstance(row, (list, tuple)) and len(row) == len(names):
                value = row[names.index(column)]
            else:
                continue
            if value:
                check_relative(str(value))
        if isinstance(row, Mapping):
            check_lengths(self, row)


def _is_table_like(rows: Any) -> bool:
    return isinstance(rows, dj.expression.QueryExpression) or hasattr(rows, "to_records")
