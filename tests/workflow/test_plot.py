"""``workflow-deeplabcut plot``, as a user types it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from workflow_deeplabcut import cli

from ..conftest import Lab, Trained
from ..scripted_poses import ScriptedSession

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def pose(lab: Lab) -> dict[str, Any]:
    return ScriptedSession(lab.pipeline.model, lab.session_key).add(1125, model="plot-model")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plot(kind: str, *arguments: str) -> int:
    return cli.main(["plot", kind, "--key", "recording_id=1125", *arguments])


def read(file: Path) -> np.ndarray:
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"), dtype=int)


def test_a_trajectory_over_the_first_frame(
    pose: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot("trajectory") == 0
    name = "trajectory_mouse1_2026-02-01-10-00-00_1125_plot-model.png"
    assert capsys.readouterr().out.strip() == name
    with_frame = read(folder / name)
    assert plot("trajectory", "--no-background", "--output", "white.png") == 0
    assert len(np.unique(with_frame.reshape(-1, 3), axis=0)) > len(
        np.unique(read(folder / "white.png").reshape(-1, 3), axis=0)
    )
    assert plot("trajectory") == 1
    assert f"'{name}' exists. Add --overwrite" in capsys.readouterr().err
    assert plot("trajectory", "--overwrite") == 0


def test_a_video_that_is_away_is_no_reason_to_draw_nothing(
    lab: Lab, pose: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session = ScriptedSession(lab.pipeline.model, lab.session_key)
    session.add(1126, model="plot-model", video="raw/away.mp4")
    arguments = ["plot", "trajectory", "--key", "recording_id=1126", "--output", "a.png"]
    assert cli.main(arguments) == 0
    assert "no frame behind the paths: 'raw/away.mp4' exists below none" in capsys.readouterr().err
    assert (folder / "a.png").stat().st_size > 1000


@pytest.mark.parametrize(("kind", "magic"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_time_series_in_other_formats(
    pose: dict[str, Any], folder: Path, kind: str, magic: bytes
) -> None:
    assert plot("timeseries", "--format", kind, "--body-part", "tail base") == 0
    (file,) = folder.iterdir()
    assert file.suffix == f".{kind}"
    assert file.read_bytes().startswith(magic)


def test_a_verdict(
    lab: Lab, pose: dict[str, Any], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plot("quality") == 1
    assert "report.PoseQuality.populate() judges poses" in capsys.readouterr().err
    report = lab.pipeline.report
    index = {"quality_paramset_idx": report.QualityParamSet.insert_default()}
    report.PoseQuality.populate(pose, index)
    assert plot("quality", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["key"]["recording_id"] == "1125"
    assert read(folder / printed["file"]).shape[2] == 3


@pytest.mark.dlc
def test_a_training_and_a_model(
    lab: Lab, trained: Trained, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = [f"--key={name}={value}" for name, value in trained.training_key.items()]
    assert cli.main(["plot", "learning-curve", *key, "--output", "curve.png"]) == 0
    lab.pipeline.model.ModelEvaluation.populate(trained.model_key)
    assert cli.main(["plot", "evaluation", "--key", "model_name=tiny", "--output", "e.png"]) == 0
    for name in ("curve.png", "e.png"):
        assert read(folder / name).std() > 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trajectory", "--key", "recording_id=1138"], "PoseEstimation.populate() computes"),
        (["trajectory", "--key", "recordingid=1125"], "did you mean 'recording_id'"),
        (["trajectory", "--key", "1125"], "not of the form NAME=VALUE"),
        (["trajectory", "--output", "a.gif"], "'a.gif' must end in .png, .svg, .pdf"),
        (["trajectory", "--output", "no/a.png"], "The folder 'no' does not exist"),
        (["quality", "--body-part", "nose"], "--body-part says nothing about 'quality'"),
        (["timeseries", "--no-background"], "--no-background says nothing about"),
        (["timeseries", "--key", "recording_id=1125", "--body-part", "wing"], "body part"),
        (["timeseries", "--key", "recording_id=1125", "--p-cutoff", "2"], "p_cutoff is 2.0"),
        (["learning-curve", "--key", "training_id=1138"], "ModelTraining.populate() trains"),
    ],
)
def test_a_mistake_gets_a_sentence(
    pose: dict[str, Any],
    folder: Path,
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["plot", *arguments]) == 1
    assert said in capsys.readouterr().err
    assert list(folder.iterdir()) == []
