"""The picture of a leaderboard holds its numbers, the best at the top."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from element_deeplabcut.errors import ResultError
from element_deeplabcut.plotting import plot_leaderboard

from .test_plots import assert_readable, texts_of


def make_table(*test_errors: float) -> pd.DataFrame:
    rows = [
        {"training_id": number, "paramset_desc": "resnet, random weights", "engine": engine,
         "epoch": 1000 * (number + 1), "train_error": error - 0.5, "test_error": error}
        for number, (error, engine) in enumerate(
            zip(test_errors, ["pytorch", "tensorflow"] * len(test_errors), strict=False)
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("n_rows", [1, 3, 30])
def test_a_row_per_training(n_rows: int) -> None:
    errors = np.linspace(1.5, 9, n_rows)
    figure = plot_leaderboard(make_table(*errors))
    (ax,) = figure.axes
    train, test = (line.get_xdata() for line in ax.lines)
    assert np.allclose(test, errors)
    assert np.allclose(train, errors - 0.5)
    assert ax.yaxis_inverted()  # the first row is at the top
    assert "resnet, random weights, training 0, after 1,000 epochs" in texts_of(figure)
    assert_readable(figure)


def test_what_is_not_evaluated_is_counted() -> None:
    figure = plot_leaderboard(make_table(1.5, np.nan, np.nan))
    assert "mean distance to the labels (px); 2 not evaluated" in texts_of(figure)
    with pytest.raises(ResultError, match="evaluate=True"):
        plot_leaderboard(make_table(np.nan))
