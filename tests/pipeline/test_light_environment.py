"""A laptop without DeepLabCut: register, queue and fetch with the base requirements only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from ..conftest import Lab, Trained

pytestmark = [pytest.mark.dlc, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

LAPTOP = """
import importlib.util, json, os, sys

for name in ("deeplabcut", "torch", "tensorflow", "cv2"):
    assert importlib.util.find_spec(name) is None, name

import datajoint as dj

dj.config["database.use_tls"] = False
from workflow_deeplabcut.pipeline import model, train
from element_deeplabcut.engines import get_engine
from element_deeplabcut.errors import EngineError

given = json.loads(sys.argv[1])

# register: a model from a project, a recording, its exact facts
model.Model.insert_new_model("laptop", given["config"], shuffle=1, trainingsetindex=0)
recording = {**given["session"], "recording_id": 200}
model.VideoRecording.insert1({**recording, "device": "Camera1"})
model.VideoRecording.File.insert1({**recording, "file_id": 1, "file_path": given["video"]})
model.RecordingInfo.populate(recording)

# queue
task = model.PoseEstimationTask.generate({**recording, "model_name": "laptop"})
train.TrainingParamSet.insert_new_params("laptop", {"shuffle": 77, "trainingsetindex": 0})

# what cannot be done here says so
try:
    model.PoseEstimation.populate(task)
except EngineError as error:
    print("ENGINE", error)
try:
    get_engine("tensorflow")
except EngineError as error:
    print("ENGINE", error)

# fetch
table = model.PoseEstimation.get_trajectory(given["estimated"])
print("SHAPE", *table.shape)
"""


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the base requirements only."""
    folder = tmp_path_factory.mktemp("laptop")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    what = ["install", "-q", str(REPOSITORY), "-c", "requirements.txt"]
    with_uv = [sys.executable, "-m", "uv", "pip", *what, "--python", str(python)]
    with_pip = [str(python), "-m", "pip", *what]
    environment = {"HOME": str(folder), **os.environ}
    if CERTIFICATES.is_file():  # uv knows only its own
        environment.setdefault("SSL_CERT_FILE", str(CERTIFICATES))
    if subprocess.run(with_uv, cwd=REPOSITORY, env=environment).returncode != 0:
        subprocess.run(with_pip, cwd=REPOSITORY, env=environment, check=True)
    return python


def test_a_laptop_registers_queues_and_fetches(
    lab: Lab, trained: Trained, estimated: dict[str, Any], project_copy: Path, laptop: Path
) -> None:
    info = (lab.pipeline.train.ModelTraining & trained.training_key).fetch1("run_info")
    run = lab.processed / info["run_directory"] / "project"
    for folder in ("dlc-models-pytorch", "training-datasets"):
        shutil.copytree(run / folder, project_copy / folder, dirs_exist_ok=True)
    given = {
        "config": str(project_copy / "config.yaml"),
        "session": lab.session_key,
        "video": lab.new_video,
        "estimated": estimated,
    }
    environment = {
        **os.environ,
        "DJ_HOST": f"{lab.server.host}:{lab.server.port}",
        "DJ_USER": lab.server.user,
        "DJ_PASS": lab.server.password,
    }
    result = subprocess.run(
        [str(laptop), "-c", LAPTOP, json.dumps(given)],
        cwd=laptop.parent, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "ENGINE The pytorch engine needs what is not installed" in result.stdout
    assert "ENGINE The tensorflow engine needs what is not installed" in result.stdout
    assert "pip install 'element-deeplabcut[dlc-tf]'" in result.stdout
    assert "SHAPE 100 12" in result.stdout
