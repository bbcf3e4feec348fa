"""What the README tells a user to type works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TRAINING_PARAMS, Lab

README = Path(__file__).parents[1] / "README.md"


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_links_and_pictures_exist() -> None:
    targets = re.findall(r"\]\(([^)]+)\)", README.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert local
    assert all((README.parent / target).exists() for target in local)


def test_the_two_commands_are_targets() -> None:
    makefile = (README.parent / "Makefile").read_text()
    for command in code_blocks("bash")[0].splitlines():
        target = command.removeprefix("make ")
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


@pytest.mark.dlc
def test_the_pipeline_of_the_readme_runs(lab: Lab, tmp_path: Path) -> None:
    """With a tiny network from random weights, because tests have no network to download over."""
    of_the_workflow, *of_the_library = code_blocks("python")
    assert "workflow_deeplabcut" in of_the_workflow  # tests/workflow/ingest runs it
    code = "\n".join(of_the_library)
    root = tmp_path / "data"
    (root / "videos").mkdir(parents=True)
    (root / "reaching-Ada-2026-01-01").symlink_to(lab.config.parent)
    (root / "videos" / "today.mp4").symlink_to(lab.root / lab.new_video)
    params = TRAINING_PARAMS  # in full: a bad pose would be judged FAIL, and go no further
    replacements = {
        '"/data"': repr([str(root), str(lab.root)]),
        '{"shuffle": 1, "trainingsetindex": 0, "epochs": 200}': repr(params),
    }
    for old, new in replacements.items():
        assert old in code
        code = code.replace(old, new)
    connect = "import datajoint as dj; dj.config['database.use_tls'] = False\n"
    environment = {
        **os.environ,
        "DJ_HOST": f"{lab.server.host}:{lab.server.port}",
        "DJ_USER": lab.server.user,
        "DJ_PASS": lab.server.password,
    }
    result = subprocess.run(
        [sys.executable, "-c", f"{connect}{code}\nprint(poses.shape, motion.shape)"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert "(100, 12) (100, 6)" in result.stdout, result.stderr
    for file in ("nose.csv", "nose.png", "mouse1.nwb"):
        assert (tmp_path / file).stat().st_size > 0
