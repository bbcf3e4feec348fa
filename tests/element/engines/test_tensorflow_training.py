"""What the TensorFlow engine corrects in DeepLabCut's own bookkeeping."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from element_deeplabcut.engines.tensorflow_training import _weigh_loss
from element_deeplabcut.engines.tensorflow_weights import _find_weights_folder


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


WEIGHTS = Path("pose_estimation_tensorflow/models/pretrained")
PLACE = WEIGHTS / "resnet_v1_50.ckpt"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """DeepLabCut as somebody else has installed it: nobody but them writes there, not even root."""
    package = tmp_path / "site-packages" / "deeplabcut"
    (package / WEIGHTS).mkdir(parents=True)
    (package / WEIGHTS / "pretrained_model_urls.yaml").write_text("resnet_50: http://host/r.tar\n")
    monkeypatch.setattr(os, "access", lambda path, mode: package not in Path(path).parents)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return package


def test_weights_go_to_the_cache_where_the_package_cannot_be_written(
    package: Path, tmp_path: Path
) -> None:
    folder = _find_weights_folder(package, PLACE)
    assert folder == tmp_path / "cache" / "deeplabcut"
    assert "http://host" in (folder / WEIGHTS / "pretrained_model_urls.yaml").read_text()
    nested = WEIGHTS / "efficientnet-b0" / "model.ckpt"
    assert (_find_weights_folder(package, nested) / nested).parent.is_dir()


def test_weights_that_came_with_the_package_are_used(package: Path) -> None:
    (package / PLACE).touch()
    assert _find_weights_folder(package, PLACE) == package


def test_weights_go_where_deeplabcut_keeps_them(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    assert _find_weights_folder(package, PLACE) == package
