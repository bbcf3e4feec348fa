"""Schema kinematics: from a loaded pose to filtered trajectories and motion, in its tables."""

from __future__ import annotations

import types
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from element_deeplabcut import kinematics as schema_module
from element_deeplabcut.errors import ParameterError, QueryError, ResultError, SetupError
from element_deeplabcut.motion.filtering import FILLED, MISSING, UNLIKELY
from workflow_deeplabcut import synthetic

from ..conftest import Lab
from ..motions import circle, line
from .scripted import load_pose, random_tracks
from .test_activation import run_python

PLAIN = {"smoothing": "none", "max_gap": 0}


@pytest.fixture
def tables(lab: Lab) -> Any:
    return lab.pipeline.kinematics


def add_params(tables: Any, **params: Any) -> dict[str, int]:
    index = tables.KinematicsParamSet.insert_new_params("test", params)
    return {"kinematics_paramset_idx": index}


def two_parts(nose: np.ndarray, tailbase: np.ndarray | None = None) -> np.ndarray:
    return np.stack([nose, nose if tailbase is None else tailbase], axis=1)


# --- the tables -----------------------------------------------------------------------------------


def test_a_user_goes_from_a_pose_to_a_speed(lab: Lab, scripted: Any, tables: Any) -> None:
    """An animal on a circle of 60 px, half a turn a second, looking where it goes."""
    radius, omega, n_frames = 60.0, np.pi, 90
    tailbase = circle(n_frames, radius, omega)
    angle = omega * np.arange(n_frames) / 30
    nose = tailbase + 12 * np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    key = load_pose(lab, two_parts(nose, tailbase), dtype="float64")
    params = add_params(tables, **PLAIN, centroid=["tailbase"], heading=["tailbase", "nose"])
    tables.ProcessedPose.populate(key, params)
    tables.Kinematics.populate(key, params)

    table = tables.Kinematics.get_dataframe({**key, **params})
    assert table.columns.names == ["individual", "quantity"]
    motion = table[""]
    chord = np.sin(omega / 30) / (omega / 30)
    assert np.allclose(motion["speed"].to_numpy()[1:-1], radius * omega * chord, rtol=1e-9)
    assert np.allclose(np.hypot(motion["velocity_x"], motion["velocity_y"]), motion["speed"])
    assert np.allclose(table.index, np.arange(n_frames) / 30)
    turned = np.unwrap(motion["heading"]) - (angle + np.pi / 2)
    assert np.allclose(turned, turned[0])
    assert table.attrs["units"]["speed"] == "px/s"

    row = (tables.Kinematics.Individual & key & params).fetch1()
    step = 2 * radius * np.sin(omega / 60)
    assert row["distance_px"] == pytest.approx(89 * step, rel=1e-9)
    assert (row["distance"], row["mean_speed"]) == (None, None)
    info = (tables.Kinematics & key & params).fetch1("run_info")
    assert {"scipy", "xarray", "movement", "duration_s", "host"} <= set(info)


def test_params_are_checked_and_kept_once(tables: Any) -> None:
    table = tables.KinematicsParamSet
    index = table.insert_new_params("a", {"max_gap": 7, "window": 9})
    assert table.insert_new_params("b", {"window": 9, "max_gap": 7}) == index
    stored = (table & {"kinematics_paramset_idx": index}).fetch1("params")
    assert stored["likelihood_threshold"] == 0.6  # also what was not said
    assert table.insert_default() == table.insert_new_params("again", {})
    with pytest.raises(ParameterError, match="already holds these parameters"):
        table.insert_new_params("c", {"window": 9, "max_gap": 7}, index + 50)
    with pytest.raises(ParameterError, match="holds other parameters already"):
        table.insert_new_params("d", {"window": 11, "max_gap": 7}, index)
    with pytest.raises(ParameterError, match="Did you mean 'window'"):
        table.insert_new_params("e", {"windw": 9})
    for number in (-1, 10**6, 1.5, "one", True):
        with pytest.raises(ParameterError, match="give a whole number from 0 to 32767"):
            table.insert_new_params("f", {"window": 13}, number)


