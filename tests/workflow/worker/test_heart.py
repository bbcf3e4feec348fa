"""``workflow-deeplabcut health``: what a container's health check sees of a real worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import datajoint as dj
import pytest

from element_deeplabcut.errors import SetupError
from workflow_deeplabcut import cli, heart
from workflow_deeplabcut.heart import Heart
from workflow_deeplabcut.paths import get_database_prefix
from workflow_deeplabcut.worker.heartbeat import Heartbeat
from workflow_deeplabcut.worker.lease import LeaseStore
from workflow_deeplabcut.worker.server import Server

from .conftest import Site, until


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of its own: other tests run workers, too."""
    monkeypatch.setattr(heart.tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"workflow-deeplabcut-{os.geteuid()}"


def test_it_tells_what_a_worker_is_at(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["health"]) == 1
    assert "no worker runs here" in capsys.readouterr().out
    site.add("work 30")
    worker = site.start(site.Parts, grace=0.1)
    until(lambda: cli.main(["health"]) == 0 and "at Parts a=1 b=0" in capsys.readouterr().out)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    assert cli.main(["health", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == []


def test_a_worker_that_waits_for_jobs_is_well(site: Site) -> None:
    worker = site.start(site.Parts, lease=3)
    until(lambda: cli.main(["health"]) == 0)
    time.sleep(4)  # longer than the lease: it goes on beating
    assert cli.main(["health"]) == 0
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_stopped_worker_is_not_well(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    worker = site.start(site.Parts)
    until(lambda: cli.main(["health"]) == 0)
    worker.send(signal.SIGSTOP)
    until(lambda: cli.main(["health"]) == 1)
    assert "has shown no life for" in capsys.readouterr().out
    worker.send(signal.SIGCONT)
    until(lambda: cli.main(["health"]) == 0)


def test_a_killed_worker_is_no_worker(
    site: Site, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    worker = site.start(site.Parts)
    until(lambda: cli.main(["health"]) == 0)
    worker.send(signal.SIGKILL)
    worker.wait()
    assert list(folder.glob("*.json"))
    capsys.readouterr()
    assert cli.main(["health"]) == 1
    assert "no worker runs here" in capsys.readouterr().out


def test_a_number_that_is_used_again_is_no_worker(folder: Path) -> None:
    """In containers the next program often has the number of the one before."""
    of_the_past = Heart("vm:1:x", 5, 60, born="1")
    of_the_past.beat()
    assert list(folder.glob("*.json"))
    assert heart.list_hearts() == []


def test_a_database_that_does_not_answer() -> None:
    now = time.monotonic()
    assert Heart("vm:1:x", 5, 60).diagnose() == ""
    waiting = Heart("vm:1:x", 5, 60, looked_at=now - 66)
    assert "has not looked for jobs for 66 s" in waiting.diagnose()
    at_work = Heart("vm:1:x", 5, 60, job="Parts a=1", renewed_at=now - 61, looked_at=now - 9999)
    assert "has not renewed its lease on Parts a=1 for 61 s" in at_work.diagnose()
    by_a_child = Heart("vm:1:x", 5, 60, job="Parts a=1", renewed_at=None, looked_at=now - 9999)
    assert by_a_child.diagnose() == ""


def test_a_lease_that_others_took_is_no_fault_of_the_database(site: Site) -> None:
    """Its job may go on until its next epoch, which takes longer than a lease."""
    (key,) = site.add("")
    leases = LeaseStore(Server(dj.conn(), "vm:1:x"), get_database_prefix(), 0.8)
    own = Heart("vm:1:x", 5, 0.8)
    lease = leases.take(site.Parts(), key)
    with Heartbeat(leases, own) as heartbeat:
        heartbeat.hold(lease)
        site.leases.delete_quick()
        until(lambda: lease.lost)
        time.sleep(1)
        assert own.diagnose() == ""


def test_half_a_file_is_passed_over(folder: Path) -> None:
    Heart("vm:1:x", 5, 60).beat()
    (folder / "1.json").write_text('{"name": "vm')
    assert [found.pid for found in heart.list_hearts()] == [os.getpid()]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
def test_a_folder_of_somebody_else_is_not_trusted(folder: Path) -> None:
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    with pytest.raises(SetupError, match="belongs to another user"):
        heart.list_hearts()


def test_where_all_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a container with --read-only and nothing mounted to /tmp."""
    file = tmp_path / "no folder"
    file.touch()
    monkeypatch.setattr(heart.tempfile, "tempdir", None)
    monkeypatch.setattr(heart.tempfile, "_candidate_tempdir_list", lambda: [str(file)])
    Heart("vm:1:x", 5, 60).beat()
    assert cli.main(["health"]) == 1
    said = capsys.readouterr().err
    assert "Set TMPDIR to a folder that can be written" in said
    assert "Traceback" not in said


def test_a_worker_works_without_a_folder(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heart.tempfile, "tempdir", str(tmp_path / "nowhere"))
    site.add("")
    worker = site.start(site.Parts, stop_when_idle=True)
    assert worker.wait() == 0
    assert len(site.Parts()) == 1
    assert "will not see this worker" in worker.log.read_text()


def test_it_is_light_and_asks_no_database(tmp_path: Path) -> None:
    """A health check runs twice a minute beside the worker, whatever the database does."""
    program = (
        "import sys; from workflow_deeplabcut import cli; code = cli.main(['health']); "
        "print(*sorted({'datajoint', 'numpy', 'torch'} & set(sys.modules))); sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.splitlines() == ["no worker runs here, or it has not begun yet", ""]
