"""The story of a row, a year later: on the machine with the files, and on a laptop without."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datajoint as dj
import pandas as pd
import pytest

from element_deeplabcut import housekeeping
from element_deeplabcut.errors import ParameterError, QueryError
from element_deeplabcut.provenance import describe
from workflow_deeplabcut import bulk, cli, ingest

from ..conftest import TRAINING_PARAMS, Lab, Trained
from ..rights import run_refused
from .scripted import load_pose, random_tracks, register_model

dlc = pytest.mark.dlc


@dlc
def test_a_pose_tells_its_whole_story(
    lab: Lab, trained: Trained, estimated: dict[str, Any]
) -> None:
    story = describe(lab.pipeline.model.PoseEstimation, estimated, check_files=True)
    tables = [one.table for one in story.walk()]
    assert tables == [
        "model.PoseEstimation", "model.Model", "model.RecordingInfo", "train.ModelTraining"
    ]  # fmt: skip
    by_name = {one.table: one for one in story.walk()}
    training = by_name["train.ModelTraining"]
    assert {name: training.key[name] for name in trained.training_key} == trained.training_key
    assert training.labels is not None
    assert training.labels.frames == {"train": 60}
    assert training.labels.n_train + training.labels.n_test == 60
    assert by_name["model.PoseEstimation"].computation.versions["deeplabcut"] == "3.0.2"
    changed = {setting.name: setting for setting in training.settings[-1].settings}
    assert changed["train_settings.epochs"].value == TRAINING_PARAMS["epochs"]
    assert changed["train_settings.epochs"].default == 200  # DeepLabCut's own
    assert {file.state for file in story.all_files} == {"same"}
    videos = [file for file in story.all_files if file.what == "video" and file.state == "same"]
    assert [file.path for file in videos] == [lab.new_video]
    page = str(story)
    for text in ("3.0.2", "none: the whole frame", "60 frames", lab.new_video, "cpu"):
        assert text in page
    assert max(len(line) for line in page.splitlines() if "/" not in line) <= 100


@dlc
def test_forms_for_programs_reports_and_notebooks(lab: Lab, estimated: dict[str, Any]) -> None:
    story = describe(lab.pipeline.model.PoseEstimation & estimated)
    plain = json.loads(json.dumps(story.to_dict()))
    (video,) = [file for file in plain["files"] if file["what"] == "video"]
    assert len(video["sha256"]) == 64
    assert video["size"] == (lab.root / lab.new_video).stat().st_size
    assert story.to_markdown().startswith("## model.PoseEstimation")
    assert story._repr_html_().count("<h3>") == len(list(story.walk()))


@dlc
def test_an_evaluation_and_a_model_tell_theirs(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    model.ModelEvaluation.populate(trained.model_key)
    evaluation = describe(model.ModelEvaluation, trained.model_key, check_files=True)
    assert evaluation.labels.frames == {"train": 60}
    assert not evaluation.changed_files
    registered = describe(model.Model, trained.model_key)
    assert registered.facts["bundle"] == (model.Model & trained.model_key).fetch1("bundle_hash")
    assert registered.made_from[0].table == "train.ModelTraining"
    assert registered.files[0].state == "present"


@dlc
def test_a_video_that_changed_is_noticed(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    video = lab.root / "raw" / "changing.mp4"
    shutil.copyfile(lab.root / lab.new_video, video)
    key = {**lab.add_recording(1020, "raw/changing.mp4"), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)

    def state(check_files: bool) -> str:
        story = describe(model.PoseEstimation, key, check_files=check_files)
        return next(file.state for file in story.files if file.what == "video")

    assert (state(False), state(True)) == ("present", "same")
    content = bytearray(video.read_bytes())
    content[-1] ^= 1
    video.write_bytes(content)
    assert (state(False), state(True)) == ("present", "changed")  # of the same size
    video.write_bytes(content + b"longer")
    assert state(False) == "changed"
    video.unlink()
    assert state(False) == "missing"
    folder = next(f for f in describe(model.PoseEstimation, key).files if "run" in f.what)
    result = next((lab.processed / folder.path).rglob("*.h5"))
    result.write_bytes(result.read_bytes() + b"x")
    story = describe(model.PoseEstimation, key, check_files=True)
    assert {file.what for file in story.changed_files} == {"video", "run directory"}


@dlc
def test_labels_are_compared_with_those_of_the_training_before(
    lab: Lab, project_copy: Path
) -> None:
    train = lab.pipeline.train
    params = {**TRAINING_PARAMS, "epochs": 1, "save_epochs": 1}
    first = lab.add_training(1020, {**params, "seed": 1020}, project_path=project_copy.name)
    train.ModelTraining.populate(first)
    file = next((project_copy / "labeled-data").glob("*/CollectedData_*.h5"))
    table = pd.read_hdf(file)
    names = ["/".join(row) for row in table.index]
    table = table.iloc[:-2].copy()  # two frames go
    table.iloc[3, 0] += 1.5  # one point moves
    table.to_hdf(file, key="df_with_missing", mode="w")
    picture = project_copy / names[5]
    picture.write_bytes(picture.read_bytes() + b"\0")  # one picture is another file
    # Only the seed tells them apart; shuffle 1 exists in the copy's view of neither.
    second = lab.add_training(1021, {**params, "seed": 1021}, project_path=project_copy.name)
    train.ModelTraining.populate(second)

    changes = describe(train.ModelTraining, second).labels.changes
    assert changes.since["training_id"] == 1020
    assert (changes.added, changes.removed) == ((), tuple(sorted(names[-2:])))
    assert (changes.moved, changes.repictured) == ((names[3],), (names[5],))
    since = describe(train.ModelTraining, second).settings[1]
    assert [setting.name for setting in since.settings] == ["seed"]

    before = describe(train.ModelTraining, first, check_files=True)
    assert "first training" in before.labels.note
    (labels,) = [one for one in before.files if one.what == "labelled frames"]
    assert labels.state == "changed"
    assert "1 frames labels moved, 2 frames no longer labelled, 1 frames picture" in labels.detail
    # A row of an earlier version says so.
    info = (train.ModelTraining & first).fetch1("run_info")
    old = {k: v for k, v in info.items() if k not in ("labelled_frames", "engine_config_changes")}
    train.ModelTraining.update1({**first, "run_info": old})
    assert "not recorded" in describe(train.ModelTraining, second).labels.note
    assert "not recorded" in describe(train.ModelTraining, first).settings[-1].note


def test_what_is_made_of_poses_names_what_differs_from_the_defaults(
    lab: Lab, scripted: dict[str, Any]
) -> None:
    kinematics, report = lab.pipeline.kinematics, lab.pipeline.report
    key = load_pose(lab, random_tracks(40))
    index = kinematics.KinematicsParamSet.insert_new_params("described", {"window": 9})
    quality = report.QualityParamSet.insert_new_params("described", {"p_cutoff": 0.45})
    kinematics.ProcessedPose.populate(key, {"kinematics_paramset_idx": index})
    kinematics.Kinematics.populate(key, {"kinematics_paramset_idx": index})
    report.PoseQuality.populate(key, {"quality_paramset_idx": quality})
    motion = describe(kinematics.Kinematics, {**key, "kinematics_paramset_idx": index})
    assert [one.table for one in motion.walk()][:3] == [
        "kinematics.Kinematics", "kinematics.ProcessedPose", "model.PoseEstimation"
    ]  # fmt: skip
    assert "9  (default: 5)" in str(motion)
    verdict = describe(report.PoseQuality, {**key, "quality_paramset_idx": quality})
    assert "0.45  (default: 0.6)" in str(verdict)
    pose = next(one for one in motion.walk() if one.table == "model.PoseEstimation")
    assert pose.facts["result"].startswith("loaded")
    assert "device" not in str(describe(lab.pipeline.model.PoseEstimation, key)).split("Made")[0]
    (result,) = pose.files
    source = lab.root / result.path
    assert result.size == source.stat().st_size
    source.unlink()
    changed = describe(kinematics.Kinematics, {**key, "kinematics_paramset_idx": index})
    assert [file.path for file in changed.changed_files] == [result.path]


def test_a_laptop_without_the_files_says_so(
    lab: Lab, scripted: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = load_pose(lab, random_tracks(20))
    monkeypatch.setenv("DLC_ROOT_DATA_DIR", "/mnt/not-mounted-here")
    story = describe(lab.pipeline.model.PoseEstimation, key, check_files=True)
    assert {file.state for file in story.all_files} == {"unseen"}
    assert not story.changed_files
    assert "not seen" in str(story)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_read_is_not_seen_and_the_rest_is_told(
    lab: Lab, scripted: dict[str, Any], tmp_path: Path, what: str
) -> None:
    """Another user's result, in the middle of a story whose other files are readable."""
    key = load_pose(lab, random_tracks(20))
    pairs = [f"{name}={key[name]}" for name in ("recording_id", "model_name")]
    (result,) = describe(lab.pipeline.model.PoseEstimation, key).files
    hidden = lab.root / result.path if what == "file" else (lab.root / result.path).parent

    def ask() -> int:
        dj.conn().connect()  # a connection of its own
        return cli.main(["describe", "PoseEstimation", *pairs, "--check-files", "--json"])

    mode = hidden.stat().st_mode
    hidden.chmod(0)
    try:
        code = run_refused(ask, tmp_path / "out.json")
    finally:
        hidden.chmod(mode)
    said = (tmp_path / "out.json").read_text()
    assert code == 0, said
    story = json.loads(said)
    (found,) = story["files"]
    assert (found["state"], found["sha256"]) == ("unseen", result.sha256)
    assert "cannot be read (Permission denied)" in found["detail"]
    assert story["facts"]["body parts"] == "nose, tailbase"
    by_table = {one["table"]: one["files"] for one in story["made_from"]}
    assert [file["state"] for file in by_table["model.Model"]] == ["same"]
    # The recording lies in the same folder.
    video = "present" if what == "file" else "unseen"
    assert [file["state"] for file in by_table["model.RecordingInfo"]] == [video]


