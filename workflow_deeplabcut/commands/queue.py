"""``workflow-deeplabcut queue``: many tasks with one call, after saying what will be done."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from element_deeplabcut.errors import ParameterError

from .keys import add_restriction, read_key, restrict

if TYPE_CHECKING:  # the other subcommands need no schemas
    from ..bulk import QueuePlan

NOT_QUEUED = 3
"""Exit code when there is something to queue and nobody said yes."""

_EPILOG = """
examples:
  workflow-deeplabcut queue inference "mouse top view"
  workflow-deeplabcut queue inference "mouse top view" --restrict subject=mouse1 --yes
  workflow-deeplabcut queue training --paramset 0 --paramset 1 --video-set 1 --yes
  workflow-deeplabcut queue list                       what was queued in bulk
  workflow-deeplabcut queue undo 7                     take batch 7 back, but what is computed

The plan is printed first. On a terminal you are asked; elsewhere nothing is queued without --yes,
and the exit code is 3 if there was something to queue.
"""


def add_parser(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser(
        "queue",
        help="queue trainings and analyses in bulk, or take them back",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="WHAT")
    inference = actions.add_parser(
        "inference",
        help="every recording that lacks poses of a model",
        epilog='example: workflow-deeplabcut queue inference "mouse top view" --yes',
    )
    inference.add_argument("model", metavar="MODEL", help="name of the model")
    add_restriction(inference, "only recordings with this value")
    inference.add_argument(
        "--params", metavar="JSON", help="parameters of the analysis, for instance "
        "'{\"batch_size\": 8}'",
    )  # fmt: skip
    training = actions.add_parser(
        "training",
        help="every one of some parameter sets on every one of some video sets",
        epilog="example: workflow-deeplabcut queue training --paramset 0 --video-set 1 --yes",
    )
    training.add_argument(
        "--paramset", action="append", type=int, metavar="N", required=True,
        help="number of a parameter set, may be repeated",
    )  # fmt: skip
    training.add_argument(
        "--video-set", action="append", type=int, metavar="N", required=True,
        help="number of a video set, may be repeated",
    )  # fmt: skip
    training.add_argument(
        "--project", default="", metavar="PATH",
        help="DeepLabCut project, relative to a root (default: that of the video set's files)",
    )  # fmt: skip
    training.add_argument("--model-prefix", default="", help="DeepLabCut's model prefix")
    training.add_argument(
        "--repeat", action="store_true", help="queue again what has been queued before"
    )
    taking_back = actions.add_parser(
        "undo",
        help="take back what was queued and is not computed",
        epilog="example: workflow-deeplabcut queue undo 7",
    )
    taking_back.add_argument("batch", type=int, metavar="BATCH", help="number of the batch")
    listing = actions.add_parser(
        "list", help="what was queued in bulk", epilog="example: workflow-deeplabcut queue list"
    )
    for action, function in ((inference, _queue_inference), (training, _queue_training)):
        action.add_argument("--dry-run", action="store_true", help="print the plan alone")
        action.add_argument("--yes", action="store_true", help="do not ask")
        action.set_defaults(do=function)
    taking_back.set_defaults(do=_undo)
    listing.set_defaults(do=_list)
    for action in (inference, training, taking_back, listing):
        action.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand.

    Returns:
        0; 3 when there was something to queue and nobody said yes.
    """
    code: int = options.do(options)
    return code


def _queue_inference(options: argparse.Namespace) -> int:
    from .. import bulk

    params = _read_params(options.params)
    restriction = read_key(options.restrict) or None
    if restriction is not None:
        _check_names(restriction)
    return _carry_out(bulk.plan_inference(options.model, restriction, params), options)


def _queue_training(options: argparse.Namespace) -> int:
    from .. import bulk

    plan = bulk.plan_training(
        options.paramset,
        options.video_set,
        project=options.project,
        model_prefix=options.model_prefix,
        repeat=options.repeat,
    )
    return _carry_out(plan, options)


def _read_params(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        params = json.loads(text)
    except json.JSONDecodeError as error:
        raise ParameterError(f"--params is no JSON ({error}).") from error
    if not isinstance(params, dict):
        raise ParameterError('--params must be a dictionary, for instance {"batch_size": 8}.')
    return params


def _check_names(restriction: dict[str, str]) -> None:
    """Insist that recordings have these attributes: DataJoint passes over unknown ones."""
    from ..pipeline import model

    names = model.VideoRecording().heading.names
    unknown = [name for name in restriction if name not in names]
    if unknown:
        raise ParameterError(
            f"Recordings have no attribute '{unknown[0]}'. They have {', '.join(names)}."
        )
    restrict(model.VideoRecording, restriction)  # says so where a number is none


def _carry_out(plan: QueuePlan, options: argparse.Namespace) -> int:
    """Show the plan, ask where somebody can answer, and queue."""
    if not options.json:
        print(plan)
    elif not options.yes and not options.dry_run and sys.stdin.isatty():
        print(plan, file=sys.stderr)  # nobody says yes to what they have not seen
    is_told = options.yes or (not options.dry_run and bool(plan.rows) and _ask(len(plan.rows)))
    if is_told and not options.dry_run:
        plan.execute()
    if options.json:
        print(json.dumps(_to_plain(plan), indent=1))
    elif plan.batch_id:
        print(
            f"Queued as batch {plan.batch_id}. Take it back with: "
            f"workflow-deeplabcut queue undo {plan.batch_id}"
        )
    elif plan.rows and not options.dry_run:
        print("Nothing was queued. Add --yes to queue without being asked.")
    return NOT_QUEUED if plan.rows and not plan.batch_id and not options.dry_run else 0


def _ask(number: int) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"Queue {number} {'task' if number == 1 else 'tasks'}? [y/N] ", end="", file=sys.stderr,
          flush=True)  # fmt: skip
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _to_plain(plan: QueuePlan) -> dict[str, Any]:
    names = plan.table.primary_key
    return {
        "what": plan.what,
        "notes": list(plan.notes),
        "n_tasks": len(plan.rows),
        "tasks": [{name: _plain(row[name]) for name in names} for row in plan.rows],
        "batch_id": plan.batch_id or None,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, (str, float, bool, type(None))):
        return value
    return int(value) if hasattr(value, "__index__") else str(value)


def _undo(options: argparse.Namespace) -> int:
    from .. import bulk

    undone = bulk.undo(options.batch)
    print(json.dumps(vars(undone)) if options.json else undone)
    return 0


def _list(options: argparse.Namespace) -> int:
    from .. import bulk

    batches = bulk.list_queued()
    if options.json:
        rows = [{name: _plain(value) for name, value in row.items()} for row in batches]
        print(json.dumps(rows, indent=1))
        return 0
    for row in batches:
        print(f"{row['batch_id']:>5}  {row['queued_at']}  {row['queued_by']}  {row['n_tasks']} "
              f"{row['task_table']}  {row['what']}")  # fmt: skip
    print(f"{len(batches)} {'batch' if len(batches) == 1 else 'batches'}")
    return 0
