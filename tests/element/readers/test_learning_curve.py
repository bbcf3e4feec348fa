from __future__ import annotations

import csv

import numpy as np
import pytest

from element_deeplabcut.errors import ResultError
from element_deeplabcut.readers.learning_curve import read_learning_curve

# As DeepLabCut 3.0.2 writes it with eval_interval 2.
STATS = """\
step,losses/train.bodypart_heatmap,losses/train.total_loss,metrics/test.rmse
1,0.25,0.5,
2,0.125,0.25,3.5
3,0.1,0.2,
"""


def test_every_column_is_read(tmp_path):
    file = tmp_path / "learning_stats.csv"
    file.write_text(STATS)
    curve = read_learning_curve(file)
    assert curve.steps.dtype == np.int64
    assert curve.steps.tolist() == [1, 2, 3]
    assert set(curve.columns) == {
        "losses/train.bodypart_heatmap", "losses/train.total_loss", "metrics/test.rmse"
    }  # fmt: skip
    np.testing.assert_array_equal(curve.columns["losses/train.total_loss"], [0.5, 0.25, 0.2])
    np.testing.assert_array_equal(curve.columns["metrics/test.rmse"], [np.nan, 3.5, np.nan])


def test_a_row_that_ends_early_has_nothing_measured(tmp_path):
    file = tmp_path / "learning_stats.csv"
    file.write_text("step,a,b\n1,0.5\n")
    assert np.isnan(read_learning_curve(file).columns["b"][0])


def test_a_training_that_has_just_begun_has_an_empty_curve(tmp_path):
    file = tmp_path / "learning_stats.csv"
    file.write_text("step,losses/train.total_loss\n")
    assert read_learning_curve(file).steps.shape == (0,)


@pytest.mark.parametrize(
    "content",
    [b"epoch,loss\n1,2\n", b"step,loss\none,2\n", b"step,loss\n1,low\n", b"step,a\n1.5,2\n",
     b"\x89PNG\xff\xfe\n1,2\n", b"\x00\x01\n\x00\n"],
    ids=["no step", "text step", "text value", "broken step", "not text", "null bytes"],
)  # fmt: skip
def test_other_files_are_refused(tmp_path, content):
    file = tmp_path / "learning_stats.csv"
    file.write_bytes(content)
    with pytest.raises(ResultError, match="learning_stats"):
        read_learning_curve(file)


def test_a_field_longer_than_csv_allows_is_refused(tmp_path):
    file = tmp_path / "learning_stats.csv"
    file.write_text(f"step,a\n1,{'9' * (csv.field_size_limit() + 1)}\n")
    with pytest.raises(ResultError):
        read_learning_curve(file)


def test_a_missing_file_is_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ResultError):
            read_learning_curve(path)


@pytest.mark.dlc
def test_a_curve_written_by_deeplabcuts_own_logger(tmp_path):
    from deeplabcut.pose_estimation_pytorch.runners.logger import CSVLogger

    logger = CSVLogger(tmp_path, "learning_stats.csv")
    logger.log({"losses/train.total_loss": 0.5}, step=1)
    logger.log({"losses/train.total_loss": 0.25, "metrics/test.rmse": 3.5}, step=2)
    curve = read_learning_curve(tmp_path / "learning_stats.csv")
    assert curve.steps.tolist() == [1, 2]
    np.testing.assert_array_equal(curve.columns["losses/train.total_loss"], [0.5, 0.25])
    np.testing.assert_array_equal(curve.columns["metrics/test.rmse"], [np.nan, 3.5])
