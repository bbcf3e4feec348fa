"""A short version of the drills, and when they fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .record import VERDICTS
from .run import is_good

REPOSITORY = Path(__file__).parents[2]
FAULTS = 30
DRILLS = {
    "end_connections", "restart_server", "outage_during_compute", "outage_over_insert",
    "short_wait_timeout", "fill_disk", "limit_files", "share_project", "skew_clocks",
    "truncate_videos", "signal_workers",
}  # fmt: skip


@pytest.mark.slow
def test_a_short_version(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.drills", "--faults", str(FAULTS), "--outage", "3"]
    done = subprocess.run(
        [*command, "--no-real", "--seed", "7", "--output", str(tmp_path / "drills")],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True,
        text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "drills" / "summary.json").read_text())
    assert summary["faults"] >= FAULTS
    assert [summary[name] for name in VERDICTS] == [0, 0, 0, 0]
    assert summary["drills"].keys() == DRILLS
    for name, drill in summary["drills"].items():
        # Only root may mount a small disk.
        assert drill["faults"] or (name == "fill_disk" and drill["skipped"]), name


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = subprocess.run(
        [sys.executable, "-m", "tests.drills", "--output", str(tmp_path)],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "files that are not the drills'" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("change", [*({name: 1} for name in VERDICTS), {"faults": 9}])
def test_what_is_found_is_a_failure(change: dict[str, Any]) -> None:
    summary = {**dict.fromkeys(VERDICTS, 0), "faults": 10, "wanted_faults": 10}
    assert is_good(summary)
    assert not is_good({**summary, **change})
