"""What a user types: the files of ``user_data/`` on the demo's data, from a shell."""

from __future__ import annotations

import ast
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from workflow_deeplabcut.demo import settings

from .conftest import USER_DATA, Shell

COUNTS = """
from workflow_deeplabcut.pipeline import *
print([len(t()) for t in (subject.Subject, session.Session, session.SessionDirectory,
      session.SessionNote, train.TrainingParamSet, train.VideoSet.File, model.VideoRecording,
      model.VideoRecording.File, model.Model)])
"""


@pytest.fixture
def user_data(tmp_path: Path) -> Path:
    return Path(shutil.copytree(USER_DATA, tmp_path / "user_data"))


@pytest.mark.slow
def test_the_example_files(open_shell: Callable[[str], Shell], user_data: Path) -> None:
    """Dry run, ingest, ingest again; then a file that contradicts what is there."""
    shell = open_shell("ingest_examples_")
    tried = shell("ingest", "user_data", "--skip", "model", "--dry-run")
    assert tried.code == 0, tried.err
    assert tried.out.splitlines() == [
        "user_data/subjects.csv: 1 row of Subject would be inserted",
        "user_data/sessions.csv: 1 row of Session, 1 row of SessionDirectory, "
        "1 row of SessionNote would be inserted",
        "user_data/config_params.csv: 1 row of TrainingParamSet would be inserted",
        "user_data/train_videosets.csv: 2 rows of VideoSet, 2 rows of VideoSet.File "
        "would be inserted",
        "user_data/model_videos.csv: 2 rows of VideoRecording, 3 rows of VideoRecording.File "
        "would be inserted",
    ]

    untrained = shell("ingest", "user_data")
    assert untrained.code == 1
    assert "model_model.csv, line 3, column config_relative_path: The project" in untrained.err
    assert "has no trained shuffle 1" in untrained.err
    assert "leave this file out (--skip model" in untrained.err
    assert shell.python(COUNTS) == str([0] * 9)

    root = shell.environment["DLC_ROOT_DATA_DIR"]
    shell.environment["DLC_ROOT_DATA_DIR"] = "/not/mounted/on/this/laptop"
    laptop = shell("ingest", "user_data", "--skip", "model")
    assert laptop.code == 1
    assert "add --unchecked-files" in laptop.err
    laptop = shell("ingest", "user_data", "--skip", "model", "--unchecked-files")
    assert "config_params.csv, line 3, column config_path: The root directory" in laptop.err
    assert "leave it empty" in laptop.err
    shell.environment["DLC_ROOT_DATA_DIR"] = root

    done = shell("ingest", "user_data", "--skip", "model")
    assert done.out == tried.out.replace("would be inserted", "inserted")

    again = shell("ingest", "user_data", "--skip", "model", "--json")
    files = json.loads(again.out)["files"]
    assert [(file["inserted"], file["n_known"]) for file in files] == [
        ({}, 1), ({}, 1), ({}, 1), ({}, 2), ({}, 3),
    ]  # fmt: skip

    subjects = user_data / "subjects.csv"
    subjects.write_text(subjects.read_text().replace(",F,", ",M,"))
    wrong = shell("ingest", "user_data", "--skip", "model")
    assert wrong.code == 1
    assert "user_data/subjects.csv, line 3, column sex: is 'M' here and 'F' in the database" in (
        wrong.err
    )
    assert "Traceback" not in wrong.err

    typed = "print((train.TrainingParamSet & 'paramset_idx=0').fetch1('params'))"
    counts, params = shell.python(COUNTS + typed).splitlines()
    assert counts == str([1, 1, 1, 1, 1, 2, 2, 3, 0])
    assert ast.literal_eval(params) == settings.PYTORCH_PARAMS
