from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from element_deeplabcut.errors import ParameterError, ProjectError
from element_deeplabcut.video import read_facts
from workflow_deeplabcut.synthetic import (
    BODY_PARTS,
    MARK_COLOURS,
    MARK_RADIUS,
    SKELETON,
    draw_frame,
    make_ground,
    render_video,
    simulate_positions,
    write_project,
)


def decode(path: Path) -> np.ndarray:
    with av.open(os.fspath(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def centroid(weights: np.ndarray) -> np.ndarray:
    """Intensity-weighted centre (x, y), where the centre of the top-left pixel is (0, 0)."""
    y, x = np.mgrid[: weights.shape[0], : weights.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


def cover_of(picture: np.ndarray, name: str, position: np.ndarray) -> np.ndarray:
    """How much of each pixel near `position` shows the colour of a body part (0 to 1).

    The colours' strongest difference from grey is measured, because the animal's fur, the ground
    and the noise below the mark are all grey.
    """
    colour = np.array(MARK_COLOURS[name], float)
    chroma = colour - colour.mean()
    pixels = picture.astype(float)
    pixels -= pixels.mean(-1, keepdims=True)
    cover = np.clip(pixels @ chroma / (chroma @ chroma), 0, None)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    near = np.hypot(x - position[0], y - position[1]) < MARK_RADIUS + 2
    return np.where(near & (cover > 0.15), cover, 0)


# ---- motion ----------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32),
    width=st.integers(78, 1000),
    height=st.integers(78, 1000),
    fps=st.fractions(1, 1000),
)
def test_every_mark_stays_inside_the_picture(seed, width, height, fps):
    positions = simulate_positions(100, width=width, height=height, fps=fps, seed=seed)
    assert positions.shape == (100, len(BODY_PARTS), 2)
    assert positions.dtype == np.float64
    assert positions.min() >= MARK_RADIUS
    assert np.all(positions.max((0, 1)) <= np.array([width, height]) - 1 - MARK_RADIUS)


@given(seed=st.integers(0, 2**32))
def test_the_animal_is_rigid_and_moves_smoothly(seed):
    positions = simulate_positions(300, seed=seed)
    lengths = np.linalg.norm(positions[:, 0] - positions[:, 3], axis=-1)
    np.testing.assert_allclose(lengths, 50)
    steps = np.linalg.norm(np.diff(positions, axis=0), axis=-1)
    assert steps.max() < 15
    assert np.linalg.norm(np.diff(positions, 2, axis=0), axis=-1).max() < 2


def test_the_path_depends_on_time_and_seed_only():
    slow = simulate_positions(50, fps=30, seed=3)
    fast = simulate_positions(100, fps=60, seed=3)
    np.testing.assert_allclose(fast[::2], slow)
    assert not np.allclose(simulate_positions(50, fps=30, seed=4), slow)


def test_the_left_ear_is_on_the_left():
    nose, left, right, tail = simulate_positions(1)[0]
    forward, across = nose - tail, right - left
    # With y down, the right-hand side of a heading (1, 0) is (0, 1).
    assert forward[0] * across[1] - forward[1] * across[0] > 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n_frames": 0}, "at least one frame"),
        ({"fps": 0}, "positive rate"),
        ({"width": 60}, "does not fit"),
    ],
)
def test_impossible_scenes_are_refused(changed, message):
    with pytest.raises(ParameterError, match=message):
        simulate_positions(**{"n_frames": 10, **changed})


# ---- drawing ---------------------------------------------------------------------------------


@given(seed=st.integers(0, 1000))
def test_marks_are_centred_on_the_positions(seed):
    positions = simulate_positions(1, width=120, height=100, seed=seed)[0]
    picture = draw_frame(positions, np.full((100, 120, 3), 200, np.float32))
    for name, position in zip(BODY_PARTS, positions, strict=True):
        error = centroid(cover_of(picture, name, position)) - position
        assert np.hypot(*error) < 0.1, name


