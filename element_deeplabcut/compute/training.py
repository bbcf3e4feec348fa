"""One training: from a task's plain facts to a published run directory."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..engines import get_engine
from ..engines.base import Engine, TrainingPlan
from ..errors import ParameterError, PathError, ProjectError
from ..linking import Roots, check_relative
from ..params import PRETRAINED, RANDOM, TRAINING, check_engine_honours, engine_arguments
from ..progress import show_training
from ..readers.engine_config import check_engine_config, drop_places
from ..readers.labels import (
    LABELS_FOLDER,
    LabelSet,
    check_body_parts,
    check_split,
    hash_labels,
    labels_file,
    list_labelled_folders,
    read_labels,
    read_split,
)
from ..readers.project import (
    CONFIG_NAME,
    ProjectConfig,
    read_project,
    read_shuffle_engine,
)
from ..readers.snapshots import list_snapshots
from ..readers.yaml_files import read_yaml
from ..store.files import hash_file, hash_json, make_folder
from ..store.runs import Attempt, Run, RunIdentity, find_run, start_run
from ..store.views import ProjectView, copy_shuffle, make_view, source_model_folder
from .provenance import Stopwatch
from .resuming import is_resumable, resume

TRAININGS = "trainings"
VIEW = "project"
DEFAULT_SEED = 42
"""DeepLabCut's own default seed of a training."""


@dataclass(frozen=True)
class TrainingJob:
    """What the database says of a training.

    Attributes:
        key: Primary key of the training task.
        params: Checked training parameters.
        project_path: Project relative to a root, or '' for the one that holds the files.
        model_prefix: DeepLabCut's model prefix, or ''.
        files: File paths of the video set, relative to a root.
        device: Wish of this populate call, or None.
    """

    key: Mapping[str, Any]
    params: Mapping[str, Any]
    project_path: str
    model_prefix: str
    files: tuple[str, ...]
    device: str | None = None


@dataclass(frozen=True)
class TrainingResult:
    """What a training leaves in the database.

    Attributes:
        latest_snapshot: Highest number of epochs (iterations) among the snapshots at the end.
        config_template: The project's config as it was trained with.
        run_info: Provenance, split, label set's hash, best snapshot, run directory, and where it
            was resumed after a stop.
    """

    latest_snapshot: int
    config_template: dict[str, Any]
    run_info: dict[str, Any]


@dataclass(frozen=True)
class _Source:
    """Where a training starts from."""

    project: ProjectConfig
    folders: tuple[str, ...]
    engine: str
    exists: bool  # the project has this shuffle already
    labels_hash: str
    config_hash: str


def run_training(job: TrainingJob, roots: Roots) -> TrainingResult:
    """Train, or find the training that was finished before.

    Raises:
        ElementError: Project, labels, parameters or device do not allow it (see the subclasses);
            nothing is left behind then.
    """
    source = _find_source(job, roots)
    engine = get_engine(source.engine)
    identity, plan = _identify(job, source, roots)
    parent = make_folder(roots.processed, TRAININGS)
    run = find_run(parent, identity)
    if run is None:
        device = engine.resolve_device(job.device)
        with start_run(parent, identity, keep=is_resumable) as attempt:
            run = _train(attempt, job, source, plan, engine, device)
    return _to_result(run, source, roots)


def _train(
    attempt: Attempt,
    job: TrainingJob,
    source: _Source,
    plan: TrainingPlan,
    engine: Engine,
    device: str,
) -> Run:
    watch = Stopwatch()
    view = _make_training_view(attempt, job, source)
    if not source.exists:
        engine.create_dataset(view, plan)
    versions = engine.describe(device)
    resumption = resume(attempt, view, engine, versions["deeplabcut"])
    description = " ".join(f"{name}={value}" for name, value in job.key.items())
    with show_training(
        f"Training {description}", source.engine, resumption.epochs, device
    ) as on_progress:
        engine.train(view, plan, device, on_progress, resumption.snapshot)
    outcome = _collect_outcome(view, source)
    provenance = watch.record(engine=source.engine, device=device, versions=versions)
    return attempt.finish({**outcome, "resumed": resumption.history, "provenance": provenance})


# --- where it starts from -------------------------------------------------------------------------


def _find_source(job: TrainingJob, roots: Roots) -> _Source:
    project = locate_project(job.project_path, job.files, roots)
    if job.model_prefix:
        check_relative(job.model_prefix)
    if project.multi_animal:
        raise ProjectError(
            f"'{project.directory}' is a multi-animal project; this version trains single-animal "
            "projects only."
        )
    shuffle, index = job.params["shuffle"], job.params["trainingsetindex"]
    folders = select_folders(project, job.files, roots)
    recorded = read_shuffle_engine(project, shuffle, index, job.model_prefix)
    engine = _choose_engine(job.params, project, recorded)
    check_engine_honours(job.params, engine)
    if recorded is None:
        labels_hash = hash_json({name: _hash_folder(project, name) for name in folders})
        return _Source(project, folders, engine, False, labels_hash, "")
    labels = _read_existing(project, shuffle, index)
    _check_folders(job, labels, folders, project)
    view = ProjectView(project, engine, shuffle, index, job.model_prefix)
    engine_config_file = source_model_folder(project, view) / "train" / view.engine_config_file.name
    engine_config = read_yaml(engine_config_file)
    if engine == "pytorch":  # of TensorFlow's, every path is replaced
        check_engine_config(engine_config, engine_config_file, roots.confine)
    _check_network(job.params, engine_config, project)
    return _Source(
        project,
        tuple(sorted(labels.folders)),
        engine,
        True,
        hash_labels(labels, project.directory),
        hash_json(drop_places(engine_config, engine)),
    )


