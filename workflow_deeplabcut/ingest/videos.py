"""Video sets to train on, and video recordings to analyze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .animals import SESSION_DATETIME, SUBJECT
from .cells import integer, read_path, read_text
from .desk import Desk, Entry, Key
from .draft import Draft
from .problems import IngestError, Problem
from .sheet import Column, Layout, Sheet

_NUMBER = "whole number from 0"

TRAIN_VIDS = Layout(
    (
        Column("video_set_id", integer(), _NUMBER, "number of the set", True),
        Column("file_id", integer(), _NUMBER, "number of the file within the set", True),
        Column(
            "file_path", read_path, "path relative to a root",
            "labelled video, or any file of its labeled-data folder", True,
        ),
    )
)  # fmt: skip

MODEL_VIDS = Layout(
    (
        Column("recording_id", integer(), _NUMBER, "number of the recording in its session", True),
        SUBJECT,
        SESSION_DATETIME,
        Column("file_id", integer(), _NUMBER, "place of the file in the recording", True),
        Column("file_path", read_path, "path relative to a root", "video file", True),
        Column("device", read_text, "name of a Device", "camera", True),
    )
)


def draft_train_vids(sheet: Sheet, desk: Desk) -> Draft:
    """Draft rows of VideoSet and of its files.

    A set that a network was trained on cannot get further files: it would say that the network
    has seen them.
    """
    train = desk.pipeline.train
    return _draft_files(
        sheet,
        desk,
        masters=train.VideoSet(),
        files=train.VideoSet.File(),
        done=train.ModelTraining(),
        refuse="video set {} has been trained on, so it cannot get another file. Use another "
        "video_set_id.",
    )


def draft_model_vids(sheet: Sheet, desk: Desk) -> Draft:
    """Draft rows of VideoRecording and of its files.

    A recording that has been read cannot get further files: its length and its poses would be
    those of fewer files than it has.
    """
    pipeline = desk.pipeline
    model = pipeline.model
    desk.check_reference(
        sheet, pipeline.session.Session(),
        (
            (r.line, "session_datetime", (r.values["subject"], r.values["session_datetime"]))
            for r in sheet.records
        ),
        "Ingest sessions first.",
    )  # fmt: skip
    desk.check_reference(
        sheet, pipeline.Device(),
        ((record.line, "device", (record.values["device"],)) for record in sheet.records),
        "A new camera is added with Device.insert1({'device': ...}).",
    )  # fmt: skip
    return _draft_files(
        sheet,
        desk,
        masters=model.VideoRecording(),
        files=model.VideoRecording.File(),
        done=model.RecordingInfo(),
        refuse="recording {} has been read, so it cannot get another file. Delete its row of "
        "RecordingInfo first, or use another recording_id.",
    )


def _draft_files(
    sheet: Sheet,
    desk: Desk,
    *,
    masters: Any,
    files: Any,
    done: Any,
    refuse: str,
) -> Draft:
    """Draft rows of a table and of its files, where each line is a file."""
    names = masters.primary_key
    entries = []
    for record in sheet.records:
        row = {name: value for name, value in record.values.items() if name in masters.heading}
        entries.append(Entry(record.line, masters, row, is_shared=True))
    for record in sheet.records:
        row = {name: record.values[name] for name in (*names, "file_id", "file_path")}
        entries.append(Entry(record.line, files, row))
        desk.find_file(sheet, record.line, "file_path", row["file_path"], "file")
    new = desk.sift(sheet, entries)
    fresh = {entry.key for entry in new if entry.table is masters}
    grown = [e for e in new if e.table is files and _pick(e.row, names) not in fresh]

    def list_refused() -> list[Problem]:
        keys = {_pick(entry.row, names) for entry in grown}
        rows = [dict(zip(names, key, strict=True)) for key in keys]
        closed = {_pick(row, names) for row in (done & rows).fetch(*names, as_dict=True)}
        return [
            Problem(sheet.file, e.line, "file_id", refuse.format(_pick(e.row, names)[-1]))
            for e in grown
            if _pick(e.row, names) in closed
        ]

    def check_again() -> None:
        if problems := list_refused():
            raise IngestError(problems)

    sheet.problems += list_refused()
    n_known = len(sheet.records) - len({entry.line for entry in new})
    return Draft([(entry.table, entry.row) for entry in new], n_known, check_again)


def _pick(row: Mapping[str, Any], names: Sequence[str]) -> Key:
    return tuple(row[name] for name in names)