def test_every_computed_row_there_is_can_be_described(lab: Lab, scripted: dict[str, Any]) -> None:
    from workflow_deeplabcut.worker.tables import list_tables

    load_pose(lab, random_tracks(20))
    described = set()
    for table in list_tables():
        for key in table().fetch("KEY", limit=1):
            assert json.dumps(describe(table, key).to_dict())
            described.add(table.__name__)
    assert {"RecordingInfo", "PoseEstimation"} <= described


def test_a_table_of_the_labs_own_tells_what_it_has(lab: Lab, scripted: dict[str, Any]) -> None:
    model = lab.pipeline.model
    schema = dj.schema("test_own_described", context={"model": model})

    @schema
    class Arena(dj.Computed):
        definition = """
        -> model.PoseEstimation
        ---
        side     : float
        trace    : longblob
        run_info : longblob
        """

        def make(self, key: dict[str, Any]) -> None:
            info = {"duration_s": 2.0, "host": "bench", "started_at": "2026-02-01T10:00:00+00:00"}
            self.insert1({**key, "side": 0.5, "trace": [1, 2, 3], "run_info": info})

    key = load_pose(lab, random_tracks(20))
    Arena.populate(key)
    story = describe(Arena, key)
    assert story.facts == {"side": 0.5}
    assert story.computation.host == "bench"
    assert [one.table for one in story.made_from] == ["model.PoseEstimation"]
    schema.drop(force=True)


