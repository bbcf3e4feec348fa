"""``workflow-deeplabcut describe``: how one row came to be, on one page."""

from __future__ import annotations

import argparse
import inspect
import json
from types import ModuleType
from typing import Any

from element_deeplabcut.errors import ParameterError, SetupError

_EXAMPLES = """examples:
  workflow-deeplabcut describe PoseEstimation recording_id=1 model_name=reaching
  workflow-deeplabcut describe ModelTraining training_id=3 --check-files
  workflow-deeplabcut describe Model model_name=reaching --json > reaching.json

Give as much of the key as it takes to name one row. Nothing is needed but the database: files that
are not on this machine are said not to be seen. Exit code 1 with --check-files: a file is gone, or
no longer what it was."""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "describe",
        help="tell how a result came to be: labels, parameters, versions, files",
        description="Tell how a row came to be, and the rows it was made from.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", metavar="TABLE", help="PoseEstimation, model.Model, ...")
    parser.add_argument("key", nargs="*", metavar="NAME=VALUE", help="part of the row's key")
    parser.add_argument(
        "--pipeline",
        metavar="MODULE",
        default="workflow_deeplabcut.pipeline",
        help="module that activates the schemas (default: this workflow's)",
    )
    parser.add_argument(
        "--check-files", action="store_true", help="hash the files again; may take long"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="print JSON, with hashes in full")
    how.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Print the page.

    Returns:
        0; or 1 when files were checked and one is gone or no longer what it was.

    Raises:
        ParameterError: The key names a column that the table does not have.
        SetupError: There is no such table.
        QueryError: The key does not match exactly one row.
    """
    from ..worker.tables import import_pipeline
    from .keys import read_key

    key = read_key(options.key)
    module = import_pipeline(options.pipeline)
    from element_deeplabcut.provenance import describe

    table = _find_table(options.table, module)
    unknown = [name for name in key if name not in table.primary_key]
    if unknown:
        raise ParameterError(
            f"The key of {options.table} has no {', '.join(unknown)}; it has "
            f"{', '.join(table.primary_key)}."
        )
    story = describe(table, key, check_files=options.check_files)
    if options.json:
        print(json.dumps(story.to_dict(), indent=1))
    else:
        print(story.to_markdown() if options.markdown else story)
    return int(options.check_files and bool(story.changed_files))


def _find_table(name: str, pipeline: ModuleType) -> Any:
    import datajoint as dj

    schema, _, class_name = name.rpartition(".")
    modules = [pipeline, *(one for one in vars(pipeline).values() if inspect.ismodule(one))]
    known: dict[str, Any] = {}
    for module in modules:
        space = module.__name__.rpartition(".")[2]
        for value in vars(module).values():
            is_table = inspect.isclass(value) and issubclass(value, dj.Table)
            if is_table and getattr(value, "database", None) and not issubclass(value, dj.Part):
                known[f"{space}.{value.__name__}"] = value
    found = {
        table
        for path, table in known.items()
        if path == name or (not schema and path.endswith(f".{class_name}"))
    }
    if len(found) == 1:
        return found.pop()
    raise SetupError(
        f"There is no one table '{name}'. Choose from "
        f"{', '.join(sorted(path for path, table in known.items() if _has_story(table)))}."
    )


def _has_story(table: Any) -> bool:
    return "run_info" in table.heading.names