def test_what_was_masked_and_filled_is_kept(lab: Lab, scripted: Any, tables: Any) -> None:
    truth = line(40, (30, 15))
    tracks, likelihood = two_parts(truth.copy()), np.ones((40, 2))
    likelihood[10:13, 0] = 0.2
    tracks[10:13, 0] += 40
    likelihood[20:30, 0] = 0.2
    tracks[5, 1] = np.nan
    key = load_pose(lab, tracks, likelihood, dtype="float64")
    params = add_params(tables, smoothing="none", max_gap=4)
    tables.ProcessedPose.populate(key, params)

    pose = tables.ProcessedPose.get_pose({**key, **params})
    expected = two_parts(truth.copy())
    expected[20:30, 0] = np.nan
    assert np.allclose(pose.position[:, :, 0], expected, equal_nan=True)
    assert np.allclose(pose.likelihood[:, :, 0], likelihood)
    mask = tables.ProcessedPose.get_mask({**key, **params})[:, :, 0]
    assert (mask[10:13, 0] == UNLIKELY + FILLED).all()
    assert (mask[20:30, 0] == UNLIKELY).all()
    assert mask[5, 1] == MISSING + FILLED
    assert (mask > 0).sum() == 14
    rows = (tables.ProcessedPose.BodyPartPosition & key & params).fetch(
        "body_part", "n_masked", "n_filled", as_dict=True, order_by="body_part"
    )
    assert [(row["n_masked"], row["n_filled"]) for row in rows] == [(13, 3), (1, 1)]

    part = tables.ProcessedPose.get_pose({**key, **params}, "nose", frames=slice(8, 15))
    assert np.array_equal(part.position[:, 0, 0], pose.position[8:15, 0, 0])
    cut = tables.ProcessedPose.get_mask({**key, **params}, "tailbase", frames=slice(4, 7))
    assert cut.ravel().tolist() == [0, MISSING + FILLED, 0]


def test_a_crop_does_not_move_the_result(lab: Lab, scripted: Any, tables: Any) -> None:
    tracks = random_tracks(12)
    key = load_pose(lab, tracks, crop=[20, 200, 10, 190], dtype="float64")
    params = add_params(tables, **PLAIN)
    tables.ProcessedPose.populate(key, params)
    pose = tables.ProcessedPose.get_pose({**key, **params})
    assert np.allclose(pose.position[:, :, 0], tracks + np.array([20, 10]))


def test_the_end_of_a_file_is_no_motion(lab: Lab, scripted: Any, tables: Any) -> None:
    track = np.concatenate([line(30, (30, 0)), line(30, (30, 0), (150, 150))])
    key = load_pose(lab, two_parts(track), lengths=[30, 30], dtype="float64")
    apart = add_params(tables, smoothing="savgol", window=5)
    joined = add_params(tables, smoothing="savgol", window=5, join_files=True)
    for params in (apart, joined):
        tables.ProcessedPose.populate(key, params)
        tables.Kinematics.populate(key, params)
    speed = tables.Kinematics.get_dataframe({**key, **apart})[""]["speed"]
    assert np.allclose(speed, 30, rtol=1e-6)
    assert tables.Kinematics.get_dataframe({**key, **joined})[""]["speed"].max() > 1000


# --- units ----------------------------------------------------------------------------------------


def test_a_calibration_gives_physical_units(lab: Lab, scripted: Any, tables: Any) -> None:
    key = load_pose(lab, two_parts(line(31, (60, 0))), dtype="float64")
    params = add_params(tables, **PLAIN)
    calibrated = tables.Calibration.insert_from_distance(
        key, length=100, unit="mm", px=200, note="arena wall"
    )
    tables.ProcessedPose.populate(key, params)
    tables.Kinematics.populate(key, params)
    both = {**key, **params}
    master = (tables.Kinematics & both).fetch1()
    assert (master["unit"], master["units_per_px"]) == ("mm", 0.5)
    row = (tables.Kinematics.Individual & both).fetch1()
    assert (row["distance_px"], row["distance"]) == pytest.approx((60, 30))
    assert (row["mean_speed_px"], row["mean_speed"]) == pytest.approx((60, 30))
    mm = tables.Kinematics.get_dataset(both)
    assert mm.speed.attrs["units"] == "mm/s"
    assert mm.centroid.attrs["units"] == "mm"
    assert np.allclose(mm.speed, 30)
    px = tables.Kinematics.get_dataset(both, unit="px")
    assert px.speed.attrs["units"] == "px/s"
    assert np.allclose(px.speed, 60)
    assert np.allclose(px.centroid.values * 0.5, mm.centroid.values)
    with pytest.raises(ParameterError, match=r"'cm' is asked for.*calibrated in mm"):
        tables.Kinematics.get_dataset(both, unit="cm")

    (tables.Calibration & calibrated).delete(safemode=False)  # the scale was kept
    assert np.allclose(tables.Kinematics.get_dataframe(both)[""]["speed"], 30)


def test_without_a_calibration_there_are_pixels_only(lab: Lab, scripted: Any, tables: Any) -> None:
    key = {**load_pose(lab, two_parts(line(10, (60, 0)))), **add_params(tables, **PLAIN)}
    tables.ProcessedPose.populate(key)
    tables.Kinematics.populate(key)
    assert tables.Kinematics.get_dataset(key).speed.attrs["units"] == "px/s"
    assert (tables.Kinematics & key).fetch1()["unit"] is None
    with pytest.raises(ParameterError, match=r"recording is not calibrated.*insert a Calibration"):
        tables.Kinematics.get_dataframe(key, unit="mm")


