"""What the lines of a file come to: the rows that they would bring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

CHUNK = 1000
"""Rows of one INSERT statement; more might exceed the server's packet."""


@dataclass
class Draft:
    """Rows that are ready to be inserted.

    Attributes:
        rows: Table and row, in the order in which they can be inserted.
        n_known: Lines whose rows are all there already.
        check_again: Called within the transaction that inserts; raises if what was checked before
            is so no more.
    """

    rows: list[tuple[Any, Mapping[str, Any]]] = field(default_factory=list)
    n_known: int = 0
    check_again: Callable[[], None] = lambda: None

    def prepare(self) -> None:
        """Do what takes long, before the transaction."""

    def insert(self) -> None:
        """Insert the rows, within a transaction."""
        for table, rows in by_table(self.rows):
            for start in range(0, len(rows), CHUNK):
                table.insert(rows[start : start + CHUNK])

    @property
    def counts(self) -> dict[str, int]:
        """Table -> number of rows."""
        return {name_table(table): len(rows) for table, rows in by_table(self.rows)}


def by_table(
    rows: Iterable[tuple[Any, Mapping[str, Any]]],
) -> list[tuple[Any, list[Mapping[str, Any]]]]:
    """Sort rows by table, in the order in which the tables come up."""
    groups: dict[str, tuple[Any, list[Mapping[str, Any]]]] = {}
    for table, row in rows:
        groups.setdefault(table.full_table_name, (table, []))[1].append(row)
    return list(groups.values())


def name_table(table: Any) -> str:
    """Name a table as code does: ``VideoSet.File``."""
    master = getattr(table, "master", None)
    name = type(table).__name__
    return f"{master.__name__}.{name}" if isinstance(master, type) else name
