"""The demo from its first step to its last."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from element_deeplabcut.engines import get_engine
from element_deeplabcut.errors import ResultError, SetupError
from element_deeplabcut.readers.learning_curve import read_learning_curve

from .. import database, synthetic
from . import products, records, settings
from .connection import drop_schemas, open_pipeline, prepare_process
from .console import Steps
from .film import Film, render_film, write_project
from .folder import DEFAULT_OUTPUT, DemoFolder
from .report import print_report
from .tracks import Track

Note = Callable[[str], None]

_UNITS = {"pytorch": "epochs", "tensorflow": "iterations"}

TITLES = {
    "database": "start a private database, declare the tables",
    "film": "film the animal",
    "project": "label frames of the training video",
    "register": "register subject, session, recordings, task",
    "train": "train the network",
    "evaluate": "register the model, evaluate it on the labels",
    "read": "read the new recordings",
    "analyze": "track the body parts in them",
    "judge": "judge the poses, measure the motion",
    "share": "draw a labeled video, write an NWB file",
    "compare": "compare with the truth, draw pictures",
}


def run_demo(
    output_dir: str | os.PathLike[str] = DEFAULT_OUTPUT, engine: str = "pytorch"
) -> dict[str, Any]:
    """Train, evaluate and run a model on rendered videos, and compare with the truth.

    Each run starts afresh: what an earlier one left in the folder is replaced, finished or not.
    The database goes on running, so that the printed queries work.

    Args:
        output_dir: Folder for all it makes; new, empty, or an earlier demo's.
        engine: Engine to train with.

    Returns:
        The content of ``summary.json``.

    Raises:
        ElementError: Something is missing on this machine, the folder is somebody else's, or the
            model is worse than it should be.
    """
    # OpenMP's threads spin while they wait for each other: on two cores with anything else to do,
    # several of them make this training many times slower. Read when torch is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    get_engine(engine)
    prepare_process()
    folder = DemoFolder.at(output_dir)
    with folder.claimed():
        summary = _run(folder, engine)
    good_error = settings.GOOD_ERROR_PX[engine]
    if summary["mean_error_px"] >= good_error:
        raise ResultError(
            f"The mean error is {summary['mean_error_px']:.2f} px, and under "
            f"{good_error} px is usual: look at {folder.learning_curve}, and report it "
            "with summary.json and log.txt beside it."
        )
    return summary


def _run(folder: DemoFolder, engine: str) -> dict[str, Any]:
    steps = Steps(TITLES, folder.log)
    with steps.step("database") as note:
        pictures = _import_pictures()
        products.check_installed()
        pipeline = _open_database(folder, note)
    train, model = pipeline.train, pipeline.model
    with steps.step("film") as note:
        film = _film(folder.data, note)
    with steps.step("project") as note:
        project = _write_project(folder.data, film, note)
    with steps.step("register") as note:
        training_key = _register(pipeline, project, engine, note)
    with steps.step("train") as note:
        note(records.check(train.TrainingTask & training_key, folder))
        train.ModelTraining.populate(training_key)
        run_info = (train.ModelTraining & training_key).fetch1("run_info")
        trained = (train.ModelTraining & training_key).fetch1("latest_snapshot")
        note(f"{trained} {_UNITS[engine]} on {run_info['device']}")
    with steps.step("evaluate") as note:
        model_key = model.Model.insert_from_training(training_key, settings.MODEL_NAME)
        model.ModelEvaluation.populate(model_key)
        evaluation = (model.ModelEvaluation & model_key).fetch1()
        best = products.find_best(pipeline, training_key, folder)
        note(f"test error {evaluation['test_error']:.2f} px; the best is {best.snapshot}")
    with steps.step("read") as note:
        model.RecordingInfo.populate()
        note(f"{sum(model.RecordingInfo.fetch('nframes'))} frames decoded")
    with steps.step("analyze") as note:
        _analyze(model, model_key, folder, note)
    tracks = [_fetch_track(model, number, film, folder.data) for number in film.recordings]
    first = {**_recording_key(tracks[0].recording_id), **model_key}
    with steps.step("judge") as note:
        quality = products.judge(pipeline, model_key)
        quality.to_csv(folder.quality, index=False)
        motion = products.measure(pipeline, first, tracks[0])
        note(f"{', '.join(sorted(set(quality['part_verdict'])))}; {motion.unit}/s")
    with steps.step("share") as note:
        products.draw_video(pipeline, first, folder)
        records.tell(model.PoseEstimation, first, folder)
        note(f"{folder.labeled_video.name}, {products.export(first, folder).name}")
    with steps.step("compare") as note:
        curve = read_learning_curve(_find_curve(folder.results / run_info["run_directory"]))
        pictures.draw_all(
            folder, tracks, curve, evaluation["train_iterations"], _UNITS[engine], motion
        )
        note(f"{len(folder.pictures)} pictures")
    summary = _summarize(engine, tracks, evaluation, run_info, folder)
    summary["seconds"] = {name: round(value, 2) for name, value in steps.seconds.items()}
    summary["seconds"]["total"] = round(steps.finish(), 2)
    folder.summary.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    errors = (model.ModelEvaluation.BodyPart & model_key).fetch(as_dict=True)
    print_report(folder, summary, errors, pipeline.report.list_progress())
    return summary


def _import_pictures() -> ModuleType:
    """Import what draws, before minutes are spent on what is to be drawn."""
    try:
        from . import pictures
    except ImportError as error:
        raise SetupError(
            f"The demo draws its pictures with matplotlib, which does not load here ({error}). "
            "Install it with: pip install 'element-deeplabcut[analysis]'"
        ) from error
    return pictures


# --- steps ----------------------------------------------------------------------------------------


def _open_database(folder: DemoFolder, note: Note) -> ModuleType:
    folder.data.mkdir()
    folder.results.mkdir()
    server = database.start(folder.database)
    drop_schemas(server)
    note(f"{server.host}:{server.port}")
    return open_pipeline(folder, server)


def _film(data: Path, note: Note) -> Film:
    film = render_film(data)
    unseen = sum(len(positions) for positions in film.recordings.values())
    note(f"{len(film.training)} frames to train on, {unseen} unseen")
    return film


def _write_project(data: Path, film: Film, note: Note) -> Path:
    project = write_project(data, film)
    note(f"project {project.name}")
    return project


def _register(pipeline: ModuleType, project: Path, engine: str, note: Note) -> dict[str, Any]:
    pipeline.subject.Subject.insert1(settings.SUBJECT)
    pipeline.session.Session.insert1(settings.SESSION)
    for number, files in settings.RECORDINGS.items():
        _register_recording(pipeline.model, number, list(files))
    train = pipeline.train
    train.VideoSet.insert1({"video_set_id": 1})
    train.VideoSet.File.insert1(
        {"video_set_id": 1, "file_id": 1, "file_path": settings.TRAINING_VIDEO}
    )
    index = train.TrainingParamSet.insert_new_params(
        "tiny network, random weights", settings.TRAINING_PARAMS[engine]
    )
    key = {"video_set_id": 1, "paramset_idx": index, "training_id": 1}
    train.TrainingTask.insert1({**key, "project_path": project.name})
    n_files = sum(len(files) for files in settings.RECORDINGS.values())
    note(f"{len(settings.RECORDINGS)} recordings of {n_files} files")
    return key


def _recording_key(number: int) -> dict[str, Any]:
    return {**settings.SESSION, "recording_id": number}


def _register_recording(model: Any, number: int, files: list[str]) -> None:
    key = _recording_key(number)
    model.VideoRecording.insert1({**key, "device": settings.CAMERA})
    model.VideoRecording.File.insert(
        {**key, "file_id": place, "file_path": file} for place, file in enumerate(files, 1)
    )


def _analyze(model: Any, model_key: dict[str, str], folder: DemoFolder, note: Note) -> None:
    for number in settings.RECORDINGS:
        model.PoseEstimationTask.generate({**_recording_key(number), **model_key})
    note(records.check(model.PoseEstimationTask & model_key, folder))
    model.PoseEstimation.populate()
    note(f"{len(model.PoseEstimation.BodyPartPosition())} trajectories")


def _fetch_track(model: Any, number: int, film: Film, data: Path) -> Track:
    key = _recording_key(number)
    poses = model.PoseEstimation.get_trajectory(key).droplevel("scorer", axis=1)
    files = (model.RecordingInfo.File & key).fetch("first_frame", order_by="file_id")
    return Track(
        recording_id=number,
        videos=tuple(data / file for file in settings.RECORDINGS[number]),
        first_frames=tuple(int(first) for first in files),
        fps=float((model.RecordingInfo & key).fetch1("fps")),
        predicted=np.stack([poses[part][["x", "y"]] for part in synthetic.BODY_PARTS], axis=1),
        true=film.recordings[number],
    )


def _find_curve(run_directory: Path) -> Path:
    """The learning curve lies deep in the project view, under DeepLabCut's own folder names."""
    found = sorted(run_directory.rglob("learning_stats.csv"))
    return found[0] if found else run_directory / "learning_stats.csv"


def _summarize(
    engine: str,
    tracks: list[Track],
    evaluation: dict[str, Any],
    run_info: dict[str, Any],
    folder: DemoFolder,
) -> dict[str, Any]:
    error = np.concatenate([track.error for track in tracks])
    by_part = dict(zip(synthetic.BODY_PARTS, error.mean(axis=0).tolist(), strict=True))
    versions = ("element_deeplabcut", "deeplabcut", "torch", "tensorflow", "numpy", "python")
    return {
        "engine": engine,
        "mean_error_px": float(error.mean()),
        "largest_error_px": float(error.max()),
        "error_px_by_body_part": by_part,
        "train_error_px": evaluation["train_error"],
        "test_error_px": evaluation["test_error"],
        "n_recordings": len(tracks),
        "n_frames": len(error),
        _UNITS[engine]: evaluation["train_iterations"],
        "device": run_info["device"],
        "versions": {name: run_info[name] for name in versions if name in run_info},
        "pictures": [picture.name for picture in folder.pictures],
    }
