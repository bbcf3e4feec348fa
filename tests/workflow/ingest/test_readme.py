"""The way from spreadsheets to results of README and docs, typed as it stands there."""

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


@pytest.mark.slow
def test_the_same_from_python(open_shell: Callable[[str], Shell]) -> None:
    """But for the training, which the other test does."""
    shell = open_shell("docs_way_")
    (shell.folder / "user_data").symlink_to(REPOSITORY / "user_data")
    page = (REPOSITORY / "docs" / "ingest.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "\nprocess.run()" in code
    code = code.replace("process.run()", 'process.run(tables=["RecordingInfo"])')
    counts = "from workflow_deeplabcut.pipeline import model, train\n"
    counts += "print(len(train.TrainingTask()), len(model.RecordingInfo()))"
    assert shell.python(f"{code}\n{counts}").splitlines()[-1] == "1 2"
