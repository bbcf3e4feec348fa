"""Motion of closed form: what is measured is what was put in."""

from __future__ import annotations

import warnings
from fractions import Fraction

import numpy as np
import pytest

from element_deeplabcut.errors import QueryError, ResultError
from element_deeplabcut.motion.derivatives import (
    compute_centroid,
    compute_distance,
    compute_heading,
    measure_motion,
)
from element_deeplabcut.motion.params import check_kinematics_params

from ...motions import circle, line, make_pose


def measure(pose, **params):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return measure_motion(pose, check_kinematics_params(params))


def one_part(track, **fields):
    return make_pose(np.asarray(track)[:, None], body_parts=("nose",), **fields)


def test_uniform_motion_is_exact():
    velocity = (30.0, -40.0)  # 50 px/s
    (motion,) = measure(one_part(line(91, velocity, (10, 190))))
    assert np.allclose(motion.velocity, velocity, rtol=1e-9)
    assert np.allclose(motion.speed, 50, rtol=1e-9)
    assert motion.mean_speed == pytest.approx(50)
    assert motion.distance == pytest.approx(50 * 3)  # 90 steps of 1/30 s


def test_the_exact_frame_rate_counts():
    rate = Fraction(30000, 1001)
    pose = one_part(line(50, (60, 0), rate=float(rate)), rate=rate)
    (motion,) = measure(pose)
    assert np.allclose(motion.speed, 60, rtol=1e-9)


def test_a_circle_has_the_speed_radius_times_angular_frequency():
    radius, omega, rate = 50.0, 2.0, 30
    (motion,) = measure(one_part(circle(300, radius, omega)))
    chord = np.sin(omega / rate) / (omega / rate)  # of central differences; 1 - 0.0007
    assert np.allclose(motion.speed[1:-1], radius * omega * chord, rtol=1e-9)
    assert motion.speed[1:-1] == pytest.approx(radius * omega, rel=(omega / rate) ** 2 / 6 * 1.01)
    step = 2 * radius * np.sin(omega / rate / 2)
    assert motion.distance == pytest.approx(299 * step, rel=1e-12)
    toward = motion.velocity / motion.speed[:, None]
    outward = (motion.centroid - 100) / radius
    assert np.abs((toward * outward).sum(axis=1))[1:-1].max() < 1e-9  # at right angles


def test_the_heading_of_an_animal_that_goes_round_leads_by_a_quarter():
    """It looks where it goes: tangent to the circle, clockwise as one sees it."""
    omega, n_frames = 1.5, 200
    angle = omega * np.arange(n_frames) / 30
    rear = circle(n_frames, 50, omega)
    front = rear + 10 * np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    pose = make_pose(np.stack([front, rear], axis=1))
    (motion,) = measure(pose, heading=["tailbase", "nose"], centroid=["tailbase"])
    expected = np.angle(np.exp(1j * (angle + np.pi / 2)))
    assert np.abs(np.angle(np.exp(1j * (motion.heading - expected)))).max() < 1e-12
    direction = np.arctan2(*motion.velocity[1:-1, ::-1].T)
    assert np.abs(np.angle(np.exp(1j * (direction - motion.heading[1:-1])))).max() < 1e-9


@pytest.mark.parametrize(
    ("front", "heading"),
    [((1, 0), 0), ((0, 1), np.pi / 2), ((-1, 0), np.pi), ((0, -1), -np.pi / 2)],
    ids=["right", "down", "left", "up"],
)
def test_headings(front, heading):
    assert compute_heading(np.zeros((1, 2)), np.array([front], float))[0] == pytest.approx(heading)


def test_points_that_are_one_have_no_heading():
    assert np.isnan(compute_heading(np.ones((1, 2)), np.ones((1, 2)))).all()
    assert np.isnan(compute_heading(np.ones((1, 2)), np.full((1, 2), np.nan))).all()


def test_speeds_agree_with_movements_own():
    from movement.kinematics import compute_path_length, compute_speed

    pose = one_part(np.random.default_rng(0).uniform(0, 200, (100, 2)))
    (motion,) = measure(pose)
    dataset = pose.to_xarray()
    assert np.allclose(motion.speed, compute_speed(dataset.position).values[:, 0, 0])
    assert motion.distance == pytest.approx(float(compute_path_length(dataset.position)))


# --- the centroid ---------------------------------------------------------------------------------


def test_the_centroid_is_the_mean_of_the_named_parts():
    tracks = np.stack([line(5, (0, 0), (0, 0)), line(5, (0, 0), (4, 8))], axis=1)
    (both,) = measure(make_pose(tracks))
    assert (both.centroid == [2, 4]).all()
    (one,) = measure(make_pose(tracks), centroid=["tailbase"])
    assert (one.centroid == [4, 8]).all()


def test_a_part_that_comes_and_goes_does_not_move_the_animal():
    tracks = np.stack([line(9, (30, 0)), line(9, (30, 0), (100, 100))], axis=1)
    tracks[4, 1] = np.nan
    (motion,) = measure(make_pose(tracks))
    assert np.isnan(motion.centroid[4]).all()
    assert np.allclose(motion.speed[~np.isnan(motion.speed)], 30)
    (tolerant,) = measure(make_pose(tracks), min_body_parts=1)
    assert not np.isnan(tolerant.centroid).any()
    assert tolerant.speed.max() > 800  # what the default protects from