def test_a_table_of_the_labs_own_refers_under_its_own_names(
    lab: Lab, scripted: dict[str, Any]
) -> None:
    pipeline = lab.pipeline
    schema = dj.schema(
        "test_own_names", context={"model": pipeline.model, "kinematics": pipeline.kinematics}
    )

    @schema
    class Bout(dj.Manual):
        definition = """
        -> kinematics.ProcessedPose
        ---
        -> model.Model.proj(rival='model_name')
        -> [nullable] model.Model.proj(judge='model_name')
        scored_at : datetime
        """

    key = load_pose(lab, random_tracks(20))
    index = pipeline.kinematics.KinematicsParamSet.insert_default()
    key["kinematics_paramset_idx"] = index
    pipeline.kinematics.ProcessedPose.populate(key)
    Bout.insert1({**key, "rival": "scripted", "scored_at": "2026-02-01 10:00:00"})
    try:
        story = describe(Bout, key)
        made_from = {(one.table, one.key.get("recording_id")) for one in story.made_from}
        assert made_from == {
            ("kinematics.ProcessedPose", key["recording_id"]), ("model.Model", None)
        }  # fmt: skip
        assert "UTC" not in str(story).split("Made from")[0]  # nobody said so
    finally:
        schema.drop(force=True)


def test_a_pose_outlives_the_facts_of_its_recording(lab: Lab, scripted: dict[str, Any]) -> None:
    model = lab.pipeline.model
    key = load_pose(lab, random_tracks(20))
    (model.RecordingInfo & key).delete(safemode=False)
    story = describe(model.PoseEstimation, key)
    assert [one.table for one in story.made_from] == ["model.Model"]


