"""Which attempts at a training are kept for the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from element_deeplabcut.compute.resuming import is_resumable
from element_deeplabcut.errors import EngineError, LeaseLost, Stopped


@pytest.fixture
def attempt(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "dlc-models-pytorch" / "iteration-0" / "open" / "train"
    folder.mkdir(parents=True)
    (folder / "snapshot-002.pt").write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), Stopped("the worker ends")])
def test_a_stopped_training_is_kept(attempt: Path, error: BaseException) -> None:
    assert is_resumable(attempt, error)


@pytest.mark.parametrize("error", [EngineError("failed"), LeaseLost("another worker has it")])
def test_a_failed_training_and_one_that_another_worker_has_are_not(
    attempt: Path, error: BaseException
) -> None:
    assert not is_resumable(attempt, error)


def test_nothing_is_kept_without_a_snapshot(tmp_path: Path) -> None:
    assert not is_resumable(tmp_path, Stopped("the worker ends"))
