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

from element_deeplabcut.errors import ParameterError

from .files import Kind, Outcome, get_kind, ingest_files, recognise
from .problems import IngestError, Problem

__all__ = [
    "IngestError",
    "Outcome",
    "Problem",
    "ingest_all",
    "ingest_model",
    "ingest_model_vids",
    "ingest_sessions",
    "ingest_subjects",
    "ingest_train_params",
    "ingest_train_vids",
]


def ingest_subjects(
    file: str | os.PathLike[str] = "user_data/subjects.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    dry_run: bool = False,
    check_files: bool = True,
) -> Outcome:
    """Ingest subjects.

    Args:
        file: Table file with the columns
            ``subject,sex,subject_birth_date,subject_description``.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that it names have to be there on this machine.

    Returns:
        What was inserted.

    Raises:
        IngestError: Something is wrong with the file; nothing was written.
    """
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest([(get_kind("subjects"), file)], verbose, **options)[0]


def ingest_sessions(
    file: str | os.PathLike[str] = "user_data/sessions.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    dry_run: bool = False,
    check_files: bool = True,
) -> Outcome:
    """Ingest sessions, with their directories and notes.

    Args:
        file: Table file with the columns
            ``subject,session_datetime,session_dir,session_note``.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that it names have to be there on this machine.

    Returns:
        What was inserted.

    Raises:
        IngestError: Something is wrong with the file; nothing was written.
    """
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest([(get_kind("sessions"), file)], verbose, **options)[0]


def ingest_train_params(
    file: str | os.PathLike[str] = "user_data/config_params.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    dry_run: bool = False,
    check_files: bool = True,
) -> Outcome:
    """Ingest training parameter sets.

    Args:
        file: Table file with the columns
            ``paramset_idx,paramset_desc,config_path,shuffle,trainingsetindex,...``, where
            any other parameter of a training is a column.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that it names have to be there on this machine.

    Returns:
        What was inserted.

    Raises:
        IngestError: Something is wrong with the file; nothing was written.
    """
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest([(get_kind("train_params"), file)], verbose, **options)[0]


def ingest_train_vids(
    file: str | os.PathLike[str] = "user_data/train_videosets.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    dry_run: bool = False,
    check_files: bool = True,
) -> Outcome:
    """Ingest video sets to train on.

    Args:
        file: Table file with the columns
            ``video_set_id,file_id,file_path``, one line per file.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that it names have to be there on this machine.

    Returns:
        What was inserted.

    Raises:
        IngestError: Something is wrong with the file; nothing was written.
    """
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest([(get_kind("train_vids"), file)], verbose, **options)[0]


def ingest_model_vids(
    file: str | os.PathLike[str] = "user_data/model_videos.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    dry_run: bool = False,
    check_files: bool = True,
) -> Outcome:
    """Ingest video recordings and their files.

    Args:
        file: Table file with the columns
            ``recording_id,subject,session_datetime,file_id,file_path,device``, one line
            per file.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that it names have to be there on this machine.

    Returns:
        What was inserted.

    Raises:
        IngestError: Something is wrong with the file; nothing was written.
    """
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest([(get_kind("model_vids"), file)], verbose, **options)[0]


def ingest_model(
    file: str | os.PathLike[str] = "user_data/model_model.csv",
    skip_duplicates: bool = True,
    verbose: bool = True,
    *,
    dry_run: bool = False,
    check_files: bool = True,
) -> Outcome:
    """Ingest models that were trained in DeepLabCut projects.

    Args:
        file: Table file with the columns
            ``model_name,config_relative_path,shuffle,trainingsetindex,paramset_idx,
            prompt,model_description,params``.
        skip_duplicates: Lines that are in the database already are left out; otherwise they are
            errors.
        verbose: Print what came of it.
        dry_run: Check, and say what would be inserted; nothing is written.
        check_files: Files and folders that it names have to be there on this machine.

    Returns:
        What was inserted.

    Raises:
        IngestError: Something is wrong with the file; nothing was written.
    """
    options = {"dry_run": dry_run, "check_files": check_files, "skip_duplicates": skip_duplicates}
    return _ingest([(get_kind("model"), file)], verbose, **options)[0]


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
