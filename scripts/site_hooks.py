"""Pages of the site that are made of what the repository holds elsewhere.

``mkdocs`` calls it (see mkdocs.yml): the pictures of images/, the notebooks with their stored
outputs, and the help texts of the command line.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = "reference/command-line.md"
PICTURES = {"image/svg+xml": "svg", "image/jpeg": "jpg", "image/png": "png"}


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """Add the pages and pictures."""
    sys.path.insert(0, str(ROOT))
    for name, content in make_pages():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links to files of the repository be names: they are not part of the site.

    Pictures of images/ are; pages name them as they lie in the repository.
    """
    folder = (ROOT / "docs" / page.file.src_uri).parent

    def mend(match: re.Match[str]) -> str:
        mark, text, target = match.groups()
        found = (folder / target.partition("#")[0]).resolve()
        inside = found.relative_to(ROOT).as_posix() if found.is_relative_to(ROOT) else ""
        if inside.startswith("images/"):
            up = "../" * page.file.src_uri.count("/")
            return f"{mark}[{text}]({up}{inside})"
        return match.group() if inside.startswith("docs/") or not found.exists() else str(text)

    return re.sub(r"(!?)\[([^\]]*)\]\((\.\./[^)\s]+)\)", mend, markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Mend types of columns: griffe takes brackets at their ends for its own."""
    html = re.sub(r"<code>(\w*char\(\d+)</code>", r"<code>\1)</code>", html)
    return re.sub(r"<code>\(([^()]+, nullable)\)</code>", r"<code>\1</code>", html)


def make_pages() -> Iterator[tuple[str, str | bytes]]:
    """Make pages and pictures: name below docs/, content."""
    for picture in sorted((ROOT / "images").iterdir()):
        yield f"images/{picture.name}", picture.read_bytes()
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        yield from convert_notebook(notebook)
    yield COMMANDS, describe_commands()


# --- notebooks ------------------------------------------------------------------------------------


def convert_notebook(path: Path) -> Iterator[tuple[str, str | bytes]]:
    """Turn a notebook into a page and its pictures."""
    parts = []
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source.replace(".ipynb)", ".md)"))
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for output in cell.outputs:
            data = output.get("data", {})
            kind = next((kind for kind in PICTURES if kind in data), None)
            if kind:
                name = f"{path.stem}-{number}.{PICTURES[kind]}"
                yield f"notebooks/{name}", decode(data[kind], kind)
                parts.append(f"![Output of the cell]({name})")
            elif "text/html" in data:
                parts.append(flatten(data["text/html"]))
            else:
                text = output.get("text") or data.get("text/plain", "")
                parts.append(f"```text\n{text.rstrip()}\n```")
    yield f"notebooks/{path.stem}.md", "\n\n".join(parts) + "\n"


def decode(content: str, kind: str) -> bytes:
    """Give a stored picture's bytes."""
    return content.encode() if kind == "image/svg+xml" else base64.b64decode(content)


def flatten(html: str) -> str:
    """Put a table in one line without styles: Markdown ends HTML at an empty line."""
    for hidden in (r"<style.*?</style>", r'<span class="djtooltiptext">.*?</span>'):
        html = re.sub(hidden, "", html, flags=re.DOTALL)
    return f"<div>{' '.join(html.split())}</div>"


# --- command line ---------------------------------------------------------------------------------


def describe_commands() -> str:
    """Write the page of the command line from its own help texts."""
    from workflow_deeplabcut import cli

    os.environ["COLUMNS"] = "96"  # argparse folds its text by it
    parts = ["# Command line\n\nWhat `workflow-deeplabcut COMMAND --help` says."]
    for name, parser in list_commands(cli.make_parser(), "workflow-deeplabcut"):
        parts.append(f"## {name}\n\n```text\n{parser.format_help().rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def list_commands(
    parser: argparse.ArgumentParser, name: str
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """List the commands of a parser with their own parsers, subcommands of theirs included."""
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, subparser in action.choices.items():
                yield from list_commands(subparser, f"{name} {command}")
