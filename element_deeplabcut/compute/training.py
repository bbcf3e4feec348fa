"""One training: from a task's plain facts to a published run directory."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engines import get_engine
from ..engines.base import Engine, Forecast, TrainingPlan
from ..errors import ProjectError
from ..linking import Roots
from ..params import PRETRAINED, RANDOM, TRAINING, engine_arguments
from ..progress import show_training
from ..readers.engine_config import drop_places
from ..readers.labels import (
    read_split,
)
from ..readers.snapshots import list_snapshots
from ..readers.yaml_files import read_yaml
from ..store.files import hash_file, hash_json, make_folder, measure_folder
from ..store.runs import Attempt, Run, RunIdentity, find_run, start_run
from ..store.views import ProjectView, copy_shuffle, make_view
from .provenance import Stopwatch, list_changes
from .resuming import is_resumable, resume
from .training_source import TrainingJob, TrainingSource, find_source

TRAININGS = "trainings"
VIEW = "project"
DEFAULT_SEED = 42
"""DeepLabCut's own default seed of a training."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves in the database.

    Attributes:
        latest_snapshot: Highest number of epochs (iterations) among the snapshots at the end.
        config_template: The project's config as it was trained with.
        run_info: Provenance, split, label set's hash and those of its frames, engine config and
            what in it was changed, best snapshot, run directory and its size, and where it was
            resumed after a stop.
    """

    latest_snapshot: int
    config_template: dict[str, Any]
    run_info: dict[str, Any]


def run_training(job: TrainingJob, roots: Roots) -> TrainingResult:
    """Train, or find the training that was finished before.

    Raises:
        ElementError: Project, labels, parameters or device do not allow it (see the subclasses);
            nothing is left behind then.
    """
    source, identity, plan = prepare_training(job, roots)
    engine = get_engine(source.engine)
    parent = make_folder(roots.processed, TRAININGS)
    run = find_run(parent, identity)
    if run is None:
        device = engine.resolve_device(job.device)
        with start_run(parent, identity, keep=is_resumable) as attempt:
            run = _train(attempt, job, source, plan, engine, device)
    return _to_result(run, source, roots)


def prepare_training(
    job: TrainingJob, roots: Roots
) -> tuple[TrainingSource, RunIdentity, TrainingPlan]:
    """Find what a training starts from, and insist that it fits together. Nothing is written.

    Raises:
        ElementError: Project, labels or parameters do not allow it.
    """
    source = find_source(job, roots)
    return (source, *_identify(job, source, roots))


def rehearse_training(
    job: TrainingJob, source: TrainingSource, plan: TrainingPlan, engine: Engine
) -> Forecast:
    """Go through all that comes before the first epoch, in a folder that is thrown away.

    Raises:
        ElementError: DeepLabCut cannot create the dataset, takes a setting amiss, or starting
            weights cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="element-deeplabcut-") as folder:
        view = _make_training_view(Path(folder), job, source)
        if not source.exists:
            engine.create_dataset(view, plan)
        return engine.rehearse(view, plan)


def _train(
    attempt: Attempt,
    job: TrainingJob,
    source: TrainingSource,
    plan: TrainingPlan,
    engine: Engine,
    device: str,
) -> Run:
    watch = Stopwatch()
    view = _make_training_view(attempt.directory, job, source)
    if not source.exists:
        engine.create_dataset(view, plan)
    untouched = _read_engine_config(view)
    versions = engine.describe(device)
    resumption = resume(attempt, view, engine, versions["deeplabcut"])
    description = " ".join(f"{name}={value}" for name, value in job.key.items())
    with show_training(
        f"Training {description}", source.engine, resumption.epochs, device
    ) as on_progress:
        engine.train(view, plan, device, on_progress, resumption.snapshot)
    outcome = {**_collect_outcome(view, source), **_compare_configs(untouched, view)}
    outcome["disk_bytes"] = measure_folder(attempt.directory)
    provenance = watch.record(engine=source.engine, device=device, versions=versions)
    return attempt.finish({**outcome, "resumed": resumption.history, "provenance": provenance})