def test_a_mark_on_a_whole_position_is_symmetric_about_its_pixel_as_opencv_draws_it():
    cv2 = pytest.importorskip("cv2")
    positions = np.array([(60.0, 20.0), (30.0, 70.0), (90.0, 70.0), (60.0, 95.0)])
    picture = draw_frame(positions, np.full((120, 120, 3), 200, np.float32))
    x, y = positions[0].astype(int)
    patch = cover_of(picture, "nose", positions[0])[y - 8 : y + 9, x - 8 : x + 9]
    np.testing.assert_allclose(patch, patch[::-1], atol=0.02)
    np.testing.assert_allclose(patch, patch[:, ::-1], atol=0.02)
    canvas = np.zeros((120, 120), np.uint8)
    cv2.circle(canvas, (int(x), int(y)), int(MARK_RADIUS), 255, -1, cv2.LINE_AA)
    np.testing.assert_allclose(centroid(canvas), positions[0], atol=0.02)


def test_an_animal_at_the_border_is_clipped():
    ground = make_ground(80, 80)
    outside = np.array([(-30.0, 5.0), (-40.0, 0.0), (-40.0, 10.0), (-80.0, 5.0)])
    np.testing.assert_array_equal(draw_frame(outside, ground), ground)
    across = outside + np.array([45, 0])
    assert np.abs(draw_frame(across, ground) - ground).max() > 50


# ---- videos ----------------------------------------------------------------------------------


def test_a_video_shows_the_positions_it_returns(tmp_path):
    positions = render_video(tmp_path / "video.mp4", 30, seed=5)
    pictures = decode(tmp_path / "video.mp4")
    errors = [
        centroid(cover_of(picture, name, position)) - position
        for picture, parts in zip(pictures, positions, strict=True)
        for name, position in zip(BODY_PARTS, parts, strict=True)
    ]
    # Noise and compression leave a tenth of a pixel per frame, and no bias.
    assert np.median(np.hypot(*np.transpose(errors))) < 0.15
    assert np.abs(np.mean(errors, 0)).max() < 0.1


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(30000, 1001), Fraction(100)], ids=str)
def test_a_video_has_the_facts_asked_for(tmp_path, rate):
    moment = datetime(2026, 1, 1, 9, 30)
    render_video(tmp_path / "video.mp4", 20, width=160, height=120, fps=rate, recorded_at=moment)
    facts = read_facts(tmp_path / "video.mp4")
    assert (facts.n_frames, facts.rate, facts.recorded_at) == (20, rate, moment)
    assert (facts.width, facts.height) == (160, 120)


def test_a_video_is_reproducible(tmp_path):
    render_video(tmp_path / "one.mp4", 10, seed=1)
    render_video(tmp_path / "same.mp4", 10, seed=1)
    render_video(tmp_path / "other.mp4", 10, seed=2)
    content = (tmp_path / "one.mp4").read_bytes()
    assert content == (tmp_path / "same.mp4").read_bytes()
    assert content != (tmp_path / "other.mp4").read_bytes()


def test_another_codec_can_be_asked_for(tmp_path):
    path = tmp_path / "video.avi"
    positions = render_video(path, 10, codec="mjpeg", pixel_format="yuvj420p")
    assert read_facts(path).n_frames == len(positions) == 10


def test_a_size_that_cannot_be_encoded_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="both sides even"):
        render_video(tmp_path / "video.mp4", 10, width=201)
    assert not list(tmp_path.iterdir())


def test_a_usual_video_is_rendered_within_seconds(tmp_path):
    begin = time.process_time()
    render_video(tmp_path / "video.mp4", 300)
    assert time.process_time() - begin < 30  # 1.4 s on a quiet core


# ---- projects --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> dict[Path, np.ndarray]:
    folder = tmp_path_factory.mktemp("films")
    return {folder / f"film{seed}.mp4": render_video(folder / f"film{seed}.mp4", 30, seed=seed)
            for seed in (0, 1)}  # fmt: skip


def test_the_configuration_describes_the_project(tmp_path, films):
    path = write_project(tmp_path, films, n_labelled=5, date="2026-11-05", iteration=2)
    config = yaml.safe_load(path.read_text())
    assert path == tmp_path / "synthetic-tester-2026-11-05" / "config.yaml"
    assert config["project_path"] == str(path.parent)
    assert (config["Task"], config["scorer"], config["date"]) == ("synthetic", "tester", "Nov5")
    assert config["bodyparts"] == list(BODY_PARTS)
    assert [tuple(pair) for pair in config["skeleton"]] == list(SKELETON)
    assert (config["TrainingFraction"], config["pcutoff"], config["iteration"]) == ([0.8], 0.4, 2)
    assert config["video_sets"] == {
        str(path.parent / "videos" / video.name): {"crop": "0, 200, 0, 200"} for video in films
    }