def test_calibrations_are_checked(lab: Lab, scripted: Any, tables: Any) -> None:
    key = load_pose(lab, two_parts(line(4, (0, 0))))
    for row in ({"unit": "mm", "units_per_px": 0}, {"unit": "px", "units_per_px": 1.0}):
        with pytest.raises(ParameterError):
            tables.Calibration.insert1({**key, **row}, ignore_extra_fields=True)
    with pytest.raises(ParameterError, match="'px' is -3"):
        tables.Calibration.insert_from_distance(key, length=1, unit="mm", px=-3)
    with pytest.raises(ParameterError, match=r"lacks recording_id\. Give all of subject"):
        tables.Calibration.insert_from_distance(lab.session_key, length=1, unit="mm", px=3)
    assert not tables.Calibration & key


def test_calibrations_are_checked_in_every_form(lab: Lab, scripted: Any, tables: Any) -> None:
    key = recording_of(lab, load_pose(lab, two_parts(line(4, (0, 0)))))
    bad = {**key, "unit": "mm", "units_per_px": -0.5, "calibration_note": ""}
    for rows in ([tuple(bad.values())], pd.DataFrame([bad]), (row for row in [bad])):
        with pytest.raises(ParameterError, match=r"'units_per_px' is -0.5"):
            tables.Calibration.insert(rows)
    with pytest.raises(ParameterError, match="unit has 20 characters"):
        tables.Calibration.insert1({**bad, "unit": "m" * 20, "units_per_px": 1.0})
    assert not tables.Calibration & key
    tables.Calibration.insert(pd.DataFrame([{**bad, "units_per_px": 0.5}]))
    assert (tables.Calibration & key).fetch1("units_per_px") == 0.5


# --- odd input ------------------------------------------------------------------------------------


def test_one_frame_has_no_speed(lab: Lab, scripted: Any, tables: Any) -> None:
    """The shortest pose there can be in the tables."""
    key = {**load_pose(lab, random_tracks(2)), **add_params(tables, **PLAIN)}
    cut = {"nframes": 1}
    lab.pipeline.model.RecordingInfo.update1({**recording_of(lab, key), **cut})
    shorten_rows(lab, key, 1)
    tables.ProcessedPose.populate(key)
    tables.Kinematics.populate(key)
    row = (tables.Kinematics.Individual & key).fetch1()
    assert np.isnan(row["speed"]).all()
    assert (row["distance_px"], row["mean_speed_px"]) == (0, None)


def test_an_empty_pose(lab: Lab, scripted: Any, tables: Any) -> None:
    key = {**load_pose(lab, random_tracks(2)), **add_params(tables, **PLAIN)}
    lab.pipeline.model.RecordingInfo.update1({**recording_of(lab, key), "nframes": 0})
    shorten_rows(lab, key, 0)
    assert lab.pipeline.model.PoseEstimation.get_trajectory(key).shape == (0, 6)
    tables.ProcessedPose.populate(key)
    tables.Kinematics.populate(key)
    row = (tables.Kinematics.Individual & key).fetch1()
    assert (len(row["speed"]), row["distance_px"]) == (0, None)
    assert tables.Kinematics.get_dataframe(key).empty


def recording_of(lab: Lab, key: dict[str, Any]) -> dict[str, Any]:
    return {name: key[name] for name in lab.pipeline.model.RecordingInfo.primary_key}


def shorten_rows(lab: Lab, key: dict[str, Any], n_frames: int) -> None:
    """Cut the stored trajectories, as no video file could be that short."""
    table = lab.pipeline.model.PoseEstimation.BodyPartPosition
    for row in (table & key).fetch(as_dict=True):
        arrays = ("frame_index", "x_pos", "y_pos", "likelihood")
        names = {name: row[name] for name in table.primary_key}
        table.update1({**names, **{name: row[name][:n_frames] for name in arrays}})


def test_a_body_part_that_is_never_found(lab: Lab, scripted: Any, tables: Any) -> None:
    tracks = two_parts(line(20, (30, 0)))
    tracks[:, 1] = np.nan
    key = {**load_pose(lab, tracks), **add_params(tables, max_gap=10**6)}
    tables.ProcessedPose.populate(key)
    tables.Kinematics.populate(key)
    pose = tables.ProcessedPose.get_pose(key)
    assert np.isnan(pose.position[:, 1]).all()
    assert not np.isnan(pose.position[:, 0]).any()
    assert (tables.Kinematics.Individual & key).fetch1()["distance_px"] is None


