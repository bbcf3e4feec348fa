"""Scripted poses to NWB and back; nothing here needs a database or DeepLabCut."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pynwb
import pytest
from hdmf.data_utils import DataChunkIterator
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.errors import (
    MetadataError,
    ParameterError,
    PathError,
    QueryError,
    ResultError,
    SetupError,
)
from element_deeplabcut.export.nwb import build_pose_estimation, build_skeleton
from element_deeplabcut.export.nwb.assembly import Placement, add_estimation
from element_deeplabcut.export.nwb.estimation import Estimation
from element_deeplabcut.export.nwb.files import plan_files, write_files
from element_deeplabcut.export.nwb.metadata import add_zone, build_subject, find_start, read_zone
from element_deeplabcut.export.nwb.names import name_objects
from element_deeplabcut.export.nwb.objects import link_file
from element_deeplabcut.export.nwb.timing import find_timing
from element_deeplabcut.pose import Pose, PoseFile

from ...nwb_files import find_movement, inspect

NTSC = Fraction(30000, 1001)
PARTS = ("nose", "leftear", "tailbase")
START = datetime.datetime(2026, 2, 1, 10, tzinfo=datetime.timezone.utc)


def make_pose(
    *,
    lengths: tuple[int, ...] = (30, 12),
    rates: tuple[Fraction | None, ...] | None = None,
    parts: tuple[str, ...] = PARTS,
    individuals: tuple[str, ...] = ("",),
    n_space: int = 2,
    dtype: Any = np.float32,
    **fields: Any,
) -> Pose:
    """Make a pose whose numbers tell frame, part, individual and coordinate apart."""
    rates = rates or (NTSC,) * len(lengths)
    firsts = np.cumsum((0, *lengths))
    n_frames = int(firsts[-1])
    frame, part, animal, coord = np.meshgrid(
        *(np.arange(n) for n in (n_frames, len(parts), len(individuals), n_space)), indexing="ij"
    )
    position = (frame + 0.25 * part + 0.125 * coord + 1000 * animal).astype(dtype)
    likelihood = np.linspace(0, 1, position[..., 0].size, dtype=dtype).reshape(frame.shape[:3])
    files = tuple(
        PoseFile(number, f"raw/clip{number}.mp4", int(first), length, rate)
        for number, (first, length, rate) in enumerate(
            zip(firsts[:-1], lengths, rates, strict=True), 1
        )
    )
    defaults: dict[str, Any] = {
        "scorer": "DLC_Resnet50_openJan1shuffle1_snapshot_best-10",
        "rate": rates[0],
        "width": 640,
        "height": 480,
        "skeleton": (("nose", "leftear"), ("leftear", "tailbase")),
    }
    return Pose(
        position, likelihood, np.arange(n_frames), parts, individuals,
        files=files, **{**defaults, **fields},
    )  # fmt: skip


def make_estimation(pose: Pose, folder: Path, **fields: Any) -> Estimation:
    defaults: dict[str, Any] = {
        "recording": {"recording_id": 1},
        "camera": "Camera1",
        "camera_description": "above the arena",
        "model_name": "tiny",
        "software_version": "3.0.2",
        "finished_at": datetime.datetime(2026, 2, 2, 9, 30),
        "provenance": {"bundle_hash": "f00d", "run_info": {"device": "cpu"}},
        "part_descriptions": {"nose": "Tip of the snout."},
        "videos": tuple(folder / file.path for file in pose.files),
    }
    return Estimation(pose, **{**defaults, **fields})


def make_nwbfile(**fields: Any) -> Any:
    subject = pynwb.file.Subject(
        subject_id="mouse1", sex="F", age="P90D", species="Mus musculus", description="A mouse."
    )
    defaults = {
        "session_description": "A mouse in an open field.",
        "identifier": "a-file",
        "session_start_time": START,
        "subject": subject,
    }
    return pynwb.NWBFile(**{**defaults, **fields})


@contextmanager
def written(
    folder: Path, *estimations: Estimation, individual: str = "", **placement: Any
) -> Iterator[Any]:
    """Write a file, read it back, and give it as pynwb does."""
    nwbfile = make_nwbfile()
    for number, estimation in enumerate(estimations):
        label = estimation.camera if number else ""
        where = Placement(**{"label": label, "folder": folder, **placement})
        add_estimation(nwbfile, estimation, individual, where)
    file = folder / "poses.nwb"
    write_files({file: nwbfile})
    with pynwb.NWBHDF5IO(str(file), "r") as stream:
        yield stream.read()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the two video files that the poses are of (empty: nobody decodes them)."""
    (tmp_path / "raw").mkdir()
    for number in (1, 2):
        (tmp_path / "raw" / f"clip{number}.mp4").touch()
    return tmp_path