@dlc
def test_a_model_is_not_said_to_be_from_a_training_that_was_repeated(
    lab: Lab, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, model = lab.pipeline.train, lab.pipeline.model
    table = train.ModelTraining & trained.training_key
    info = table.fetch1("run_info")
    later = (model.Model & trained.model_key).fetch1("run_info")["started_at"]
    # As if the row had been deleted, and the training done again after the model was registered.
    train.ModelTraining.update1({**trained.training_key, "run_info": {**info, "started_at": later}})
    try:
        story = describe(model.Model, trained.model_key)
    finally:
        train.ModelTraining.update1({**trained.training_key, "run_info": info})
    assert not story.made_from
    assert "not in the database any more" in story.note
    assert describe(model.Model, trained.model_key).made_from
    monkeypatch.setattr(train.schema, "is_activated", lambda: False)  # a lab may do without it
    assert "schema train is not active" in describe(model.Model, trained.model_key).note


def test_one_row_is_asked_for(lab: Lab, scripted: dict[str, Any]) -> None:
    model = lab.pipeline.model
    load_pose(lab, random_tracks(20))
    load_pose(lab, random_tracks(20))
    with pytest.raises(QueryError, match="exactly one"):
        describe(model.PoseEstimation, {"model_name": "scripted"})
    with pytest.raises(QueryError, match="0 rows"):
        describe(model.Model, {"model_name": "nobody"})
    with pytest.raises(ParameterError, match=r"describe\(model"):
        describe({"model_name": "scripted"})


def test_datajoints_own_describe_goes_on_working(lab: Lab) -> None:
    assert "project_path" in lab.pipeline.train.TrainingTask.describe(printout=False)
    assert "run_info" in lab.pipeline.model.PoseEstimation().describe(printout=False)


def test_the_command(
    lab: Lab, scripted: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    key = load_pose(lab, random_tracks(20))
    pairs = [f"{name}={key[name]}" for name in ("recording_id", "model_name")]
    assert cli.main(["describe", "PoseEstimation", *pairs, "--check-files"]) == 0
    assert "loaded from results" in capsys.readouterr().out
    assert cli.main(["describe", "model.RecordingInfo", pairs[0], "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["facts"]["frames"] == "20 of 200 x 200 px"
    (lab.root / plain["files"][0]["path"]).unlink()
    assert cli.main(["describe", "RecordingInfo", pairs[0], "--check-files"]) == 1
    capsys.readouterr()
    assert cli.main(["describe", "Nonsense"]) == 1
    assert "model.PoseEstimation" in capsys.readouterr().err
    assert cli.main(["describe", "PoseEstimation", f"{pairs[0]}x"]) == 1
    assert "recording_id must be a number" in capsys.readouterr().err
    assert cli.main(["describe", "PoseEstimation", "colour=blue"]) == 1
    assert "recording_id" in capsys.readouterr().err


@contextlib.contextmanager
def declared_before(table: Any) -> Iterator[None]:
    """A table as an earlier version declared it: without run_info."""
    rename = f"ALTER TABLE {table.full_table_name} CHANGE {{}} {{}} longblob DEFAULT NULL"
    table.connection.query(rename.format("run_info", "hidden"))
    table.heading._attributes = None  # a fresh process would ask the server
    try:
        yield
    finally:
        table.connection.query(rename.format("hidden", "run_info"))
        table.heading._attributes = None


def test_tables_of_an_earlier_version_take_rows_as_before(lab: Lab) -> None:
    """A table that was declared without run_info stays without it."""
    recordings = lab.pipeline.model.RecordingInfo()
    with declared_before(recordings):
        key = lab.add_recording(1022, lab.training_video)
        recordings.populate(key)
        assert (recordings & key).fetch1("nframes") == 300
        assert "not recorded" in str(describe(recordings, key))
    assert (recordings & key).fetch1("run_info") is None


def test_models_of_an_earlier_version_are_registered_and_used_as_before(
    lab: Lab, scripted: dict[str, Any], tmp_path: Path
) -> None:
    model = lab.pipeline.model
    recordings, models = model.RecordingInfo(), model.Model()
    table = tmp_path / "models.csv"
    with declared_before(models), declared_before(recordings):
        key = register_model(lab, "registered before")
        table.write_text(
            "model_name,config_relative_path,shuffle,trainingsetindex\n"
            "ingested before,project-registered before/config.yaml,1,0\n"
            "registered before,project-registered before/config.yaml,1,0\n"
        )
        outcome = ingest.ingest_model(table, verbose=False)
        assert (outcome.inserted, outcome.n_known) == ({"Model": 1}, 1)
        pose = load_pose(lab, random_tracks(20))
        assert model.PoseEstimation.get_pose(pose).n_frames == 20
        assert len(describe(model.PoseEstimation, pose).made_from) == 2
        assert describe(models, key).facts["registered"] is None
        assert model.PoseEstimationTask.check(pose)
        plan = bulk.plan_inference("registered before", pose)
        assert len(plan.rows) == 1
        assert not any(
            one.path.endswith((models & key).fetch1("bundle_hash"))
            for one in housekeeping.list_unneeded().candidates
        )
    assert (models & key).fetch1("run_info") is None