def test_min_body_parts():
    points = np.array([[[0.0, 0], [2, 2], [np.nan, np.nan]], [[6, 6], *[[np.nan] * 2] * 2]])
    assert np.isnan(compute_centroid(points, None)).all()
    assert compute_centroid(points, 2)[0].tolist() == [1, 1]
    assert np.isnan(compute_centroid(points, 2)[1]).all()
    assert compute_centroid(points, 1)[1].tolist() == [6, 6]
    assert compute_centroid(points[:, :1], 3)[1].tolist() == [6, 6]  # an animal with one part


# --- gaps and files -------------------------------------------------------------------------------


def test_a_gap_has_no_speed_and_its_straight_line_counts_as_distance():
    track = line(10, (30, 0))
    track[4:6] = np.nan
    (motion,) = measure(one_part(track))
    assert np.flatnonzero(np.isnan(motion.speed)).tolist() == [3, 4, 5, 6]
    assert motion.distance == pytest.approx(9)


@pytest.mark.parametrize("rate", [1, 25, 30, 32, Fraction(30000, 1001)], ids=str)
def test_a_missing_point_has_no_speed_at_any_frame_rate(rate):
    """Frame times are equally spaced in floating point at some rates only."""
    track = line(12, (60, 80), rate=float(rate))
    track[5] = np.nan
    pose = make_pose(track[:, None], body_parts=("nose",), rate=Fraction(rate))
    (motion,) = measure(pose)
    assert np.flatnonzero(np.isnan(motion.speed)).tolist() == [4, 5, 6]
    assert np.allclose(np.delete(motion.speed, [4, 5, 6]), 100)


def test_nothing_is_measured_across_the_end_of_a_file():
    """The second file begins elsewhere: no leap in speed, none in distance."""
    track = np.concatenate([line(15, (30, 0)), line(15, (30, 0), (150, 150))])
    pose = one_part(track, lengths=[15, 15])
    (motion,) = measure(pose)
    assert np.allclose(motion.speed, 30)
    assert motion.distance == pytest.approx(2 * 14)
    (joined,) = measure(pose, join_files=True)
    assert joined.speed[14:16].min() > 1000
    assert joined.distance == pytest.approx(2 * 14 + np.hypot(150 - 24, 130))


def test_one_take_in_several_files_is_one_motion_when_joined():
    track = circle(60, 50, 2.0)
    (whole,) = measure(one_part(track))
    (joined,) = measure(one_part(track, lengths=[20, 25, 15]), join_files=True)
    assert np.array_equal(whole.speed, joined.speed)
    assert whole.distance == pytest.approx(joined.distance)


def test_files_of_one_frame():
    (motion,) = measure(one_part(line(3, (30, 0)), lengths=[1, 1, 1]))
    assert np.isnan(motion.speed).all()
    assert motion.distance == 0


# --- individuals ----------------------------------------------------------------------------------


def test_each_individual_moves_by_itself():
    tracks = np.stack([line(20, (30, 0)), line(20, (0, 60))], axis=1)[:, None]
    pose = make_pose(tracks, body_parts=("nose",), individuals=("ann", "ben"))
    motions = measure(pose)
    assert [motion.individual for motion in motions] == ["ann", "ben"]
    assert [motion.mean_speed for motion in motions] == pytest.approx([30, 60])


def test_individuals_without_the_named_parts_are_left_out():
    tracks = np.zeros((5, 2, 2, 2))
    tracked = np.array([[True, False], [False, True]])  # single has only the tailbase here
    pose = make_pose(tracks, individuals=("ann", "single"), tracked=tracked)
    (motion,) = measure(pose, centroid=["nose"], heading=["tailbase", "nose"])
    assert motion.individual == "ann"
    assert motion.heading is None
    empty = make_pose(tracks, individuals=("ann", "single"), tracked=np.zeros((2, 2), bool))
    with pytest.raises(ResultError, match="No individual of the pose has the body parts nose"):
        measure(empty, centroid=["nose"])


# --- odd poses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_frames", "distance"), [(0, np.nan), (1, 0.0)])
def test_poses_too_short_to_move(n_frames: int, distance: float):
    (motion,) = measure(one_part(line(n_frames, (30, 0))))
    assert motion.speed.shape == (n_frames,)
    assert np.isnan(motion.speed).all()
    assert motion.distance == pytest.approx(distance, nan_ok=True)
    assert np.isnan(motion.mean_speed)


def test_an_animal_that_is_never_found():
    (motion,) = measure(one_part(np.full((10, 2), np.nan)))
    assert np.isnan(motion.speed).all()
    assert np.isnan(motion.distance)


@pytest.mark.parametrize("name", ["centroid", "heading"])
def test_an_unknown_body_part_is_refused_with_the_nearest(name: str):
    pose = make_pose(np.zeros((5, 2, 2)))
    with pytest.raises(QueryError, match=r"no body part 'noze'. Did you mean 'nose'\?"):
        measure(pose, **{name: ["noze", "tailbase"]})


def test_without_a_frame_rate_there_is_no_speed():
    with pytest.raises(ResultError, match="no frame rate"):
        measure(one_part(line(5, (1, 1)), rate=None))


def test_triangulated_poses_are_refused():
    with pytest.raises(ResultError, match="is triangulated"):
        measure(make_pose(np.zeros((5, 2, 3)), unit="unknown"))


def test_distance_of_a_track():
    track = np.array([[0, 0], [3, 4], [3, 4], [np.nan, np.nan], [0, 0.0]])
    assert compute_distance(track, [slice(0, 5)]) == 10
    assert compute_distance(track, [slice(0, 2), slice(2, 5)]) == 10
    assert compute_distance(track, [slice(0, 1), slice(1, 5)]) == 5
