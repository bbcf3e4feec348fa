from __future__ import annotations

import numpy as np
import pytest

from element_deeplabcut.errors import ParameterError
from element_deeplabcut.motion.params import DEFAULTS, check_kinematics_params
from element_deeplabcut.motion.units import (
    Calibrated,
    check_calibration,
    choose_scale,
    scale_from_distance,
)
from element_deeplabcut.params import hash_params
from element_deeplabcut.pose.quality import DEFAULTS as THRESHOLDS
from element_deeplabcut.pose.quality import check_quality_params


def same(one, other) -> bool:
    return hash_params(check_kinematics_params(one)) == hash_params(check_kinematics_params(other))


def test_two_spellings_are_one_set():
    assert same({}, {"max_gap": 5})
    assert same({}, dict(reversed([(k, v) for k, v in DEFAULTS.items() if k != "polyorder"])))
    assert same({"max_gap": 3}, {"max_gap": np.int64(3)})
    assert same({"max_gap": 3}, {"max_gap": 3.0})
    assert same({"heading": ("tail", "nose")}, {"heading": ["tail", "nose"]})
    assert same({"smoothing": None}, {"smoothing": "none"})
    assert same({"centroid": "nose"}, {"centroid": ["nose"]})
    assert not same({"max_gap": 3}, {"max_gap": 4})
    assert not same({"heading": ["tail", "nose"]}, {"heading": ["nose", "tail"]})


def test_what_is_stored_names_every_default():
    stored = check_kinematics_params({})
    assert stored == {name: value for name, value in DEFAULTS.items() if name != "polyorder"}
    given = {"max_gap": 3}
    check_kinematics_params(given)
    assert given == {"max_gap": 3}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"maxgap": 3}, "'maxgap' is not one of the parameters.*Did you mean 'max_gap'"),
        ({"max_gap": -1}, "must be a number of at least 0"),
        ({"max_gap": 2.5}, "must be a whole number of at least 0"),
        ({"max_gap": True}, "must be a number"),
        ({"likelihood_threshold": 1.5}, "at most 1"),
        ({"likelihood_threshold": "0.6"}, "must be a number"),
        ({"likelihood_threshold": float("nan")}, "finite"),
        ({"window": 4}, "odd number"),
        ({"smoothing": "gauss"}, "one of none, median, savgol"),
        ({"smoothing": "savgol", "window": 5, "polyorder": 5}, "needs a longer window"),
        ({"polyorder": 2}, "means nothing with smoothing 'median'"),
        ({"smoothing": "none", "window": 5}, "means nothing with smoothing 'none'"),
        ({"heading": ["nose"]}, r"two body parts \[rear, front\]"),
        ({"heading": "nose"}, r"two body parts \[rear, front\]"),
        ({"heading": ["nose", "nose"]}, "names each once"),
        ({"centroid": []}, "a list of body parts"),
        ({"centroid": [1]}, "a list of body parts"),
        ({"centroid": ["nose"], "min_body_parts": 2}, "Lower it"),
        ({"join_files": 1}, "True or False"),
        ("max_gap", "as a dictionary"),
    ],
)
def test_what_is_not_valid_is_refused(params, message):
    with pytest.raises(ParameterError, match=message):
        check_kinematics_params(params)


def test_thresholds_of_quality():
    assert check_quality_params({}) == THRESHOLDS
    assert check_quality_params({"p_cutoff": 1})["p_cutoff"] == 1.0
    for params, message in (
        ({"p_cutof": 0.5}, "Did you mean 'p_cutoff'"),
        ({"p_cutoff": 2}, "at most 1"),
        ({"body_parts": []}, "a list of body parts"),
        ({"jump_rate_warn": 0.5, "jump_rate_fail": 0.1}, "jump_rate_warn.*jump_rate_fail"),
        ({"share_above_warn": 0.5, "share_above_fail": 0.9}, "share_above_warn"),
    ):
        with pytest.raises(ParameterError, match=message):
            check_quality_params(params)


# --- units ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "scale"),
    [("mm", 0), ("mm", -1), ("mm", float("inf")), ("mm", float("nan")), ("mm", "1"), ("mm", None),
     ("", 1.0), ("px", 1.0), (" ", 1.0), (None, 1.0)],
)  # fmt: skip
def test_calibrations_that_mean_nothing_are_refused(unit, scale):
    with pytest.raises(ParameterError):
        check_calibration(unit, scale)


def test_a_scale_from_something_of_known_length():
    assert scale_from_distance(200, 400) == 0.5
    with pytest.raises(ParameterError, match="'px' is 0"):
        scale_from_distance(200, 0)


def test_units_are_never_mixed():
    mm = Calibrated("mm", 0.5)
    assert choose_scale(None, mm) == mm
    assert choose_scale("mm", mm) == mm
    assert choose_scale("px", mm) == Calibrated("px", 1.0)
    assert choose_scale(None, None) == Calibrated("px", 1.0)
    with pytest.raises(ParameterError, match="'cm' is asked for, and the recording is calibrated"):
        choose_scale("cm", mm)
    with pytest.raises(ParameterError, match="the recording is not calibrated"):
        choose_scale("mm", None)
