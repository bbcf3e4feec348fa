"""From files to rows: all of a file or none, and all checked before anything is written."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from datajoint.errors import DuplicateError, IntegrityError

from element_deeplabcut.errors import DatabaseError, ParameterError, PathError
from element_deeplabcut.linking import show_path
from element_deeplabcut.wording import show_count

from ..worker.server import is_conflict
from ..worker.tables import PIPELINE
from .animals import SESSIONS, SUBJECTS, draft_sessions, draft_subjects
from .desk import Desk
from .draft import Draft
from .models import MODEL, ModelDraft, draft_model
from .paramsets import TRAIN_PARAMS, draft_train_params
from .problems import IngestError, Problem, suggest
from .sheet import Layout, Sheet, read_sheet
from .videos import MODEL_VIDS, TRAIN_VIDS, draft_model_vids, draft_train_vids

_TRIES = 5
"""How often a file is checked anew because others inserted the same rows at the same time."""


@dataclass(frozen=True)
class Kind:
    """A kind of table file.

    Attributes:
        name: As functions and commands call it.
        file_name: Name by which it is known in a folder.
        what: What it holds, for people.
        layout: Its columns.
        draft: Holds its records against the database.
    """

    name: str
    file_name: str
    what: str
    layout: Layout
    draft: Callable[[Sheet, Desk], Draft]


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("subjects", "subjects.csv", "subjects", SUBJECTS, draft_subjects),
        Kind("sessions", "sessions.csv", "sessions", SESSIONS, draft_sessions),
        Kind("train_params", "config_params.csv", "training parameter sets", TRAIN_PARAMS,
             draft_train_params),
        Kind("train_vids", "train_videosets.csv", "video sets to train on", TRAIN_VIDS,
             draft_train_vids),
        Kind("model_vids", "model_videos.csv", "video recordings", MODEL_VIDS, draft_model_vids),
        Kind("model", "model_model.csv", "models", MODEL, draft_model),
    )
}  # fmt: skip
"""Kinds by name, in the order in which they are ingested: each may refer to those before it."""


@dataclass(frozen=True)
class Outcome:
    """What came of a file.

    Attributes:
        kind: Name of its kind.
        file: The file, as it was given.
        inserted: Table -> number of rows that were inserted, or would be.
        n_known: Lines whose rows were there already.
        is_dry_run: Nothing was written.
        declined: Names of models that a person, who was asked, did not want.
    """

    kind: str
    file: str
    inserted: Mapping[str, int]
    n_known: int
    is_dry_run: bool = False
    declined: Sequence[str] = field(default=())

    def __str__(self) -> str:
        rows = ", ".join(
            f"{show_count(number, 'row')} of {table}" for table, number in self.inserted.items()
        )
        verb = "would be inserted" if self.is_dry_run else "inserted"
        parts = [f"{rows} {verb}" if rows else "nothing to insert"]
        if self.n_known:
            lines = "1 line was" if self.n_known == 1 else f"{self.n_known} lines were"
            parts.append(f"{lines} there already")
        if self.declined:
            parts.append(f"declined: {', '.join(self.declined)}")
        return f"{self.file}: {'; '.join(parts)}"

    @property
    def plain(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**vars(self), "inserted": dict(self.inserted), "declined": list(self.declined)}


def recognise(folder: str | os.PathLike[str]) -> list[tuple[Kind, Path]]:
    """Find the table files of a folder by their names, in the order in which they are ingested.

    Raises:
        PathError: It is no folder.
        ParameterError: It holds none of them.
    """
    path = Path(folder)
    if not path.exists():
        raise PathError(f"'{show_path(path)}' is no folder and no file. Check the path.")
    if not path.is_dir():
        raise PathError(f"'{show_path(path)}' is no folder. Give the folder of the table files.")
    found = [
        (kind, path / kind.file_name)
        for kind in KINDS.values()
        if (path / kind.file_name).is_file()
    ]
    if not found:
        names = ", ".join(kind.file_name for kind in KINDS.values())
        raise ParameterError(
            f"'{show_path(path)}' holds none of the table files: {names}. Give a file of another "
            "name by its kind, for instance: workflow-deeplabcut ingest subjects FILE"
        )
    return found


def get_kind(name: str) -> Kind:
    """Look up a kind.

    Raises:
        ParameterError: There is no such kind.
    """
    kind = KINDS.get(name.replace("-", "_"))
    if kind is None:
        raise ParameterError(f"There is no kind of table file '{name}'. {suggest(name, KINDS)}")
    return kind


def ingest_files(
    files: Sequence[tuple[Kind, str | os.PathLike[str]]],
    *,
    dry_run: bool = False,
    check_files: bool = True,
    skip_duplicates: bool = True,
) -> list[Outcome]:
    """Ingest files in the order given, after all of them were checked.

    Args:
        files: Kind and path of each.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Videos and folders that are named have to be there on this machine.
        skip_duplicates: Lines whose rows are there already are left out; otherwise they are
            problems.

    Returns:
        One outcome per file.

    Raises:
        IngestError: Something is wrong with the files; it says all of it.
    """
    pipeline = importlib.import_module(PIPELINE)
    desk = Desk(pipeline, check_files)
    problems: list[Problem] = []
    sheets: list[tuple[Kind, Sheet]] = []
    outcomes: list[Outcome] = []
    for kind, file in files:
        try:
            sheet = read_sheet(file, kind.layout)
        except IngestError as error:
            problems += error.problems
            continue
        draft = _check(kind, sheet, desk, skip_duplicates)
        problems += sorted(sheet.problems)
        sheets.append((kind, sheet))
        outcomes.append(_describe(kind, sheet, draft, dry_run))
        for table, row in draft.rows:
            key = tuple(row[name] for name in table.primary_key)
            desk.coming.setdefault(table.full_table_name, set()).add(key)
    if problems:
        raise IngestError(problems)
    if dry_run:
        return outcomes
    desk.coming.clear()  # from here on, what earlier files brought is in the database
    return [_write(kind, sheet, desk, skip_duplicates) for kind, sheet in sheets]


def _check(kind: Kind, sheet: Sheet, desk: Desk, skip_duplicates: bool) -> Draft:
    draft = kind.draft(sheet, desk)
    if draft.n_known and not skip_duplicates and not sheet.problems:
        sheet.complain(
            0, "", f"{draft.n_known} of its lines are in the database already. Remove them, or "
            "leave out skip_duplicates=False.",
        )  # fmt: skip
    return draft


def _write(kind: Kind, sheet: Sheet, desk: Desk, skip_duplicates: bool) -> Outcome:
    """Insert what a file brings in one transaction.

    Whoever inserts the same rows at the same time is waited for, and the file is held against the
    database anew: then its rows are known, or contradict the others.
    """
    answers: dict[str, bool] = {}
    for _ in range(_TRIES):
        draft = _check(kind, sheet, desk, skip_duplicates)
        if sheet.problems:
            raise IngestError(sorted(sheet.problems))
        if isinstance(draft, ModelDraft):
            draft.answers = answers  # nobody is asked twice
        draft.prepare()
        try:
            with desk.pipeline.train.schema.connection.transaction:
                draft.check_again()
                draft.insert()
            return _describe(kind, sheet, draft, False)
        except (DuplicateError, IntegrityError):
            continue
        except pymysql.err.Error as error:
            if not is_conflict(error):
                raise
    raise DatabaseError(
        f"{sheet.file} could not be ingested: the database refuses rows that it does not show, "
        "because others insert the same ones, or because names differ in case only. Try again."
    )


def _describe(kind: Kind, sheet: Sheet, draft: Draft, dry_run: bool) -> Outcome:
    declined = draft.declined if isinstance(draft, ModelDraft) else ()
    return Outcome(kind.name, sheet.file, draft.counts, draft.n_known, dry_run, declined)
