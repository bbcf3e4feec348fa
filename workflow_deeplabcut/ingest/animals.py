"""Subjects and sessions."""

from __future__ import annotations

from .cells import choice, read_path, read_text
from .desk import Desk, Entry
from .draft import Draft
from .sheet import Column, Layout, Sheet
from .times import read_date, read_datetime

SUBJECT = Column("subject", read_text, "text, up to 8 characters", "the lab's name of the animal",
                 required=True)  # fmt: skip
SESSION_DATETIME = Column(
    "session_datetime", read_datetime, "date and time", "when the session began", required=True
)

SUBJECTS = Layout(
    (
        SUBJECT,
        Column("sex", choice("M", "F", "U"), "`M`, `F` or `U`", "sex; `U` is unknown", True),
        Column("subject_birth_date", read_date, "date", "day of birth", True),
        Column("subject_description", read_text, "text, up to 1024 characters", "description"),
        Column("subject_nickname", read_text, "text, up to 64 characters", "another name"),
    )
)

SESSIONS = Layout(
    (
        SUBJECT,
        SESSION_DATETIME,
        Column("session_dir", read_path, "path relative to a root", "folder of the session's data"),
        Column("session_note", read_text, "text, up to 1024 characters", "note"),
    )
)


def draft_subjects(sheet: Sheet, desk: Desk) -> Draft:
    """Draft rows of Subject."""
    table = desk.pipeline.subject.Subject()
    entries = [Entry(record.line, table, record.values) for record in sheet.records]
    new = desk.sift(sheet, entries)
    return Draft([(table, entry.row) for entry in new], len(entries) - len(new))


def draft_sessions(sheet: Sheet, desk: Desk) -> Draft:
    """Draft rows of Session, and of its directory and note where they are given."""
    session = desk.pipeline.session
    tables = {None: session.Session(), "session_dir": session.SessionDirectory(),
              "session_note": session.SessionNote()}  # fmt: skip
    entries = []
    for record in sheet.records:
        key = {name: record.values[name] for name in ("subject", "session_datetime")}
        for column, table in tables.items():
            if column is None:
                entries.append(Entry(record.line, table, key))
            elif column in record.values:
                row = {**key, column: record.values[column]}
                entries.append(Entry(record.line, table, row, is_shared=True))
        if "session_dir" in record.values:
            desk.find_file(
                sheet, record.line, "session_dir", record.values["session_dir"], "folder"
            )
    desk.check_reference(
        sheet, desk.pipeline.subject.Subject(),
        ((record.line, "subject", (record.values["subject"],)) for record in sheet.records),
        "Ingest subjects first.",
    )  # fmt: skip
    new = desk.sift(sheet, entries)
    lines = {entry.line for entry in new}
    return Draft([(entry.table, entry.row) for entry in new], len(sheet.records) - len(lines))
