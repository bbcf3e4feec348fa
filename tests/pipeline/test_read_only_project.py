"""A project on a read-only mount: it trains, evaluates and registers all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..conftest import TRAINING_PARAMS, Lab

pytestmark = pytest.mark.dlc


@pytest.fixture
def read_only_project(lab: Lab, project_copy: Path) -> Iterator[Path]:
    """The project, mounted read-only, or at least without permission to write."""
    bind = ["mount", "--bind", str(project_copy), str(project_copy)]
    remount = ["mount", "-o", "remount,ro,bind", str(project_copy)]
    is_root = os.geteuid() == 0
    if is_root and shutil.which("mount") and subprocess.run(bind).returncode == 0:
        subprocess.run(remount, check=True)
        yield project_copy
        subprocess.run(["umount", str(project_copy)], check=True)
        return
    if is_root:
        pytest.skip("root without the right to mount can write anywhere")
    subprocess.run(["chmod", "-R", "a-w", str(project_copy)], check=True)
    yield project_copy
    subprocess.run(["chmod", "-R", "u+w", str(project_copy)], check=True)


def test_a_read_only_project_trains_and_evaluates(lab: Lab, read_only_project: Path) -> None:
    with pytest.raises(OSError, match=r"Read-only|Permission"):
        (read_only_project / "probe").touch()
    train, model = lab.pipeline.train, lab.pipeline.model
    params = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1}
    key = lab.add_training(200, params, project_path=read_only_project.name)
    train.ModelTraining.populate(key)
    model_key = model.Model.insert_from_training(key, "read only")
    model.ModelEvaluation.populate(model_key)
    assert (model.ModelEvaluation & model_key).fetch1("test_error") > 0
