from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from element_deeplabcut.errors import ResultError
from element_deeplabcut.readers.pose import read_pose

SCORER = "DLC_Resnet50_openJan1shuffle1_snapshot_best-10"
PARTS = ("nose", "tail", "ear")
COORDS = ("x", "y", "likelihood")


def make_poses(dtype=np.float64, n_frames=7):
    poses = np.random.default_rng(0).uniform(0, 200, (n_frames, len(PARTS), 3)).astype(dtype)
    poses[2, 1] = np.nan
    return poses


def write_pose(file, poses, columns=None, **options):
    columns = columns or [(SCORER, part, coord) for part in PARTS for coord in COORDS]
    names = ["scorer", "individuals", "bodyparts", "coords"] if len(columns[0]) == 4 else [
        "scorer", "bodyparts", "coords"
    ]  # fmt: skip
    index = pd.MultiIndex.from_tuples(columns, names=names)
    table = pd.DataFrame(poses.reshape(len(poses), -1), columns=index)
    table.to_hdf(file, key="df_with_missing", mode="w", **options)
    return file


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("format_", ["table", "fixed"])
def test_every_bit_is_kept(tmp_path, dtype, format_):
    poses = make_poses(dtype)
    pose = read_pose(write_pose(tmp_path / "pose.h5", poses, format=format_))
    assert pose.scorer == SCORER
    assert pose.individuals == ("",)
    assert pose.body_parts == PARTS
    assert pose.values.dtype == dtype
    assert pose.values.shape == (7, 1, 3, 3)
    assert pose.values.tobytes() == poses.tobytes()


def test_each_number_stands_in_its_place(tmp_path):
    poses = np.zeros((4, 3, 3))
    poses[3, 1] = 12.5, 34.5, 0.75
    values = read_pose(write_pose(tmp_path / "pose.h5", poses)).values
    assert values[3, 0, 1].tolist() == [12.5, 34.5, 0.75]
    assert np.count_nonzero(values) == 3


WRONG_COLUMNS = {
    "likelihood first": [(SCORER, part, c) for part in PARTS for c in ("likelihood", "x", "y")],
    "y before x": [(SCORER, part, c) for part in PARTS for c in ("y", "x", "likelihood")],
    "coordinates apart": [(SCORER, part, c) for c in COORDS for part in PARTS],
    "two scorers": [(f"scorer {c}", part, c) for part in PARTS for c in COORDS],
}


@pytest.mark.parametrize("kind", WRONG_COLUMNS)
def test_another_order_of_columns_is_refused(tmp_path, kind):
    file = write_pose(tmp_path / "pose.h5", make_poses(), WRONG_COLUMNS[kind])
    with pytest.raises(ResultError, match="not a prediction of DeepLabCut"):
        read_pose(file)


def test_labels_are_no_prediction(tmp_path):
    columns = [(SCORER, part, coord) for part in PARTS for coord in "xy"]
    file = write_pose(tmp_path / "pose.h5", make_poses()[:, :, :2], columns)
    with pytest.raises(ResultError):
        read_pose(file)


def test_a_table_of_other_columns_is_refused(tmp_path):
    pd.DataFrame({"x": [1.0]}).to_hdf(tmp_path / "pose.h5", key="df_with_missing")
    with pytest.raises(ResultError):
        read_pose(tmp_path / "pose.h5")


@pytest.mark.parametrize("how", ["missing", "text", "empty", "truncated", "two tables", "folder"])
def test_a_damaged_file_is_refused(tmp_path, how):
    file = tmp_path / "pose.h5"
    if how == "text":
        file.write_text("scorer,x\n")
    elif how == "empty":
        file.write_bytes(b"")
    elif how == "truncated":
        write_pose(file, make_poses(), format="table")
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif how == "two tables":
        write_pose(file, make_poses())
        pd.Series([1]).to_hdf(file, key="another")
    elif how == "folder":
        file.mkdir()
    with pytest.raises(ResultError, match=r"pose\.h5"):
        read_pose(file)


@pytest.mark.dlc
def test_a_file_written_by_deeplabcut(tmp_path):
    from deeplabcut.pose_estimation_pytorch.apis.videos import create_df_from_prediction

    poses = make_poses(np.float32)[:, None]
    table = create_df_from_prediction(
        predictions=[{"bodyparts": frame} for frame in poses],
        dlc_scorer=SCORER,
        multi_animal=False,
        model_cfg={"metadata": {"bodyparts": list(PARTS), "individuals": ["one"],
                                "unique_bodyparts": []}},
        output_path=tmp_path,
        output_prefix="video",
    )  # fmt: skip
    pose = read_pose(tmp_path / "video.h5")
    assert (pose.scorer, pose.body_parts) == (SCORER, PARTS)
    np.testing.assert_array_equal(pose.values, poses)
    assert pose.values.tobytes() == table.to_numpy().tobytes()
