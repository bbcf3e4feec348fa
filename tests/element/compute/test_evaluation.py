from __future__ import annotations

import numpy as np

from element_deeplabcut.compute.evaluation import ErrorSummary, summarize_errors
from element_deeplabcut.engines.base import FrameErrors

NAN = np.nan


def make_errors(distance, likelihood, in_test):
    return FrameErrors(
        tuple(f"labeled-data/m/img{row}.png" for row in range(len(distance))),
        np.array(distance, np.float64),
        np.array(likelihood, np.float64),
        np.array(in_test, bool),
    )


ERRORS = make_errors(
    distance=[[1, 2], [3, NAN], [10, 20], [30, 40]],
    likelihood=[[0.9, 0.1], [0.9, 0.9], [0.9, 0.9], [0.1, 0.9]],
    in_test=[False, False, True, True],
)


def test_errors_are_means_over_labelled_points():
    summary = summarize_errors(ERRORS, 0.6)
    assert summary == ErrorSummary(
        train_error=(1 + 2 + 3) / 3,
        test_error=(10 + 20 + 30 + 40) / 4,
        train_error_p=(1 + 3) / 2,
        test_error_p=(10 + 20 + 40) / 3,
    )


def test_errors_of_one_body_part():
    assert summarize_errors(ERRORS, 0.6, slice(0, 1)) == ErrorSummary(2, 20, 2, 10)
    assert summarize_errors(ERRORS, 0.6, slice(1, 2)) == ErrorSummary(2, 30, None, 30)


def test_a_point_exactly_at_the_cutoff_is_trusted():
    errors = make_errors([[4.0], [8.0]], [[0.6], [0.6]], [False, True])
    assert summarize_errors(errors, 0.6) == ErrorSummary(4, 8, 4, 8)
    assert summarize_errors(errors, 0.61) == ErrorSummary(4, 8, None, None)


def test_errors_are_not_rounded():
    errors = make_errors([[1 / 3], [2 / 3]], [[1.0], [1.0]], [False, True])
    summary = summarize_errors(errors, 0.5)
    assert (summary.train_error, summary.test_error) == (1 / 3, 2 / 3)


def test_nothing_to_average_is_none_without_a_warning(recwarn):
    only_training = make_errors([[1.0], [NAN]], [[1.0], [1.0]], [False, False])
    assert summarize_errors(only_training, 0.5) == ErrorSummary(1, None, 1, None)
    only_test = make_errors([[1.0], [NAN]], [[1.0], [1.0]], [True, True])
    assert summarize_errors(only_test, 0.5) == ErrorSummary(None, 1, None, 1)
    nothing_labelled = make_errors([[NAN], [NAN]], [[1.0], [1.0]], [False, True])
    assert summarize_errors(nothing_labelled, 0.5) == ErrorSummary(None, None, None, None)
    assert not recwarn.list


def test_the_figures_are_plain_numbers():
    summary = summarize_errors(ERRORS, 0.6)
    for value in (summary.train_error, summary.test_error, summary.train_error_p):
        assert type(value) is float
