"""A worker whose machine cannot do the work leaves the queue to those that can."""

from __future__ import annotations

from pathlib import Path

import pytest

from element_deeplabcut.errors import DeviceError, EngineError, SetupError, VideoError
from workflow_deeplabcut import cli
from workflow_deeplabcut.worker import RetryPolicy, WorkerOptions, run_worker
from workflow_deeplabcut.worker.loop import Worker
from workflow_deeplabcut.worker.machine import check_machine, is_machines
from workflow_deeplabcut.worker.signals import StopRequest

from ...conftest import Lab
from . import scripted
from .conftest import Site
from .test_retry import caused

NO_GPU = "cuda:77"
AT_ONCE = RetryPolicy(first_delay=0.05)


# --- before it begins -----------------------------------------------------------------------------


@pytest.mark.dlc
def test_a_device_that_is_not_there_is_said_before_a_job_is_taken(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.add("", "")
    command = ["worker", "--pipeline", scripted.__name__, "--stop-when-idle"]
    assert cli.main([*command, "--engine", "pytorch", "--device", NO_GPU]) == 1
    said = capsys.readouterr().err
    assert f"The device '{NO_GPU}' is not on this machine" in said
    assert "Traceback" not in said
    assert not site.calls()
    assert not site.jobs
    assert not site.leases
    assert site.run(site.Parts).done == 2  # a worker that can do it finds them as they were


@pytest.mark.dlc
def test_each_engine_says_whether_it_can_use_a_device() -> None:
    with pytest.raises(DeviceError, match=r"(?s)not on this machine.*TensorFlow cannot use"):
        check_machine([], ["pytorch", "tensorflow"], NO_GPU)
    assert check_machine([], ["pytorch", "tensorflow"], "cpu") == ("pytorch", "tensorflow")


@pytest.mark.dlc
def test_an_engine_that_can_use_the_device_is_offered(caplog: pytest.LogCaptureFixture) -> None:
    """PyTorch computes on "meta" everywhere; TensorFlow has no such device."""
    assert check_machine([], ["pytorch", "tensorflow"], "meta") == ("pytorch",)
    assert "does not offer tensorflow: TensorFlow cannot use the device 'meta'" in caplog.text


def test_a_root_that_is_not_mounted_is_said_before_a_job_is_taken(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = lab.pipeline.model
    key = lab.add_recording(9700, lab.new_video)
    with monkeypatch.context() as unmounted:
        unmounted.setenv("DLC_ROOT_DATA_DIR", str(tmp_path / "not-mounted"))
        with pytest.raises(SetupError, match=r"not-mounted.*does not exist on this machine"):
            run_worker([model.RecordingInfo], restrictions=[key], stop_when_idle=True)
    assert not model.schema.jobs & {"table_name": model.RecordingInfo.table_name}
    assert run_worker([model.RecordingInfo], restrictions=[key], stop_when_idle=True).done == 1


# --- while it works -------------------------------------------------------------------------------


def test_a_root_that_is_gone_later_costs_no_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = lab.pipeline.model
    keys = [lab.add_recording(number, lab.new_video) for number in (9701, 9702)]
    options = WorkerOptions(restrictions=[keys], stop_when_idle=True, retry=AT_ONCE)
    worker = Worker([model.RecordingInfo], options, StopRequest(1))
    with monkeypatch.context() as unmounted:
        unmounted.setenv("DLC_ROOT_DATA_DIR", str(tmp_path / "not-mounted"))
        with pytest.raises(SetupError, match=r"This worker ends.*not-mounted.*: postponed"):
            worker.run()
    assert (worker.summary.postponed, worker.summary.jobs) == (1, 1)
    assert not model.schema.jobs & {"table_name": model.RecordingInfo.table_name}
    assert run_worker([model.RecordingInfo], **vars(options)).done == 2


def test_a_folder_that_nothing_is_mounted_on_costs_no_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = lab.pipeline.model
    key = lab.add_recording(9703, lab.new_video)
    options = WorkerOptions(restrictions=[key], stop_when_idle=True, retry=AT_ONCE)
    with monkeypatch.context() as unmounted:
        unmounted.setenv("DLC_ROOT_DATA_DIR", str(tmp_path))
        with pytest.raises(SetupError, match=r"This worker ends.*is empty on this machine"):
            run_worker([model.RecordingInfo], **vars(options))
        (tmp_path / "other.mp4").touch()
        assert run_worker([model.RecordingInfo], **vars(options)).failed == 1  # a wrong path
    (model.schema.jobs & {"table_name": model.RecordingInfo.table_name}).delete()
    assert run_worker([model.RecordingInfo], **vars(options)).done == 1


def test_a_gpu_that_has_failed_ends_the_worker(site: Site) -> None:
    """Its process can never use it again; the next one does what is left, and what failed."""
    site.add("gpu 1", "", "")
    with pytest.raises(SetupError, match=r"This worker ends.*CUDA error: unspecified"):
        site.run(site.Parts, retry=AT_ONCE)
    assert len(site.calls()) == 1
    assert not site.jobs
    assert list(site.leases.fetch("token", "attempts", as_dict=True)) == [
        {"token": "", "attempts": 1}
    ]
    assert site.run(site.Parts, retry=AT_ONCE).done == 3
    assert not site.leases


def test_a_job_that_kills_every_gpu_is_given_up(site: Site) -> None:
    site.add("gpu 1")
    with pytest.raises(SetupError, match=r"This worker ends.*: failed"):
        site.run(site.Parts, retry=RetryPolicy(limit=1))
    assert "tried 1 times" in (site.jobs & "status='error'").fetch1("error_message")
    assert site.run(site.Parts).jobs == 0


@pytest.mark.parametrize(
    ("error", "blamed"),
    [
        (SetupError("The root directory is not there."), True),
        (DeviceError("The device is not there."), True),
        (caused(EngineError("DeepLabCut failed"), RuntimeError("CUDA error: unknown error")), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), False),
        (RuntimeError("CUDA error: out of memory"), False),
        (EngineError("DeepLabCut could not train."), False),
        (VideoError("'a.mp4' is damaged."), False),
    ],
)
def test_whose_fault_it_is(error: Exception, blamed: bool) -> None:
    assert is_machines(error) is blamed
