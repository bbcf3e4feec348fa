"""``workflow-deeplabcut ingest``: subjects, sessions, parameters, videos and models from files."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from element_deeplabcut.errors import ParameterError

if TYPE_CHECKING:  # the other subcommands need no schemas
    from ..ingest.files import Outcome
    from ..ingest.problems import IngestError

_EPILOG = """
examples:
  workflow-deeplabcut ingest user_data --dry-run       check a folder, say what it would insert
  workflow-deeplabcut ingest user_data --skip model    all its files but the models'
  workflow-deeplabcut ingest subjects animals.csv      one file, of any name

kinds, and the names by which they are known in a folder:
  subjects      subjects.csv           subject,sex,subject_birth_date,subject_description
  sessions      sessions.csv           subject,session_datetime,session_dir,session_note
  train_params  config_params.csv      paramset_idx,paramset_desc,config_path,shuffle,
                                       trainingsetindex, and any other training parameter
  train_vids    train_videosets.csv    video_set_id,file_id,file_path
  model_vids    model_videos.csv       recording_id,subject,session_datetime,file_id,file_path,
                                       device
  model         model_model.csv        model_name,config_relative_path,shuffle,trainingsetindex,
                                       paramset_idx,prompt,model_description,params

All lines of a file are ingested or none, after all files were checked; lines that are in the
database already add nothing, and lines that contradict it are errors. Exit code 1 means that
something was wrong and nothing was written.
"""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "ingest",
        help="insert subjects, sessions, parameters, videos and models from CSV files",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", nargs="?", metavar="KIND", help="kind of FILE, see below")
    parser.add_argument(
        "path", metavar="FILE", help="table file; without KIND, one of a known name, or a folder"
    )
    parser.add_argument("--dry-run", action="store_true", help="check and say what would be done")
    parser.add_argument(
        "--skip", action="append", default=[], metavar="KIND",
        help="leave out this kind of a folder's files (repeatable)",
    )  # fmt: skip
    parser.add_argument(
        "--unchecked-files", action="store_true",
        help="files and folders that are named need not be there on this machine",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand.

    Returns:
        0, or 1 when something is wrong with the files.

    Raises:
        ElementError: The files are wrong (without ``--json``), or there are none.
    """
    from ..ingest import IngestError
    from ..ingest.files import ingest_files

    files = _find_files(options)
    try:
        outcomes = ingest_files(
            files, dry_run=options.dry_run, check_files=not options.unchecked_files
        )
    except IngestError as error:
        if not options.json:
            raise
        print(json.dumps(_fail(error), indent=1))
        return 1
    if options.json:
        print(json.dumps(_succeed(outcomes), indent=1))
    else:
        for outcome in outcomes:
            print(outcome)
    return 0


def _find_files(options: argparse.Namespace) -> list[tuple[Any, Any]]:
    from pathlib import Path

    from ..ingest.files import KINDS, get_kind, recognise

    left_out = {get_kind(name).name for name in options.skip}
    path = Path(options.path)
    if options.kind is not None:
        if left_out:
            raise ParameterError("--skip is for folders. Leave it out for a single file.")
        return [(get_kind(options.kind), path)]
    if options.path.replace("-", "_") in KINDS and not path.exists():
        raise ParameterError(f"Which file? For instance: workflow-deeplabcut ingest {path} FILE")
    if path.is_file():
        kinds = [kind for kind in KINDS.values() if kind.file_name == path.name]
        if not kinds:
            raise ParameterError(
                f"'{path.name}' is none of the names by which files are known. Say its kind: "
                f"workflow-deeplabcut ingest KIND {path}, where KIND is one of {', '.join(KINDS)}."
            )
        return [(kinds[0], path)]
    files = [(kind, file) for kind, file in recognise(path) if kind.name not in left_out]
    if not files:
        raise ParameterError("Every file of the folder is left out by --skip. Leave out fewer.")
    return list(files)


def _succeed(outcomes: list[Outcome]) -> dict[str, Any]:
    return {"files": [outcome.plain for outcome in outcomes], "problems": []}


def _fail(error: IngestError) -> dict[str, Any]:
    return {"files": [], "problems": [vars(problem) for problem in error.problems]}
