"""What the database says of a queued pose estimation, handed to the check of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..compute.checking.bench import Bench, Notes
from ..compute.checking.estimations import (
    check_engine,
    check_inference,
    check_loading,
    check_model,
    check_videos,
)
from ..compute.findings import OK, PROBLEM, WARNING, TaskCheck
from ..compute.inference import RecordingFile
from ..compute.loading import LoadingJob
from ..compute.records import InferenceRecord, read_inference_records
from ..params import check_inference_params
from .models import Model
from .poses import PoseEstimation, PoseEstimationTask
from .recordings import RecordingInfo, VideoRecording

_N_RECORDS = 50
"""Earlier analyses that an estimate of time looks at, at most."""


def check_task(key: Mapping[str, Any], bench: Bench) -> TaskCheck:
    """Check the task of a key."""
    notes = Notes("PoseEstimationTask", key)
    if PoseEstimation & key:
        notes.add(OK, "result", "Its poses are there; there is nothing to do.")
        return notes.finish(0, 0)
    if not RecordingInfo & key:
        return _check_unread(key, bench, notes)
    fetched = notes.attempt("task", lambda: PoseEstimation().make_fetch(key, bench.device))
    if fetched is None:
        return notes.finish()
    (job,) = fetched
    if isinstance(job, LoadingJob):
        return check_loading(job, bench, notes)
    engine = (Model & key).fetch1("engine")
    params = check_inference_params((PoseEstimationTask & key).fetch1("pose_estimation_params"))
    notes.attempt("labeled video", lambda: PoseEstimationTask.check_drawable(key, params))
    is_drawn = "labeled_video" in params
    return check_inference(job, engine, bench, notes, lambda: _fetch_records(key), is_drawn)


def _check_unread(key: Mapping[str, Any], bench: Bench, notes: Notes) -> TaskCheck:
    """Check what can be checked as long as nobody has counted the recording's frames."""
    rows = (VideoRecording.File & key).fetch("file_id", "file_path", order_by="file_id")
    files = [RecordingFile(int(number), path, 0, 0) for number, path in zip(*rows, strict=True)]
    if not files:
        notes.add(PROBLEM, "videos", f"The recording {dict(key)} has no files; insert "
                  "VideoRecording.File first.")  # fmt: skip
    notes.add(WARNING, "recording", "Its frames are not counted yet, and the task waits for that. "
              "Populate RecordingInfo.")  # fmt: skip
    check_videos(files, bench, notes)
    mode = (PoseEstimationTask & key).fetch1("task_mode")
    if mode == "trigger":
        engine, bundle_hash = (Model & key).fetch1("engine", "bundle_hash")
        check_engine(engine, bench, notes, check_model(bundle_hash, bench, notes))
    return notes.finish()


def _fetch_records(key: Mapping[str, Any]) -> list[InferenceRecord]:
    done = PoseEstimation * RecordingInfo.proj("nframes") & {"model_name": key["model_name"]}
    rows = done.fetch("nframes", "run_info", order_by="pose_estimation_time DESC", limit=_N_RECORDS)
    return read_inference_records(zip(*rows, strict=True))
