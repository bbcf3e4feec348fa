"""Looks through database and disk for what must not be: lost, duplicated, stuck, partial."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from element_deeplabcut.errors import ElementError
from element_deeplabcut.readers.learning_curve import LEARNING_STATS, read_learning_curve
from element_deeplabcut.store.runs import MANIFEST, open_run
from element_deeplabcut.tables import read_job_key
from tests.element.conftest import PARTS
from workflow_deeplabcut.worker.lease import Lease

from . import scripted_engine
from .record import Findings
from .site import N_FRAMES, SESSION, Site

_HIDDEN = {".attempts", ".damaged", ".trash", "models"}
_KINDS = {
    "RecordingInfo": "recording",
    "PoseEstimation": "inference",
    "ModelEvaluation": "evaluation",
    "ModelTraining": "training",
}
"""Table -> kind of its runs."""


def audit(site: Site) -> Findings:
    """Find all that is wrong now. No worker may be living."""
    found = Findings()
    check_nothing_is_held(site, found)
    runs = list_published(site, found)
    for table in site.tables:
        check_tasks(site, table, found)
        check_runs(site, table, runs, found)
    check_poses(site, found)
    check_parts(site, found)
    check_trainings(site, found)
    check_progress(site, found)
    return found


# --- stuck ----------------------------------------------------------------------------------------


def check_nothing_is_held(site: Site, found: Findings) -> None:
    """Reservations, leases, transactions and connections end with the workers."""
    for schema in (site.pipeline.train.schema, site.pipeline.model.schema):
        for row in (schema.jobs & "status='reserved'").fetch(as_dict=True):
            found.stuck.add(f"reserved: {row['table_name']} {row['key_hash']}")
    for row in Lease().fetch("table_name", "key_hash", "owner", as_dict=True):
        found.stuck.add(f"lease: {row}")
    deadline = time.monotonic() + 5  # the server may not have noticed yet that somebody is gone
    while (left := list(_list_foreign(site))) and time.monotonic() < deadline:
        time.sleep(0.2)  # INNODB_TRX is read anew only where nobody has read it for 0.1 s
    found.stuck.update(left)


def _list_foreign(site: Site) -> Iterator[str]:
    own = site.tables[0].connection.query("SELECT CONNECTION_ID()").fetchone()[0]
    with site.asking() as cursor:
        cursor.execute(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE USER=%s AND COMMAND<>'Daemon' "
            "AND ID NOT IN (%s, CONNECTION_ID())",
            (site.server.user, own),
        )
        yield from (f"connection {number}" for (number,) in cursor.fetchall())
        cursor.execute("SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX")
        yield from (f"transaction of connection {number}" for (number,) in cursor.fetchall())


def check_progress(site: Site, found: Findings) -> None:
    """What is recorded does not say that it still runs."""
    report = site.pipeline.report
    for progress, table in (
        (report.TrainingProgress, site.pipeline.train.ModelTraining),
        (report.InferenceProgress, site.pipeline.model.PoseEstimation),
    ):
        for row in (progress & "state<>'finished'" & table.proj()).fetch(as_dict=True):
            found.stuck.add(f"recorded work is not finished by its progress: {_name_key(row)}")


# --- lost -----------------------------------------------------------------------------------------


def check_tasks(site: Site, table: Any, found: Findings) -> None:
    """Every task is recorded or carries its error, and an error only where one has to be."""
    name = table.__name__
    done = {_name_key(key) for key in table().fetch("KEY")}
    failed = {}
    jobs = table().connection.schemas[table.database].jobs & {"table_name": table.table_name}
    for row in (jobs & "status='error'").fetch("key", "error_message", as_dict=True):
        failed[_name_key(read_job_key(row["key"]))] = row["error_message"]
    source = table().key_source
    if name == "PoseEstimation":
        source = site.pipeline.model.PoseEstimationTask()
    for key in source.fetch("KEY"):
        job = f"{name} {_name_key(key)}"
        has_to_fail = name == "PoseEstimation" and key["recording_id"] in site.expected_errors
        error = failed.get(_name_key(key))
        if error and not has_to_fail:
            found.lost.add(f"{job} failed: {error}")
        elif error and _name_key(key) in done:
            found.duplicated.add(f"{job} is recorded and failed")
        elif not error and has_to_fail:
            found.lost.add(f"{job} did not fail")
        elif not error and _name_key(key) not in done:
            found.lost.add(f"{job} is not recorded")


def check_poses(site: Site, found: Findings) -> None:
    """Every trajectory is that of its own recording, whole."""
    model = site.pipeline.model
    files = (model.VideoRecording.File() & SESSION).fetch("recording_id", "file_path", as_dict=True)
    stems = {row["recording_id"]: Path(row["file_path"]).stem for row in files}
    parts = list(PARTS)
    rows = (model.PoseEstimation.BodyPartPosition & SESSION).fetch(
        "recording_id", "body_part", "frame_index", "x_pos", "y_pos", "likelihood", as_dict=True
    )
    expected = {
        number: scripted_engine.expected_pose(stem, N_FRAMES, len(parts))
        for number, stem in stems.items()
    }
    for row in rows:
        number, column = row["recording_id"], parts.index(row["body_part"])
        values = np.stack([row["x_pos"], row["y_pos"], row["likelihood"]], axis=-1)
        if not np.array_equal(row["frame_index"], np.arange(N_FRAMES)):
            found.partial.add(f"pose of recording {number} has not all frames")
        elif not np.array_equal(values, expected[number][:, column]):
            found.lost.add(f"recording {number} has the pose of another one")


# --- duplicated and partial: runs -----------------------------------------------------------------

Runs = dict[tuple[str, str], list[Path]]
"""(kind, key) -> folders."""


def list_published(site: Site, found: Findings) -> Runs:
    """Every published folder is a whole run, once for each task."""
    runs: Runs = {}
    for folder in _list_folders(site.processed):
        try:
            open_run(folder)
            identity = json.loads((folder / MANIFEST).read_text())["identity"]
        except (ElementError, OSError, ValueError, KeyError) as error:
            found.partial.add(f"'{folder.relative_to(site.processed)}': {error}")
            continue
        runs.setdefault((identity["kind"], _name_key(identity["key"])), []).append(folder)
    for (kind, key), folders in runs.items():
        if len(folders) > 1:
            found.duplicated.add(f"{kind} {key} was published {len(folders)} times")
    return runs


def _list_folders(processed: Path) -> Iterator[Path]:
    """Published folders: those beside ``.attempts``; a set-aside one is reported as damaged."""
    for attempts in processed.rglob(".attempts"):
        parent = attempts.parent
        if parent.name == "models":
            continue
        yield from (path for path in parent.iterdir() if path.name not in _HIDDEN)
        if (parent / ".damaged").is_dir():
            yield from (parent / ".damaged").iterdir()


def check_runs(site: Site, table: Any, runs: Runs, found: Findings) -> None:
    """Rows and published folders belong together, one to one."""
    kind = _KINDS[table.__name__]
    has_info = "run_info" in table().heading.names
    columns = ["KEY", "run_info"] if has_info else ["KEY"]
    fetched = table().fetch(*columns)
    keys, infos = fetched if has_info else (fetched, [None] * len(fetched))
    rows = {_name_key(key): info for key, info in zip(keys, infos, strict=True)}
    for (run_kind, key), folders in runs.items():
        if run_kind == kind and key not in rows:
            found.partial.add(f"{kind} {key} is published and not recorded")
        elif run_kind == kind and has_info:
            named = site.processed / rows[key]["run_directory"]
            if named not in folders:
                found.partial.add(f"{kind} {key}: its row names another folder")
    for key in rows:
        if (kind, key) not in runs:
            found.partial.add(f"{kind} {key} is recorded without a published run")


# --- partial: rows --------------------------------------------------------------------------------


def check_parts(site: Site, found: Findings) -> None:
    """No row is without its parts."""
    model = site.pipeline.model
    n_parts = Counter(model.Model.BodyPart().fetch("model_name"))
    for master, part in (
        (model.RecordingInfo, model.RecordingInfo.File),
        (model.PoseEstimation, model.PoseEstimation.BodyPartPosition),
        (model.ModelEvaluation, model.ModelEvaluation.BodyPart),
    ):
        n_found = Counter(
            _name_key(key) for key in part().proj().fetch(*master.primary_key, as_dict=True)
        )
        for key in master().fetch("KEY"):
            wanted = n_parts[key["model_name"]] if "model_name" in key else 1
            if n_found[_name_key(key)] != wanted:
                found.partial.add(f"{master.__name__} {_name_key(key)} has not all its parts")


def check_trainings(site: Site, found: Findings) -> None:
    """Every training is of its own seed, to its end, with a continuous curve."""
    trained = site.pipeline.train.ModelTraining() & "video_set_id=1"
    for row in trained.fetch("KEY", "latest_snapshot", "run_info", as_dict=True):
        name = f"training {row['training_id']}"
        info = row["run_info"]
        folder = site.processed / info["run_directory"]
        (curve,) = folder.rglob(LEARNING_STATS)
        steps = list(read_learning_curve(curve).steps)
        epochs = list(range(1, scripted_engine.EPOCHS + 1))
        if steps != epochs or row["latest_snapshot"] != epochs[-1]:
            found.partial.add(f"{name} has the epochs {steps}")
        expected = scripted_engine.expected_weights(row["paramset_idx"], epochs[-1])
        if (curve.parent / info["best_snapshot"]).read_text() != expected:
            found.lost.add(f"{name} has the weights of another one")


def _name_key(key: Any) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(dict(key).items()))
