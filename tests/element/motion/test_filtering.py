"""Masking, filling and smoothing, against what is known and against DeepLabCut's own filter."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from element_deeplabcut.motion.filtering import FILLED, MISSING, UNLIKELY, clean_pose
from element_deeplabcut.motion.params import check_kinematics_params

from ...motions import circle, line, make_pose

PLAIN = {"smoothing": "none", "max_gap": 0}


def clean(pose, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # empty slices and the like are not the user's business
        return clean_pose(pose, check_kinematics_params(params))


def two_lines(n_frames: int = 20, **fields):
    tracks = np.stack([line(n_frames, (30, -15)), line(n_frames, (6, 3))], axis=1)
    return make_pose(tracks, **fields)


def with_likelihood(n_frames: int, low: dict[int, list[int]], value: float = 0.1) -> np.ndarray:
    likelihood = np.ones((n_frames, 2))
    for part, frames in low.items():
        likelihood[frames, part] = value
    return likelihood


# --- masking --------------------------------------------------------------------------------------


def test_points_below_the_threshold_are_masked_and_no_others():
    likelihood = with_likelihood(20, {0: [3, 4]})
    likelihood[7, 0] = 0.6  # at the threshold: trusted
    pose = two_lines(likelihood=likelihood)
    result = clean(pose, **PLAIN, likelihood_threshold=0.6)
    lost = np.isnan(result.pose.position)
    assert np.argwhere(lost.any(axis=-1)).tolist() == [[3, 0, 0], [4, 0, 0]]
    assert np.array_equal(result.pose.position[~lost], pose.position[~lost])
    assert np.argwhere(result.mask == UNLIKELY).tolist() == [[3, 0, 0], [4, 0, 0]]
    assert (result.mask > 0).sum() == 2
    assert np.array_equal(result.pose.likelihood, pose.likelihood)
    assert not np.isnan(pose.position).any()  # what was given is left alone


def test_without_a_likelihood_every_point_is_trusted():
    pose = two_lines(likelihood=np.nan)
    result = clean(pose, **PLAIN)
    assert np.array_equal(result.pose.position, pose.position)
    assert not result.mask.any()


def test_what_was_not_found_is_told_from_what_was_not_trusted():
    pose = two_lines(likelihood=with_likelihood(20, {0: [3], 1: [9]}))
    pose.position[9, 1] = np.nan
    mask = clean(pose, **PLAIN).mask
    assert (mask[3, 0, 0], mask[9, 1, 0]) == (UNLIKELY, MISSING)


# --- filling --------------------------------------------------------------------------------------


def test_a_gap_in_uniform_motion_is_filled_exactly():
    truth = two_lines()
    pose = two_lines(likelihood=with_likelihood(20, {0: [3, 4, 5], 1: [10]}))
    pose.position[[3, 4, 5], 0] += 50  # what DeepLabCut guessed
    result = clean(pose, smoothing="none", max_gap=3)
    assert np.allclose(result.pose.position, truth.position, atol=1e-12)
    filled = [[3, 0, 0], [4, 0, 0], [5, 0, 0], [10, 1, 0]]
    assert np.argwhere(result.mask == UNLIKELY + FILLED).tolist() == filled
    assert (result.mask > 0).sum() == 4


def test_a_gap_is_filled_up_to_the_stated_length():
    pose = two_lines(likelihood=with_likelihood(20, {0: [3, 4, 5], 1: [3, 4, 5, 6]}))
    result = clean(pose, smoothing="none", max_gap=3)
    assert not np.isnan(result.pose.position[:, 0]).any()
    assert np.flatnonzero(np.isnan(result.pose.position[:, 1, 0, 0])).tolist() == [3, 4, 5, 6]
    assert (result.mask[3:7, 1, 0] == UNLIKELY).all()


@pytest.mark.parametrize("max_gap", [5, 20, 10**6])
def test_nothing_is_invented_at_the_ends(max_gap: int):
    """Also where a gap may be longer than the recording."""
    pose = two_lines(likelihood=with_likelihood(20, {0: [0, 1, 18, 19]}))
    result = clean(pose, smoothing="none", max_gap=max_gap)
    missing = np.flatnonzero(np.isnan(result.pose.position[:, 0, 0, 0]))
    assert missing.tolist() == [0, 1, 18, 19]


@given(
    lost=st.lists(st.booleans(), min_size=1, max_size=25),
    max_gap=st.integers(0, 30),
    join=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_any_gap_is_filled_exactly_if_it_is_short_and_inside(lost, max_gap, join):
    n_frames = len(lost)
    likelihood = np.where(np.array(lost)[:, None], 0.0, 1.0)
    half = n_frames // 2
    lengths = [half, n_frames - half] if half else None
    tracks = line(n_frames, (3, -2))[:, None]
    pose = make_pose(tracks, likelihood, body_parts=("nose",), lengths=lengths)
    result = clean(pose, smoothing="none", max_gap=max_gap, join_files=join)
    is_there = ~np.isnan(result.pose.position[:, 0, 0, 0])
    pieces = [lost] if join or not half else [lost[:half], lost[half:]]
    expected = [there for piece in pieces for there in expect_filled(piece, max_gap)]
    assert is_there.tolist() == expected
    assert np.allclose(result.pose.position[is_there, 0, 0], tracks[is_there, 0])
    assert ((result.mask[:, 0, 0] & FILLED) > 0).tolist() == [
        there and gone for there, gone in zip(expected, lost, strict=True)
    ]


@pytest.mark.parametrize("max_gap", [1, 4, 100])
def test_filling_agrees_with_movements_own(max_gap: int):
    from movement.filtering import filter_by_confidence, interpolate_over_time

    rng = np.random.default_rng(max_gap)
    pose = make_pose(rng.uniform(0, 200, (200, 2, 2)), rng.uniform(0, 1, (200, 2)))
    dataset = pose.to_xarray()
    masked = filter_by_confidence(dataset.position, dataset.confidence, threshold=0.6)
    theirs = interpolate_over_time(masked, max_gap=max_gap)
    ours = clean(pose, smoothing="none", max_gap=max_gap, likelihood_threshold=0.6)
    values = theirs.transpose("time", "keypoints", "individuals", "space").values
    assert np.allclose(ours.pose.position, values, equal_nan=True)


def expect_filled(lost: list[bool], max_gap: int) -> list[bool]:
    """The plain rule, frame by frame."""
    there = []
    for frame, gone in enumerate(lost):
        before = [k for k in range(frame) if not lost[k]]
        after = [k for k in range(frame, len(lost)) if not lost[k]]
        short = bool(before and after) and after[0] - before[-1] - 1 <= max_gap
        there.append(not gone or short)
    return there


# --- smoothing ------------------------------------------------------------------------------------


def test_a_median_removes_a_spike_and_keeps_a_line():
    truth = two_lines()
    pose = two_lines()
    pose.position[8, 0] += 100
    result = clean(pose, smoothing="median", window=3)
    error = np.abs(result.pose.position - truth.position)
    assert error[1:-1].max() <= 1 + 1e-9  # the spike's neighbour takes its place: one step, 1 px
    assert error[[0, -1]].max() < 1.0 + 1e-9
    assert not result.mask.any()


def test_savitzky_golay_keeps_a_polynomial_of_its_order():
    seconds = np.arange(40)[:, None] / 30
    parabola = np.hstack([5 + 20 * seconds**2, 90 - 30 * seconds + 4 * seconds**2])[:, None]
    pose = make_pose(parabola, body_parts=("nose",))
    result = clean(pose, smoothing="savgol", window=9, polyorder=2)
    assert np.allclose(result.pose.position, pose.position, atol=1e-9)


def test_savitzky_golay_reduces_noise_on_a_circle():
    truth = circle(300, 40, 2.0)
    noise = np.random.default_rng(0).normal(0, 1.0, truth.shape)
    pose = make_pose((truth + noise)[:, None], body_parts=("nose",))
    result = clean(pose, smoothing="savgol", window=11, polyorder=2)
    error = result.pose.position[:, 0, 0] - truth
    # A quadratic fit over 11 points keeps 0.21 of the variance in the middle.
    assert error[5:-5].std() == pytest.approx(np.sqrt(0.2075), rel=0.12)


@pytest.mark.parametrize("smoothing", ["median", "savgol"])
def test_a_gap_neither_grows_nor_leaks(smoothing: str):
    likelihood = with_likelihood(40, {0: list(range(15, 25))})
    pose = two_lines(40, likelihood=likelihood)
    pose.position[15:25, 0] = 1e6
    result = clean(pose, smoothing=smoothing, window=7, max_gap=3)
    there = ~np.isnan(result.pose.position[:, 0, 0, 0])
    assert np.flatnonzero(~there).tolist() == list(range(15, 25))
    truth = two_lines(40).position[:, 0, 0]
    assert np.abs(result.pose.position[there, 0, 0] - truth[there]).max() < 3


def test_a_run_shorter_than_the_window_is_left_as_it_is():
    pose = two_lines(4)
    result = clean(pose, smoothing="savgol", window=5)
    assert np.array_equal(result.pose.position, pose.position)


@pytest.mark.parametrize("smoothing", ["median", "savgol"])
def test_files_that_do_not_follow_each_other_do_not_mix(smoothing: str):
    wave = np.random.default_rng(1).normal(0, 5, (30, 2))
    jump = np.concatenate([line(15, (30, 0)), line(15, (30, 0), (150, 150))]) + wave
    jump = jump[:, None]
    apart = make_pose(jump, body_parts=("nose",), lengths=[15, 15])
    result = clean(apart, smoothing=smoothing, window=5)
    first = make_pose(jump[:15], body_parts=("nose",))
    alone = clean(first, smoothing=smoothing, window=5)
    assert np.array_equal(result.pose.position[:15], alone.pose.position)
    joined = clean(apart, smoothing=smoothing, window=5, join_files=True)
    assert not np.array_equal(joined.pose.position, result.pose.position)


# --- odd poses ------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", ["none", "median", "savgol"])
@pytest.mark.parametrize("n_frames", [0, 1, 2])
def test_short_poses(smoothing: str, n_frames: int):
    pose = two_lines(n_frames)
    result = clean(pose, smoothing=smoothing)
    assert result.pose.position.shape == (n_frames, 2, 1, 2)
    assert not np.isnan(result.pose.position).any()
    assert not result.mask.any()


@pytest.mark.parametrize("smoothing", ["none", "median", "savgol"])
def test_a_body_part_that_is_never_found_stays_lost(smoothing: str):
    pose = two_lines()
    pose.position[:, 1] = np.nan
    result = clean(pose, smoothing=smoothing, max_gap=100)
    assert np.isnan(result.pose.position[:, 1]).all()
    assert (result.mask[:, 1] == MISSING).all()
    assert not np.isnan(result.pose.position[:, 0]).any()


# --- DeepLabCut's own -----------------------------------------------------------------------------


@pytest.mark.dlc
@pytest.mark.parametrize("window", [3, 5, 9])
def test_the_median_equals_deeplabcuts(window: int, tmp_path: Path, dlc_project: Path):
    """Except at the ends, where DeepLabCut's takes zeros for what lies beyond."""
    import deeplabcut
    from deeplabcut.utils import auxiliaryfunctions

    config = str(dlc_project / "config.yaml")
    scorer = "DLC_Resnet50_syntheticJan1shuffle1_snapshot_best-10"
    rng = np.random.default_rng(window)
    pose = make_pose(rng.uniform(0, 200, (60, 2, 2)), rng.uniform(0, 1, (60, 2)), scorer=scorer)
    pose.to_h5(tmp_path / f"a{scorer}.h5")
    (tmp_path / "a.mp4").touch()
    with pytest.MonkeyPatch.context() as patch:  # nothing is trained here that could be named
        name = lambda *_, **__: (scorer, scorer)  # noqa: E731
        patch.setattr(auxiliaryfunctions, "get_scorer_name", name)
        data = deeplabcut.filterpredictions(
            config, str(tmp_path / "a.mp4"), filtertype="median", windowlength=window,
            destfolder=str(tmp_path), save_as_csv=False, return_data=True,
        )  # fmt: skip
    (theirs,) = data.values()
    ours = clean(pose, likelihood_threshold=0, max_gap=0, window=window).pose.to_dataframe()
    half = window // 2
    assert isinstance(theirs, pd.DataFrame)
    assert list(theirs.columns) == list(ours.columns)
    assert np.array_equal(ours.to_numpy()[half:-half], theirs.to_numpy()[half:-half])
    # Theirs lie lower at the ends: drawn towards the picture's corner.
    x_ours, x_theirs = (t.xs("x", axis=1, level="coords").to_numpy() for t in (ours, theirs))
    assert (x_theirs[[0, -1]] <= x_ours[[0, -1]]).all()
    assert (x_theirs[[0, -1]] < x_ours[[0, -1]]).any()
