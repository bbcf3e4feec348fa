"""Recordings and pose estimation through populate(), with the real engine."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pandas as pd
import pytest

from element_deeplabcut.errors import (
    DatabaseError,
    EngineError,
    ParameterError,
    PathError,
    QueryError,
    VideoError,
)
from workflow_deeplabcut import synthetic

from ..conftest import Lab, Trained

pytestmark = pytest.mark.dlc


def errors_of(table: pd.DataFrame, truth: np.ndarray) -> np.ndarray:
    """Distance between a trajectory and the true positions, px."""
    values = table.to_numpy().reshape(len(table), -1, 3)
    return np.linalg.norm(values[..., :2] - truth, axis=-1)


# --- recordings -----------------------------------------------------------------------------------


def test_a_recording_of_several_files(lab: Lab) -> None:
    """Files follow each other by file_id, whatever their names; offsets are exact."""
    rate = Fraction(30000, 1001)
    for name, n_frames in (("b_first.mp4", 31), ("a_second.mp4", 17)):
        synthetic.render_video(lab.root / "raw" / name, n_frames, fps=rate)
    key = lab.add_recording(10, "raw/b_first.mp4", "raw/a_second.mp4")
    model = lab.pipeline.model
    model.RecordingInfo.populate(key)
    row = (model.RecordingInfo & key).fetch1()
    assert (row["nframes"], row["px_width"], row["px_height"]) == (48, 200, 200)
    assert row["fps"] == float(rate)
    assert row["recording_duration"] == pytest.approx(48 / rate, rel=1e-6)
    files = (model.RecordingInfo.File & key).fetch(as_dict=True, order_by="file_id")
    assert [(f["nframes"], f["first_frame"]) for f in files] == [(31, 0), (17, 31)]
    assert {(f["fps_numerator"], f["fps_denominator"]) for f in files} == {(30000, 1001)}


@pytest.mark.parametrize(
    ("recording_id", "odd"), [(11, {"width": 220}), (12, {"fps": Fraction(25)})]
)
def test_files_that_do_not_fit_together_are_refused(
    lab: Lab, recording_id: int, odd: dict[str, Any]
) -> None:
    name = "raw/odd-" + "-".join(odd) + ".mp4"
    synthetic.render_video(lab.root / name, 12, **odd)
    key = lab.add_recording(recording_id, lab.new_video, name)
    with pytest.raises(VideoError, match="odd-"):
        lab.pipeline.model.RecordingInfo.populate(key)
    assert not lab.pipeline.model.RecordingInfo & key


def test_paths_are_relative(lab: Lab) -> None:
    table = lab.pipeline.model.VideoRecording.File
    for path in (str(lab.root / lab.new_video), "../raw/new.mp4"):
        with pytest.raises(PathError):
            table.insert1({**lab.session_key, "recording_id": 1, "file_id": 9, "file_path": path})


# --- pose estimation ------------------------------------------------------------------------------


def test_trajectories_match_the_truth(lab: Lab, estimated: dict[str, Any]) -> None:
    model = lab.pipeline.model
    table = model.PoseEstimation.get_trajectory(estimated)
    assert table.columns.names == ["scorer", "bodyparts", "coords"]
    assert list(table.columns.get_level_values("bodyparts")[::3]) == list(synthetic.BODY_PARTS)
    assert list(table.index) == list(range(100))
    assert errors_of(table, lab.truth).mean() < 2


def test_trajectories_are_deeplabcuts_numbers(lab: Lab, estimated: dict[str, Any]) -> None:
    """Bit for bit what DeepLabCut wrote, stored as short as exactness allows."""
    model = lab.pipeline.model
    folder = lab.processed / (model.PoseEstimation & estimated).fetch1("run_info")["run_directory"]
    (file,) = folder.rglob("*.h5")
    written = pd.read_hdf(file)
    table = model.PoseEstimation.get_trajectory(estimated)
    assert table.columns.equals(written.columns)
    assert np.array_equal(table.to_numpy(np.float64), written.to_numpy(np.float64))
    (row,) = (model.PoseEstimation.BodyPartPosition & estimated & "body_part='nose'").fetch(
        as_dict=True
    )
    assert row["x_pos"].dtype == np.float32
    assert row["individual"] == ""


def test_blobs_are_not_compressed(lab: Lab, estimated: dict[str, Any]) -> None:
    """The server can cut a range of frames out of them."""
    model = lab.pipeline.model
    table = model.PoseEstimation.BodyPartPosition & estimated & "body_part='nose'"
    header = len(b"mYm\0A") + 8 + 8 + 8  # magic and type, number of dimensions, length, type code
    (cut,) = table.connection.query(
        f"SELECT SUBSTRING(x_pos, {header + 1 + 4 * 10}, {4 * 5}) FROM {table.full_table_name} "
        f"WHERE body_part='nose' AND recording_id={estimated['recording_id']}"
    ).fetchone()
    assert np.array_equal(np.frombuffer(cut, "<f4"), table.fetch1("x_pos")[10:15])


def test_several_files_are_one_trajectory(lab: Lab, trained: Trained) -> None:
    """Two files with one name in two folders, given in an order that is not that of their names."""
    model = lab.pipeline.model
    truths = []
    for folder, n_frames, seed in (("z", 30, 5), ("y", 20, 6)):
        (lab.root / "raw" / folder).mkdir()
        path = lab.root / "raw" / folder / "clip.mp4"
        truths.append(synthetic.render_video(path, n_frames, seed=seed))
    key = {**lab.add_recording(20, "raw/z/clip.mp4", "raw/y/clip.mp4"), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)
    table = model.PoseEstimation.get_trajectory(key)
    assert list(table.index) == list(range(50))
    error = errors_of(table, np.concatenate(truths))
    assert error[:30].mean() < 2
    assert error[30:].mean() < 2


def test_a_crop_is_honoured_and_recorded(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(21, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, params={"cropping": [20, 200, 10, 190]})
    model.PoseEstimation.populate(key)
    assert (model.PoseEstimation & key).fetch1("crop") == [20, 200, 10, 190]
    full = model.PoseEstimation.get_trajectory(key)
    raw = model.PoseEstimation.get_trajectory(key, full_frame=False)
    inside = ((lab.truth >= [25, 15]) & (lab.truth < [195, 185])).all(axis=(1, 2))
    assert inside.sum() > 10
    assert errors_of(full, lab.truth)[inside].mean() < 2
    shift = full.to_numpy().reshape(100, 4, 3) - raw.to_numpy().reshape(100, 4, 3)
    assert np.allclose(shift, [20, 10, 0], atol=1e-4)


def test_a_crop_of_the_models_config_is_recorded(lab: Lab, trained: Trained) -> None:
    """`cropping: true` in a config applies silently in DeepLabCut."""
    model = lab.pipeline.model
    crop = {"cropping": True, "x1": 0, "x2": 190, "y1": 0, "y2": 180}
    model.Model.insert_from_training(trained.training_key, "cropping", params=crop)
    key = {**lab.add_recording(22, lab.new_video), "model_name": "cropping"}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)
    assert (model.PoseEstimation & key).fetch1("crop") == [0, 190, 0, 180]


def test_a_crop_of_the_models_config_is_switched_off(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    crop = {"cropping": True, "x1": 100, "x2": 200, "y1": 0, "y2": 100}
    model.Model.insert_from_training(trained.training_key, "cropping much", params=crop)
    key = {**lab.add_recording(24, lab.new_video), "model_name": "cropping much"}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, params={"cropping": False})
    model.PoseEstimation.populate(key)
    assert (model.PoseEstimation & key).fetch1("crop") is None
    assert errors_of(model.PoseEstimation.get_trajectory(key), lab.truth).mean() < 2


@pytest.mark.parametrize("engine", ["pytorch", "tensorflow"])
def test_a_video_is_analyzed_as_it_is_displayed(
    lab: Lab, engine: str, request: pytest.FixtureRequest
) -> None:
    """A phone held upright: the frames lie on their side, and the file says so."""
    fixture = {"pytorch": "trained", "tensorflow": "trained_tensorflow"}[engine]
    model_key = request.getfixturevalue(fixture).model_key
    model = lab.pipeline.model
    turned = lab.root / "raw" / f"turned-{engine}.mp4"
    turn(lab.root / lab.new_video, turned)
    number = {"pytorch": 25, "tensorflow": 26}[engine]
    key = {**lab.add_recording(number, f"raw/{turned.name}"), **model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    model.PoseEstimation.populate(key)
    error = errors_of(model.PoseEstimation.get_trajectory(key), lab.truth)
    assert error.mean() < {"pytorch": 2, "tensorflow": 6}[engine]


def turn(source: Path, target: Path) -> None:
    """Write a video whose frames lie on their side and are displayed as those of the source."""
    with av.open(str(source)) as given, av.open(str(target), "w") as written:
        stream = written.add_stream("libx264", rate=30, options={"crf": "10"})
        stream.width = stream.height = 200
        stream.pix_fmt = "yuv420p"
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a rotation")
        stream.set_display_rotation(90)
        for frame in given.decode(video=0):
            picture = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), -1))
            written.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        written.mux(stream.encode(None))


def test_dynamic_cropping_is_honoured_and_recorded(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(23, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, params={"dynamic": (True, 0.5, 30)})
    model.PoseEstimation.populate(key)
    assert (model.PoseEstimation & key).fetch1("run_info")["dynamic"] == [True, 0.5, 30]
    assert errors_of(model.PoseEstimation.get_trajectory(key), lab.truth).mean() < 3


def test_output_folders_are_distinct(lab: Lab) -> None:
    task = lab.pipeline.model.PoseEstimationTask
    keys = [
        {**lab.session_key, "subject": subject, "recording_id": number, "model_name": name}
        for subject in ("a b", "a-b", "A b")
        for number, name in ((1, "11"), (11, "1"))
    ]
    folders = {task.infer_output_dir(key, relative=True) for key in keys}
    assert len(folders) == len(keys)
    assert task.infer_output_dir(keys[0]) == lab.processed / task.infer_output_dir(
        keys[0], relative=True
    )


def test_a_task_is_queued_once(lab: Lab, estimated: dict[str, Any]) -> None:
    task = lab.pipeline.model.PoseEstimationTask
    assert task.insert_estimation_task(estimated) == task.generate(estimated)
    with pytest.raises(ParameterError, match="there already with other settings"):
        task.generate(estimated, params={"batch_size": 3})
    with pytest.raises(ParameterError, match="Did you mean 'cropping'"):
        task.generate(estimated, params={"croping": [0, 1, 0, 1]})


@pytest.mark.parametrize(
    ("recording_id", "params", "message"),
    [
        (30, {"cropping": [0, 300, 0, 100]}, "beyond the video's 200 x 200 px"),
        (31, {"dynamic": [True, 0.5, 10], "batch_size": 8}, "batch_size must be 1"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(
    lab: Lab, trained: Trained, recording_id: int, params: dict[str, Any], message: str
) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(recording_id, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key, params=params)
    with pytest.raises(ParameterError, match=message):
        model.PoseEstimation.populate(key)
    assert not model.PoseEstimation & key


def test_a_video_that_changed_is_refused(lab: Lab, trained: Trained) -> None:
    """Rows and decoded frames must agree."""
    model = lab.pipeline.model
    synthetic.render_video(lab.root / "raw" / "changing.mp4", 20)
    key = {**lab.add_recording(32, "raw/changing.mp4"), **trained.model_key}
    model.RecordingInfo.populate(key)
    synthetic.render_video(lab.root / "raw" / "changing.mp4", 15)
    model.PoseEstimationTask.generate(key)
    with pytest.raises(VideoError, match=r"read 15 frames of 'raw/changing.mp4', which has 20"):
        model.PoseEstimation.populate(key)
    assert not model.PoseEstimation & key
    output = model.PoseEstimationTask.infer_output_dir(key)
    assert [path.name for path in output.iterdir()] == [".attempts"]
    assert not list((output / ".attempts").iterdir())


def test_a_video_that_is_gone_is_refused(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    shutil.copy(lab.root / lab.new_video, lab.root / "raw" / "going.mp4")
    key = {**lab.add_recording(33, "raw/going.mp4"), **trained.model_key}
    model.RecordingInfo.populate(key)
    (lab.root / "raw" / "going.mp4").unlink()
    model.PoseEstimationTask.generate(key)
    with pytest.raises(PathError, match=r"'raw/going\.mp4' exists below none"):
        model.PoseEstimation.populate(key)


def test_a_task_waits_for_its_recording(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(34, lab.new_video), **trained.model_key}
    model.PoseEstimationTask.generate(key)
    assert model.PoseEstimation.populate(key)["success_count"] == 0
    model.RecordingInfo.populate(key)
    assert model.PoseEstimation.populate(key)["success_count"] == 1


def test_an_unknown_device_is_refused(lab: Lab, trained: Trained) -> None:
    model = lab.pipeline.model
    key = {**lab.add_recording(35, lab.new_video), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    with pytest.raises(EngineError, match="'cuda:9' is not on this machine"):
        model.PoseEstimation.populate(key, make_kwargs={"device": "cuda:9"})


# --- the packet limit -----------------------------------------------------------------------------


def test_a_row_may_exceed_the_packet_limit(lab: Lab, trained: Trained, set_packet_limit) -> None:
    """Written column by column, read back whole."""
    model = lab.pipeline.model
    n_frames = 1000
    synthetic.render_video(lab.root / "raw" / "long.mp4", n_frames, width=120, height=120)
    key = {**lab.add_recording(40, "raw/long.mp4"), **trained.model_key}
    model.RecordingInfo.populate(key)
    model.PoseEstimationTask.generate(key)
    set_packet_limit(14 * 1024)  # a column takes 8 kB of a statement, a row 32 kB
    model.PoseEstimation.populate(key)
    table = model.PoseEstimation.get_trajectory(key, "nose")
    assert table.shape == (n_frames, 3)
    folder = lab.processed / (model.PoseEstimation & key).fetch1("run_info")["run_directory"]
    (file,) = folder.rglob("*.h5")
    written = pd.read_hdf(file).xs("nose", axis=1, level="bodyparts")
    assert np.array_equal(table.to_numpy(), written.to_numpy())

    (model.PoseEstimation & key).delete(safemode=False)
    set_packet_limit(11 * 1024)
    with pytest.raises(DatabaseError, match=r"Raise max_allowed_packet to at least \d+"):
        model.PoseEstimation.populate(key)


# --- reading back ---------------------------------------------------------------------------------


def test_one_body_part_is_not_its_letters(lab: Lab, estimated: dict[str, Any]) -> None:
    get = lab.pipeline.model.PoseEstimation.get_trajectory
    assert get(estimated, "nose").shape == (100, 3)
    both = get(estimated, ["tailbase", "nose"])
    assert list(both.columns.get_level_values("bodyparts")[::3]) == ["tailbase", "nose"]
    with pytest.raises(QueryError, match=r"no body part 'noze'. Did you mean 'nose'\?"):
        get(estimated, "noze")


def test_a_key_matches_exactly_one(lab: Lab, estimated: dict[str, Any]) -> None:
    get = lab.pipeline.model.PoseEstimation.get_trajectory
    with pytest.raises(QueryError, match=r"matches 0 rows of PoseEstimation"):
        get({**estimated, "recording_id": 999})
    with pytest.raises(QueryError, match=r"matches \d+ rows of PoseEstimation"):
        get(lab.session_key)
