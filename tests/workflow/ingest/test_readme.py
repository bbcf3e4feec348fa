"""The README's way from spreadsheets to results, typed as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import pytest

from .conftest import REPOSITORY, Shell


def list_steps() -> list[tuple[str, str]]:
    """Blocks of code between that heading and the next: language, code."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text.partition("From spreadsheets to results")[2].partition("\n## ")[0]
    return re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)


@pytest.mark.dlc
def test_from_spreadsheets_to_a_picture(open_shell: Callable[[str], Shell]) -> None:
    shell = open_shell("readme_way_")
    (shell.folder / "user_data").symlink_to(REPOSITORY / "user_data")
    for language, code in list_steps():
        if language == "python":
            shell.python(code)
            continue
        for line in code.splitlines():
            _, *words = shlex.split(line, comments=True)
            asks = words[0] == "queue"  # nobody is there to answer
            ended = shell(*words, *(["--yes"] if asks else []))
            assert ended.code == 0, f"{line}\n{ended.out}\n{ended.err}"
    (picture,) = shell.folder.glob("*.png")
    assert picture.stat().st_size > 10_000
    poses = "from workflow_deeplabcut.pipeline import model; print(len(model.PoseEstimation()))"
    assert shell.python(poses) == "2"
