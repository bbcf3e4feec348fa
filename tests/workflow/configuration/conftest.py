"""A folder and a home of its own for each test, and command lines in them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[3]
_SETTINGS = ("DJ_", "DLC_", "DATABASE_PREFIX")


@dataclass(frozen=True)
class Desk:
    """Where a user sits: a working directory, a home, and nothing configured.

    Attributes:
        folder: Working directory.
        home: Home directory.
        local: The configuration file of the folder.
        personal: That of the user.
    """

    folder: Path
    home: Path

    @property
    def local(self) -> Path:
        return self.folder / "dj_local_conf.json"

    @property
    def personal(self) -> Path:
        return self.home / ".datajoint_config.json"

    @property
    def environment(self) -> dict[str, str]:
        kept = {n: value for n, value in os.environ.items() if not n.startswith(_SETTINGS)}
        return {**kept, "HOME": str(self.home), "PYTHONPATH": str(REPOSITORY)}

    def python(
        self, code: str, *, stdin: Any = subprocess.DEVNULL, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, "-c", code], stdin=stdin, **environment)

    def command(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run([sys.executable, "-m", "workflow_deeplabcut", *arguments], **environment)

    def run(
        self, command: list[str], stdin: Any = subprocess.DEVNULL, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | environment, stdin=stdin,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """This process sits there, too: what it runs by itself sees the same."""
    made = Desk(tmp_path / "work", tmp_path / "home")
    made.folder.mkdir()
    made.home.mkdir()
    monkeypatch.chdir(made.folder)
    monkeypatch.setenv("HOME", str(made.home))
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        monkeypatch.delenv(name)
    return made