def test_an_unknown_body_part_is_refused(lab: Lab, scripted: Any, tables: Any) -> None:
    key = {**load_pose(lab, random_tracks(5)), **add_params(tables, heading=["tailbas", "nose"])}
    tables.ProcessedPose.populate(key)
    with pytest.raises(QueryError, match=r"no body part 'tailbas'. Did you mean 'tailbase'\?"):
        tables.Kinematics.populate(key)
    assert not tables.Kinematics & key


def test_without_a_frame_rate_nothing_is_measured(lab: Lab, scripted: Any, tables: Any) -> None:
    key = {**load_pose(lab, random_tracks(5)), **add_params(tables, max_gap=2)}
    table = lab.pipeline.model.RecordingInfo.File
    (number,) = (table & key).fetch("file_id")
    table.update1({**recording_of(lab, key), "file_id": number, "fps_numerator": 0})
    tables.ProcessedPose.populate(key)
    with pytest.raises(ResultError, match="has no frame rate"):
        tables.Kinematics.populate(key)
    assert not tables.Kinematics & key


def test_a_failed_insert_leaves_nothing(
    lab: Lab, scripted: Any, tables: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = {**load_pose(lab, random_tracks(5)), **add_params(tables, **PLAIN)}
    insert_row, calls = schema_module.insert_row, []

    def fail_at_the_second(*args: Any) -> None:
        calls.append(args)
        if len(calls) == 2:
            raise OSError("gone")
        insert_row(*args)

    with monkeypatch.context() as patch:
        patch.setattr(schema_module, "insert_row", fail_at_the_second)
        with pytest.raises(OSError, match="gone"):
            tables.ProcessedPose.populate(key)
    assert not tables.ProcessedPose & key
    assert not tables.ProcessedPose.BodyPartPosition & key
    assert tables.ProcessedPose.populate(key)["success_count"] == 1


def test_a_key_matches_exactly_one(lab: Lab, scripted: Any, tables: Any) -> None:
    for get in (tables.ProcessedPose.get_pose, tables.Kinematics.get_dataframe):
        with pytest.raises(QueryError, match="matches 0 rows"):
            get({"recording_id": -1})


# --- activation -----------------------------------------------------------------------------------


def test_model_comes_first() -> None:
    result = run_python(
        """
        from element_deeplabcut import kinematics, report
        from element_deeplabcut.errors import SetupError
        for schema in (kinematics, report):
            try:
                schema.activate("x")
            except SetupError as error:
                print(error)
        """
    )
    assert result.stdout.splitlines() == [
        "Call model.activate(...) before kinematics.activate(...).",
        "Call model.activate(...) before report.activate(...).",
    ], result.stderr


def test_a_linking_module_must_be_one(lab: Lab) -> None:
    with pytest.raises(SetupError, match="needs linking_module"):
        schema_module.activate("x", linking_module=3)  # type: ignore[arg-type]
    schema_module.activate("test_kinematics", linking_module=types.ModuleType("mine"))


def test_importing_needs_nothing_heavy() -> None:
    heavy = ("scipy", "xarray", "movement", "matplotlib", "torch", "tensorflow", "deeplabcut")
    result = run_python(
        f"""
        import sys
        import datajoint
        before = set(sys.modules)
        import element_deeplabcut.kinematics, element_deeplabcut.report
        print([name for name in {heavy} if name in set(sys.modules) - before])
        """
    )
    assert result.stdout.strip() == "[]", result.stderr


# --- a real recording -----------------------------------------------------------------------------


@pytest.mark.dlc
def test_the_speed_of_the_synthetic_animal(
    lab: Lab, estimated: dict[str, Any], tables: Any
) -> None:
    """Predicted by a real network; its true positions are known."""
    params = add_params(tables, smoothing="savgol", window=7, heading=["tailbase", "nose"])
    key = {**estimated, **params}
    tables.ProcessedPose.populate(key)
    tables.Kinematics.populate(key)
    rate = Fraction(lab.pipeline.model.PoseEstimation.get_pose(estimated).rate)
    centroid = lab.truth.mean(axis=1)
    velocity = np.gradient(centroid, float(1 / rate), axis=0)
    parts = list(synthetic.BODY_PARTS)
    forward = lab.truth[:, parts.index("nose")] - lab.truth[:, parts.index("tailbase")]
    table = tables.Kinematics.get_dataframe(key)[""]
    assert np.hypot(*(table[["x", "y"]].to_numpy() - centroid).T).max() < 3
    speed = np.linalg.norm(velocity, axis=1)
    error = table["speed"].to_numpy() - speed
    assert np.nanmean(np.abs(error)) < 0.15 * speed.mean()
    angle = np.arctan2(forward[:, 1], forward[:, 0])
    turned = np.angle(np.exp(1j * (table["heading"].to_numpy() - angle)))
    assert np.nanmax(np.abs(turned)) < 0.3
