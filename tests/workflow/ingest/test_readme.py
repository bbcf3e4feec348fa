"""The way from spreadsheets to results of README and docs, typed as it stands there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

import pytest

from .conftest import REPOSITORY, Shell


def list_steps(start: str, end: str) -> list[tuple[str, str]]:
    """Blocks of code between two places of the README: language, code."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = text.partition(start)[2].partition(end)[0]
    return re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)


def list_worker_commands() -> list[list[str]]:
    """Those of a worker's day, made to end and to need no GPU."""
    ((_, code),) = list_steps("### Workers", "\n### ")
    for old, new in {"--hours 23.5": "--stop-when-idle", "cuda:0": "cpu", " --watch": ""}.items():
        assert old in code
        code = code.replace(old, new)
    return [shlex.split(line, comments=True)[1:] for line in code.splitlines()]


@pytest.mark.dlc
def test_from_spreadsheets_to_a_picture(open_shell: Callable[[str], Shell]) -> None:
    shell = open_shell("readme_way_")
    (shell.folder / "user_data").symlink_to(REPOSITORY / "user_data")
    # Where the files are is what the README has a user configure, and nothing else.
    (shell.folder / "demo_output").mkdir()
    (shell.folder / "demo_output" / "data").symlink_to(shell.environment["DLC_ROOT_DATA_DIR"])
    del shell.environment["DLC_ROOT_DATA_DIR"]
    ((_, setup),) = list_steps("## Use it in your lab", "The [notebooks]")
    (root,) = [line for line in setup.splitlines() if "--root" in line]
    assert shell(*shlex.split(root, comments=True)[1:]).code == 0
    for language, code in list_steps("From spreadsheets to results", "\n## "):
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
    for words in list_worker_commands():
        ended = shell(*words)
        assert ended.code == 0, f"{words}\n{ended.out}\n{ended.err}"


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
