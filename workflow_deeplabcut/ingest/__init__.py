"""Ingestion: subjects, sessions, parameter sets, videos and models from table files.

    from workflow_deeplabcut import ingest
    ingest.ingest_all("user_data", dry_run=True)   # say what it would do
    ingest.ingest_all("user_data")

Each function takes one kind of file; ``docs/ingest.md`` lists their columns, and ``user_data/``
holds one of each. All lines of a file are ingested or none, and everything is checked before
anything is written: `IngestError` names file, line and column of all that is wrong. A line whose
rows are in the database already adds nothing; one that contradicts them is an error.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, TypedDict

from element_deeplabcut.errors import ParameterError

from .files import Kind, Outcome, get_kind, ingest_files, recognise
from .problems import IngestError, Problem

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "IngestError",
    "Outcome",
    "Problem",
    "ingest_all",
    "ingest_file",
    "ingest_model",
    "ingest_model_vids",
    "ingest_sessions",
    "ingest_subjects",
    "ingest_train_params",
    "ingest_train_vids",
]


class Checks(TypedDict, total=False):
    """Options of every function here.

    Attributes:
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that are named have to be there on this machine.
    """

    dry_run: bool
    check_files: bool


def ingest_file(
    kind: str,
    file: str | os.PathLike[str],
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    dry_run: bool = False,
    check_files: bool = True,
) -> Outcome:
    """Ingest one table file; each of the functions below is this one for a kind of its own.

    Args:
        kind: ``subjects``, ``sessions``, ``train_params``, ``train_vids``, ``model_vids`` or
            ``model``.
        file: Table file with the columns of that kind.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that it names have to be there on this machine.

    Returns:
        What was inserted.

    Raises:
        IngestError: Something is wrong with the file; nothing was written.
        ParameterError: There is no such kind.
    """
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest([(get_kind(kind), file)], verbose, **options)[0]


def ingest_subjects(
    file: str | os.PathLike[str] = "user_data/subjects.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    **options: Unpack[Checks],
) -> Outcome:
    """Ingest subjects.

    Columns: ``subject,sex,subject_birth_date,subject_description``.
    All else, with ``dry_run`` and ``check_files``, is as in `ingest_file`.
    """
    return ingest_file("subjects", file, skip_duplicates, verbose, **options)


def ingest_sessions(
    file: str | os.PathLike[str] = "user_data/sessions.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    **options: Unpack[Checks],
) -> Outcome:
    """Ingest sessions, with their directories and notes.

    Columns: ``subject,session_datetime,session_dir,session_note``.
    All else, with ``dry_run`` and ``check_files``, is as in `ingest_file`.
    """
    return ingest_file("sessions", file, skip_duplicates, verbose, **options)


def ingest_train_params(
    file: str | os.PathLike[str] = "user_data/config_params.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    **options: Unpack[Checks],
) -> Outcome:
    """Ingest training parameter sets.

    Columns: ``paramset_idx,paramset_desc,config_path,shuffle,trainingsetindex,...``, where
    any other parameter of a training is a column.
    All else, with ``dry_run`` and ``check_files``, is as in `ingest_file`.
    """
    return ingest_file("train_params", file, skip_duplicates, verbose, **options)


def ingest_train_vids(
    file: str | os.PathLike[str] = "user_data/train_videosets.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    **options: Unpack[Checks],
) -> Outcome:
    """Ingest video sets to train on, a line per file.

    Columns: ``video_set_id,file_id,file_path``.
    All else, with ``dry_run`` and ``check_files``, is as in `ingest_file`.
    """
    return ingest_file("train_vids", file, skip_duplicates, verbose, **options)


def ingest_model_vids(
    file: str | os.PathLike[str] = "user_data/model_videos.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    **options: Unpack[Checks],
) -> Outcome:
    """Ingest video recordings, a line per file.

    Columns: ``recording_id,subject,session_datetime,file_id,file_path,device``.
    All else, with ``dry_run`` and ``check_files``, is as in `ingest_file`.
    """
    return ingest_file("model_vids", file, skip_duplicates, verbose, **options)


def ingest_model(
    file: str | os.PathLike[str] = "user_data/model_model.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    **options: Unpack[Checks],
) -> Outcome:
    """Ingest models that were trained in DeepLabCut projects.

    Columns: ``model_name,config_relative_path,shuffle,trainingsetindex,paramset_idx,prompt,
    model_description,params``.
    All else, with ``dry_run`` and ``check_files``, is as in `ingest_file`.
    """
    return ingest_file("model", file, skip_duplicates, verbose, **options)


def ingest_all(
    folder: str | os.PathLike[str] = "user_data",
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    skip: Collection[str] = (),
    dry_run: bool = False,
    check_files: bool = True,
) -> list[Outcome]:
    """Ingest the table files of a folder, which are known by their names.

    All files are checked before the first is written; what one brings, the next may refer to. Each
    file is written in a transaction of its own.

    Args:
        folder: Folder with any of ``subjects.csv``, ``sessions.csv``, ``config_params.csv``,
            ``train_videosets.csv``, ``model_videos.csv`` and ``model_model.csv``.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        skip: Kinds to leave out, for instance ``("model",)`` before the models are trained.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that are named have to be there on this machine.

    Returns:
        What was inserted, per file.

    Raises:
        IngestError: Something is wrong with the files; nothing was written.
        PathError: There is no such folder.
        ParameterError: The folder holds none of the files, or there is no such kind.
    """
    left_out = {get_kind(name).name for name in skip}
    files = [(kind, path) for kind, path in recognise(folder) if kind.name not in left_out]
    if not files:
        raise ParameterError("Every file of the folder is left out by skip. Leave out fewer.")
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest(files, verbose, **options)


def _ingest(
    files: Sequence[tuple[Kind, str | os.PathLike[str]]], verbose: bool, **options: bool
) -> list[Outcome]:
    outcomes = ingest_files(files, **options)
    if verbose:
        for outcome in outcomes:
            print(outcome)
    return outcomes
