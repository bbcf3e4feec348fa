"""Proves that the audit sees what it looks for: damage is done, must be seen, and is undone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from datajoint.blob import pack

from workflow_deeplabcut.worker.lease import Lease

from .audit import audit
from .record import Record
from .site import SESSION, Site
from .workers import Pool

Damage = Callable[[Site, int], AbstractContextManager[object]]


def prove_audit(site: Site) -> int:
    """Damage sound work in every way that the audit knows, and insist that it says so.

    Returns:
        In how many ways.

    Raises:
        RuntimeError: Sound work is found wanting, or a damage is not seen.
    """
    number, _ = site.add_recordings(2)
    with Pool(1, site.tables, site.log(Record("sound_work", ""))) as pool:
        is_done = site.drain()
        pool.end()
    found = audit(site)
    if not is_done or any(found.counts.values()):
        raise RuntimeError(f"sound work is not found sound: {found}")
    for damage, verdict in DAMAGES.items():
        with damage(site, number):
            seen = audit(site)
        if not getattr(seen, verdict):
            raise RuntimeError(f"the audit does not see: {damage.__name__}")
    found = audit(site)
    if any(found.counts.values()):
        raise RuntimeError(f"a damage was not undone: {found}")
    return len(DAMAGES)


def _key(number: int) -> dict[str, Any]:
    return {**SESSION, "recording_id": number}


@contextlib.contextmanager
def lost_row(site: Site, number: int) -> Iterator[None]:
    """A task that is not recorded."""
    table = site.pipeline.model.PoseEstimation
    with _without(table.BodyPartPosition & _key(number)), _without(table & _key(number)):
        yield


@contextlib.contextmanager
def lost_part(site: Site, number: int) -> Iterator[None]:
    """A row without one of its parts."""
    part = site.pipeline.model.PoseEstimation.BodyPartPosition & _key(number)
    with _without(part & "body_part='nose'"):
        yield


@contextlib.contextmanager
def foreign_pose(site: Site, number: int) -> Iterator[None]:
    """The values of another recording."""
    part = site.pipeline.model.PoseEstimation.BodyPartPosition
    nose = "body_part='nose'"
    (row,) = (part & _key(number) & nose).fetch(as_dict=True)
    (other,) = (part & _key(number + 1) & nose).fetch(as_dict=True)
    with _without(part & _key(number) & nose):
        part.insert1({**row, "x_pos": other["x_pos"]}, allow_direct_insert=True)
        yield
        (part & _key(number) & nose).delete_quick()


@contextlib.contextmanager
def second_publication(site: Site, number: int) -> Iterator[None]:
    """A result that was published twice."""
    folder = _find_run(site, number)
    copy = folder.with_name(f"{folder.name}-again")
    shutil.copytree(folder, copy, symlinks=True)
    yield
    shutil.rmtree(copy)


@contextlib.contextmanager
def lost_manifest(site: Site, number: int) -> Iterator[None]:
    """A published folder without a manifest."""
    manifest = _find_run(site, number) / "manifest.json"
    aside = site.folder / "manifest.aside"
    shutil.move(manifest, aside)
    yield
    shutil.move(aside, manifest)


@contextlib.contextmanager
def changed_file(site: Site, number: int) -> Iterator[None]:
    """A file that is not what it was when it was published."""
    (file,) = _find_run(site, number).rglob("*.h5")
    content = file.read_bytes()
    file.write_bytes(content[:-1])
    yield
    file.write_bytes(content)


@contextlib.contextmanager
def dead_reservation(site: Site, number: int) -> Iterator[None]:
    """A reservation that nobody ends."""
    jobs, table = site.pipeline.model.schema.jobs, site.pipeline.model.PoseEstimation
    jobs.reserve(table.table_name, {"recording_id": -1})
    yield
    (jobs & "status='reserved'").delete_quick()


@contextlib.contextmanager
def dead_lease(site: Site, number: int) -> Iterator[None]:
    """A lease that nobody ends."""
    row = {"database_name": "drills_model", "table_name": "none", "key_hash": "none"}
    held = {"job_key": pack({}), "token": "t", "owner": "o", "attempts": 1}
    Lease.insert1({**row, **held, "expires_at": "2026-01-01"})
    yield
    (Lease & row).delete_quick()


@contextlib.contextmanager
def endless_progress(site: Site, number: int) -> Iterator[None]:
    """Progress that says that recorded work still runs."""
    table = site.pipeline.report.InferenceProgress
    key = (table & _key(number)).fetch1("KEY")
    table.update1({**key, "state": "running"})
    yield
    table.update1({**key, "state": "finished"})


@contextlib.contextmanager
def open_transaction(site: Site, number: int) -> Iterator[None]:
    """A connection with a transaction that nobody ends."""
    with site.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM drills_model.__pose_estimation LIMIT 1 FOR UPDATE")
        yield


@contextlib.contextmanager
def unexplained_error(site: Site, number: int) -> Iterator[None]:
    """A task that failed though nothing is wrong with it."""
    table = site.pipeline.model.PoseEstimation
    jobs = site.pipeline.model.schema.jobs
    key = {**table().fetch("KEY", limit=1)[0], "recording_id": number}
    jobs.error(table.table_name, key, "no reason")
    yield
    (jobs & "status='error'").delete_quick()


DAMAGES: dict[Damage, str] = {
    lost_row: "lost",
    foreign_pose: "lost",
    unexplained_error: "lost",
    second_publication: "duplicated",
    dead_reservation: "stuck",
    dead_lease: "stuck",
    endless_progress: "stuck",
    open_transaction: "stuck",
    lost_part: "partial",
    lost_manifest: "partial",
    changed_file: "partial",
}


def _find_run(site: Site, number: int) -> Any:
    (info,) = (site.pipeline.model.PoseEstimation & _key(number)).fetch("run_info")
    return site.processed / info["run_directory"]


@contextlib.contextmanager
def _without(query: Any) -> Iterator[None]:
    rows = query.fetch(as_dict=True)
    query.delete_quick()
    yield
    query.insert(rows, allow_direct_insert=True)
