"""Progress of a real training whose worker is killed: recognised, taken over, finished."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from element_deeplabcut.report import progress as tables
from element_deeplabcut.report import recorder
from workflow_deeplabcut.status import gather_status
from workflow_deeplabcut.worker import list_jobs, run_worker

from ...conftest import TRAINING_PARAMS, Lab
from .conftest import WorkerProcess, until

pytestmark = [pytest.mark.dlc, pytest.mark.slow]


@pytest.fixture
def killed(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[dict[str, Any], int]]:
    """A training that had done an epoch when its worker was killed, and that worker's process."""
    import deeplabcut.pose_estimation_pytorch.apis  # noqa: F401 -- once, here

    monkeypatch.setattr(recorder, "INTERVAL_S", 0.1)
    table = lab.pipeline.train.ModelTraining
    key = lab.add_training(1016, {**TRAINING_PARAMS, "epochs": 3, "save_epochs": 1})
    worker = WorkerProcess([table], tmp_path / "worker.log", {"restrictions": [key], "lease": 2})
    until(lambda: lab.pipeline.report.TrainingProgress & key & "epoch >= 1", 120)
    pid = worker.pid
    worker.send(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    yield key, pid
    lab.pipeline.train.schema.jobs.delete()


def test_a_killed_worker_is_seen_and_its_training_finished(
    lab: Lab, killed: tuple[dict[str, Any], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, pid = killed
    report, table = lab.pipeline.report, lab.pipeline.train.ModelTraining
    row = (report.TrainingProgress & key).fetch1()
    assert (row["state"], row["pid"], row["seconds_left"] is None) == ("running", pid, False)
    with monkeypatch.context() as patch:
        patch.setattr(tables, "SILENT_AFTER_S", 0.0)
        (progress,) = report.list_progress(key)
        assert progress.state == "silent"
        (job,) = [job for job in gather_status([table]).running if job.key == key]
        assert job.state in ("running", "expired")  # its lease says whether somebody may take it
        assert job.progress == progress or job.progress.state == "silent"

    # Until then its job is believed to be in living hands, and a worker finds nothing to do.
    until(lambda: [job.state for job in list_jobs([table], key=key)] == ["expired"])
    run_worker([table], restrictions=[key], stop_when_idle=True, lease=2, poll_interval=0.1)

    assert (table & key).fetch1("latest_snapshot") == 3
    after = (report.TrainingProgress & key).fetch1()
    assert (after["state"], after["epoch"], after["pid"]) == ("finished", 3, os.getpid())
    assert after["attempt"] != row["attempt"]
    assert after["started_at"] > row["started_at"]
    assert not [job for job in gather_status([table]).running if job.key == key]