# --- the numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_number_comes_back(folder: Path, dtype: Any) -> None:
    pose = make_pose(dtype=dtype)
    with written(folder, make_estimation(pose, folder)) as nwbfile:
        poses = nwbfile.processing["behavior"]["PoseEstimation"]
        assert set(poses.pose_estimation_series) == set(PARTS)
        for place, part in enumerate(PARTS):
            series = poses[part]
            assert series.data.dtype == dtype
            assert np.array_equal(series.data[:], pose.position[:, place, 0])
            assert np.array_equal(series.confidence[:], pose.likelihood[:, place, 0])
            assert series.unit == "pixels"
            assert series.data.compression == "gzip"
            assert (series.rate, series.starting_time) == (30000 / 1001, 0.0)
            assert "from 0.6 on" in series.confidence_definition
            assert "top left pixel of the whole video frame" in series.reference_frame


def test_facts_come_back(folder: Path) -> None:
    with written(folder, make_estimation(make_pose(), folder)) as nwbfile:
        behavior = nwbfile.processing["behavior"]
        poses = behavior["PoseEstimation"]
        assert poses.scorer == "DLC_Resnet50_openJan1shuffle1_snapshot_best-10"
        assert (poses.source_software, poses.source_software_version) == ("DeepLabCut", "3.0.2")
        for fact in ("'tiny'", '"bundle_hash":"f00d"', '"device":"cpu"', "2026-02-02T09:30:00 UTC"):
            assert fact in poses.description
        assert "its first frame is taken for the session's start" in poses.description
        assert "f00d" in poses["nose"].comments
        assert "Tip of the snout." in poses["nose"].description
        assert (poses.device.name, poses.device.description) == ("Camera1", "above the arena")
        skeleton = behavior["Skeletons"]["Skeleton_tiny"]
        assert poses.skeleton is skeleton
        assert list(skeleton.nodes) == list(PARTS)
        assert skeleton.edges[:].tolist() == [[0, 1], [1, 2]]
        assert skeleton.subject is nwbfile.subject


def test_videos_are_linked_relative_to_the_file(folder: Path) -> None:
    labeled = (folder / "raw" / "clip1.mp4", folder / "raw" / "clip2.mp4")
    estimation = make_estimation(make_pose(width=641), folder, labeled_videos=labeled)
    with written(folder, estimation) as nwbfile:
        poses = nwbfile.processing["behavior"]["PoseEstimation"]
        assert poses.source_video is nwbfile.acquisition["VideoCamera1"]
        assert poses.labeled_video is nwbfile.processing["behavior"]["LabeledVideoCamera1"]
        for video, width in ((poses.source_video, 641), (poses.labeled_video, 642)):
            assert list(video.external_file) == ["raw/clip1.mp4", "raw/clip2.mp4"]
            assert list(video.starting_frame) == [0, 30]
            assert list(video.dimension) == [width, 480]
            assert video.rate == 30000 / 1001
            assert video.device.name == "Camera1"


