"""Storage: a full disk, a limit on files, videos that were cut short."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from workflow_deeplabcut.worker.listing import list_jobs, retry_jobs

from .record import Record
from .signals import finish
from .site import SMALL_DISK, Site
from .workers import Pool

_TMPFS_KB = 1024
_FULL = re.compile(r"No space left|errno = 28|Errno 28")


class _NoMountError(Exception):
    """This process may not mount."""


def fill_disk(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """two workers write to a small tmpfs that is full, or nearly; later there is space again"""
    folder = site.processed / SMALL_DISK
    try:
        with _small_disk(folder):
            _work_on_a_full_disk(site, record, n, chance, folder)
    except _NoMountError as error:
        record.skipped = f"no tmpfs can be mounted here ({error})"


def _work_on_a_full_disk(
    site: Site, record: Record, n: int, chance: random.Random, folder: Path
) -> None:
    model, log = site.pipeline.model, site.log(record)
    tables = (model.RecordingInfo, model.PoseEstimation)
    site.add_recordings(10, output_dir=folder.name)
    ballast = folder / "ballast"
    with Pool(2, tables, log) as pool:
        deadline = time.monotonic() + 60 + n
        while count_full(log) < n and time.monotonic() < deadline:
            _fill(ballast, chance.randrange(0, 40_000))
            time.sleep(chance.uniform(0.1, 0.6))
            pool.mend()
            if site.count_pending(model.PoseEstimation) < 4:
                site.add_recordings(4, output_dir=folder.name)
        ballast.unlink()
        retry_jobs(site.tables)
        finish(site, record, pool)
    record.faults["disk full"] += count_full(log)


def _fill(ballast: Path, left: int) -> None:
    """Leave so many bytes free."""
    ballast.unlink(missing_ok=True)
    size = os.statvfs(ballast.parent).f_bavail * os.statvfs(ballast.parent).f_bsize
    with contextlib.suppress(OSError), ballast.open("wb") as stream:
        stream.write(bytes(max(size - left, 0)))


def count_full(log: Path) -> int:
    """Jobs that failed for want of space, as the workers' log says it."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    ends = (line for line in lines if " postponed " in line or " failed " in line)
    return sum(bool(_FULL.search(line)) for line in ends)


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={_TMPFS_KB}k", "tmpfs", str(folder)]
    if os.geteuid() != 0:
        raise _NoMountError("not root")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise _NoMountError(done.stderr.strip())
    try:
        yield
    finally:
        kept = folder.with_name(f"{folder.name}.kept")  # what was written is looked through later
        shutil.copytree(folder, kept, symlinks=True)
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
        kept.rename(folder)


def limit_files(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """two workers that may write no file above some hundred bytes; later they may"""
    site.add_recordings(n)
    site.add_trainings(n)
    limit = chance.randrange(200, 2000)

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    unlimited = Path(os.devnull)  # logs are files, too
    with Pool(2, site.tables, unlimited, (prepare,)) as pool:
        site.drain(with_waiting=False)  # where RecordingInfo failed, nothing else can be done
        pool.end()
    record.found.stuck |= pool.complaints
    record.faults["file too large"] += len(list_jobs(site.tables, message="file too large"))
    retry_jobs(site.tables)
    with Pool(2, site.tables, site.log(record)) as pool:
        finish(site, record, pool)


def truncate_videos(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """videos are cut short after they were registered; each analysis fails with a sentence"""
    model = site.pipeline.model
    numbers = site.add_recordings(n)
    with Pool(2, (model.RecordingInfo,), site.log(record)) as pool:
        site.drain((model.RecordingInfo,))
        pool.end()
    for number in numbers:
        video = site.raw / f"{number:05}.mp4"
        content = video.read_bytes()
        video.unlink()  # it is a link to the original
        video.write_bytes(content[: chance.randrange(1, len(content))])
        record.faults["video cut short"] += 1
    site.expected_errors.update(numbers)
    with Pool(2, site.tables, site.log(record)) as pool:
        finish(site, record, pool)
