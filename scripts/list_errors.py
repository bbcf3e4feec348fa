"""Write docs/errors.md: every sentence this project raises, by the kind of error.

    python scripts/list_errors.py           # write the page
    python scripts/list_errors.py --check   # exit 1 when it is out of date

The sentences are read from the source, so the page cannot say anything else than the code.
"""
# ruff: noqa: RUF001 -- angle quotes, because < and > would be HTML in Markdown

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "errors.md"
PACKAGES = ("element_deeplabcut", "workflow_deeplabcut")
HEAD = """# Errors

Every error that this project raises on purpose, by its kind. Each is a sentence that says what is
wrong and what to do, raised before anything is written: when you meet one, nothing has changed.
Words in ‹angle quotes› stand for your own names and values. All kinds are subclasses of
`element_deeplabcut.errors.ElementError`.

This page is written by `python scripts/list_errors.py` from the source.
"""


def read_kinds() -> dict[str, str]:
    """Read the kinds of error and what they mean, wherever they are defined."""
    classes = [node for _, tree in _read_modules() for node in tree.body
               if isinstance(node, ast.ClassDef)]  # fmt: skip
    kinds = {"ElementError": ""}
    size = 0
    while size < len(kinds):  # a kind may be defined before the one that it is a kind of
        size = len(kinds)
        for node in classes:
            if any(isinstance(base, ast.Name) and base.id in kinds for base in node.bases):
                kinds.setdefault(node.name, (ast.get_docstring(node) or "").partition("\n\n")[0])
    del kinds["ElementError"]
    return kinds


def _read_modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def find_sentences(kinds: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """Find every error that is made: (kind, sentence, module).

    What is wrong with a table file is collected first, as problems of one error.
    """
    problems = {"complain": ("IngestError", 2), "Problem": ("IngestError", 3)}
    places = {**{kind: (kind, 0) for kind in kinds}, **problems}
    for file, tree in _read_modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            kind, place = places.get(name, ("", 0))
            said = node.args[place : place + 1]
            # A list of problems is no sentence, and a variable holds one that is found elsewhere.
            if not kind or not said or isinstance(said[0], (ast.Name, ast.List)):
                continue
            sentence = " ".join(render(said[0]).split())
            if kind != "IngestError" or not re.fullmatch("‹[^›]*›", sentence):  # of another error
                yield kind, sentence, file.relative_to(ROOT).as_posix()


def render(node: ast.expr) -> str:
    """Write a message as a reader sees it, with a word in place of each value."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(render(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return f"‹{name_of(node.value)}›"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return render(node.left) + render(node.right)
    if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("strip", "rstrip"):
        return render(node.func.value)  # type: ignore[attr-defined]
    return f"‹{name_of(node)}›"


def name_of(node: ast.expr) -> str:
    """Name a value by the last word of the expression that gives it."""
    words = [part for part in ast.walk(node) if isinstance(part, (ast.Name, ast.Attribute))]
    for part in words:
        name = part.attr if isinstance(part, ast.Attribute) else part.id
        if name not in ("join", "str", "sorted", "repr", "show_path", "list", "len", "name"):
            return name.strip("_").replace("_", " ")
    return "value"


def escape(sentence: str) -> str:
    """Keep Markdown from taking ``['a']['b']`` for a link."""
    return sentence.replace("[", "\\[")


def write_page() -> str:
    """Put the page together."""
    kinds = read_kinds()
    found = sorted(set(find_sentences(kinds)))
    parts = [HEAD]
    for kind, meaning in sorted(kinds.items()):
        sentences = [(sentence, module) for k, sentence, module in found if k == kind]
        if sentences:
            parts.append(f"\n## {kind}\n\n{meaning}\n")
            parts += [
                f"- {escape(sentence)}  \n  <small>`{module}`</small>"
                for sentence, module in sentences
            ]
    return "\n".join(parts) + "\n"


def main() -> int:
    """Write the page, or say whether it is up to date."""
    page = write_page()
    if "--check" in sys.argv:
        return 0 if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