# --- identity, view, outcome ----------------------------------------------------------------------


def _identify(
    job: TrainingJob, source: TrainingSource, roots: Roots
) -> tuple[RunIdentity, TrainingPlan]:
    params = dict(job.params)
    weights = params.get("init_weights", PRETRAINED)
    weights_hash = ""
    if weights not in (PRETRAINED, RANDOM):
        weights = roots.confine(roots.resolve(weights))
        weights_hash = _hash_weights(weights)
    settings = {
        name: value
        for name, value in source.project.settings.items()
        if name not in ("project_path", "video_sets")
    }
    inputs = {
        "params": params,
        "engine": source.engine,
        "model_prefix": job.model_prefix,
        "labels": source.labels.hash,
        "project_config": hash_json(settings),
        "engine_config": source.config_hash,
        "init_weights": weights_hash,
    }
    seed = params.get("seed", DEFAULT_SEED)
    plan = TrainingPlan(
        arguments=engine_arguments(params, source.engine, TRAINING),
        init_weights=weights,
        seed=seed,
        split_seed=params.get("split_seed", seed),
        net_type=params.get("net_type"),
        augmenter_type=params.get("augmenter_type"),
    )
    return RunIdentity("training", job.key, inputs), plan


def _hash_weights(file: Path) -> str:
    """Hash a snapshot; one of TensorFlow's files stands for all of them."""
    if file.suffix == ".pt":
        return hash_file(file)
    files = sorted(file.parent.glob(f"{glob.escape(file.stem)}.*"))
    return hash_json({other.name: hash_file(other) for other in files if other.is_file()})


def _make_training_view(folder: Path, job: TrainingJob, source: TrainingSource) -> ProjectView:
    view = make_view(
        source.project,
        make_folder(folder, VIEW),
        engine=source.engine,
        shuffle=job.params["shuffle"],
        trainingsetindex=job.params["trainingsetindex"],
        model_prefix=job.model_prefix,
        frames_of=source.project.directory,
        folders=source.folders,
    )
    if source.exists:
        copy_shuffle(source.project, view)
    return view


def _collect_outcome(view: ProjectView, source: TrainingSource) -> dict[str, Any]:
    snapshots = list_snapshots(view.train_folder, view.engine)
    if not snapshots:
        raise ProjectError(
            "The training ended without a snapshot. Train for longer, or save more often."
        )
    split = read_split(
        view.directory / view.project.split_file(view.shuffle, view.trainingsetindex)
    )
    return {
        "latest_snapshot": max(snapshot.epochs for snapshot in snapshots),
        "snapshots": [snapshot.path.name for snapshot in snapshots],
        "best_snapshot": snapshots[-1].path.name,
        "split": {"train": split.train, "test": split.test},
        "labels_hash": source.labels.hash,
        "labelled_frames": source.labels.frames,
        "labelled_folders": source.folders,
        "shuffle": view.shuffle,
        "trainingsetindex": view.trainingsetindex,
        "model_prefix": view.model_prefix,
    }


def _read_engine_config(view: ProjectView) -> dict[str, Any]:
    return drop_places(read_yaml(view.engine_config_file, is_ours=True), view.engine)


def _compare_configs(untouched: Mapping[str, Any], view: ProjectView) -> dict[str, Any]:
    """Keep the engine config, and what differs from the one DeepLabCut (or the user) wrote."""
    config = _read_engine_config(view)
    return {"engine_config": config, "engine_config_changes": list_changes(untouched, config)}


def _to_result(run: Run, source: TrainingSource, roots: Roots) -> TrainingResult:
    facts = dict(run.result)
    provenance = facts.pop("provenance")
    settings = {**source.project.settings, "project_path": "", "video_sets": {}}
    run_info = {
        **provenance,
        **facts,
        "run_directory": run.directory.relative_to(roots.processed).as_posix(),
        "project_path": roots.relativize(source.project.directory),
    }
    return TrainingResult(int(facts["latest_snapshot"]), settings, run_info)
