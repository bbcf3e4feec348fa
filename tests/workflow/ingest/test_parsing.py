"""Cells, dates and files as spreadsheets write them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workflow_deeplabcut.ingest.animals import SUBJECTS
from workflow_deeplabcut.ingest.cells import integer, read_flag, read_text, read_value
from workflow_deeplabcut.ingest.paramsets import TRAIN_PARAMS
from workflow_deeplabcut.ingest.problems import IngestError
from workflow_deeplabcut.ingest.sheet import Column, Layout, Sheet, read_sheet
from workflow_deeplabcut.ingest.times import read_date, read_datetime

settings.register_profile("ingest", deadline=None, max_examples=50,
                          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
settings.load_profile("ingest")

# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5", 5), ("-3", -3), ("0.5", 0.5), ("1e-3", 1e-3), (".5", 0.5), ("5.0", 5.0),
        ("True", True), ("FALSE", False), ("null", None), ("None", None),
        ("resnet_50", "resnet_50"), ("NO", "NO"), ("007", "007"), ("1:30", "1:30"),
        ("a: b", "a: b"),
        ("'5'", "5"), ("'it''s'", "it's"), ("[1, 2]", [1, 2]), ("[a, b]", ["a", "b"]),
        ('{"a": {"b": [true, null]}}', {"a": {"b": [True, None]}}),
        ("{epochs: 5, engine: pytorch}", {"epochs": 5, "engine": "pytorch"}),
        ("{'a': True, 'b': None}", {"a": True, "b": None}),
    ],
)  # fmt: skip
def test_values_have_the_type_that_shows(text: str, value: Any) -> None:
    found = read_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("0,5", "decimal point"), ("[1, 2", "a list or a dictionary"), ("1e999", "less than"),
     ('{"a": 1, "a": 2}', "names 'a' once")],
)  # fmt: skip
def test_values_that_are_not_understood(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_value(text)


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text(), _plain) | st.lists(_plain))
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert read_value(json.dumps(value)) == value


@given(st.integers())
def test_whole_numbers_are_whole_numbers(number: int) -> None:
    assert read_value(str(number)) == number
    assert type(read_value(str(number))) is int


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_value, read_flag, integer(), read_date, read_datetime):
        with contextlib.suppress(ValueError):  # and nothing else
            read(text)


# --- dates ----------------------------------------------------------------------------------------

_FORMS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y%m%dT%H%M%S",
    "%d %b %Y %H:%M:%S", "%d-%b-%Y %H:%M:%S", "%B %d, %Y %H:%M:%S", "%Y-%m-%d %I:%M:%S %p",
    "%Y.%m.%d %H:%M:%S.000",
)  # fmt: skip
_moments = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(
    lambda moment: moment.replace(microsecond=0)
)


def _write(moment: datetime, form: str) -> str:
    return moment.strftime(form.replace("%Y", f"{moment.year:04d}"))


@pytest.mark.parametrize("form", _FORMS)
@given(moment=_moments)
def test_unambiguous_times_come_back_as_they_were(form: str, moment: datetime) -> None:
    assert read_datetime(_write(moment, form)) == moment
    day = form.partition(" %H")[0].partition(" %I")[0].partition("T")[0]
    assert read_date(_write(moment, day)) == moment.date()


@given(st.dates(date(1000, 1, 1)), st.sampled_from("-/."))
def test_day_and_month_by_number_are_taken_only_if_they_can_mean_one_thing(
    day: date, separator: str
) -> None:
    text = separator.join((f"{day.day:02d}", f"{day.month:02d}", f"{day.year:04d}"))
    if day.day > 12 or day.day == day.month:
        assert read_date(text) == day
    else:
        with pytest.raises(ValueError, match="write the year first") as caught:
            read_date(text)
        assert day.isoformat() in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("01/02/2026 10:00", "could be 1 February or 2 January"),
        ("25-12-2026", "time of day is missing"),
        ("20260201T100000Z", "without a time zone"),
        ("2026-02-01", "time of day is missing"),
        ("2026-02-01T10:00:00Z", "without a time zone"),
        ("2026-02-01 10:00:00+01:00", "without a time zone"),
        ("2026-02-01 10:00:00.5", "whole seconds"),
        ("1/2/26 10:00", "four digits"),
        ("2026-02-30 10:00", "no such day"),
        ("2026-02-01 25:00", "hour"),
        ("46054.4167", "spreadsheet's number"),
        ("yesterday", "a date and time such as 2026-02-01 10:00:00"),
    ],
)
def test_times_that_are_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_datetime(text)


# --- files ----------------------------------------------------------------------------------------

PLAIN = Layout(
    (Column("a", read_text, "text", "", True), Column("b", integer(), "a number", "")),
)


def sheet_of(folder: Path, content: str | bytes, layout: Layout = PLAIN) -> Sheet:
    file = folder / "table.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_sheet(file, layout)


def rows_of(sheet: Sheet) -> list[tuple[int, Any, Any]]:
    assert not sheet.problems
    return [(one.line, one.values["a"], one.values.get("b")) for one in sheet.records]


@pytest.mark.parametrize(
    "content",
    [
        "a,b\nx,1\ny,\n",
        "\ufeffa,b\r\nx,1\r\ny,\r\n",
        "a;b\r\nx;1\r\ny;\r\n",
        "a\tb\nx\t1\ny\n",
        " a , b\n x ,1 \n y , \n",
        '"a","b"\n"x","1"\n"y",""\n',
        "a,b,\nx,1,\ny,,\n,,\n\n\n",
        "a,b\rx,1\ry,\r",
        "a,b\nx,1.0\ny",
    ],
)
def test_files_as_spreadsheets_write_them(tmp_path: Path, content: str) -> None:
    assert rows_of(sheet_of(tmp_path, content)) == [(2, "x", 1), (3, "y", None)]


def test_utf16_of_excel(tmp_path: Path) -> None:
    assert rows_of(sheet_of(tmp_path, "a\tb\r\nä\t1\r\n".encode("utf-16"))) == [(2, "ä", 1)]


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    content = 'sep=;\n# it\'s "a comment\n\na;b\n"two\nlines";1\n  # another\n"#3";2\n'
    assert rows_of(sheet_of(tmp_path, content)) == [(5, "two\nlines", 1), (8, "#3", 2)]


@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("C",)), min_size=1).filter(
                lambda text: text == text.strip() and not text.startswith("#")
            ),
            st.integers(0, 2**31 - 1),
        ),
        max_size=5,
    ),
    separator=st.sampled_from(",;\t"),
    end=st.sampled_from(("\n", "\r\n")),
    has_mark=st.booleans(),
)
def test_what_a_csv_writer_writes_is_read(
    tmp_path: Path, rows: list[tuple[str, int]], separator: str, end: str, has_mark: bool
) -> None:
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator=end)
    writer.writerows([("a", "b"), *rows])
    encoding = "utf-8-sig" if has_mark else "utf-8"
    sheet = sheet_of(tmp_path, stream.getvalue().encode(encoding))
    assert [(a, b) for _, a, b in rows_of(sheet)] == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty. Its first line names its columns: a,b"),
        (b"PK\x03\x04", "is a spreadsheet's own format"),
        ("a,b\nx,1\nä,2\n".encode("latin-1"), "line 3: holds bytes that are not UTF-8"),
        ('a,b\nx,1\n"y,2\nz,3\n', "line 3: has quotes that do not match"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(IngestError, match=said):
        sheet_of(tmp_path, content)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    sheet = sheet_of(
        tmp_path,
        "subject,sex,subject_birth_date\nm1,X,2026-01-01\n,F,01/02/2026\nm3,F,2026-01-01,surplus\n",
        SUBJECTS,
    )
    assert [(p.line, p.column) for p in sheet.problems] == [
        (2, "sex"), (3, "subject_birth_date"), (3, "subject"), (4, ""),
    ]  # fmt: skip
    assert str(sheet.problems[0]).endswith(
        "table.csv, line 2, column sex: is 'X'; it must be one of M, F, U."
    )


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("subject,sex,subject_birthdate", "Did you mean 'subject_birth_date'?"),
        ("subject,sex", "lacks the column subject_birth_date"),
        ("subject,sex,subject_birth_date,sex", "twice"),
    ],
)
def test_headers_that_are_refused(tmp_path: Path, header: str, said: str) -> None:
    sheet = sheet_of(tmp_path, f"{header}\nm1,F,2026-01-01\n", SUBJECTS)
    assert said in " ".join(map(str, sheet.problems))


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("epoch", "5", "Did you mean 'epochs'?"),
        ("epochs", "'5'", "a whole number of at least 1"),
        ("device", "cpu", "the device is chosen where the work is done"),
        ("engine", "jax", "one of pytorch, tensorflow"),
    ],
)
def test_parameters_that_are_refused(tmp_path: Path, column: str, cell: str, said: str) -> None:
    content = f"paramset_desc,shuffle,trainingsetindex,{column}\nx,1,0,{cell}\n"
    sheet = sheet_of(tmp_path, content, TRAIN_PARAMS)
    assert said in str(sheet.problems[0])
    assert sheet.problems[0].column == column