def test_links_hold_where_folders_are_links(tmp_path: Path) -> None:
    """`..` leads out of the folder that is really there, whatever it is called."""
    (tmp_path / "disk" / "deep" / "out").mkdir(parents=True)
    (tmp_path / "raw").mkdir()
    video = tmp_path / "raw" / "clip.mp4"
    video.touch()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "deep" / "out")
    link = link_file(video, tmp_path / "out")
    assert os.path.samefile(os.path.join(tmp_path / "out", link), video)
    assert link_file(video, None) == video.as_posix()


# --- times ----------------------------------------------------------------------------------------


def test_a_range_of_frames_starts_later() -> None:
    pose = make_pose(rates=(Fraction(25), Fraction(25)))
    part = Pose(
        pose.position[10:], pose.likelihood[10:], pose.frame_index[10:], pose.body_parts,
        files=pose.files, rate=pose.rate,
    )  # fmt: skip
    held, whole = find_timing(part, starting_time=5.0)
    assert (held.starting_time, held.rate) == (5.4, 25.0)
    assert (whole.starting_time, whole.rate) == (5.0, 25.0)


def test_files_of_different_rates_have_timestamps(folder: Path) -> None:
    pose = make_pose(lengths=(3, 2), rates=(Fraction(10), Fraction(20)))
    with written(folder, make_estimation(pose, folder), starting_time=1.0) as nwbfile:
        poses = nwbfile.processing["behavior"]["PoseEstimation"]
        for part in PARTS:
            assert poses[part].rate is None
            assert poses[part].timestamps[:] == pytest.approx([1.0, 1.1, 1.2, 1.3, 1.35])
        assert poses.source_video.timestamps[:] == pytest.approx([1.0, 1.1, 1.2, 1.3, 1.35])
        assert "taken for the session's start" not in poses.description


def test_measured_timestamps_are_kept_to_the_bit(folder: Path) -> None:
    times = np.cumsum(np.random.default_rng(1).uniform(0.03, 0.04, 42))
    with written(folder, make_estimation(make_pose(), folder), timestamps=times) as nwbfile:
        series = nwbfile.processing["behavior"]["PoseEstimation"]["tailbase"]
        assert np.array_equal(series.timestamps[:], times)


