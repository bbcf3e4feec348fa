"""A description as a page: plain text, Markdown, or HTML."""

from __future__ import annotations

import datetime
import html
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..wording import show_duration, show_key, show_size

if TYPE_CHECKING:
    from .description import Computation, Description, FileState, LabelChanges, Labels, Setting

NOT_RECORDED = "not recorded"
_WIDTH = 100
_SHOWN_HASH = 16
_SHOWN_FRAMES = 6
_LONGEST_VALUE = 300
_STATES = {
    "same": "the same",
    "present": "there",
    "changed": "CHANGED",
    "missing": "MISSING",
    "unseen": "not seen",
}

Row = tuple[str, str]


@dataclass(frozen=True)
class Block:
    """Rows of a page under a title.

    Attributes:
        title: Title.
        rows: Name and text of each row.
        is_top: Whether a new table's row begins here.
    """

    title: str
    rows: tuple[Row, ...]
    is_top: bool = False


def build_page(description: Description) -> list[Block]:
    """Lay out a description and the rows it was made from, each once."""
    page: list[Block] = []
    shown: set[tuple[str, str]] = set()
    for number, one in enumerate(description.walk()):
        title = f"{one.table}  {show_key(one.key)}"
        rows = [(name, show_value(value)) for name, value in one.facts.items()]
        page.append(Block(f"Made from {title}" if number else title, tuple(rows), is_top=True))
        if one.note:
            page.append(Block("Note", (("", one.note),)))
        if one.computation is not None:
            page.append(Block("Computed", tuple(_show_computation(one.computation))))
        for group in one.settings:
            settings = [(setting.name, _show_setting(setting)) for setting in group.settings]
            note = [("", group.note)] if group.note else []
            page.append(Block(group.title, (*note, *settings)))
        if one.labels is not None:
            page.append(Block("Labels", tuple(_show_labels(one.labels))))
        fresh = [file for file in one.files if (file.what, file.path) not in shown]
        shown |= {(file.what, file.path) for file in fresh}
        if fresh:
            page.append(Block("Files", tuple(_show_file(file) for file in fresh)))
    return page


def to_text(page: Sequence[Block]) -> str:
    """Write a page as plain text of at most 100 columns, where words allow it."""
    lines: list[str] = []
    for block in page:
        indent = "" if block.is_top else "  "
        lines += ["", *_wrap(block.title, indent)]
        if block.is_top:
            lines.append("=" * min(_WIDTH, len(block.title)))
        width = min(34, max((len(name) for name, _ in block.rows), default=0))
        for name, text in block.rows:
            start = f"{indent}  {name:<{width}}  " if name else f"{indent}  "
            lines += _wrap(text, start, " " * min(len(start), width + len(indent) + 4))
    return "\n".join(lines[1:])


def _wrap(text: str, start: str, rest: str = "    ") -> list[str]:
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=rest,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return lines or [start.rstrip()]


def to_markdown(page: Sequence[Block]) -> str:
    """Write a page in Markdown: a heading and a table for each block."""
    parts = []
    for block in page:
        parts.append(f"{'##' if block.is_top else '###'} {_escape(block.title)}")
        parts += [_escape(text) for name, text in block.rows if not name]
        rows = [f"| {_escape(name)} | {_escape(text)} |" for name, text in block.rows if name]
        if rows:
            parts.append("\n".join(["| | |", "|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def _escape(text: str) -> str:
    for character in ("\\", "|", "*", "_", "`", "<", "["):
        text = text.replace(character, f"\\{character}")
    return text


def to_html(page: Sequence[Block]) -> str:
    """Write a page for a notebook."""
    parts = []
    for block in page:
        heading = "h3" if block.is_top else "h4"
        parts.append(f"<{heading}>{html.escape(block.title)}</{heading}>")
        rows = (
            f"<tr><td style='text-align:left;vertical-align:top'>{html.escape(name)}</td>"
            f"<td style='text-align:left'>{html.escape(text)}</td></tr>"
            for name, text in block.rows
        )
        parts.append(f"<table>{''.join(rows)}</table>" if block.rows else "")
    return f"<div>{''.join(parts)}</div>"


# --- values ---------------------------------------------------------------------------------------


def show_value(value: Any) -> str:
    """Write a value for a person."""
    if value is None:
        return NOT_RECORDED
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    return _show_plain(value)


def _show_plain(value: Any) -> str:
    text = json.dumps(value, default=str) if isinstance(value, (list, tuple, dict)) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]} ..."


def _show_setting(setting: Setting) -> str:
    value = _show_plain(setting.value)
    if setting.is_default is None:
        return value
    default = "the default" if setting.is_default else f"default: {_show_plain(setting.default)}"
    return f"{value}  ({default})"


def _show_computation(computation: Computation) -> Iterable[Row]:
    started = show_value(computation.started_at)
    duration = computation.duration_s
    took = NOT_RECORDED if duration is None else show_duration(duration)
    yield "started", started
    yield "took", took
    for stop in computation.resumed:
        yield "resumed", f"after {stop.get('epochs')} epochs or iterations on {stop.get('host')}"
    yield (
        "host",
        ", ".join(text for text in (show_value(computation.host), computation.platform) if text),
    )
    if computation.device or (computation.engine and computation.device is None):
        name = f" ({computation.device_name})" if computation.device_name else ""
        yield "device", show_value(computation.device) + name
    if computation.engine:
        yield "engine", computation.engine
    versions = ", ".join(f"{name} {version}" for name, version in computation.versions.items())
    yield "versions", versions or NOT_RECORDED


def _show_labels(labels: Labels) -> Iterable[Row]:
    yield "hash", (labels.hash or NOT_RECORDED)[:_SHOWN_HASH]
    for folder, number in labels.frames.items():
        yield folder, NOT_RECORDED if number is None else f"{number} frames"
    if labels.n_train is not None:
        yield "split", f"{labels.n_train} frames to train on, {labels.n_test} to test on"
    if labels.changes is not None:
        yield from _show_changes(labels.changes)
    elif labels.note:
        yield "since training before", labels.note


def _show_changes(changes: LabelChanges) -> Iterable[Row]:
    kinds = {
        "added": changes.added,
        "removed": changes.removed,
        "labels moved": changes.moved,
        "other picture": changes.repictured,
    }
    counts = [f"{len(images)} {kind}" for kind, images in kinds.items() if images]
    yield "since training before", ", ".join(counts) or "the same labels"
    yield "", f"that was {show_key(changes.since)}"
    for kind, images in kinds.items():
        if images:
            names = [image.removeprefix("labeled-data/") for image in images[:_SHOWN_FRAMES]]
            shown = ", ".join(names)
            more = len(images) - _SHOWN_FRAMES
            yield kind, f"{shown}, and {more} more" if more > 0 else shown


def _show_file(file: FileState) -> Row:
    facts = [f"{file.what} {file.path}"]
    if file.size is not None:
        facts.append(show_size(file.size))
    if file.sha256:
        facts.append(f"sha256 {file.sha256[:_SHOWN_HASH]}")
    if file.detail:
        facts.append(file.detail)
    return _STATES[file.state], ", ".join(facts)
