"""The real DeepLabCut: one training and one inference, with faults in both."""

from __future__ import annotations

import importlib.util
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from element_deeplabcut.readers.learning_curve import LEARNING_STATS, read_learning_curve
from workflow_deeplabcut import synthetic
from workflow_deeplabcut.demo import settings

from .database_away import kill_a_connection
from .record import Record
from .signals import finish
from .site import Site
from .workers import Pool, Worker

SESSION = {"subject": "mouse1", "session_datetime": "2026-02-02 10:00:00"}
PARAMS = {**settings.PYTORCH_PARAMS, "save_epochs": 1}
_LEASE_S = 3.0
_PATIENCE_S = 180


def train_and_infer(site: Site, record: Record, n: int, chance: random.Random) -> None:
    """the real DeepLabCut trains and infers on two workers; each kind of fault meets both"""
    if importlib.util.find_spec("deeplabcut") is None:
        record.skipped = "DeepLabCut is not installed"
        return
    import deeplabcut.pose_estimation_pytorch.apis  # noqa: F401 -- once, for every fork

    train, model = site.pipeline.train, site.pipeline.model
    key, truth = _register(site)
    with Pool(2, site.tables, site.log(record), lease=_LEASE_S, grace=0.2) as pool:
        for epoch, fault in zip(range(2, 12, 2), FAULTS, strict=True):
            _await_epoch(site, pool, epoch)
            fault(site, record, pool, chance)
        finish(site, record, pool)
    _check_training(site, record, (train.ModelTraining & key).fetch(as_dict=True))
    if not train.ModelTraining & key:
        return
    model_key = model.Model.insert_from_training(key, "real")
    good, *cut = _add_recordings(site, model_key)
    with Pool(2, (model.RecordingInfo,), site.log(record)) as pool:
        site.drain((model.RecordingInfo,))
        pool.end()
    for recording_key in cut:
        _cut_short(site, record, recording_key, chance)
    with Pool(2, (model.PoseEstimation,), site.log(record), lease=_LEASE_S, grace=0.2) as pool:
        for fault in FAULTS:
            if _await_compute(pool) is None:
                break
            time.sleep(chance.uniform(0, 1))
            fault(site, record, pool, chance)
        pool.end()
        record.found.stuck |= pool.complaints
    with Pool(2, site.tables, site.log(record), lease=_LEASE_S) as pool:
        finish(site, record, pool)
    _check_pose(site, record, {**good, **model_key}, truth)


# --- faults ---------------------------------------------------------------------------------------


def _computing(pool: Pool) -> Worker | None:
    return next((worker for worker in pool.running if worker.phase == "compute"), None)


def _kill(site: Site, record: Record, pool: Pool, chance: random.Random) -> None:
    worker = _computing(pool)
    record.faults["SIGKILL in compute"] += bool(worker and worker.kill())


def _pause(site: Site, record: Record, pool: Pool, chance: random.Random) -> None:
    worker = _computing(pool)
    record.faults["SIGSTOP in compute"] += bool(worker and worker.pause(2 * _LEASE_S))


def _tell_to_end(site: Site, record: Record, pool: Pool, chance: random.Random) -> None:
    worker = _computing(pool)
    if worker is not None:
        pool.retire(worker)
        record.faults["SIGTERM in compute"] += 1


def _end_connection(site: Site, record: Record, pool: Pool, chance: random.Random) -> None:
    record.faults["KILL"] += kill_a_connection(site, chance)


def _restart_server(site: Site, record: Record, pool: Pool, chance: random.Random) -> None:
    record.faults["server SIGKILL"] += site.kill_server()
    time.sleep(1)
    site.start_server()


Fault = Callable[[Site, Record, Pool, random.Random], None]
FAULTS: tuple[Fault, ...] = (_kill, _pause, _tell_to_end, _end_connection, _restart_server)


# --- what is to be done ---------------------------------------------------------------------------


