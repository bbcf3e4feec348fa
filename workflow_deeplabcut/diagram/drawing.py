"""Drawing tables and foreign keys with Graphviz, in DataJoint's colours.

The ground is white whatever the page's is: on GitHub's dark one, too, everything can be read.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from collections.abc import Mapping
from html import escape
from pathlib import Path

from element_deeplabcut.errors import ParameterError, SetupError

from .graph import Graph, Link, Node

FORMATS = ("svg", "png", "pdf", "dot")

_FONT = "Helvetica,Arial,sans-serif"

# DataJoint's colours as they look on white, the text without its transparency.
_LOOKS: Mapping[str, dict[str, str]] = {
    "manual": {"shape": "box", "fillcolor": "#CFFFCF", "fontcolor": "#005000"},
    "lookup": {"shape": "box", "fillcolor": "#DFDFDF", "fontcolor": "#000000"},
    "imported": {"shape": "ellipse", "fillcolor": "#C6C6E4", "fontcolor": "#00006A"},
    "computed": {"shape": "ellipse", "fillcolor": "#FFDFDF", "fontcolor": "#7F0000"},
    "part": {"shape": "plaintext", "fillcolor": "#FFFFFF", "fontcolor": "#202020"},
}
_MEANINGS = {
    "manual": "entered by people",
    "lookup": "choices",
    "imported": "by populate(), from files",
    "computed": "by populate()",
    "part": "rows of its master",
}
_LINES = {
    "whole key": "penwidth=2.2",
    "part of key": "penwidth=0.9",
    "outside key": 'penwidth=0.9, style="dashed"',
}
_MARK = re.compile(r"element-deeplabcut graph ([0-9a-f]{64})")


def draw_graph(graph: Graph, file: Path, *, title: str = "") -> None:
    """Draw into a file; its ending says the format.

    Args:
        graph: What to draw.
        file: ``.svg``, ``.png``, ``.pdf``, or ``.dot`` for Graphviz's own text. Replaced if it is
            there. An SVG holds the graph's fingerprint, and neither paths nor times.
        title: Below the picture, over the legend.

    Raises:
        ParameterError: There is nothing to draw, or the format is another.
        SetupError: Graphviz is not installed.
    """
    kind = check_format(file)
    if not graph.nodes:
        raise ParameterError("There are no tables to draw.")
    text = write_dot(graph, title)
    if kind == "dot":
        file.write_text(text, encoding="utf-8")
        return
    drawn = _run_dot(text, kind)
    file.write_bytes(_finish_svg(drawn, graph, title) if kind == "svg" else drawn)


def check_format(file: Path) -> str:
    """Read the format from a file's ending.

    Raises:
        ParameterError: It is none of `FORMATS`.
    """
    kind = file.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise ParameterError(f"'{file}' must end in one of {endings}.")
    return kind


def read_fingerprint(file: Path) -> str | None:
    """Read from an SVG what graph it was drawn from; None if it does not say."""
    found = _MARK.search(file.read_text(encoding="utf-8"))
    return found[1] if found else None


def write_dot(graph: Graph, title: str = "") -> str:
    """Write the graph in Graphviz's language."""
    lines = [
        "digraph {",
        f'  graph [bgcolor="white", fontname="{_FONT}", fontsize=13, pad=0.25, ranksep=0.45,',
        f"         nodesep=0.22, labelloc=b, label={_write_legend(title)}]",
        f'  node [style="filled", penwidth=0, fontname="{_FONT}", fontsize=12, height=0.35,',
        '        margin="0.12,0.05"]',
        '  edge [arrowhead=none, color="#707070"]',
    ]
    for schema, group in itertools.groupby(graph.nodes, key=lambda node: node.schema):
        lines += [
            f'  subgraph "cluster_{schema}" {{',
            f"    label=<<b>{escape(schema)}</b>>; labelloc=t; labeljust=l; fontsize=13; "
            'color="#B8B8B8"; style="rounded"',
            *(f"    {_write_node(node)}" for node in group),
            "  }",
        ]
    lines += [f"  {_write_link(link, graph)}" for link in graph.links]
    return "\n".join([*lines, "}", ""])


def _write_node(node: Node) -> str:
    name = escape(node.name)
    look = ", ".join(f'{name}="{value}"' for name, value in _LOOKS[node.tier].items())
    size = ", fontsize=10.5, height=0.25" if node.tier == "part" else ""
    label = f"<u>{name}</u>" if node.extends_key else name
    return f'"{node.label}" [label=<{label}>, {look}{size}, tooltip="{node.label}, {node.tier}"]'


def _write_link(link: Link, graph: Graph) -> str:
    # A part stays close to its master.
    weight = ", weight=6" if link.child.startswith(f"{link.parent}.") else ""
    return f'"{link.parent}" -> "{link.child}" [{_LINES[link.kind]}{weight}]'


def _write_legend(title: str) -> str:
    span = f'<td colspan="{len(_MEANINGS)}">'
    head = f"<tr>{span}<b>{escape(title)}</b></td></tr>" if title else ""
    cells = "".join(
        f'<td bgcolor="{_LOOKS[tier]["fillcolor"]}"><font color="{_LOOKS[tier]["fontcolor"]}">'
        f"{tier.capitalize()}: {meaning}</font></td>"
        for tier, meaning in _MEANINGS.items()
    )
    lines = (
        "A line leads down to the table that refers to the upper one: thick, one row for each; "
        "thin, as part of its key; dashed, outside its key."
    )
    return (
        '<<table border="0" cellborder="0" cellspacing="6" cellpadding="4">'
        f'{head}<tr>{cells}</tr><tr>{span}<font point-size="11">{lines} '
        "Underlined: adds to the key.</font></td></tr></table>>"
    )


def _run_dot(text: str, kind: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise SetupError(
            "Graphviz is not installed, which draws the diagram. Install it with "
            "`apt-get install graphviz` or `conda install graphviz`, or write a .dot file."
        )
    done = subprocess.run(
        [program, f"-T{kind}", *(["-Gdpi=130"] if kind == "png" else [])],
        input=text.encode(),
        capture_output=True,
    )
    if done.returncode:
        raise SetupError(f"Graphviz cannot draw the diagram: {done.stderr.decode().strip()}")
    return done.stdout


def _finish_svg(drawn: bytes, graph: Graph, title: str) -> bytes:
    """Leave out what differs between machines, and say what was drawn."""
    text = re.sub(r"<!--.*?-->\n?", "", drawn.decode(), flags=re.DOTALL)
    text = re.sub(r"<!DOCTYPE.*?>\n?", "", text, flags=re.DOTALL)
    said = f"<title>{escape(title or 'Tables and foreign keys')}</title>\n"
    mark = f"<metadata>element-deeplabcut graph {graph.fingerprint}</metadata>\n"
    head, closing, rest = text.partition(">\n<g ")
    return (head + ">\n" + said + mark + closing[2:] + rest).encode()
