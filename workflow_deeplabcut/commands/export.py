"""``workflow-deeplabcut export``: poses in the formats of others."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import yaml

from element_deeplabcut.errors import ParameterError

from .keys import add_restriction, read_key, restrict

EXAMPLE = """examples:
  workflow-deeplabcut export nwb --subject mouse1 --session "2026-02-01 10:00:00" \\
      --recording 1 --timezone Europe/London --output mouse1.nwb
  workflow-deeplabcut export nwb --subject mouse1 --session "2026-02-01 10:00:00" \\
      --model top --metadata session.yaml --output mouse1.nwb

session.yaml, whose entries come before what the database says:
  session: {experiment_description: Open field, experimenter: ["Doe, Jane"]}
  subject: {species: Mus musculus}
or, for several animals in one video:
  subjects: {black: {subject_id: mouse1}, white: {subject_id: mouse2}}
"""

_SECTIONS = ("session", "subject", "subjects")
_COLUMNS = {
    "subject": "subject",
    "session": "session_datetime",
    "recording": "recording_id",
    "model": "model_name",
}


def add_parser(commands: Any) -> None:
    """Add ``export`` and its formats."""
    export = commands.add_parser("export", help="write poses in the formats of others")
    formats = export.add_subparsers(required=True, metavar="FORMAT")
    nwb = formats.add_parser(
        "nwb",
        help="Neurodata Without Borders, one file per animal",
        description="Write the poses of a session to NWB, one file per animal.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    which = nwb.add_argument_group("which poses (those of one session)")
    which.add_argument("--subject", help="subject")
    which.add_argument("--session", metavar="DATETIME", help="session_datetime")
    which.add_argument("--recording", type=int, metavar="ID", help="recording_id; default: all")
    which.add_argument("--model", metavar="NAME", help="model_name")
    add_restriction(which, "the same by the name of the column")
    which.add_argument(
        "--individual", action="append", metavar="NAME", help="animal; repeat for several"
    )
    said = nwb.add_argument_group("what the database does not say")
    said.add_argument(
        "--timezone", metavar="NAME", help="zone of the session's start: UTC, Europe/London, ..."
    )
    said.add_argument(
        "--starting-time",
        action="append",
        metavar="[ID=]SECONDS",
        help="when a recording started, from the session's start; repeat for several",
    )
    said.add_argument(
        "--metadata", type=Path, metavar="YAML", help="sections session, subject, subjects"
    )
    nwb.add_argument("--output", type=Path, required=True, metavar="FILE", help="file.nwb")
    nwb.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    nwb.add_argument(
        "--crop-coordinates",
        action="store_true",
        help="count x and y from the crop that was analyzed, not from the whole frame",
    )
    nwb.add_argument("--json", action="store_true", help="print the files as JSON")
    nwb.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Write the files and print their paths."""
    metadata = _read_metadata(options.metadata)
    starting_time = _read_times(options.starting_time)
    from element_deeplabcut.export.nwb import export_pose_nwb

    from ..pipeline import model

    values = vars(options)
    pairs = [
        f"{column}={values[name]}" for name, column in _COLUMNS.items() if values[name] is not None
    ]
    key = read_key([*pairs, *options.restrict])
    restrict(model.PoseEstimation, key)  # says so if there is no such column
    files = export_pose_nwb(
        key,
        options.output,
        overwrite=options.overwrite,
        individuals=options.individual,
        full_frame=not options.crop_coordinates,
        timezone=options.timezone,
        starting_time=starting_time,
        **metadata,
    )
    paths = [str(file) for file in files]
    print(json.dumps({"files": paths}) if options.json else "\n".join(paths))
    return 0


def _read_metadata(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ParameterError(f"'{file}' cannot be read as YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise ParameterError(f"'{file}' must hold sections of fields: {', '.join(_SECTIONS)}.")
    unknown = [name for name in content if name not in _SECTIONS]
    if unknown:
        raise ParameterError(
            f"'{file}' has the section '{unknown[0]}'; it may have {', '.join(_SECTIONS)}."
        )
    return content


def _read_times(values: list[str] | None) -> Any:
    """Read ``SECONDS``, or ``ID=SECONDS`` of each recording."""
    if not values:
        return None
    try:
        if len(values) == 1 and "=" not in values[0]:
            return float(values[0])
        pairs = [value.split("=") for value in values]
        return {int(number): float(seconds) for number, seconds in pairs}
    except ValueError as error:
        raise ParameterError(
            f"--starting-time {' '.join(values)} is neither SECONDS nor RECORDING=SECONDS for each."
        ) from error