def _register(site: Site) -> tuple[dict[str, Any], Any]:
    """Queue a training; return its key and the true positions in a video to analyze."""
    root, train = site.raw.parent, site.pipeline.train
    labelled = synthetic.render_video(site.raw / "real-train.mp4", 300, seed=0)
    truth = synthetic.render_video(site.raw / "real-new.mp4", 100, seed=77)
    project = synthetic.write_project(root, {site.raw / "real-train.mp4": labelled})
    site.pipeline.session.Session.insert1(SESSION)
    index = train.TrainingParamSet.insert_new_params("real", PARAMS)
    key = {"video_set_id": 2, "paramset_idx": index, "training_id": 1}
    train.VideoSet.insert1({"video_set_id": 2})
    train.TrainingTask.insert1({**key, "project_path": project.parent.name})
    return key, truth


def _add_recordings(site: Site, model_key: dict[str, str]) -> list[dict[str, Any]]:
    """Queue three recordings of the same animal, each with a file of its own."""
    model = site.pipeline.model
    keys = []
    content = (site.raw / "real-new.mp4").read_bytes()
    for number in (900_001, 900_002, 900_003):
        key = {**SESSION, "recording_id": number}
        (site.raw / f"real-{number}.mp4").write_bytes(content)
        model.VideoRecording.insert1({**key, "device": "Camera1"})
        path = f"raw/real-{number}.mp4"
        model.VideoRecording.File.insert1({**key, "file_id": 1, "file_path": path})
        model.PoseEstimationTask.generate({**key, **model_key})
        keys.append(key)
    return keys


def _cut_short(site: Site, record: Record, key: dict[str, Any], chance: random.Random) -> None:
    video = site.raw / f"real-{key['recording_id']}.mp4"
    content = video.read_bytes()
    video.write_bytes(content[: chance.randrange(len(content) // 4, len(content) - 1)])
    site.expected_errors.add(key["recording_id"])
    record.faults["video cut short"] += 1


def _await_epoch(site: Site, pool: Pool, epoch: int) -> None:
    """Wait until a worker trains that has come so far, in this attempt or those before."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        pool.mend()
        # One that was paused may still compute in vain: wait until it has noticed.
        busy = [worker for worker in pool.workers if worker.phase == "compute"]
        if _newest_epoch(site) >= epoch and busy == [_computing(pool)]:
            return
        time.sleep(0.02)
    raise RuntimeError(f"the training does not come to epoch {epoch}")


def _newest_epoch(site: Site) -> int:
    folder = site.processed / "trainings" / ".attempts"
    snapshots = folder.glob("*/project/dlc-models-pytorch/*/synthetic*/train/snapshot-*.pt")
    return max((int(file.stem.rpartition("-")[2]) for file in snapshots), default=0)


def _await_compute(pool: Pool) -> Worker | None:
    deadline = time.monotonic() + 3 * _LEASE_S
    while time.monotonic() < deadline:
        pool.mend()
        if (worker := _computing(pool)) is not None:
            return worker
        time.sleep(0.01)
    return None


# --- what came of it ------------------------------------------------------------------------------


def _check_training(site: Site, record: Record, rows: list[dict[str, Any]]) -> None:
    """The learning curve is that of one training, which goes on after each stop."""
    if not rows:
        return  # the audit says so
    info = rows[0]["run_info"]
    (curve,) = (site.processed / info["run_directory"]).rglob(LEARNING_STATS)
    steps = read_learning_curve(curve).steps.tolist()
    resumed = [stop["epochs"] for stop in info["resumed"]]
    record.facts["resumed after epochs"] = resumed
    if steps != list(range(1, PARAMS["epochs"] + 1)):
        record.found.partial.add(f"the real training has the epochs {steps}")
    if len(resumed) < 3:  # killed, paused, told to end
        record.found.lost.add(f"the real training was resumed only after epochs {resumed}")


def _check_pose(site: Site, record: Record, key: dict[str, Any], truth: Any) -> None:
    model = site.pipeline.model
    if not model.PoseEstimation & key:
        return
    table = model.PoseEstimation.get_trajectory(key)
    values = table.to_numpy().reshape(len(truth), -1, 3)[..., :2]
    error = float(np.linalg.norm(values - truth, axis=-1).mean())
    record.facts["mean error px"] = round(error, 2)
    if error > settings.GOOD_ERROR_PX["pytorch"]:
        record.found.lost.add(f"the real pose is {error:.1f} px from the animal")
