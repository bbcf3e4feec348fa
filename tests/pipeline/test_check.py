"""Checks before a GPU is taken agree with what the makes say, and change nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from element_deeplabcut.errors import ElementError, ParameterError
from workflow_deeplabcut import cli, synthetic

from ..conftest import TENSORFLOW_PARAMS, TRAINING_PARAMS, Lab, Trained
from .scripted import SCORER, load_pose, random_tracks

dlc = pytest.mark.dlc
Usage = namedtuple("Usage", "total used free")


def topics(report: Any, level: str) -> set[str]:
    found = (*(one for task in report.tasks for one in task.findings), *report.findings)
    return {finding.topic for finding in found if finding.level == level}


def list_tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(file): (file.stat().st_size, file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


# --- trainings ------------------------------------------------------------------------------------


@dlc
def test_a_training_that_can_be_done(lab: Lab, trained: Trained) -> None:
    train = lab.pipeline.train
    key = lab.add_training(1030, {**TRAINING_PARAMS, "epochs": 3, "seed": 1030})
    before = list_tree(lab.root), list_tree(lab.processed), len(train.ModelTraining())
    report = train.TrainingTask.check(key)
    assert report, str(report)
    assert report.tasks[0].takes_s > 0  # by the record of the training that others use
    assert "3 epochs" in str(report)
    # resnet of 0.38 M weights, 4 bytes each, with Adam's state, 5 kept and the best
    assert 3 * 4 * 0.3e6 * 6 < report.tasks[0].needs_bytes < 3 * 4 * 0.5e6 * 6
    assert (train.TrainingTask & key).check().tasks == report.tasks
    after = list_tree(lab.root), list_tree(lab.processed), len(train.ModelTraining())
    assert after == before
    assert "there is nothing to do" in str(train.TrainingTask.check(trained.training_key))


@dlc
def test_weights_that_cannot_be_had_and_settings_that_do_not_exist(
    lab: Lab, project_copy: Path
) -> None:
    train = lab.pipeline.train
    task = {"project_path": project_copy.name}
    params = {"shuffle": 7, "trainingsetindex": 0, "seed": 1031}
    offline = lab.add_training(1031, params, **task)  # pretrained, and HF_HUB_OFFLINE is set
    (problem,) = train.TrainingTask.check(offline).problems
    assert "pretrained weights are neither" in problem.text
    typo = {**params, "init_weights": "random", "pytorch_cfg_updates": {"runner.optimiser": 1}}
    misspelt = lab.add_training(1032, typo, **task)
    (problem,) = train.TrainingTask.check(misspelt).problems
    assert "runner.optimiser" in problem.text
    with pytest.raises(ElementError) as raised:
        train.ModelTraining.populate(misspelt)
    assert str(raised.value) == problem.text


@dlc
def test_a_device_that_is_not_there(lab: Lab, project_copy: Path) -> None:
    train = lab.pipeline.train
    key = lab.add_training(1033, {**TRAINING_PARAMS, "seed": 1033}, project_path=project_copy.name)
    (problem,) = train.TrainingTask.check(key, device="cuda:7").problems
    assert problem.topic == "engine"
    assert "Choose 'cpu'" in problem.text
    assert train.TrainingTask.check(key, device="cuda:7", elsewhere=True)


@dlc
def test_the_other_engine(lab: Lab, project_copy: Path) -> None:
    train = lab.pipeline.train
    task = {"project_path": project_copy.name}
    params = {**TENSORFLOW_PARAMS, "seed": 1039}
    report = train.TrainingTask.check(lab.add_training(1039, params, **task))
    assert report, str(report)
    assert "tensorflow on cpu" in str(report)
    assert topics(report, "warning") <= {"disk", "time"}  # there may be no record yet
    typo = {**params, "pose_cfg_updates": {"rotatoin": 90}}
    misspelt = lab.add_training(1040, typo, **task)
    (problem,) = train.TrainingTask.check(misspelt).problems
    assert "Did you mean 'rotation'?" in problem.text
    lost = {**params, "init_weights": "raw/train.mp4"}
    (problem,) = train.TrainingTask.check(lab.add_training(1041, lost, **task)).problems
    assert "is not a snapshot" in problem.text


def remove_project(project: Path) -> None:
    shutil.rmtree(project)


def remove_labels(project: Path) -> None:
    for file in (project / "labeled-data").glob("*/CollectedData_*"):
        file.unlink()


def remove_picture(project: Path) -> None:
    next((project / "labeled-data").glob("*/*.png")).unlink()


def forget_body_part(project: Path) -> None:
    config = project / "config.yaml"
    config.write_text(config.read_text().replace("- nose\n", "", 1))


@pytest.mark.parametrize(
    ("number", "damage"),
    enumerate((remove_project, remove_labels, remove_picture, forget_body_part), 1034),
)
def test_a_check_says_what_the_training_would(
    lab: Lab, project_copy: Path, number: int, damage: Any
) -> None:
    train = lab.pipeline.train
    key = lab.add_training(
        number, {**TRAINING_PARAMS, "seed": number}, project_path=project_copy.name
    )
    assert train.TrainingTask.check(key, elsewhere=True)
    damage(project_copy)
    report = train.TrainingTask.check(key, elsewhere=True)
    assert not report
    (problem,) = report.problems
    with pytest.raises(ElementError) as raised:
        train.ModelTraining.populate(key)
    assert str(raised.value) == problem.text


# --- pose estimations -----------------------------------------------------------------------------


@dlc
def test_an_analysis_that_can_be_done(
    lab: Lab, trained: Trained, estimated: dict[str, Any]
) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(1030, lab.new_video, lab.training_video), **trained.model_key}
    model.PoseEstimationTask.generate(key, params={"labeled_video": True})
    waiting = model.PoseEstimationTask.check(key)
    assert waiting
    assert topics(waiting, "warning") == {"recording"}
    model.RecordingInfo.populate(key)
    before = list_tree(lab.processed)
    report = model.PoseEstimationTask.check(key)
    assert report, str(report)
    assert not report.warnings
    done = (model.PoseEstimation * model.RecordingInfo.proj("nframes")) & estimated
    n_frames, info = done.fetch1("nframes", "run_info")
    assert report.tasks[0].takes_s > 0
    assert "400 frames" in str(report)
    videos = sum((lab.root / name).stat().st_size for name in (lab.new_video, lab.training_video))
    per_frame = info["disk_bytes"] / n_frames
    assert report.tasks[0].needs_bytes == pytest.approx(400 * per_frame + videos, rel=0.5)
    assert list_tree(lab.processed) == before


@dlc
def test_a_damaged_model_is_found_once_for_all_its_tasks(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    damaged = model.Model.insert_from_training(
        trained.training_key, "damaged", params={"pcutoff": 0.123}
    )
    bundle = lab.processed / "models" / (model.Model & damaged).fetch1("bundle_hash")
    keys = [{**lab.add_recording(n, lab.new_video), **damaged} for n in (1031, 1032)]
    for key in keys:
        model.RecordingInfo.populate(key)
        model.PoseEstimationTask.generate(key)
    (snapshot,) = bundle.rglob("snapshot-*.pt")
    os.chmod(snapshot, 0o644)
    snapshot.write_bytes(snapshot.read_bytes() + b"x")
    report = model.PoseEstimationTask.check(damaged)
    assert len(report.tasks) == 2
    texts = {problem.text for problem in report.problems}
    assert len(texts) == 1
    with pytest.raises(ElementError) as raised:
        model.PoseEstimation.populate(keys[0])
    assert texts == {str(raised.value)}
    (model.Model & damaged).delete(safemode=False)


def queue(lab: Lab, number: int, file: str, **options: Any) -> dict[str, Any]:
    model = lab.pipeline.model
    key = {**lab.add_recording(number, file), "model_name": "scripted"}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, **options)
    return key


def test_videos_that_changed_after_they_were_counted(lab: Lab, scripted: dict[str, Any]) -> None:
    model = lab.pipeline.model
    video = lab.root / "raw" / "preflight.mp4"
    synthetic.render_video(video, 60, seed=3)
    key = queue(lab, 1033, "raw/preflight.mp4")

    def check() -> Any:
        return model.PoseEstimationTask.check(key, elsewhere=True)

    assert check()
    assert topics(check(), "warning") == {"engine", "time"}
    synthetic.render_video(video, 40, seed=3)
    assert "seems to have 40 frames" in str(check())
    video.write_bytes(video.read_bytes()[:2000])
    (problem,) = check().problems
    assert "raw/preflight.mp4" in problem.text or "preflight.mp4" in problem.text
    video.unlink()
    (problem,) = check().problems
    assert "below none of the root directories" in problem.text


def test_a_crop_outside_the_frame(lab: Lab, scripted: dict[str, Any]) -> None:
    model = lab.pipeline.model
    key = queue(lab, 1034, lab.new_video, params={"cropping": [0, 300, 0, 100]})
    (problem,) = model.PoseEstimationTask.check(key, elsewhere=True).problems
    assert problem.topic == "parameters"
    with pytest.raises(ElementError) as raised:
        model.PoseEstimation.populate(key)
    assert str(raised.value) == problem.text


def test_results_to_load(lab: Lab, scripted: dict[str, Any]) -> None:
    model = lab.pipeline.model
    done = load_pose(lab, random_tracks(30))
    folder = Path((model.PoseEstimationTask & done).fetch1("pose_estimation_output_dir"))
    recording = {name: done[name] for name in model.VideoRecording.primary_key}
    (model.PoseEstimation & done).delete(safemode=False)
    assert "30 frames of v1DLC" in str((model.PoseEstimationTask & recording).check())
    result = lab.root / folder / f"v1{SCORER}.h5"
    table = pd.read_hdf(result)
    table.iloc[:-1].to_hdf(result, key="df_with_missing", mode="w", format="table")
    (problem,) = model.PoseEstimationTask.check(recording).problems
    with pytest.raises(ElementError) as raised:
        model.PoseEstimation.populate(recording)
    assert str(raised.value) == problem.text
    result.unlink()
    (problem,) = model.PoseEstimationTask.check(recording).problems
    assert "holds no result of the video 'v1'" in problem.text


def test_a_full_disk(lab: Lab, scripted: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [queue(lab, number, lab.training_video) for number in (1035, 1036)]
    needs = 300 * 2 * 250
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, int(1.5 * needs)))
    report = lab.pipeline.model.PoseEstimationTask.check(keys, elsewhere=True)
    assert [task.problems for task in report.tasks] == [(), ()]  # each would fit
    assert [problem.topic for problem in report.problems] == ["disk"]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**9, 0, needs // 2))
    report = lab.pipeline.model.PoseEstimationTask.check(keys, elsewhere=True)
    assert all("Make room" in task.problems[0].text for task in report.tasks)


def test_a_restriction_that_matches_nothing(lab: Lab) -> None:
    with pytest.raises(ParameterError, match="no row of TrainingTask"):
        lab.pipeline.train.TrainingTask.check({"training_id": 104999})


def test_the_command(
    lab: Lab, scripted: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    queue(lab, 1037, lab.new_video)
    only = ["--restrict", "recording_id=1037", "--elsewhere"]
    assert cli.main(["check", *only]) == 0
    assert "1 task checked: no problem found" in capsys.readouterr().out
    queue(lab, 1038, lab.new_video, params={"cropping": [0, 300, 0, 100]})
    bad = ["--restrict", "recording_id=1038", "--elsewhere", "--json"]
    assert cli.main(["check", *bad]) == 1
    plain = json.loads(capsys.readouterr().out)
    (task,) = plain["tables"]["PoseEstimationTask"]["tasks"]
    assert (plain["n_problems"], task["key"]["recording_id"]) == (1, 1038)
    assert cli.main(["check", "--restrict", "recording_id=99999"]) == 0
    assert "Nothing is queued" in capsys.readouterr().out
    assert cli.main(["check", "--restrict", "colour=blue"]) == 1
    assert "recording_id" in capsys.readouterr().err
