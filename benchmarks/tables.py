"""Tables in Markdown, and their place in ``docs/speed.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .rows import Row

DOCS = Path(__file__).parents[1] / "docs" / "speed.md"


def list_rows(rows: Sequence[Row], *, header: bool = True) -> list[str]:
    """Lines of the table of goals."""
    lines = [
        f"| {row.name} | {spell(row.low)} / **{spell(row.ratio)}** / {spell(row.high)} "
        f"| {row.goal:g} | {'yes' if row.is_met else 'no'} | {row.note} |"
        for row in rows
    ]
    titles = ["work", "min / **median** / max", "goal", "met", "what the figure is"]
    return [*(list_header(titles) if header else []), *lines]


def list_header(titles: Sequence[str]) -> list[str]:
    """First two lines of a table."""
    return [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]


def spell(value: float) -> str:
    """Write a figure with three digits, whole where it has more."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def update_docs(name: str, lines: Sequence[str], file: Path = DOCS) -> None:
    """Put lines between the two comments that name their place.

    Raises:
        ValueError: The file has no such place.
    """
    begin, end = (f"<!-- {word}: {name} -->" for word in ("begin", "end"))
    text = file.read_text()
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{file.name} has no '{begin}' ... '{end}'.")
    file.write_text("\n".join([before + begin, "", *lines, "", end + after]))
