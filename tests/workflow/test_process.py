"""Every make once, in order; the last test goes from queued tasks to motion with a real network."""

from __future__ import annotations

import json
from typing import Any

import pytest

from element_deeplabcut.errors import ParameterError, VideoError
from workflow_deeplabcut import bulk, cli, process

from ..conftest import Lab, Trained
from .worker.conftest import Site
from .worker.conftest import site as site  # a fixture


def test_what_failed_and_why(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.add("", "bad", "")
    summary = process.run({"a": 1}, tables=[site.Plain, site.Parts], display_progress=False)
    assert (summary.made, summary.failed) == (4, 2)
    assert [table.table for table in summary.tables] == ["Plain", "Parts"]
    (failure,) = summary.tables[0].failures
    assert failure.key == {"a": 1, "b": 1}
    assert failure.error == "VideoError"
    out = capsys.readouterr().out
    assert "Plain: 2 made, 1 failed\n  a=1 b=1: 'bad.mp4' is damaged after frame 7." in out
    assert out.rstrip().endswith("4 made, 2 failed")


def test_arguments_that_datajoint_users_know(site: Site) -> None:
    site.add("", "", "")
    first = process.run(tables=[site.Plain], max_calls=1, order="reverse", verbose=False)
    assert (first.tables[0].made, first.tables[0].left) == (1, 2)
    assert site.Plain.fetch("b").tolist() == [2]
    site.add("bad")
    with pytest.raises(VideoError):
        process.run(tables=[site.Plain], suppress_errors=False, verbose=False)
    site.jobs.reserve(site.Plain.table_name, site.Plain()._job_key({"a": 1, "b": 3}))
    shared = process.run("b=3", tables=[site.Plain], reserve_jobs=True, verbose=False)
    assert (shared.made, shared.tables[0].taken) == (0, 1)
    for options in ({"order": "sideways"}, {"max_calls": 0}):
        with pytest.raises(ParameterError):
            process.run(tables=[site.Plain], **options)


def test_a_misspelt_restriction_does_not_let_everything_run(site: Site) -> None:
    """DataJoint passes over a name that a table does not have."""
    site.add("", "")
    with pytest.raises(ParameterError, match="No table has an attribute 'aa'"):
        process.run({"aa": 2}, tables=[site.Plain, site.Parts], verbose=False)
    assert not site.Plain()


def test_jobs_of_others_do_not_use_up_the_calls(site: Site) -> None:
    """Otherwise jobs that failed once, which stay reserved, would keep all others from a turn."""
    site.add("", "", "")
    site.jobs.reserve(site.Plain.table_name, site.Plain()._job_key({"a": 1, "b": 0}))
    shared = process.run(tables=[site.Plain], reserve_jobs=True, max_calls=1, verbose=False)
    (done,) = shared.tables
    assert (done.made, done.taken, done.left) == (1, 1, 1)


def test_an_interrupt_ends_the_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With DataJoint's own suppress_errors, Ctrl-C would be one more failed make."""
    site.add("", "", "")
    plain = site.Plain
    make = plain.make

    def interrupted(self: Any, key: dict[str, Any]) -> None:
        if key["b"] == 1:
            raise KeyboardInterrupt
        make(self, key)

    monkeypatch.setattr(plain, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        process.run(tables=[plain], verbose=False)
    assert plain.fetch("b").tolist() == [0]
    assert not plain.connection.in_transaction


def test_tables_come_after_those_that_they_depend_on(lab: Lab) -> None:
    from workflow_deeplabcut.worker import list_tables

    names = [table.__name__ for table in process.sort_tables(reversed(list_tables()))]
    known = [name for name in names if name in process._USUAL_ORDER]
    assert known == [
        "RecordingInfo", "ModelTraining", "ModelEvaluation", "PoseEstimation", "PoseQuality",
        "ProcessedPose", "Kinematics", "LabeledVideo",
    ]  # fmt: skip


def test_the_command(
    site: Site,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.add("", "bad")
    module = "tests.workflow.worker.scripted"
    assert cli.main(["run", "--pipeline", module, "--table", "Plain", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["made"], found["failed"]) == (1, 1)
    assert found["tables"][0]["failures"][0]["key"] == {"a": "1", "b": "1"}
    assert cli.main(["run", "--table", "Nothing", "--pipeline", module]) == 1
    assert "no computed table 'Nothing'" in capsys.readouterr().err
    site.Task.delete(safemode=False)
    assert cli.main(["run", "--pipeline", module, "--table", "Plain"]) == 0
    assert "Plain: nothing to do (Task is empty)" in capsys.readouterr().out


@pytest.mark.dlc
def test_from_queued_tasks_to_motion(
    lab: Lab, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = lab.pipeline
    keys = [lab.add_recording(number, lab.new_video) for number in (1190, 1191)]
    damaged = lab.root / "raw" / "damaged.mp4"
    damaged.write_bytes((lab.root / lab.new_video).read_bytes()[:2000])
    lab.add_recording(1192, "raw/damaged.mp4")
    only = "recording_id IN (1190, 1191, 1192)"
    model_name = trained.model_key["model_name"]
    plan = bulk.queue_inference(model_name, only)
    params = {  # the lab of the tests has others, too
        "quality_paramset_idx": pipeline.report.QualityParamSet.insert_default(),
        "kinematics_paramset_idx": pipeline.kinematics.KinematicsParamSet.insert_default(),
    }
    pipeline.model.LabeledVideo.request({**keys[0], "model_name": model_name})
    names = ["RecordingInfo", "PoseEstimation", "PoseQuality", "ProcessedPose", "Kinematics",
             "LabeledVideo"]  # fmt: skip
    summary = process.run(only, params, tables=names, make_kwargs={"device": "cpu"})
    made = {table.table: table.made for table in summary.tables}
    assert made == {
        "RecordingInfo": 2, "PoseEstimation": 2, "PoseQuality": 2, "ProcessedPose": 2,
        "Kinematics": 2, "LabeledVideo": 1,
    }  # fmt: skip
    (failure,) = summary.tables[0].failures
    assert failure.key["recording_id"] == 1192
    assert "damaged.mp4" in failure.message
    assert "poses are there already" in str(bulk.plan_inference(model_name, only))
    assert str(bulk.undo(plan.batch_id)) == "1 task taken back; 2 kept, as their results are there"
    assert len(pipeline.model.PoseEstimation & only) == 2
