"""Which failures are tried again, and when."""

from __future__ import annotations

import errno

import pymysql
import pytest
from datajoint.errors import DuplicateError, LostConnectionError

from element_deeplabcut.errors import EngineError, PathError, VideoError
from workflow_deeplabcut.worker import RetryPolicy
from workflow_deeplabcut.worker.retry import is_transient
from workflow_deeplabcut.worker.share import FairShare, may_start_long


def caused(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except Exception as raised:
        return raised


TRANSIENT = [
    pymysql.err.OperationalError(2003, "Can't connect"),
    pymysql.err.OperationalError(1213, "Deadlock found"),
    pymysql.err.OperationalError(1021, "Disk full"),
    pymysql.err.InterfaceError(0, ""),
    LostConnectionError("Connection was lost during a transaction."),
    OSError(errno.EIO, "Input/output error"),
    caused(PathError("The folder cannot be created"), OSError(errno.ENOSPC, "No space left")),
    caused(EngineError("DeepLabCut could not train"), RuntimeError("CUDA out of memory. Tried")),
    TimeoutError("timed out"),
]
PERMANENT = [
    VideoError("'a.mp4' is damaged."),
    ValueError("out of memory is not what this is about"),
    FileNotFoundError(errno.ENOENT, "No such file or directory"),
    PermissionError(errno.EACCES, "Permission denied"),
    DuplicateError("Duplicate entry"),
    pymysql.err.OperationalError(1054, "Unknown column"),
    caused(EngineError("DeepLabCut could not train"), ValueError("bad shape")),
    RuntimeError("size mismatch"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_permanent(error: Exception) -> None:
    assert not is_transient(error)


@pytest.mark.dlc
def test_the_real_gpu_error_is_known_by_name() -> None:
    import torch

    assert is_transient(torch.cuda.OutOfMemoryError("CUDA error"))


@pytest.mark.dlc
def test_torch_on_a_full_disk() -> None:
    """/dev/full fails every write with ENOSPC, as a full disk does."""
    import torch

    with pytest.raises((RuntimeError, OSError)) as raised:
        torch.save({"a": torch.zeros(100_000)}, "/dev/full")
    assert is_transient(raised.value)


def test_delays_double_up_to_a_limit_and_spread() -> None:
    policy = RetryPolicy(first_delay=10, longest_delay=100)
    for attempts, expected in ((1, 10), (2, 20), (3, 40), (5, 100), (1000, 100)):
        delays = [policy.delay(attempts) for _ in range(50)]
        assert all(0.75 * expected <= delay <= 1.25 * expected for delay in delays)
        assert max(delays) > min(delays)


def test_time_is_shared_fairly() -> None:
    share = FairShare(["short", "long"])
    assert share.order() == ["short", "long"]
    share.spend("long", 100)
    share.spend("short", 60)
    assert share.order() == ["short", "long"]
    share.spend("short", 60)
    assert share.order() == ["long", "short"]


def test_an_empty_queue_saves_no_time_up() -> None:
    share = FairShare(["short", "long"])
    share.spend("short", 1000)
    share.spend("short", 1, idle=["long"])
    share.spend("long", 0.5)
    share.spend("short", 0)
    assert share.order() == ["long", "short"]  # by half a second, not by a thousand
    share.spend("long", 1)
    assert share.order() == ["short", "long"]


@pytest.mark.parametrize(("n_workers", "at_most"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (8, 4)])
def test_half_of_a_pool_may_be_in_long_jobs(n_workers: int, at_most: int) -> None:
    allowed = [n for n in range(n_workers) if may_start_long(n, n_workers - 1)]
    assert allowed == list(range(at_most))
