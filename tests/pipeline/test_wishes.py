"""A labeled video is asked for at any time, also while the poses are being computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datajoint as dj
import pytest

from workflow_deeplabcut import synthetic
from workflow_deeplabcut.worker import run_worker

from ..conftest import Lab
from .scripted import load_pose, random_tracks

WISH = {"dotsize": 4}


@pytest.fixture
def task(lab: Lab, scripted: dict[str, Any]) -> dict[str, Any]:
    """A task whose poses wait to be loaded."""
    key = load_pose(lab, random_tracks(5))
    (lab.pipeline.model.PoseEstimation & key).delete(safemode=False)
    return key


def populate(table: Any, key: dict[str, Any]) -> None:
    table.populate(key)


def work(table: Any, key: dict[str, Any]) -> None:
    summary = run_worker([table], restrictions=[key], stop_when_idle=True)
    assert (summary.done, summary.failed) == (1, 0)


def meanwhile(
    monkeypatch: pytest.MonkeyPatch, table: Any, act: Callable[[dict[str, Any]], Any]
) -> None:
    """Let somebody do something while the poses are being computed."""
    compute = table.make_compute

    def make_compute(self: Any, key: dict[str, Any], *fetched: Any) -> Any:
        result = compute(self, key, *fetched)
        act(key)
        return result

    monkeypatch.setattr(table, "make_compute", make_compute)


@pytest.mark.parametrize("way", [populate, work])
def test_a_video_asked_for_while_poses_are_computed_costs_them_nothing(
    lab: Lab, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch, way: Callable[..., None]
) -> None:
    model = lab.pipeline.model
    meanwhile(monkeypatch, model.PoseEstimation, lambda key: model.LabeledVideo.request(key, WISH))
    way(model.PoseEstimation, task)
    assert model.PoseEstimation & task
    params = (model.PoseEstimationTask & task).fetch1("pose_estimation_params")
    assert params == {"labeled_video": WISH}
    assert model.LabeledVideo.key_source & task


def test_what_concerns_the_analysis_still_must_not_change(
    lab: Lab, task: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = lab.pipeline.model
    changed = {"pose_estimation_params": {"cropping": [0, 9, 0, 9], "labeled_video": True}}
    meanwhile(
        monkeypatch, model.PoseEstimation,
        lambda key: model.PoseEstimationTask.update1({**key, **changed}),
    )  # fmt: skip
    with pytest.raises(dj.DataJointError, match="make_fetch"):
        model.PoseEstimation.populate(task)
    assert not model.PoseEstimation & task


def test_an_analysis_by_a_network_does_not_know_the_wish(
    lab: Lab, scripted: dict[str, Any]
) -> None:
    model = lab.pipeline.model
    synthetic.render_video(lab.root / "raw" / "wish.mp4", 5, seed=1)
    key = {**lab.add_recording(2990, "raw/wish.mp4"), **scripted}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, params={"batch_size": 2})
    before = model.PoseEstimation().make_fetch(key)
    model.LabeledVideo.request(key, WISH)
    assert model.PoseEstimation().make_fetch(key) == before
    assert before[0].params == {"batch_size": 2}


def test_a_check_looks_at_the_wish_of_the_task(lab: Lab, scripted: dict[str, Any]) -> None:
    """Inserted past `generate`, so that nobody has looked whether it can be drawn."""
    model = lab.pipeline.model
    synthetic.render_video(lab.root / "raw" / "check-wish.mp4", 5, seed=1)
    key = {**lab.add_recording(2991, "raw/check-wish.mp4"), **scripted}
    model.RecordingInfo.populate(key)
    wish = {"labeled_video": {"displayedbodyparts": ["noze"]}}
    task = {"task_mode": "trigger", "pose_estimation_params": wish}
    model.PoseEstimationTask.insert1({**key, **task})
    (problem,) = [
        found
        for found in model.PoseEstimationTask.check(key, elsewhere=True).problems
        if found.topic == "labeled video"
    ]
    assert "no body part 'noze'" in problem.text
