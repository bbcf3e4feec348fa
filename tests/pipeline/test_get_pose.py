"""get_pose and get_trajectory: the wanted part of a pose, exactly, and only that travels."""

from __future__ import annotations

import shutil
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datajoint.blob import pack

from element_deeplabcut.errors import DatabaseError, ParameterError, QueryError
from element_deeplabcut.pose import Pose
from workflow_deeplabcut import synthetic

from ..conftest import Lab
from .scripted import PARTS, SCORER, load_pose, random_tracks

N_FRAMES = 60
TRACKS = random_tracks(N_FRAMES).astype(np.float32)
LIKELIHOOD = np.random.default_rng(1).uniform(0, 1, (N_FRAMES, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def loaded(lab: Lab, scripted: dict[str, Any]) -> dict[str, Any]:
    """A recording of two files of 35 and 25 frames."""
    return load_pose(lab, TRACKS, LIKELIHOOD, lengths=[35, 25], rate=Fraction(30000, 1001))


@pytest.fixture
def get_pose(lab: Lab) -> Any:
    return lab.pipeline.model.PoseEstimation.get_pose


def test_a_pose_knows_all_about_itself(lab: Lab, loaded: dict[str, Any], get_pose: Any) -> None:
    pose = get_pose(loaded)
    assert isinstance(pose, Pose)
    assert np.array_equal(pose.position[:, :, 0], TRACKS)
    assert np.array_equal(pose.likelihood[:, :, 0], LIKELIHOOD)
    assert pose.position.dtype == pose.likelihood.dtype == np.float32
    assert pose.frame_index.tolist() == list(range(N_FRAMES))
    assert (pose.body_parts, pose.individuals, pose.scorer) == (PARTS, ("",), SCORER)
    assert pose.rate == Fraction(30000, 1001)
    assert (pose.width, pose.height, pose.unit) == (200, 200, "px")
    assert (pose.crop, pose.full_frame, pose.p_cutoff) == (None, True, 0.6)
    assert pose.skeleton == (("nose", "tailbase"),)
    assert [(file.file_id, file.first_frame, file.nframes) for file in pose.files] == [
        (1, 0, 35), (2, 35, 25),
    ]  # fmt: skip
    assert all((lab.root / file.path).is_file() for file in pose.files)
    assert {file.rate for file in pose.files} == {Fraction(30000, 1001)}
    primary = lab.pipeline.model.PoseEstimation.primary_key
    assert pose.key == (lab.pipeline.model.PoseEstimation & loaded).fetch1("KEY")
    assert list(pose.key) == primary


@pytest.mark.parametrize(
    "frames",
    [None, slice(None), slice(10, 20), slice(0, 1), slice(59, 60), slice(30, 40), slice(-5, None),
     slice(-20, -10), slice(50, 900), slice(20, 20), slice(40, 10), slice(None, 7)],
    ids=str,
)  # fmt: skip
def test_a_range_is_what_python_would_cut(frames: slice, loaded: Any, get_pose: Any) -> None:
    pose = get_pose(loaded, frames=frames)
    cut = frames or slice(None)
    assert np.array_equal(pose.position[:, :, 0], TRACKS[cut])
    assert np.array_equal(pose.likelihood[:, :, 0], LIKELIHOOD[cut])
    assert pose.frame_index.tolist() == list(range(N_FRAMES))[cut]
    assert pose.n_recorded == N_FRAMES
    assert pose.to_dataframe().index.tolist() == list(range(N_FRAMES))[cut]


def test_only_the_range_travels(loaded: Any, get_pose: Any, lab: Lab) -> None:
    """Counted in bytes at the server."""
    connection = lab.pipeline.model.schema.connection

    def count_sent(frames: slice | None) -> int:
        def ask() -> int:
            return int(connection.query("SHOW SESSION STATUS LIKE 'Bytes_sent'").fetchone()[1])

        before, after_nothing = ask(), ask()
        get_pose(loaded, "nose", frames=frames)
        return ask() - after_nothing - (after_nothing - before)

    ten, twenty, late = map(count_sent, (slice(10, 20), slice(10, 30), slice(40, 50)))
    assert twenty - ten == 10 * 12  # x, y and likelihood of ten more frames
    assert late == ten


@pytest.mark.parametrize(
    ("frames", "message"),
    [(slice(0, 10, 2), "has the step 2"), (slice(10, 0, -1), "has the step -1"),
     (slice(0.5, 3), "must be whole numbers"), (10, "give a slice"), ((0, 10), "give a slice")],
)  # fmt: skip
def test_frames_that_are_no_range(frames: Any, message: str, loaded: Any, get_pose: Any) -> None:
    with pytest.raises(ParameterError, match=message):
        get_pose(loaded, frames=frames)


def test_names_are_picked_in_the_order_asked_for(loaded: Any, get_pose: Any) -> None:
    pose = get_pose(loaded, ["tailbase", "nose"], "")
    assert np.array_equal(pose.position[:, :, 0], TRACKS[:, ::-1])
    assert get_pose(loaded, "nose").body_parts == ("nose",)
    assert get_pose(loaded, "nose").skeleton == ()
    with pytest.raises(QueryError, match=r"no body part 'noze'. Did you mean 'nose'\?"):
        get_pose(loaded, ["noze"])
    with pytest.raises(QueryError, match=r"no individual 'mouse1'. It has one without a name"):
        get_pose(loaded, individuals="mouse1")
    for wrong in (0, [0], ["nose", None], {"nose": 1, 2: 3}):
        with pytest.raises(ParameterError, match="give a name, a list of names, or None"):
            get_pose(loaded, wrong)
        with pytest.raises(ParameterError, match="give a name, a list of names, or None"):
            get_pose(loaded, individuals=wrong)
    with pytest.raises(QueryError, match="No body part is asked for"):
        get_pose(loaded, [])
    with pytest.raises(QueryError, match="matches 0 rows of PoseEstimation"):
        get_pose({**loaded, "recording_id": -1})


def test_a_crop_is_added_unless_told(lab: Lab, scripted: Any, get_pose: Any) -> None:
    key = load_pose(lab, TRACKS[:9], crop=[20, 180, 10, 190])
    full, raw = get_pose(key), get_pose(key, full_frame=False)
    assert (full.crop, full.full_frame, raw.full_frame) == ((20, 180, 10, 190), True, False)
    assert np.array_equal(raw.position[:, :, 0], TRACKS[:9])
    assert np.array_equal(full.position, raw.position + np.float32([20, 10]))
    part = get_pose(key, frames=slice(3, 5))
    assert np.array_equal(part.position, full.position[3:5])


def test_doubles_stay_doubles(lab: Lab, scripted: Any, get_pose: Any) -> None:
    tracks = random_tracks(8, seed=5)
    key = load_pose(lab, tracks, dtype="float64")
    pose = get_pose(key, frames=slice(2, 6))
    assert pose.position.dtype == np.float64
    assert np.array_equal(pose.position[:, :, 0], tracks[2:6])
    assert (pose.likelihood == 1).all()


def test_get_trajectory_is_a_view(lab: Lab, loaded: dict[str, Any], get_pose: Any) -> None:
    table = lab.pipeline.model.PoseEstimation.get_trajectory(loaded)
    pd.testing.assert_frame_equal(table, get_pose(loaded).to_dataframe())
    folder = lab.root / Path(get_pose(loaded).files[0].path).parent
    written = pd.concat([pd.read_hdf(file) for file in sorted(folder.glob("*.h5"))])
    assert table.columns.equals(written.columns)
    assert np.array_equal(table.to_numpy(), written.to_numpy())


def test_a_table_leaves_the_pose_alone(loaded: dict[str, Any], get_pose: Any) -> None:
    pose = get_pose(loaded)
    table = pose.to_dataframe()
    table.iloc[:, :] = -1
    assert np.array_equal(pose.position[:, :, 0], TRACKS)
    changed = pose.with_arrays(pose.position + 1).to_dataframe()
    assert np.array_equal(changed.to_numpy()[:, 0], TRACKS[:, 0, 0] + 1)


def test_views_into_a_pose_keep_their_own_order(loaded: dict[str, Any], get_pose: Any) -> None:
    """What is reversed or transposed has the same memory as what came from the server."""
    pose = get_pose(loaded)
    mirrored = pose.with_arrays(pose.position[..., ::-1]).to_dataframe()
    assert np.array_equal(mirrored.to_numpy()[:, 0], TRACKS[:, 0, 1])
    backwards = pose.with_arrays(pose.position[::-1], pose.likelihood[::-1]).to_dataframe()
    assert np.array_equal(backwards.to_numpy()[:, 2], LIKELIHOOD[::-1, 0])
    assert np.array_equal(backwards.to_numpy()[:, 3], TRACKS[::-1, 1, 0])


def test_files_of_the_pose_load_again(lab: Lab, loaded: dict[str, Any], tmp_path: Path) -> None:
    """Out of the database, into a file, and into the database again: the same numbers."""
    pose = lab.pipeline.model.PoseEstimation.get_pose(loaded)
    read = pd.read_hdf(pose.to_h5(tmp_path / f"a{SCORER}.h5"))
    again = load_pose(lab, read.to_numpy().reshape(N_FRAMES, 2, 3)[..., :2],
                      read.to_numpy().reshape(N_FRAMES, 2, 3)[..., 2])  # fmt: skip
    other = lab.pipeline.model.PoseEstimation.get_pose(again)
    assert np.array_equal(other.position, pose.position)
    assert np.array_equal(other.likelihood, pose.likelihood)


# --- rows that other clients wrote ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["compressed", "column", "list"])
def test_rows_written_otherwise_are_read_whole(
    kind: str, lab: Lab, scripted: Any, get_pose: Any
) -> None:
    """DataJoint's own compressed blobs, MATLAB's two-dimensional vectors, Python lists."""
    n_frames = 2000  # DataJoint compresses from 1 kB on
    tracks = np.round(random_tracks(n_frames, seed=3)).astype(np.float32)
    key = load_pose(lab, tracks[:5])
    table = lab.pipeline.model.PoseEstimation.BodyPartPosition
    vector = tracks[:5, 0, 0]
    blob = {
        "compressed": b"ZL123\0" + np.uint64(len(pack(vector, compress=False))).tobytes()
        + zlib.compress(pack(vector, compress=False)),
        "column": pack(vector[:, None]),
        "list": pack([float(value) for value in vector]),
    }[kind]  # fmt: skip
    table.connection.query(
        f"UPDATE {table.full_table_name} SET x_pos=%s WHERE recording_id=%s AND body_part='nose'",
        args=(blob, key["recording_id"]),
    )
    for frames in (None, slice(1, 4)):
        pose = get_pose(key, frames=frames)
        assert np.array_equal(pose.position[:, :, 0], tracks[:5][frames or slice(None)])


def test_rows_of_another_length_are_refused(lab: Lab, scripted: Any, get_pose: Any) -> None:
    key = load_pose(lab, TRACKS[:5])
    table = lab.pipeline.model.PoseEstimation.BodyPartPosition
    table.connection.query(
        f"UPDATE {table.full_table_name} SET x_pos=%s WHERE recording_id=%s AND body_part='nose'",
        args=(pack(np.zeros(4)), key["recording_id"]),
    )
    for frames in (None, slice(1, 4)):
        with pytest.raises(DatabaseError, match=r"x_pos of 'nose' holds 4 frames.* has 5"):
            get_pose(key, frames=frames)


def test_a_pose_outlives_the_facts_of_its_recording(lab: Lab, scripted: Any, get_pose: Any) -> None:
    key = load_pose(lab, TRACKS[:7])
    (lab.pipeline.model.RecordingInfo & key).delete(safemode=False)
    pose = get_pose(key, frames=slice(2, 4))
    assert np.array_equal(pose.position[:, :, 0], TRACKS[2:4])
    assert (pose.rate, pose.files, pose.width) == (None, (), None)
    assert pose.to_xarray().time.values.tolist() == [2, 3]


# --- a real pose ----------------------------------------------------------------------------------


@pytest.mark.dlc
def test_a_real_pose_is_near_the_truth(lab: Lab, estimated: Any, get_pose: Any) -> None:
    pose = get_pose(estimated)
    assert pose.body_parts == tuple(synthetic.BODY_PARTS)
    error = np.linalg.norm(pose.position[:, :, 0] - lab.truth, axis=-1)
    assert error.mean() < 2


@pytest.mark.dlc
def test_deeplabcuts_own_tools_read_the_files(
    lab: Lab, estimated: Any, get_pose: Any, tmp_path: Path
) -> None:
    import deeplabcut

    pose = get_pose(estimated)
    info = (lab.pipeline.model.PoseEstimation & estimated).fetch1("run_info")
    run = lab.processed / info["run_directory"]
    (written,) = run.rglob("*.h5")
    assert pd.read_hdf(written).to_numpy() == pytest.approx(pose.to_dataframe().to_numpy())
    video = tmp_path / "new.mp4"
    shutil.copy(lab.root / lab.new_video, video)
    pose.to_h5(tmp_path / f"new{pose.scorer}.h5")
    pose.to_csv(tmp_path / f"new{pose.scorer}.csv")
    (meta,) = run.rglob("*_meta.pickle")  # create_labeled_video looks for a crop there
    shutil.copy(meta, tmp_path / f"new{pose.scorer}_meta.pickle")
    training = (lab.pipeline.train.ModelTraining & {"training_id": 1}).fetch(as_dict=True)[0]
    config = lab.processed / training["run_info"]["run_directory"] / "project" / "config.yaml"
    project = tmp_path / "project"
    shutil.copytree(config.parent, project, symlinks=True)
    config = str(project / "config.yaml")
    deeplabcut.plot_trajectories(config, [str(video)], shuffle=1, destfolder=str(tmp_path))
    assert list((tmp_path / "plot-poses").rglob("trajectory.png"))
    assert deeplabcut.create_labeled_video(
        config, [str(video)], shuffle=1, destfolder=str(tmp_path)
    ) == [True]
    assert list(tmp_path.glob("*labeled.mp4"))
