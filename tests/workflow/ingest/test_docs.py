"""The tables of columns in docs/ingest.md, and the help text, say what the code does."""

from __future__ import annotations

import pytest

from workflow_deeplabcut.commands import ingest
from workflow_deeplabcut.ingest.files import KINDS, Kind

from .conftest import REPOSITORY, USER_DATA


def describe(kind: Kind) -> list[str]:
    """Rows of the table of a kind's columns."""
    return [
        f"| `{one.name}` | {one.type} | {one.meaning} | {'yes' if one.required else ''} |"
        for one in kind.layout.columns
    ]


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_column_is_documented(kind: Kind) -> None:
    page = (REPOSITORY / "docs" / "ingest.md").read_text(encoding="utf-8")
    _, _, section = page.partition(f"### `{kind.file_name}`")
    section = section.partition("\n### ")[0]
    assert f"`ingest_{kind.name}`" in section
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == describe(kind)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_help_names_file_and_columns(kind: Kind) -> None:
    assert f"{kind.name:12}  {kind.file_name}" in ingest._EPILOG
    text = "".join(ingest._EPILOG.split())
    names = (USER_DATA / kind.file_name).read_text(encoding="utf-8").splitlines()
    header = next(line for line in names if not line.startswith("#"))
    known = [name for name in header.split(",") if name in kind.layout.names]
    assert ",".join(known) in text
