"""Where the lines of a file are held against the database: what is new, known, or contradicts it.

One desk serves all files of a call. Rows that an earlier file is about to bring count as there, so
that a whole folder is checked before anything of it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, cast

from element_deeplabcut.errors import ParameterError, PathError, SetupError
from element_deeplabcut.linking import Roots
from element_deeplabcut.tables import check_restrictable

from .problems import suggest
from .sheet import Sheet

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Entry:
    """What a line of a file says of a row of a table.

    Attributes:
        line: The line.
        table: Table.
        row: Primary key, and those attributes that the line gives.
        columns: Attribute -> column that gives it, where their names differ.
        is_shared: Several lines may say it (files of one recording name its camera each).
    """

    line: int
    table: Any
    row: dict[str, Any]
    columns: Mapping[str, str] = field(default_factory=dict)
    is_shared: bool = False

    @property
    def key(self) -> Key:
        """Values of the primary key."""
        return tuple(self.row[name] for name in self.table.primary_key)

    def column(self, attribute: str) -> str:
        """Column that gives an attribute."""
        return self.columns.get(attribute, attribute)


@dataclass
class Desk:
    """What there is to compare with.

    Attributes:
        pipeline: Module with the lab's tables.
        check_files: Whether files and folders have to be there on this machine.
        coming: Table -> primary keys of rows that earlier files are about to bring.
    """

    pipeline: ModuleType
    check_files: bool = True
    coming: dict[str, set[Key]] = field(default_factory=dict)
    _sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    _roots: Roots | None = None
    _looked_for: dict[tuple[str, str], str] = field(default_factory=dict)

    def check_texts(self, sheet: Sheet, entry: Entry) -> None:
        """Complain of texts that their columns cannot hold, or that nobody could look for."""
        sizes = self._list_sizes(entry.table)
        for name, value in entry.row.items():
            if isinstance(value, str) and name in entry.table.primary_key:
                try:
                    check_restrictable(entry.column(name), value)
                except ParameterError as error:
                    sheet.complain(entry.line, entry.column(name), str(error))
            if isinstance(value, str) and len(value) > sizes.get(name, len(value)):
                sheet.complain(
                    entry.line, entry.column(name),
                    f"has {len(value)} characters ('{value[:40]}'); the database holds "
                    f"{sizes[name]}.",
                )  # fmt: skip

    def _list_sizes(self, table: Any) -> dict[str, int]:
        """Columns of texts, and how many characters each holds."""
        if table.full_table_name not in self._sizes:
            found = {
                name: re.fullmatch(r"varchar\((\d+)\)", attribute.type)
                for name, attribute in table.heading.attributes.items()
            }
            self._sizes[table.full_table_name] = {n: int(m[1]) for n, m in found.items() if m}
        return self._sizes[table.full_table_name]

    def check_reference(
        self, sheet: Sheet, table: Any, references: Iterable[tuple[int, str, Key]], hint: str
    ) -> None:
        """Complain of rows that a file refers to and that are not there.

        Args:
            sheet: The file.
            table: Table they should be in.
            references: Line, column, and primary key.
            hint: What to do about it, a sentence.
        """
        known: set[Key] | None = None
        for line, column, key in references:
            if known is None:  # a file that refers to nothing asks nothing
                known = self._list_keys(table)
            if key in known:
                continue
            name = type(table).__name__
            shown = ", ".join(f"'{value}'" for value in key)
            near = suggest(str(key[0]), (str(one[0]) for one in known)) if len(key) == 1 else ""
            advice = " ".join(part for part in (near, hint) if part)
            sheet.complain(line, column, f"there is no {name} {shown}. {advice}".strip())

    def _list_keys(self, table: Any) -> set[Key]:
        names = table.primary_key
        rows = table.fetch(*names, as_dict=True)
        keys = {tuple(row[name] for name in names) for row in rows}
        return keys | self.coming.get(table.full_table_name, set())

    def find_file(self, sheet: Sheet, line: int, column: str, path: str, what: str) -> None:
        """Complain of a file or folder that is not there, if that is to be checked.

        Args:
            sheet: The file that names it.
            line: Line that names it.
            column: Column that names it.
            path: Relative to a root directory.
            what: ``file`` or ``folder``.
        """
        if not self.check_files:
            return
        if (path, what) not in self._looked_for:
            self._looked_for[path, what] = self._look_for(path, what)
        if said := self._looked_for[path, what]:
            sheet.complain(line, column, said)

    def _look_for(self, path: str, what: str) -> str:
        """Say what is wrong with a path; '' if nothing is."""
        if self._roots is None:
            self._roots = self._get_roots()
        try:
            found = self._roots.resolve(path)
        except PathError as error:
            return str(error)
        is_right = found.is_file() if what == "file" else found.is_dir()
        return "" if is_right else f"'{path}' is no {what}."

    def _get_roots(self) -> Roots:
        try:
            return cast("Roots", self.pipeline.model.get_roots())
        except SetupError as error:
            raise SetupError(
                f"{error} Where the files are on other machines only, add --unchecked-files to "
                "the command, or check_files=False to the call."
            ) from error

    def sift(self, sheet: Sheet, entries: Sequence[Entry]) -> list[Entry]:
        """Give the entries whose rows are new, each row once.

        Complains of those that contradict a row of the database or another line, of repeated
        lines, and of texts that are too long.
        """
        seen: dict[tuple[str, Key], Entry] = {}
        new: list[Entry] = []
        for table, group in _group(entries):
            rows = self._fetch(table, group)
            for entry in group:
                self.check_texts(sheet, entry)
                first = seen.setdefault((table.full_table_name, entry.key), entry)
                if first is not entry:
                    self._compare_lines(sheet, entry, first)
                elif entry.key in rows:
                    self._compare(sheet, entry, rows[entry.key])
                else:
                    new.append(entry)
        return new

    def _fetch(self, table: Any, group: Sequence[Entry]) -> dict[Key, dict[str, Any]]:
        names = dict.fromkeys([*table.primary_key, *(name for e in group for name in e.row)])
        rows = table.fetch(*names, as_dict=True)
        return {tuple(row[name] for name in table.primary_key): row for row in rows}

    def _compare_lines(self, sheet: Sheet, entry: Entry, first: Entry) -> None:
        differs = [name for name in entry.row if first.row.get(name) != entry.row[name]]
        for name in differs:
            other = first.row.get(name, "not given")
            sheet.complain(
                entry.line, entry.column(name),
                f"is '{entry.row[name]}' here and '{other}' in line {first.line}. Correct one of "
                "the two.",
            )  # fmt: skip
        if not differs and not entry.is_shared:
            sheet.complain(
                entry.line, "", f"says the same as line {first.line}. Remove one of the two."
            )

    def _compare(self, sheet: Sheet, entry: Entry, row: Mapping[str, Any]) -> None:
        for name, value in entry.row.items():
            if row[name] != value:
                sheet.complain(
                    entry.line, entry.column(name),
                    f"is '{value}' here and '{row[name]}' in the database. Correct the file, or "
                    f"the row of {type(entry.table).__name__}.",
                )  # fmt: skip


def _group(entries: Sequence[Entry]) -> list[tuple[Any, list[Entry]]]:
    """Entries by table, in the order in which the tables come up."""
    groups: dict[str, tuple[Any, list[Entry]]] = {}
    for entry in entries:
        groups.setdefault(entry.table.full_table_name, (entry.table, []))[1].append(entry)
    return list(groups.values())