def test_frames_with_gaps_have_timestamps() -> None:
    frames = np.array([0, 1, 5])
    pose = make_pose(lengths=(10,), rates=(Fraction(10),))
    sparse = Pose(
        pose.position[frames], pose.likelihood[frames], frames, PARTS,
        files=pose.files, rate=pose.rate,
    )  # fmt: skip
    held, _ = find_timing(sparse)
    assert held.timestamps is not None
    assert held.timestamps.tolist() == [0.0, 0.1, 0.5]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.arange(41.0), "has 42 frames"),
        (np.zeros(42), "increase"),
        (np.full(42, np.nan), "finite"),
        (["now"] * 42, "no numbers"),
    ],
)
def test_timestamps_that_do_not_fit_are_refused(times: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        find_timing(make_pose(), timestamps=times)


def test_a_recording_without_a_rate_needs_timestamps() -> None:
    pose = make_pose(rates=(None, None))
    with pytest.raises(ParameterError, match=r"has no frame rate\. Give timestamps"):
        find_timing(pose)
    held, _ = find_timing(pose, timestamps=np.arange(42) / 7)
    assert held.timestamps is not None
    assert len(held.timestamps) == 42


# --- odd poses ------------------------------------------------------------------------------------


def test_without_likelihood_there_is_no_confidence(folder: Path) -> None:
    pose = make_pose()
    pose = pose.with_arrays(pose.position, np.full_like(pose.likelihood, np.nan))
    with written(folder, make_estimation(pose, folder)) as nwbfile:
        series = nwbfile.processing["behavior"]["PoseEstimation"]["nose"]
        assert series.confidence is None
        assert series.confidence_definition is None


def test_three_dimensions_have_no_pixels(folder: Path) -> None:
    pose = make_pose(n_space=3, unit="unknown")
    with written(folder, make_estimation(pose, folder)) as nwbfile:
        series = nwbfile.processing["behavior"]["PoseEstimation"]["nose"]
        assert np.array_equal(series.data[:], pose.position[:, 0, 0])
        assert series.unit == "n.a."
        assert "calibration" in series.reference_frame
    assert "CRITICAL" not in inspect(folder / "poses.nwb")


def test_nan_stays_nan_and_one_frame_is_a_pose(folder: Path) -> None:
    pose = make_pose(lengths=(1,))
    position = pose.position.copy()
    position[:, 1] = np.nan
    with written(folder, make_estimation(pose.with_arrays(position), folder)) as nwbfile:
        poses = nwbfile.processing["behavior"]["PoseEstimation"]
        assert np.isnan(poses["leftear"].data[:]).all()
        assert poses["leftear"].data.shape == (1, 2)
        assert np.array_equal(poses["nose"].data[:], pose.position[:, 0, 0])


def test_an_empty_pose_is_refused() -> None:
    with pytest.raises(ResultError, match="has no frames"):
        build_pose_estimation(make_pose(lengths=(0,)))


def test_coordinates_of_a_crop_say_so() -> None:
    for full_frame, words in ((True, "whole video frame"), (False, "x 20 to 200, y 10 to 190 px")):
        pose = make_pose(crop=(20, 200, 10, 190), full_frame=full_frame)
        poses = build_pose_estimation(pose)
        assert words in poses["nose"].reference_frame
        assert "x 20 to 200, y 10 to 190 px was analyzed" in poses.description


def test_a_model_without_skeleton_has_no_edges(folder: Path) -> None:
    with written(folder, make_estimation(make_pose(skeleton=()), folder)) as nwbfile:
        skeleton = nwbfile.processing["behavior"]["Skeletons"]["Skeleton_tiny"]
        assert skeleton.edges is None
        assert list(skeleton.nodes) == list(PARTS)


# --- names ----------------------------------------------------------------------------------------


def test_names_that_are_no_paths(folder: Path) -> None:
    parts = ("paw/left", "paw_left", "paw:left", "Pfötchen")
    pose = make_pose(parts=parts, skeleton=(("paw/left", "paw_left"),))
    estimation = make_estimation(pose, folder, camera="top/left", model_name="a/b")
    with written(folder, estimation) as nwbfile:
        poses = nwbfile.processing["behavior"]["PoseEstimation"]
        objects = ["paw_left_2", "paw_left", "paw_left_3", "Pfötchen"]
        assert list(poses.skeleton.nodes) == objects
        for place, (name, part) in enumerate(zip(objects, parts, strict=True)):
            assert np.array_equal(poses[name].data[:], pose.position[:, place, 0])
            assert f"'{part}'" in poses[name].description
        assert poses.device.name == "top_left"
    assert "CRITICAL" not in inspect(folder / "poses.nwb")


@given(st.lists(st.text(max_size=6), unique=True, max_size=8))
def test_object_names_are_distinct_and_safe(names: list[str]) -> None:
    found = name_objects(names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for name, safe in found.items():
        assert safe.strip()
        assert not set("/\\:\0") & set(safe)
        assert safe not in (".", "..")
        if not set(name) & set("/\\:") and name.isprintable() and name.strip(". "):
            assert safe == name


# --- several animals, several cameras -------------------------------------------------------------


def test_each_animal_has_its_numbers_and_the_scene_comes_along(folder: Path) -> None:
    tracked = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], bool)
    pose = make_pose(individuals=("black", "white", "single"), tracked=tracked)
    estimation = make_estimation(pose, folder)
    assert estimation.animals == ("black", "white")
    with written(folder, estimation, individual="white") as nwbfile:
        behavior = nwbfile.processing["behavior"]
        white, scene = behavior["PoseEstimation"], behavior["PoseEstimation_single"]
        assert set(white.pose_estimation_series) == {"nose", "leftear"}
        assert np.array_equal(white["nose"].data[:], pose.position[:, 0, 1])
        assert "'white'" in white.description
        assert white.skeleton.edges[:].tolist() == [[0, 1]]
        assert set(scene.pose_estimation_series) == {"tailbase"}
        assert np.array_equal(scene["tailbase"].data[:], pose.position[:, 2, 2])
        assert scene.skeleton.subject is None


