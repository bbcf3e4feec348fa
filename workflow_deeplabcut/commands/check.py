"""``workflow-deeplabcut check``: whether what is queued can be done here, before it is begun."""

from __future__ import annotations

import argparse
import json
from typing import Any

_EXAMPLES = """examples:
  workflow-deeplabcut check                                     every queued task
  workflow-deeplabcut check --table TrainingTask --device cuda:0
  workflow-deeplabcut check --restrict recording_id=3 --json
  workflow-deeplabcut check --elsewhere                         on a laptop: no engine is asked for

Exit code 1: a problem was found. Nothing is written, neither to the database nor to a project."""

_TABLES = ("TrainingTask", "PoseEstimationTask")


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "check",
        help="find what would make queued tasks fail, before a GPU is taken",
        description="Check queued tasks: paths, labels, videos, models, engine, device, weights, "
        "disk space, and how long they will take.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--table", action="append", choices=_TABLES, help="table of tasks (default: both)"
    )
    parser.add_argument(
        "--restrict",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="only tasks whose key has this value, may be repeated",
    )
    parser.add_argument("--device", help="device to ask for: cpu, cuda:1, ... (default: the best)")
    parser.add_argument(
        "--elsewhere",
        action="store_true",
        help="the work is done on another machine: do not ask for engine, device and weights",
    )
    parser.add_argument(
        "--pipeline",
        metavar="MODULE",
        default="workflow_deeplabcut.pipeline",
        help="module that activates the schemas (default: this workflow's)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Check what is queued.

    Returns:
        0, or 1 when a problem was found.

    Raises:
        ParameterError: The restriction names a column that no table of tasks has.
    """
    from ..worker.tables import import_pipeline
    from .keys import read_key

    key = read_key(options.restrict)
    import_pipeline(options.pipeline)
    reports = {
        name: query.check(device=options.device, elsewhere=options.elsewhere)
        for name, query in _list_queues(options.table or _TABLES, key).items()
    }
    n_problems = sum(len(report.problems) for report in reports.values())
    if options.json:
        plain = {name: report.to_dict() for name, report in reports.items()}
        print(json.dumps({"n_problems": n_problems, "tables": plain}, indent=1))
    elif reports:
        print("\n\n".join(str(report) for report in reports.values()))
    else:
        print("Nothing is queued.")
    return int(n_problems > 0)


def _list_queues(names: Any, key: dict[str, str]) -> dict[str, Any]:
    """Tables of tasks that have any to do, restricted to these."""
    from element_deeplabcut import model, train
    from element_deeplabcut.errors import ParameterError

    queues = {}
    if train.schema.is_activated():
        queues["TrainingTask"] = train.TrainingTask() - train.ModelTraining()
    if model.schema.is_activated():
        queues["PoseEstimationTask"] = model.PoseEstimationTask() - model.PoseEstimation()
    fitting = {
        name: queue for name, queue in queues.items()
        if name in names and set(key) <= set(queue.primary_key)
    }  # fmt: skip
    if key and not fitting:
        known = sorted({column for queue in queues.values() for column in queue.primary_key})
        raise ParameterError(
            f"No table of tasks has {', '.join(key)} in its key; there are {', '.join(known)}."
        )
    restricted = {name: queue & key for name, queue in fitting.items()}
    return {name: queue for name, queue in restricted.items() if queue}
