"""Labeled videos through populate(): what is asked for is drawn, where the poses are."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from element_deeplabcut.colors import name_colors
from element_deeplabcut.errors import ParameterError, QueryError
from element_deeplabcut.video import read_facts
from workflow_deeplabcut import synthetic

from ..conftest import Lab, Trained
from ..labeled_dots import find_dots

pytestmark = pytest.mark.dlc

COLORS = name_colors(synthetic.BODY_PARTS, "rainbow")
VISIBLE = {"dotsize": 5, "alphavalue": 1, "crf": 5, "keypoints_only": True}
"""Dots as they can be measured: opaque, on black, nearly without losses."""


@pytest.fixture
def task(lab: Lab, estimated: dict[str, Any]) -> Any:
    """The estimated task, without labeled video before and after."""
    model = lab.pipeline.model
    yield estimated
    (model.LabeledVideo & estimated).delete(safemode=False)
    model.LabeledVideo.request(estimated, False)


def test_a_labeled_video_shows_the_poses(lab: Lab, task: dict[str, Any]) -> None:
    model = lab.pipeline.model
    assert model.LabeledVideo.request(task, VISIBLE) == 1
    model.LabeledVideo.populate(task)
    (path,) = model.LabeledVideo.get_paths(task)
    assert path.is_relative_to(lab.processed / "videos")
    facts = read_facts(path)
    assert (facts.n_frames, facts.rate) == (100, Fraction(30))
    pose = model.PoseEstimation.get_pose(task)
    for index, frame in enumerate(decode(path)):
        drawn = pose.likelihood[index, :, 0] >= 0.4  # the config's cutoff
        dots = find_dots(frame, COLORS)
        for part, name in enumerate(synthetic.BODY_PARTS):
            others = np.delete(pose.position[index, :, 0], part, axis=0)
            alone = np.hypot(*(others - pose.position[index, part, 0]).T).min() > 16
            if alone and drawn[part]:
                assert np.hypot(*(dots[name] - pose.position[index, part, 0])) < 0.25


def test_videos_are_drawn_on_request_only(
    lab: Lab, task: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    model = lab.pipeline.model
    with caplog.at_level(logging.WARNING):
        model.LabeledVideo.populate(task)
    assert "LabeledVideo.request(key)" in caplog.text
    assert not model.LabeledVideo & task
    with pytest.raises(QueryError, match=r"LabeledVideo\.request"):
        model.LabeledVideo.get_paths(task)
    assert model.LabeledVideo.request(task) == 1
    assert model.LabeledVideo.request(task) == 0
    assert len(model.LabeledVideo.key_source & task) == 1
    assert model.LabeledVideo.request(task, False) == 1
    assert not model.LabeledVideo.key_source & task


def test_a_wish_of_any_length_or_form_is_found(lab: Lab, task: dict[str, Any]) -> None:
    """DataJoint zips blobs of more than 1000 bytes; a plain insert may hold a plain False."""
    model = lab.pipeline.model
    links = [[a, b] for a in synthetic.BODY_PARTS for b in synthetic.BODY_PARTS]
    model.LabeledVideo.request(task, {"skeleton": links, "draw_skeleton": True})
    assert model.LabeledVideo.key_source & task
    for wish, asked in ((False, 0), (None, 0), (True, 1), ({}, 1)):
        model.PoseEstimationTask.update1(
            {**task, "pose_estimation_params": {"labeled_video": wish}}
        )
        assert len(model.LabeledVideo.key_source & task) == asked


def test_drawing_does_not_touch_the_poses(lab: Lab, task: dict[str, Any]) -> None:
    """Neither the wish nor a redrawing makes a pose be computed again."""
    model = lab.pipeline.model
    before = (model.PoseEstimation & task).fetch1("pose_estimation_time", "run_info")
    model.LabeledVideo.request(task, {"dotsize": 3})
    model.LabeledVideo.populate(task)
    first = model.LabeledVideo.get_paths(task)
    with pytest.raises(ParameterError, match="already, drawn with other settings"):
        model.LabeledVideo.request(task, {"dotsize": 4})
    (model.LabeledVideo & task).delete(safemode=False)
    model.LabeledVideo.populate(task)
    assert model.LabeledVideo.get_paths(task) == first  # found again
    (model.LabeledVideo & task).delete(safemode=False)
    model.LabeledVideo.request(task, {"dotsize": 4})
    model.LabeledVideo.populate(task)
    assert model.LabeledVideo.get_paths(task) != first
    assert (model.LabeledVideo & task).fetch1("run_info")["style"]["dotsize"] == 4
    after = (model.PoseEstimation & task).fetch1("pose_estimation_time", "run_info")
    assert after == before
    # The pose itself, deleted and populated, is found as well.
    (model.LabeledVideo & task).delete(safemode=False)
    (model.PoseEstimation & task).delete(safemode=False)
    model.PoseEstimation.populate(task)
    assert (model.PoseEstimation & task).fetch1("pose_estimation_time", "run_info") == before


def test_a_task_with_a_wish_is_queued_once(lab: Lab, task: dict[str, Any]) -> None:
    model = lab.pipeline.model
    queue = model.PoseEstimationTask.generate
    with pytest.raises(ParameterError, match=r"call LabeledVideo\.request"):
        queue(task, params={"labeled_video": True})
    model.LabeledVideo.request(task, {"trailpoints": 3})
    assert queue(task) == task
    assert queue(task, params={"labeled_video": {"trailpoints": 3}}) == task
    with pytest.raises(ParameterError, match="already with other settings"):
        queue(task, params={"batch_size": 3})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dotsise": 3}, "Did you mean 'dotsize'"),
        ({"dotsize": 0}, "'dotsize' is 0; it must be a number from 0.5 to 500 px"),
        ({"displayedbodyparts": ["noze"]}, r"no body part 'noze'. Did you mean 'nose'\?"),
        ({"colormap": "rainbw"}, "Did you mean 'rainbow'"),
        ({"skeleton_color": "blak"}, "'blak' is no colour"),
        ({"codec": "mp4v"}, "always H.264"),
        ("yes", "True, False, or a dictionary of settings"),
    ],
)
def test_bad_settings_are_refused_when_queued(
    lab: Lab, estimated: dict[str, Any], settings: Any, message: str
) -> None:
    model = lab.pipeline.model
    with pytest.raises((ParameterError, QueryError), match=message):
        model.LabeledVideo.request(estimated, settings)
    assert not model.LabeledVideo.key_source & estimated
    with pytest.raises((ParameterError, QueryError), match=message):
        model.PoseEstimationTask.generate(estimated, params={"labeled_video": settings})


def test_every_file_of_a_recording_gets_its_own(lab: Lab, trained: Trained) -> None:
    """Two files of one name, of odd rate, cropped: each dot at its place in the whole frame."""
    model = lab.pipeline.model
    rate = Fraction(30000, 1001)
    for folder, n_frames, seed in (("q", 12, 5), ("p", 9, 6)):
        (lab.root / "raw" / folder).mkdir()
        path = lab.root / "raw" / folder / "clip.mp4"
        synthetic.render_video(path, n_frames, seed=seed, fps=rate)
    key = {**lab.add_recording(60, "raw/q/clip.mp4", "raw/p/clip.mp4"), **trained.model_key}
    model.RecordingInfo.populate(key)
    params = {"cropping": [20, 200, 10, 190], "labeled_video": {**VISIBLE, "pcutoff": 0.0}}
    model.PoseEstimationTask.generate(key, params=params)
    model.PoseEstimation.populate(key)
    model.LabeledVideo.populate(key)
    paths = model.LabeledVideo.get_paths(key)
    assert [read_facts(path).n_frames for path in paths] == [12, 9]
    assert all(read_facts(path).rate == rate for path in paths)
    position = model.PoseEstimation.get_pose(key).position[:, :, 0]
    frames = [frame for path in paths for frame in decode(path)]
    assert len(frames) == len(position) == 21
    found = [find_dots(frame, COLORS)["tailbase"] for frame in frames]
    apart = np.hypot(*(position[:, 3] - position[:, 1]).T) > 16
    assert np.hypot(*(np.array(found) - position[:, 3])[apart].T).max() < 0.3


def decode(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