def test_an_individual_must_be_named_where_there_are_several() -> None:
    pose = make_pose(individuals=("black", "white"))
    with pytest.raises(QueryError, match="'black', 'white'"):
        build_pose_estimation(pose)
    with pytest.raises(QueryError, match="no individual 'grey'"):
        build_skeleton(pose, individual="grey")


def test_two_cameras_share_a_skeleton_and_nothing_else(folder: Path) -> None:
    pose, other = make_pose(), make_pose(lengths=(20, 5))
    both = (make_estimation(pose, folder), make_estimation(other, folder, camera="Camera2"))
    with written(folder, *both) as nwbfile:
        behavior = nwbfile.processing["behavior"]
        one, two = behavior["PoseEstimation"], behavior["PoseEstimationCamera2"]
        assert one.skeleton is two.skeleton
        assert (one.device.name, two.device.name) == ("Camera1", "Camera2")
        assert one.source_video.name == "VideoCamera1"
        assert two.source_video.name == "VideoCamera2"
        assert two["nose"].data.shape == (25, 2)


def test_a_taken_name_is_refused(folder: Path) -> None:
    nwbfile = make_nwbfile()
    estimation = make_estimation(make_pose(), folder)
    add_estimation(nwbfile, estimation, "", Placement())
    with pytest.raises(ParameterError, match=r"'PoseEstimation' already\. Give another"):
        add_estimation(nwbfile, estimation, "", Placement())
    add_estimation(nwbfile, estimation, "", Placement(label="Again"))
    assert set(nwbfile.acquisition) == {"VideoCamera1", "VideoAgain"}


# --- session and subject --------------------------------------------------------------------------


NAIVE = datetime.datetime(2026, 2, 1, 10)


def test_a_start_without_a_time_zone_is_a_question() -> None:
    with pytest.raises(MetadataError, match="has no time zone"):
        find_start({}, {"session_datetime": NAIVE}, None)
    start = find_start({}, {"session_datetime": NAIVE}, read_zone("America/New_York"))
    assert start == datetime.datetime(2026, 2, 1, 15, tzinfo=datetime.timezone.utc)


def test_what_the_caller_says_comes_first() -> None:
    given_start = {"session_start_time": "2026-02-01T09:00:00+01:00"}
    start = find_start(given_start, {"session_datetime": NAIVE}, read_zone("UTC"))
    assert start == datetime.datetime(2026, 2, 1, 8, tzinfo=datetime.timezone.utc)


def test_no_start_is_invented() -> None:
    with pytest.raises(MetadataError, match="nobody says when the session started"):
        find_start({}, {"session_id": 4}, read_zone("UTC"))


