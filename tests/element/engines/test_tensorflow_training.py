"""What the TensorFlow engine corrects in DeepLabCut's own bookkeeping."""

from __future__ import annotations

import pytest

from element_deeplabcut.engines.tensorflow_training import _weigh_loss


def report_means(done: int, total: int, interval: int, loss: float) -> dict[int, float]:
    """The rows that DeepLabCut's loop writes when every loss is the same."""
    rows, cumulated = {}, 0.0
    for iteration in range(done, total + 1):
        cumulated += loss * _weigh_loss(iteration, done, interval)
        if iteration % interval == 0 and iteration > done:
            rows[iteration] = cumulated / interval
            cumulated = 0.0
    return rows


@pytest.mark.parametrize(("done", "interval"), [(150, 100), (100, 100), (2, 1), (7, 5), (1, 20)])
def test_the_first_mean_after_a_resume_is_a_mean(done: int, interval: int) -> None:
    rows = report_means(done, done + 3 * interval, interval, 0.25)
    assert len(rows) == 3
    assert list(rows.values()) == pytest.approx([0.25, 0.25, 0.25])


def test_a_training_from_the_beginning_is_reported_as_deeplabcut_does() -> None:
    rows = report_means(0, 40, 20, 1.0)
    assert rows == {20: pytest.approx(21 / 20), 40: pytest.approx(1)}
