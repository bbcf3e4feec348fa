"""``workflow-deeplabcut plot``: a picture of one pose estimation, training or model."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import ElementError, ParameterError, ResultError, SetupError

from .keys import add_restriction, find_key, name_file, read_key
from .outputs import check_output

_EXAMPLES = """examples:
  workflow-deeplabcut plot trajectory --key subject=mouse1 --key recording_id=3
  workflow-deeplabcut plot timeseries --key recording_id=3 --body-part nose --format svg
  workflow-deeplabcut plot learning-curve --key training_id=2 --output curve.pdf --overwrite
  workflow-deeplabcut plot evaluation --key model_name=top
  workflow-deeplabcut plot quality --key recording_id=3 --json

The key may be part of a key, as long as one row fits it. Without --output, the file is named after
what it shows, in this folder. Needs the extra 'analysis' (pip install
'element-deeplabcut[analysis]')."""

FORMATS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class _Kind:
    """A picture that can be drawn.

    Attributes:
        table: Table with a row for each: module and class.
        draw: Draws the row of a table that a key names, as the options say.
        summary: What it shows.
        hint: What to do where there is no row.
    """

    table: tuple[str, str]
    draw: Callable[[Any, dict[str, Any], argparse.Namespace], Any]
    summary: str
    hint: str


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "plot",
        help="draw poses, trainings, errors and verdicts",
        description="Draw a picture:\n"
        + "\n".join(f"  {name:15} {kind.summary}" for name, kind in _KINDS.items()),
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=tuple(_KINDS), metavar="KIND", help=", ".join(_KINDS))
    add_restriction(parser, "value in the key of what is to be drawn")
    which = parser.add_argument_group("of a pose (trajectory, timeseries)")
    which.add_argument("--body-part", action="append", metavar="NAME", help="may be repeated")
    which.add_argument("--individual", action="append", metavar="NAME", help="may be repeated")
    which.add_argument(
        "--p-cutoff", type=float, metavar="P", help="likelihood to trust (default: the model's)"
    )
    which.add_argument(
        "--no-background", action="store_true", help="draw the trajectory on white, over no frame"
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--pipeline", metavar="MODULE", help="module that activates the schemas (default: ours)"
    )
    where.add_argument("--output", type=Path, metavar="FILE", help=f".{', .'.join(FORMATS)}")
    where.add_argument(
        "--format", choices=FORMATS, default="png", help="without --output (default: png)"
    )
    where.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    where.add_argument("--json", action="store_true", help="print file and key as JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Draw one picture, and print its file; exit code 0."""
    given = read_key(options.restrict)
    _check_options(options)
    kind = _KINDS[options.kind]
    table = _find_table(kind, options.pipeline)
    key = find_key(table, given, kind.hint)
    file = options.output or Path(name_file(options.kind, key, f".{options.format}"))
    check_output(file, options.overwrite)
    figure = kind.draw(table, key, options)
    figure.savefig(file)
    if options.json:
        print(json.dumps({"file": str(file), "key": {n: str(value) for n, value in key.items()}}))
    else:
        print(file)
    return 0


def _find_table(kind: _Kind, pipeline: str | None) -> Any:
    from ..worker.tables import PIPELINE, import_pipeline

    import_pipeline(pipeline or PIPELINE)
    name, table = kind.table
    module = importlib.import_module(f"element_deeplabcut.{name}")
    if not module.schema.is_activated():
        raise SetupError(f"The pipeline '{pipeline}' does not activate the schema {name}.")
    return getattr(module, table)


def _check_options(options: argparse.Namespace) -> None:
    if options.output is not None:
        if options.output.suffix.lower().lstrip(".") not in FORMATS:
            raise ParameterError(f"'{options.output}' must end in .{', .'.join(FORMATS)}.")
        check_output(options.output, options.overwrite)
    of_pose = {
        "--body-part": options.body_part,
        "--individual": options.individual,
        "--p-cutoff": options.p_cutoff,
        "--no-background": options.no_background or None,
    }
    allowed = {"trajectory": set(of_pose), "timeseries": set(of_pose) - {"--no-background"}}
    for name, value in of_pose.items():
        if value is not None and name not in allowed.get(options.kind, set()):
            raise ParameterError(f"{name} says nothing about '{options.kind}'. Leave it out.")