@pytest.mark.parametrize("when", ["2026-10-25T01:30:00", "2026-03-29T01:30:00"])
def test_times_that_clocks_showed_twice_or_never(when: str) -> None:
    with pytest.raises(MetadataError, match="twice or never in Europe/London"):
        add_zone(when, read_zone("Europe/London"), "The session's start")


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(MetadataError, match="no time zone 'Mars/Olympus'"):
        read_zone("Mars/Olympus")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, r"lacks subject_id, sex, age \(or date_of_birth\)"),
        ({"subject_id": "m", "age": "P9D"}, "lacks sex"),
        ({"subject_id": "m", "sex": "female", "age": "P9D"}, "NWB has M, F"),
        ({"subject_id": "m", "sex": "F", "age": "P9D", "colour": "grey"}, "colour"),
    ],
)
def test_a_subject_that_archives_refuse(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(MetadataError, match=message):
        build_subject(fields, None)


def test_a_birth_date_is_midnight_in_the_sessions_zone() -> None:
    fields = {"subject_id": "m", "sex": "F", "date_of_birth": datetime.date(2026, 1, 1)}
    born = build_subject(fields, read_zone("Europe/Berlin")).date_of_birth
    assert born.isoformat() == "2026-01-01T00:00:00+01:00"


# --- files ----------------------------------------------------------------------------------------


def test_one_file_per_animal(tmp_path: Path) -> None:
    files = plan_files(tmp_path / "s.nwb", ["black", "a/b", "a:b"], overwrite=False)
    assert [file.name for file in files.values()] == ["s_black.nwb", "s_a-b.nwb", "s_a-b-3.nwb"]
    assert plan_files(tmp_path / "s.nwb", ["black"], overwrite=False) == {
        "black": tmp_path / "s.nwb"
    }


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    (tmp_path / "s_white.nwb").write_text("precious")
    with pytest.raises(PathError, match=r"s_white\.nwb' is there already"):
        plan_files(tmp_path / "s.nwb", ["black", "white"], overwrite=False)
    assert plan_files(tmp_path / "s.nwb", ["black", "white"], overwrite=True)


@pytest.mark.parametrize(("name", "words"), [("s.h5", "not called .nwb"), ("no/s.nwb", "no")])
def test_places_that_cannot_be_written(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(PathError, match=words):
        plan_files(tmp_path / name, ["a"], overwrite=False)


def test_a_failed_write_leaves_nothing(folder: Path) -> None:
    def read_until_the_disk_goes() -> Iterator[float]:
        yield 0.0
        raise OSError("the disk is gone")

    good, bad = make_nwbfile(), make_nwbfile()
    add_estimation(good, make_estimation(make_pose(), folder), "", Placement())
    numbers = DataChunkIterator(data=read_until_the_disk_goes(), buffer_size=1)
    bad.add_acquisition(pynwb.TimeSeries(name="bad", data=numbers, unit="n.a.", rate=1.0))
    before = sorted(folder.iterdir())
    (folder / "old.nwb").write_text("the old one")
    with pytest.raises(OSError, match="the disk is gone"):
        write_files({folder / "new.nwb": good, folder / "old.nwb": bad})
    assert sorted(folder.iterdir()) == sorted([*before, folder / "old.nwb"])
    assert (folder / "old.nwb").read_text() == "the old one"


def test_a_missing_extra_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ndx_pose", None)
    with pytest.raises(SetupError, match=r"element-deeplabcut\[nwb\]"):
        build_pose_estimation(make_pose())


# --- other readers --------------------------------------------------------------------------------


def test_nwbinspector_finds_nothing_that_can_be_said(folder: Path) -> None:
    """What remains is what only the caller could tell: who, where and why."""
    with written(folder, make_estimation(make_pose(), folder)):
        pass
    assert inspect(folder / "poses.nwb") == {
        "BEST_PRACTICE_SUGGESTION": [
            "check_experimenter_exists",
            "check_experiment_description",
            "check_institution",
            "check_keywords",
        ]
    }


@pytest.mark.slow
def test_movement_reads_the_same_numbers(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    movement = find_movement(tmp_path_factory.mktemp("environment"))
    pose = make_pose()
    with written(folder, make_estimation(pose, folder)):
        pass
    read = movement.read(folder / "poses.nwb")
    order = [list(read["keypoints"]).index(part) for part in PARTS]
    assert np.array_equal(read["position"][:, order], pose.position)
    assert np.array_equal(read["confidence"][:, order], pose.likelihood)
    assert read["time"] == pytest.approx(np.arange(42) * 1001 / 30000, rel=1e-7)
    assert read["software"] == "DeepLabCut"