def test_labels_are_the_positions_of_the_frames_they_name(tmp_path, films):
    project = write_project(tmp_path, films, n_labelled=6).parent
    for video, positions in films.items():
        folder = project / "labeled-data" / video.stem
        labels = pd.read_hdf(folder / "CollectedData_tester.h5", "df_with_missing")
        assert labels.columns.names == ["scorer", "bodyparts", "coords"]
        pictures = decode(video)
        assert len(labels) == 6
        for (parent, stem, name), row in labels.iterrows():
            frame = int(name.removeprefix("img").removesuffix(".png"))
            assert (parent, stem) == ("labeled-data", video.stem)
            np.testing.assert_array_equal(row.to_numpy().reshape(-1, 2), positions[frame])
            np.testing.assert_array_equal(np.asarray(Image.open(folder / name)), pictures[frame])


def test_the_csv_holds_the_same_labels(tmp_path, films):
    project = write_project(tmp_path, films, n_labelled=6).parent
    for stem in ("film0", "film1"):
        base = project / "labeled-data" / stem / "CollectedData_tester"
        table = pd.read_csv(base.with_suffix(".csv"), header=[0, 1, 2], index_col=[0, 1, 2])
        labels = pd.read_hdf(base.with_suffix(".h5"), "df_with_missing")
        np.testing.assert_allclose(table.to_numpy(), labels.to_numpy())
        assert list(table.index) == list(labels.index)


@pytest.mark.parametrize("copy_videos", [True, False])
def test_videos_are_copied_or_linked(tmp_path, films, copy_videos):
    project = write_project(tmp_path, films, n_labelled=2, copy_videos=copy_videos).parent
    for video in films:
        placed = project / "videos" / video.name
        assert placed.is_symlink() is not copy_videos
        assert placed.read_bytes() == video.read_bytes()


def test_projects_that_cannot_be_written_are_refused_before_anything_is(tmp_path, films):
    (video, positions), _ = films.items()
    with pytest.raises(ParameterError, match="at least one video"):
        write_project(tmp_path, {})
    with pytest.raises(ParameterError, match="cannot be labelled"):
        write_project(tmp_path, films, n_labelled=31)
    with pytest.raises(ParameterError, match="Two videos are called 'film0'"):
        write_project(tmp_path, {video: positions, Path("film0.avi"): positions}, n_labelled=2)
    with pytest.raises(ParameterError, match="is no date"):
        write_project(tmp_path, films, n_labelled=2, date="1 January")
    assert not list(tmp_path.iterdir())


def test_an_existing_project_is_never_overwritten(tmp_path, films):
    config = write_project(tmp_path, films, n_labelled=2)
    before = config.read_bytes()
    with pytest.raises(ProjectError, match="exists already"):
        write_project(tmp_path, films, n_labelled=3)
    assert config.read_bytes() == before


CREATE_DATASET = """
import sys
import deeplabcut
from deeplabcut.core.engine import Engine
from deeplabcut.utils import auxiliaryfunctions

config = sys.argv[1]
before = auxiliaryfunctions.read_plainconfig(config)
((fraction, shuffle, (train, test)),) = deeplabcut.create_training_dataset(
    config, Shuffles=[1], net_type="resnet_50", engine=Engine.PYTORCH, userfeedback=False
)
assert auxiliaryfunctions.read_config(config)["bodyparts"] == before["bodyparts"]
print("SPLIT", fraction, shuffle, len(train), len(test))
"""


@pytest.mark.dlc
def test_deeplabcut_accepts_the_project(tmp_path, films):
    pytest.importorskip("deeplabcut")
    config = write_project(tmp_path, films, n_labelled=10)
    environment = {"MPLBACKEND": "Agg", "DLClight": "True", "HF_HUB_OFFLINE": "1",
                   "OMP_NUM_THREADS": "1"}  # fmt: skip
    # In a process of its own, because DeepLabCut changes logging and the environment.
    run = subprocess.run(
        [sys.executable, "-c", CREATE_DATASET, os.fspath(config)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "SPLIT 0.8 1 16 4" in run.stdout
    dataset = config.parent / "training-datasets/iteration-0/UnaugmentedDataSet_syntheticJan1"
    labels = pd.read_hdf(dataset / "CollectedData_tester.h5")
    assert len(labels) == 20
