"""Table files as spreadsheets and editors write them: from bytes to records of typed values.

Accepted are UTF-8 with or without a byte order mark, Excel's UTF-16, any end of line, commas,
semicolons or tabs between cells, spaces around names, comment lines (``#``), and empty lines. What
is wrong is noted with line and column, and reading goes on, so that a user hears of all of it.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from element_deeplabcut.linking import show_path

from .problems import IngestError, Problem, suggest

_SEPARATORS = ",;\t"


@dataclass(frozen=True)
class Column:
    """A column of a table file.

    Attributes:
        name: Its name in the header.
        read: Turns a cell that is not empty into its value; raises ``ValueError`` with "what it
            must be".
        type: What may stand in it, for people.
        meaning: What it says, for people.
        required: Every line has to give it.
    """

    name: str
    read: Callable[[str], Any]
    type: str
    meaning: str
    required: bool = False


@dataclass(frozen=True)
class Layout:
    """Which columns a file may have.

    Attributes:
        columns: In the order in which they are documented.
        further: Finds the reader of any other column; raises ``ValueError`` with a sentence where
            there is none. None allows no other column.
    """

    columns: Sequence[Column]
    further: Callable[[str], Callable[[str], Any]] | None = None

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class Record:
    """A line of a file.

    Attributes:
        line: Its number, from 1.
        values: Column -> value, of those that are given (an empty cell gives none).
    """

    line: int
    values: dict[str, Any]


@dataclass
class Sheet:
    """A file that was read.

    Attributes:
        file: The file, as messages call it.
        records: Its lines.
        problems: What is wrong with it.
    """

    file: str
    records: list[Record] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def complain(self, line: int, column: str, said: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.file, line, column, said))


def read_sheet(file: str | os.PathLike[str], layout: Layout) -> Sheet:
    """Read a table file.

    Args:
        file: The file.
        layout: Its columns.

    Returns:
        The records that are in order, and what is wrong with the others.

    Raises:
        IngestError: The file cannot be read at all.
    """
    sheet = Sheet(show_path(file))
    text = _decode(Path(file), sheet.file)
    rows = list(_split_rows(text, layout, sheet))
    if not rows:
        _give_up(sheet.file, f"is empty. Its first line names its columns: {_list(layout)}.")
    (header_line, header), *lines = rows
    readers = _read_header(header_line, header, layout, sheet)
    if not sheet.problems:
        for line, cells in lines:
            _read_record(line, cells, layout, readers, sheet)
    return sheet


def _list(layout: Layout) -> str:
    return ",".join(layout.names) + (",..." if layout.further else "")


def _give_up(file: str, said: str, line: int = 0) -> NoReturn:
    raise IngestError([Problem(file, line, "", said)])


# --- bytes to rows --------------------------------------------------------------------------------


def _decode(path: Path, file: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise IngestError(
            [Problem(file, 0, "", f"cannot be read ({error.strerror}). Check the path.")]
        ) from error
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # Excel's "Unicode text"
        encoding, name = "utf-16", "UTF-16"
    else:
        encoding, name = "utf-8-sig", "UTF-8"
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        _give_up(file, "is a spreadsheet's own format. Save it as 'CSV UTF-8'.")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _give_up(file, f"holds bytes that are not {name}. Save it as 'CSV UTF-8'.", line)
    if "\0" in text:
        _give_up(file, "is no text: it holds null bytes. Save it as 'CSV UTF-8'.")
    return text


def _split_rows(text: str, layout: Layout, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """Give the rows that hold something, each with the number of its first line."""
    separator, text = _find_separator(text, layout)
    lines = _blank_comments(io.StringIO(text, newline=""), separator)
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            _give_up(
                sheet.file,
                f"has quotes that do not match from here on ({error}). Double those that stand "
                'inside a quoted cell ("").',
                line,
            )
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield line, cells
        line = reader.line_num + 1


def _find_separator(text: str, layout: Layout) -> tuple[str, str]:
    """Recognise what stands between cells by which columns come out of the header."""
    first, end, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        return first.strip()[4], end + rest  # a line that Excel understands
    known = set(layout.names)
    header = next(
        (line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"), ""
    )

    def count(separator: str) -> tuple[int, int]:
        cells = [cell.strip().strip('"') for cell in header.split(separator)]
        return len(known.intersection(cells)), len(cells)

    return max(_SEPARATORS, key=count), text


def _blank_comments(lines: Iterator[str], separator: str) -> Iterator[str]:
    """Blank comment lines, unless they are part of a quoted cell, so that lines keep their number.

    (A name that begins with # is quoted: ``"#3"``.)
    """
    is_inside = False
    for line in lines:
        if not is_inside and line.lstrip().startswith("#"):
            yield "\n"
            continue
        is_inside = _ends_inside(line, separator, is_inside)
        yield line


def _ends_inside(line: str, separator: str, is_inside: bool) -> bool:
    """Whether a line ends inside a quoted cell. A quote within an unquoted cell is a letter."""
    at_start = not is_inside
    for character in line:
        if is_inside:
            is_inside = character != '"'
            at_start = not is_inside  # a doubled quote goes on at once
        elif character == '"' and at_start:
            is_inside = True
        elif character == separator:
            at_start = True
        elif character != " ":
            at_start = False
    return is_inside


# --- rows to records ------------------------------------------------------------------------------


def _read_header(
    line: int, header: list[str], layout: Layout, sheet: Sheet
) -> list[tuple[str, Callable[[str], Any]] | None]:
    """Find each column's reader; None for columns without a name, whose cells must be empty."""
    known = {column.name: column.read for column in layout.columns}
    readers: list[tuple[str, Callable[[str], Any]] | None] = []
    for place, name in enumerate(header):
        if name in header[:place] and name:
            sheet.complain(line, name, "stands in the header twice. Remove one of the two.")
            readers.append(None)
        elif name in known:
            readers.append((name, known[name]))
        elif not name:
            readers.append(None)
        else:
            readers.append(_find_further(line, name, layout, sheet))
    missing = [
        column.name for column in layout.columns if column.required and column.name not in header
    ]
    if missing:
        what = "the column" if len(missing) == 1 else "the columns"
        said = f"the header lacks {what} {', '.join(missing)}. It is {_list(layout)}."
        sheet.complain(line, "", said)
    return readers


def _find_further(
    line: int, name: str, layout: Layout, sheet: Sheet
) -> tuple[str, Callable[[str], Any]] | None:
    try:
        if layout.further is not None:
            return name, layout.further(name)
        sheet.complain(line, name, f"there is no such column. {suggest(name, layout.names)}")
    except ValueError as error:
        sheet.complain(line, name, f"there is no such column: {error}")
    return None


def _read_record(
    line: int,
    cells: list[str],
    layout: Layout,
    readers: list[tuple[str, Callable[[str], Any]] | None],
    sheet: Sheet,
) -> None:
    n_problems = len(sheet.problems)
    surplus = [cell for cell in cells[len(readers) :] if cell]
    if surplus:
        sheet.complain(
            line, "", f"has more cells than the header has columns ('{surplus[0]}' is the first). "
            "Put a cell that holds a separator in double quotes.",
        )  # fmt: skip
    values: dict[str, Any] = {}
    failed: set[str] = set()
    for cell, reader in zip(cells, readers, strict=False):
        if not cell:
            continue
        if reader is None:
            sheet.complain(line, "", f"has '{cell}' in a column without a name.")
            continue
        name, read = reader
        try:
            values[name] = read(cell)
        except ValueError as error:
            failed.add(name)
            sheet.complain(line, name, f"is '{cell}'; it must be {error}.")
    for column in layout.columns:
        if column.required and column.name not in values and column.name not in failed:
            sheet.complain(line, column.name, f"is empty; give {column.type}.")
    if len(sheet.problems) == n_problems:
        sheet.records.append(Record(line, values))