# --- pictures -------------------------------------------------------------------------------------


def _draw_trajectory(table: Any, key: dict[str, Any], options: argparse.Namespace) -> Any:
    from element_deeplabcut.plotting import plot_trajectory

    pose = _get_pose(table, key, options)
    background = None if options.no_background else _read_first_frame(pose)
    return plot_trajectory(pose, p_cutoff=options.p_cutoff, background=background)


def _draw_timeseries(table: Any, key: dict[str, Any], options: argparse.Namespace) -> Any:
    from element_deeplabcut.plotting import plot_timeseries

    return plot_timeseries(_get_pose(table, key, options), p_cutoff=options.p_cutoff)


def _draw_learning_curve(table: Any, key: dict[str, Any], options: argparse.Namespace) -> Any:
    from element_deeplabcut import train
    from element_deeplabcut.plotting import plot_learning_curve
    from element_deeplabcut.readers.learning_curve import LEARNING_STATS, read_learning_curve

    run_info = (table & key).fetch1("run_info")
    folder = train.get_roots().processed / run_info["run_directory"]
    found = sorted(folder.rglob(LEARNING_STATS))
    if not found:
        raise ResultError(
            f"'{folder}' holds no {LEARNING_STATS}. Check that the directory of results is mounted "
            "here, and is the one the training wrote to."
        )
    return plot_learning_curve(read_learning_curve(found[0]))


def _draw_evaluation(table: Any, key: dict[str, Any], options: argparse.Namespace) -> Any:
    from element_deeplabcut.plotting import plot_evaluation

    rows = (table.BodyPart & key).fetch(as_dict=True)
    return plot_evaluation(rows, overall=(table & key).fetch1())


def _draw_quality(table: Any, key: dict[str, Any], options: argparse.Namespace) -> Any:
    from element_deeplabcut.plotting import plot_quality

    rows = (table.BodyPart & key).fetch(as_dict=True)
    return plot_quality(rows, verdict=(table & key).fetch1())


def _get_pose(table: Any, key: dict[str, Any], options: argparse.Namespace) -> Any:
    return table.get_pose(key, options.body_part, options.individual)


def _read_first_frame(pose: Any) -> Any:
    """Read a frame to draw over; a video that is not at hand is no reason to draw nothing."""
    from element_deeplabcut import model
    from element_deeplabcut.plotting import read_background

    try:
        return read_background(model.get_roots().resolve(pose.files[0].path))
    except (ElementError, IndexError) as error:
        print(f"workflow-deeplabcut: no frame behind the paths: {error}", file=sys.stderr)
        return None


_KINDS: Mapping[str, _Kind] = {
    "trajectory": _Kind(
        ("model", "PoseEstimation"),
        _draw_trajectory,
        "paths of the body parts, over the first frame",
        "`workflow-deeplabcut worker` or PoseEstimation.populate() computes those that are queued.",
    ),
    "timeseries": _Kind(
        ("model", "PoseEstimation"),
        _draw_timeseries,
        "x, y and likelihood over time",
        "`workflow-deeplabcut worker` or PoseEstimation.populate() computes those that are queued.",
    ),
    "learning-curve": _Kind(
        ("train", "ModelTraining"),
        _draw_learning_curve,
        "loss and error over a training",
        "`workflow-deeplabcut worker` or ModelTraining.populate() trains what is queued.",
    ),
    "evaluation": _Kind(
        ("model", "ModelEvaluation"),
        _draw_evaluation,
        "a model's errors per body part",
        "`workflow-deeplabcut worker` or ModelEvaluation.populate() evaluates models.",
    ),
    "quality": _Kind(
        ("report", "PoseQuality"),
        _draw_quality,
        "verdict on a pose, per body part",
        "report.PoseQuality.populate() judges poses.",
    ),
}
