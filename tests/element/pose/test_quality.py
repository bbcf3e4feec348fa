"""Verdicts on poses with known faults."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from element_deeplabcut.errors import QueryError
from element_deeplabcut.pose.quality import FAIL, PASS, WARN, check_quality_params, judge_pose

from ...motions import line, make_pose

LIMB = (("nose", "tailbase"),)


def judge(pose, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return judge_pose(pose, check_quality_params(params))


def rigid(n_frames: int = 100, **fields):
    """Two body parts 10 px apart that go 1 px a frame."""
    nose = line(n_frames, (30, 0), (50, 50))
    return make_pose(np.stack([nose, nose - [0, 10]], axis=1), skeleton=LIMB, **fields)


def test_a_faultless_pose_passes():
    quality = judge(rigid())
    assert (quality.verdict, quality.reason) == (PASS, "")
    for part in quality.parts:
        assert (part.share_found, part.share_above_cutoff) == (1, 1)
        assert (part.longest_gap_frames, part.longest_gap) == (0, 0)
        assert (part.jump_rate, part.out_of_frame_share, part.limb_outlier_share) == (0, 0, 0)
        assert (part.verdict, part.reason) == (PASS, "")


def test_share_and_longest_gap():
    likelihood = np.ones((100, 2))
    likelihood[[3, 7, *range(50, 68)], 0] = 0.59
    likelihood[20, 0] = 0.6  # at the cutoff: trusted
    nose, tail = judge(rigid(likelihood=likelihood)).parts
    assert nose.share_above_cutoff == pytest.approx(0.8)
    assert (nose.longest_gap_frames, nose.longest_gap) == (18, 0.6)
    assert (nose.verdict, tail.verdict) == (WARN, PASS)
    assert nose.reason == "only 80.0% of the frames above p-cutoff"
    assert judge(rigid(likelihood=likelihood), p_cutoff=0.5).verdict == PASS


def test_a_gap_ends_with_its_file():
    likelihood = np.ones((100, 2))
    likelihood[40:60] = 0
    nose, _ = judge(rigid(likelihood=likelihood, lengths=[48, 52])).parts
    assert nose.longest_gap_frames == 12


def test_jumps_are_counted_between_trusted_points():
    pose = rigid()
    pose.position[30, 0, 0, 0] += 60  # there and back: two of 99 steps
    nose, tail = judge(pose, jump_length=0.1).parts
    assert nose.jump_rate == pytest.approx(2 / 99)
    assert tail.jump_rate == 0
    pose.likelihood[30, 0] = 0.1
    nose, _ = judge(pose).parts
    assert nose.jump_rate == 0


def test_a_leap_from_one_file_to_the_next_is_no_jump():
    pose = rigid(lengths=[50, 50])
    pose.position[50:, :, 0] += 100
    assert all(part.jump_rate == 0 for part in judge(pose).parts)


def test_points_outside_the_picture():
    pose = rigid()
    pose.position[:5, 0, 0, 0] = -0.6
    pose.position[5:7, 0, 0, 0] = -0.5  # the edge of the first pixel
    pose.position[7:12, 0, 0, 1] = 199.6
    assert judge(pose).parts[0].out_of_frame_share == pytest.approx(0.1)


def test_limbs_of_implausible_length():
    pose = rigid()
    pose.position[10:20, 1, 0, 1] -= 30  # 40 px instead of 10
    pose.position[30, 1, 0, 1] -= 0.9  # within what a good network leaves
    for part in judge(pose).parts:
        assert part.limb_outlier_share == pytest.approx(0.1)
        assert part.verdict == WARN
    no_skeleton = make_pose(pose.position)
    assert [part.limb_outlier_share for part in judge(no_skeleton).parts] == [None, None]


def test_the_worst_body_part_decides():
    likelihood = np.ones((100, 2))
    likelihood[:60, 0] = 0
    pose = rigid(likelihood=likelihood)
    quality = judge(pose)
    assert quality.verdict == FAIL
    assert quality.reason == ("nose: only 40.0% of the frames above p-cutoff; not seen for 2 s.")
    assert judge(pose, body_parts=["tailbase"]).verdict == PASS
    with pytest.raises(QueryError, match=r"no body part 'noze'. Did you mean 'nose'"):
        judge(pose, body_parts=["noze"])


def test_individuals_are_named_in_the_reason():
    tracks = np.stack([line(10, (0, 0)), line(10, (0, 0))], axis=1)[:, None]
    tracks[:, 0, 1] = np.nan
    quality = judge(make_pose(tracks, body_parts=("nose",), individuals=("ann", "ben")))
    assert (quality.verdict, quality.reason) == (FAIL, "nose of ben: never found.")
    assert [part.share_found for part in quality.parts] == [1, 0]


# --- odd poses ------------------------------------------------------------------------------------


def test_without_a_likelihood_the_points_are_judged_but_never_pass():
    quality = judge(rigid(likelihood=np.nan))
    assert quality.verdict == WARN
    assert "nose: the result has no likelihood." in quality.reason
    assert quality.parts[0].share_above_cutoff is None
    assert quality.parts[0].longest_gap_frames == 0


def test_without_a_frame_rate_gaps_cannot_be_judged():
    quality = judge(rigid(rate=None))
    assert quality.verdict == WARN
    assert "no frame rate, so gaps cannot be judged" in quality.reason
    assert quality.parts[0].longest_gap is None


def test_a_pose_without_frames_fails():
    quality = judge(rigid(0))
    assert (quality.verdict, quality.reason) == (FAIL, "The pose has no frames.")
    assert quality.parts[0].share_found is None


def test_one_frame_can_be_judged():
    quality = judge(rigid(1))
    assert quality.verdict == PASS
    assert quality.parts[0].jump_rate is None


def test_a_triangulated_pose_has_no_picture_to_leave():
    pose = make_pose(np.full((10, 2, 3), -50.0), np.nan, unit="unknown", skeleton=LIMB)
    part = judge(pose).parts[0]
    assert (part.out_of_frame_share, part.jump_rate) == (None, None)
    assert part.limb_outlier_share == 0
