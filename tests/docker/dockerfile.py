"""Reads Dockerfiles: stages, instructions, flags, and what a build leaves of its context."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = ("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER",
         "WORKDIR")  # fmt: skip
"""Instructions that `building` carries out; any other one in a Dockerfile is an error here."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: Such as ``RUN``.
        flags: Such as ``{"from": "builder"}``.
        value: What follows, in one line.
    """

    name: str
    flags: dict[str, str]
    value: str

    @property
    def words(self) -> list[str]:
        """The value as words: of the JSON form, or as a shell splits them."""
        return json.loads(self.value) if self.value.startswith("[") else shlex.split(self.value)

    @property
    def command(self) -> list[str]:
        """The value as a command: the JSON form, or a line for the shell."""
        is_exec = self.value.startswith("[")
        return json.loads(self.value) if is_exec else ["/bin/sh", "-c", self.value]


@dataclass
class Stage:
    """One stage: its name, the image or stage it begins with, and its instructions."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)


def read_dockerfile(file: Path) -> dict[str, Stage]:
    """Read the stages by their names, in their order."""
    stages: dict[str, Stage] = {}
    for line in _join_lines(file.read_text()):
        instruction = _read_instruction(line)
        if instruction.name == "FROM":
            base, _, name = instruction.value.partition(" AS ")
            stages[name] = Stage(name, base)
        else:
            list(stages.values())[-1].instructions.append(instruction)
    return stages


def _join_lines(text: str) -> Iterator[str]:
    joined = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        joined += line.removesuffix("\\").strip() + " "
        if not line.endswith("\\"):
            yield joined.strip()
            joined = ""


def _read_instruction(line: str) -> Instruction:
    name, _, value = line.partition(" ")
    if name not in KNOWN:
        raise ValueError(f"{name} is not carried out here")
    flags = {}
    while match := re.match(r"--([a-z-]+)=(\S+)\s+", value):
        flags[match[1]] = match[2]
        value = value[match.end() :]
    return Instruction(name, flags, value.strip())


class Context:
    """What a build may copy: a folder without what .dockerignore leaves out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        lines = (folder / ".dockerignore").read_text().splitlines()
        self._patterns = [line for line in lines if line and not line.startswith("#")]

    def holds(self, path: str) -> bool:
        """Whether a file is part of the context: the last pattern that fits decides."""
        parents = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 2)]
        kept = True
        for line in self._patterns:
            pattern = _to_regex(line.removeprefix("!"))
            if any(pattern.fullmatch(parent) for parent in parents):
                kept = line.startswith("!")
        return kept

    def list(self, path: str) -> list[str]:
        """Files of the context at a path or below it, relative to the folder."""
        found = self.folder / path
        files = [found] if found.is_file() else [f for f in found.rglob("*") if f.is_file()]
        names = [file.relative_to(self.folder).as_posix() for file in files]
        return sorted(name for name in names if self.holds(name))


def _to_regex(pattern: str) -> re.Pattern[str]:
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    split = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(parts.get(part, re.escape(part)) for part in split))