def locate_project(project_path: str, files: tuple[str, ...], roots: Roots) -> ProjectConfig:
    """Find the project a training is about.

    Args:
        project_path: Its folder relative to a root, or '' for the one that holds the files.
        files: File paths of the video set, relative to a root.
        roots: The lab's directories.

    Raises:
        ProjectError: There is none, or the files lie in several.
        PathError: A path does not exist or leaves the roots.
    """
    if project_path:
        return read_project(roots.resolve(project_path))
    if not files:
        raise ProjectError(
            "The training task names no project_path and its video set no files. Give one of the "
            "two."
        )
    found = {_project_above(file, roots) for file in files}
    folder = next(iter(found)) if len(found) == 1 else None
    if folder is None:
        names = ", ".join(sorted(str(folder) for folder in found if folder)) or "none"
        raise ProjectError(
            f"The files of the video set do not lie in exactly one DeepLabCut project (found: "
            f"{names}). Set TrainingTask.project_path."
        )
    return read_project(folder)


def _project_above(file: str, roots: Roots) -> Path | None:
    for folder in PurePosixPath(file).parents:
        if str(folder) == ".":
            return None
        try:
            path = roots.resolve(str(folder))
        except PathError:
            continue
        if (path / CONFIG_NAME).is_file():
            return path
    return None


def select_folders(project: ProjectConfig, files: tuple[str, ...], roots: Roots) -> tuple[str, ...]:
    """Name the labelled-data folders a video set stands for; no files stand for all of them.

    Raises:
        ProjectError: One has no labels, or the project has none at all.
    """
    labelled = list_labelled_folders(project)
    if not labelled:
        raise ProjectError(
            f"'{project.directory / LABELS_FOLDER}' holds no labels of '{project.scorer}'. Label "
            "frames in DeepLabCut first."
        )
    wanted = sorted({_folder_of(file, project, roots) for file in files}) or list(labelled)
    for name in wanted:
        if name not in labelled:
            raise ProjectError(
                f"The video set names '{name}', which has no labels: "
                f"'{labels_file(project, name)}' does not exist. Label it in DeepLabCut, or take "
                f"the file out of the video set. Labelled are: {', '.join(labelled)}."
            )
    return tuple(wanted)


def _folder_of(file: str, project: ProjectConfig, roots: Roots) -> str:
    path = roots.resolve(file)
    parent = project.directory / LABELS_FOLDER
    return path.relative_to(parent).parts[0] if path.is_relative_to(parent) else path.stem


def _choose_engine(params: Mapping[str, Any], project: ProjectConfig, recorded: str | None) -> str:
    wanted = params.get("engine")
    if recorded and wanted and wanted != recorded:
        raise ParameterError(
            f"Shuffle {params['shuffle']} of '{project.directory}' was made for the {recorded} "
            f"engine, and the parameters ask for {wanted}. Choose a shuffle number that does not "
            "exist yet, or leave out 'engine'."
        )
    return recorded or wanted or str(project.settings.get("engine") or "pytorch").lower()


def _read_existing(project: ProjectConfig, shuffle: int, index: int) -> LabelSet:
    file = project.directory / project.split_file(shuffle, index)
    dataset = project.directory / project.dataset_folder() / f"CollectedData_{project.scorer}.h5"
    labels = read_labels(dataset)
    check_body_parts(labels, project, dataset)
    check_split(read_split(file), labels, file)
    return labels


def _check_folders(
    job: TrainingJob, labels: LabelSet, folders: tuple[str, ...], project: ProjectConfig
) -> None:
    """A video set means exactly its folders; an existing shuffle may hold others."""
    if job.files and labels.folders != frozenset(folders):
        raise ProjectError(
            f"Shuffle {job.params['shuffle']} of '{project.directory}' was made from the labels of "
            f"{', '.join(sorted(labels.folders))}; the video set stands for {', '.join(folders)}. "
            "Choose a shuffle number that does not exist yet, or a video set of the same folders."
        )


def _check_network(
    params: Mapping[str, Any], engine_config: Mapping[str, Any], project: ProjectConfig
) -> None:
    wanted, given = params.get("net_type"), engine_config.get("net_type")
    if wanted and wanted != given:
        raise ParameterError(
            f"Shuffle {params['shuffle']} of '{project.directory}' has the network {given}, and "
            f"the parameters ask for {wanted}. Choose a shuffle number that does not exist yet."
        )


def _hash_folder(project: ProjectConfig, name: str) -> str:
    file = labels_file(project, name)
    labels = read_labels(file)
    check_body_parts(labels, project, file)
    return hash_labels(labels, project.directory)


# --- identity, view, outcome ----------------------------------------------------------------------


def _identify(job: TrainingJob, source: _Source, roots: Roots) -> tuple[RunIdentity, TrainingPlan]:
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
        "labels": source.labels_hash,
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


def _make_training_view(attempt: Attempt, job: TrainingJob, source: _Source) -> ProjectView:
    view = make_view(
        source.project,
        make_folder(attempt.directory, VIEW),
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


def _collect_outcome(view: ProjectView, source: _Source) -> dict[str, Any]:
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
        "labels_hash": source.labels_hash,
        "labelled_folders": source.folders,
        "shuffle": view.shuffle,
        "trainingsetindex": view.trainingsetindex,
        "model_prefix": view.model_prefix,
    }


def _to_result(run: Run, source: _Source, roots: Roots) -> TrainingResult:
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
