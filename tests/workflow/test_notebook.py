"""Notebooks start wherever they are opened."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workflow_deeplabcut import notebook

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout elsewhere than the one that is installed."""
    root = tmp_path / "checkout"
    (root / "notebooks" / "deeper").mkdir(parents=True)
    (root / "notebooks" / "01-Configure.ipynb").touch()
    return root


@pytest.mark.parametrize("opened_in", [".", "notebooks", "notebooks/deeper"])
def test_the_checkout_is_found_from_inside(checkout: Path, opened_in: str) -> None:
    assert notebook.find_root(checkout / opened_in) == checkout


def test_a_configuration_marks_a_root_of_ones_own(checkout: Path) -> None:
    project = checkout / "notebooks" / "deeper"
    (project / "dj_local_conf.json").write_text("{}")
    assert notebook.find_root(project) == project


def test_elsewhere_it_is_the_installed_checkout(tmp_path: Path) -> None:
    assert notebook.find_root(tmp_path) == ROOT


def test_datajoint_reads_the_configuration_of_the_root(checkout: Path) -> None:
    """Also where it was imported before, in a cell above."""
    settings = '{"database.host": "db.of.the.checkout", "custom": {"database.prefix": "here_"}}'
    (checkout / "dj_local_conf.json").write_text(settings)
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("DJ_", "DATABASE_"))}
    for first in ("", "import datajoint;"):
        code = (
            f"{first}from workflow_deeplabcut import notebook; notebook.start();"
            "import datajoint as dj, os; print(dj.config['database.host'], os.getcwd())"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], cwd=checkout / "notebooks", capture_output=True,
            text=True, env=environment | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert result.stdout.split() == ["db.of.the.checkout", str(checkout)], result.stderr
