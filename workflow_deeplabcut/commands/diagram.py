"""``workflow-deeplabcut diagram``: draw the pipeline's tables and how they refer to each other."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from element_deeplabcut.errors import ParameterError

from .outputs import check_output

_EXAMPLES = """examples:
  workflow-deeplabcut diagram                                 # all tables, diagram.svg
  workflow-deeplabcut diagram --schema train --schema model --above 1 --output ours.png
  workflow-deeplabcut diagram --table PoseEstimation --above 2 --below 1 --overwrite
  workflow-deeplabcut diagram --pipeline my_lab.pipeline --json   # print tables and links

Graphviz draws it (apt-get install graphviz); a .dot file needs none."""


def add_parser(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "diagram",
        help="draw the tables and how they refer to each other",
        description="Draw tables and foreign keys, as SVG, PNG, PDF or Graphviz's own text.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--pipeline", metavar="MODULE", help="module that activates the schemas (default: ours)"
    )
    parser.add_argument(
        "--schema", action="append", default=[], metavar="NAME", help="schema, may be repeated"
    )
    parser.add_argument(
        "--table", action="append", default=[], metavar="NAME", help="table, may be repeated"
    )
    parser.add_argument(
        "--above", type=int, default=0, metavar="N", help="and so many steps of what they refer to"
    )
    parser.add_argument(
        "--below", type=int, default=0, metavar="N", help="and so many steps of what refers to them"
    )
    parser.add_argument("--title", default="", help="title of the picture")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="file to write (default: diagram.svg)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that is there")
    parser.add_argument(
        "--json", action="store_true", help="print tables and links; draw only with --output"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Draw, and print the file's name; exit code 0."""
    if options.above < 0 or options.below < 0:
        raise ParameterError("--above and --below are numbers of steps, from 0.")
    file = options.output
    if file is None and not options.json:
        file = Path("diagram.svg")
    if file is not None:
        check_output(file, options.overwrite)
    from ..worker.tables import PIPELINE, import_pipeline

    pipeline = import_pipeline(options.pipeline or PIPELINE)
    from ..diagram import draw_graph, read_graph

    graph = read_graph(pipeline).select(
        options.schema, options.table, above=options.above, below=options.below
    )
    if file is not None:
        draw_graph(graph, file, title=options.title)
    if options.json:
        plain = {"file": str(file) if file else None, **asdict(graph)}
        print(json.dumps({**plain, "fingerprint": graph.fingerprint}, indent=1))
    else:
        print(file)
    return 0
