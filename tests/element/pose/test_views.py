"""Views of a pose: what goes in comes out, in the layout that other tools read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from element_deeplabcut.errors import PathError, ResultError, SetupError
from element_deeplabcut.optional import import_optional
from element_deeplabcut.pose import Pose
from element_deeplabcut.readers.pose import parse_pose

from ...motions import make_pose

SCORER = "DLC_Resnet50_openJan1shuffle1_snapshot_best-10"


def some_pose(n_frames: int = 4, individuals: tuple[str, ...] = ("",), **fields) -> Pose:
    """Every number tells where it belongs: 1000 part + 100 animal + 10 coord + frame."""
    parts, animals, frames = 2, len(individuals), np.arange(n_frames)
    grid = np.ix_(frames, 1000 * np.arange(1, parts + 1), 100 * np.arange(animals))
    base = (grid[0] + grid[1] + grid[2]).astype(np.float32)
    return make_pose(
        np.stack([base + 10, base + 20], axis=-1), (base % 7) / 10, dtype="float32",
        individuals=individuals, scorer=SCORER, **fields,
    )  # fmt: skip


# --- pandas ---------------------------------------------------------------------------------------


def test_the_layout_is_deeplabcuts():
    table = some_pose().to_dataframe()
    expected = pd.MultiIndex.from_product(
        [[SCORER], ["nose", "tailbase"], ["x", "y", "likelihood"]],
        names=["scorer", "bodyparts", "coords"],
    )
    pd.testing.assert_index_equal(table.columns, expected)
    pd.testing.assert_index_equal(table.index, pd.RangeIndex(4), exact="equiv")
    assert table[SCORER]["nose"]["x"].tolist() == [1010, 1011, 1012, 1013]
    assert table[SCORER]["tailbase"]["y"].tolist() == [2020, 2021, 2022, 2023]
    assert table.dtypes.unique().tolist() == [np.float32]


def test_a_table_is_a_copy():
    pose = some_pose()
    table = pose.to_dataframe()
    table.iloc[:, :] = -1
    assert pose.position.min() >= 1010


def test_named_animals_get_a_level_of_their_own():
    table = some_pose(individuals=("m2", "m1")).to_dataframe()
    assert table.columns.names == ["scorer", "individuals", "bodyparts", "coords"]
    assert list(table.columns.get_level_values("individuals").unique()) == ["m2", "m1"]
    assert table[SCORER]["m1"]["tailbase"]["x"].tolist() == [2110, 2111, 2112, 2113]


def test_what_is_not_predicted_has_no_column():
    tracked = np.array([[True, False], [False, True]])
    table = some_pose(individuals=("mouse", "single"), tracked=tracked).to_dataframe()
    assert [column[1:3] for column in table.columns[::3]] == [
        ("mouse", "nose"), ("single", "tailbase"),
    ]  # fmt: skip


def test_a_third_coordinate_stands_after_the_second():
    pose = make_pose(np.arange(24.0).reshape(4, 2, 3))
    assert pose.to_dataframe().columns.get_level_values("coords").tolist()[:4] == [
        "x", "y", "z", "likelihood",
    ]  # fmt: skip


@pytest.mark.dlc
def test_the_layout_equals_a_file_of_deeplabcut(tmp_path: Path):
    from deeplabcut.pose_estimation_pytorch.apis.videos import create_df_from_prediction

    poses = np.random.default_rng(0).uniform(0, 100, (5, 1, 2, 3)).astype(np.float32)
    theirs = create_df_from_prediction(
        predictions=[{"bodyparts": frame} for frame in poses],
        dlc_scorer=SCORER,
        multi_animal=False,
        model_cfg={"metadata": {"bodyparts": ["nose", "tail"], "individuals": ["one"],
                                "unique_bodyparts": []}},
        output_path=tmp_path,
        output_prefix="x",
    )  # fmt: skip
    pose = make_pose(poses[:, 0, :, :2], poses[:, 0, :, 2], body_parts=("nose", "tail"),
                     scorer=SCORER)  # fmt: skip
    pd.testing.assert_frame_equal(
        pose.to_dataframe(), theirs, check_dtype=False, check_index_type="equiv"
    )
    pose.to_h5(tmp_path / "ours.h5")
    (written,) = tmp_path.glob("x*.h5")
    pd.testing.assert_frame_equal(
        pd.read_hdf(tmp_path / "ours.h5"), pd.read_hdf(written), check_dtype=False,
        check_index_type="equiv",
    )  # fmt: skip


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("individuals", [("",), ("m1", "m2")])
@pytest.mark.parametrize("is_csv", [False, True])
def test_files_are_read_back_without_loss(tmp_path: Path, individuals, is_csv):
    pose = some_pose(individuals=individuals)
    pose.position[1, 0] = np.nan
    file = tmp_path / f"mouse{SCORER}{'.csv' if is_csv else '.h5'}"
    assert (pose.to_csv if is_csv else pose.to_h5)(file) == file
    read = parse_pose(file.open("rb"), is_csv, "it")
    assert read.scorer == SCORER
    assert read.frames.tolist() == [0, 1, 2, 3]
    for track in read.tracks:
        part = pose.body_parts.index(track.body_part)
        animal = individuals.index(track.individual)
        given = pose.position[:, part, animal]
        assert np.array_equal(track.x, given[:, 0], equal_nan=True)
        assert np.array_equal(track.y, given[:, 1], equal_nan=True)
        likelihood = track.likelihood.astype(np.float32)
        assert np.array_equal(likelihood, pose.likelihood[:, part, animal])
    if not is_csv:
        pd.testing.assert_frame_equal(
            pd.read_hdf(file, "df_with_missing"), pose.to_dataframe(), check_index_type="equiv"
        )


@settings(max_examples=25, deadline=None)
@given(values=hnp.arrays(st.sampled_from([np.float32, np.float64]), (3, 2, 3)))
def test_an_h5_keeps_every_bit(tmp_path_factory: pytest.TempPathFactory, values):
    pose = make_pose(values[..., :2], values[..., 2], dtype=values.dtype)
    file = pose.to_h5(tmp_path_factory.mktemp("h5") / "a.h5")
    read = pd.read_hdf(file).to_numpy().reshape(3, 2, 3)
    assert read.dtype == values.dtype
    assert np.array_equal(read, values, equal_nan=True)


def test_a_file_that_is_there_is_kept_unless_told(tmp_path: Path):
    pose = some_pose()
    for write, name in ((pose.to_h5, "a.h5"), (pose.to_csv, "a.csv")):
        file = tmp_path / name
        file.write_text("precious")
        with pytest.raises(PathError, match=r"is there already.*overwrite=True"):
            write(file)
        assert file.read_text() == "precious"
        write(file, overwrite=True)
        assert len(parse_pose(file.open("rb"), name.endswith("csv"), "it").frames) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.h5"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(PathError, match=r"The folder '.*nowhere' does not exist"):
        some_pose().to_h5(tmp_path / "nowhere" / "a.h5")
    monkeypatch.setattr(pd.DataFrame, "to_csv", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        some_pose().to_csv(tmp_path / "a.csv")
    assert not list(tmp_path.iterdir())


# --- movement -------------------------------------------------------------------------------------


@pytest.mark.parametrize("individuals", [("",), ("m1", "m2", "m3")])
def test_movement_takes_the_dataset_for_its_own(individuals):
    from movement.io import load_poses
    from movement.kinematics import compute_speed
    from movement.validators.datasets import ValidPosesDataset

    pose = some_pose(individuals=individuals)
    ours = pose.to_xarray()
    theirs = load_poses.from_numpy(
        pose.position.transpose(0, 3, 1, 2), pose.likelihood,
        individual_names=[name or "individual_0" for name in individuals],
        keypoint_names=list(pose.body_parts), fps=30, source_software="DeepLabCut",
    )  # fmt: skip
    assert ours.position.dims == theirs.position.dims == ValidPosesDataset.DIM_NAMES
    assert ours.confidence.dims == theirs.confidence.dims
    assert ours.equals(theirs)
    assert theirs.attrs.items() <= ours.attrs.items()
    ValidPosesDataset(
        position_array=ours.position.values, confidence_array=ours.confidence.values,
        individual_names=ours.individuals.values, keypoint_names=ours.keypoints.values,
        fps=ours.fps, source_software=ours.source_software,
    )  # fmt: skip
    assert compute_speed(ours.position).shape == (4, 2, len(individuals))


def test_movement_writes_the_same_file(tmp_path: Path):
    from movement.io import save_poses

    pose = some_pose()
    save_poses.to_dlc_file(pose.to_xarray(), tmp_path / "a.h5", split_individuals=False)
    theirs = pd.read_hdf(tmp_path / "a.h5")
    assert np.array_equal(theirs.to_numpy(), pose.to_dataframe().to_numpy())


def test_the_dataset_tells_what_it_is():
    attrs = some_pose(
        rate=Fraction(30000, 1001), crop=(10, 110, 20, 120), lengths=(3, 1)
    ).to_xarray().attrs  # fmt: skip
    assert attrs["fps"] == 30000 / 1001
    assert attrs["fps_ratio"] == "30000/1001"
    assert attrs["crop"] == [10, 110, 20, 120]
    assert attrs["source_file"] == "raw/1.mp4; raw/2.mp4"
    assert attrs["space_unit"] == "px"


def test_without_a_rate_time_is_in_frames():
    dataset = some_pose(rate=None).to_xarray()
    assert dataset.time_unit == "frames"
    assert dataset.time.values.tolist() == [0, 1, 2, 3]
    assert "fps" not in dataset.attrs


def test_a_dataset_is_a_copy_and_survives_netcdf(tmp_path: Path):
    import xarray

    pose = some_pose(crop=(0, 100, 0, 100))
    dataset = pose.to_xarray()
    dataset.position.values[:] = -1
    assert pose.position.min() >= 1010
    dataset.to_netcdf(tmp_path / "a.nc", engine="scipy")
    assert xarray.open_dataset(tmp_path / "a.nc", engine="scipy").position.shape == (4, 2, 2, 1)


def test_movements_other_spelling_of_dimensions_is_followed(monkeypatch: pytest.MonkeyPatch):
    """Releases of movement differ in the names and the order of dimensions."""
    from movement.validators.datasets import ValidPosesDataset

    other = ("time", "individual", "keypoint", "space")
    monkeypatch.setattr(ValidPosesDataset, "DIM_NAMES", other)
    dataset = some_pose().to_xarray()
    assert dataset.position.dims == other
    assert dataset.confidence.dims == other[:3]
    assert dataset.keypoint.values.tolist() == ["nose", "tailbase"]


def test_a_missing_library_names_the_extra():
    with pytest.raises(SetupError, match=r"needs nolib.*element-deeplabcut\[analysis\]"):
        import_optional("nolib.sub", "analysis")


# --- the object -----------------------------------------------------------------------------------


def test_time_is_exact():
    pose = some_pose(rate=Fraction(30000, 1001))
    assert pose.time.tolist() == [float(Fraction(1001, 30000) * k) for k in range(4)]
    with pytest.raises(ResultError, match="no frame rate"):
        _ = some_pose(rate=None).time


def test_arrays_that_do_not_fit_are_refused():
    pose = some_pose()
    with pytest.raises(ResultError, match="make \\(4, 2, 1\\)"):
        pose.with_arrays(pose.position[:3])
    with pytest.raises(ResultError, match="1 coordinates"):
        pose.with_arrays(pose.position[..., :1])


def test_an_empty_pose_has_every_view(tmp_path: Path):
    pose = some_pose(0)
    assert pose.to_dataframe().shape == (0, 6)
    assert pose.to_xarray().sizes["time"] == 0
    assert pd.read_csv(pose.to_csv(tmp_path / "a.csv"), header=[0, 1, 2], index_col=0).empty
    with pytest.raises(ResultError, match="no frames"):
        pose.to_h5(tmp_path / "a.h5")
    assert not (tmp_path / "a.h5").exists()
    assert not pose.has_likelihood
