"""Imports run one way, as the map of the house says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs" / "house.md"
PACKAGES = ("element_deeplabcut", "workflow_deeplabcut")


def read_rows(package: str) -> list[set[str]]:
    """Rooms of each row of a package's table, from the top."""
    section = MAP.read_text(encoding="utf-8").split(f"## {package}\n")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]+`) \|", section, re.MULTILINE)
    return [set(re.findall(r"`(\w+)`", cell)) for cell in cells]


def list_modules(package: str) -> dict[str, Path]:
    files = (ROOT / package).rglob("*.py")
    return {".".join(f.relative_to(ROOT).with_suffix("").parts): f for f in files}


def name_room(module: str) -> str:
    """The package itself is a room without a name."""
    return [*module.removesuffix(".__init__").split("."), ""][1]


def list_imports(module: str, file: Path) -> Iterator[str]:
    """Modules, and names in modules, that a module imports anywhere in its text."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: -node.level] if node.level else []
            start = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{start}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_room_is_on_the_map_once(package: str) -> None:
    on_map = [room for row in read_rows(package) for room in row]
    assert len(on_map) == len(set(on_map))
    there = {name_room(module) for module in list_modules(package)} - {"", "__main__"}
    assert not there - set(on_map)


@pytest.mark.parametrize("package", PACKAGES)
def test_rooms_import_from_their_row_and_those_above(package: str) -> None:
    height = {room: number for number, row in enumerate(read_rows(package)) for room in row}
    wrong = []
    for module, file in list_modules(package).items():
        room = name_room(module)
        for imported in list_imports(module, file):
            parts = imported.split(".")
            if parts[0] != package or parts[1] not in height or room not in height:
                continue
            if height[parts[1]] > height[room]:
                wrong.append(f"{module} imports {imported}")
    assert not wrong


def test_the_library_does_not_know_the_workflow() -> None:
    for module, file in list_modules("element_deeplabcut").items():
        assert not [name for name in list_imports(module, file) if name.startswith("workflow_")]


def test_only_the_engines_import_deeplabcut() -> None:
    heavy = ("deeplabcut", "torch", "tensorflow")
    for package in PACKAGES:
        for module, file in list_modules(package).items():
            if name_room(module) != "engines":
                assert not {n.split(".")[0] for n in list_imports(module, file)} & {*heavy}, module
