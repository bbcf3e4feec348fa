"""What a training starts from: project, labels, and the shuffle where it exists already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ParameterError, PathError, ProjectError
from ..linking import Roots, check_relative
from ..params import check_engine_honours
from ..readers.engine_config import check_engine_config, drop_places
from ..readers.labels import (
    LABELS_FOLDER,
    LabelDigest,
    LabelSet,
    check_body_parts,
    check_split,
    digest_labels,
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
from ..readers.yaml_files import read_yaml
from ..store.files import hash_json
from ..store.views import ProjectView, source_model_folder


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
class TrainingSource:
    """Where a training starts from.

    Attributes:
        project: The project.
        folders: Its labelled-data folders that are trained on.
        engine: Engine.
        exists: Whether the project has this shuffle already.
        labels: Hashes of the labels.
        config_hash: Hash of the shuffle's engine config, or '' if it does not exist.
    """

    project: ProjectConfig
    folders: tuple[str, ...]
    engine: str
    exists: bool
    labels: LabelDigest
    config_hash: str


def find_source(job: TrainingJob, roots: Roots) -> TrainingSource:
    """Find what a training starts from, and insist that it fits together.

    Raises:
        ElementError: Project, labels or parameters do not allow it.
    """
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
        return TrainingSource(
            project, folders, engine, False, _digest_folders(project, folders), ""
        )
    labels = _read_existing(project, shuffle, index)
    _check_folders(job, labels, folders, project)
    view = ProjectView(project, engine, shuffle, index, job.model_prefix)
    engine_config_file = source_model_folder(project, view) / "train" / view.engine_config_file.name
    engine_config = read_yaml(engine_config_file)
    if engine == "pytorch":  # of TensorFlow's, every path is replaced
        check_engine_config(engine_config, engine_config_file, roots.confine)
    _check_network(job.params, engine_config, project)
    return TrainingSource(
        project,
        tuple(sorted(labels.folders)),
        engine,
        True,
        digest_labels(labels, project.directory),
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


def _digest_folders(project: ProjectConfig, folders: tuple[str, ...]) -> LabelDigest:
    digests = {}
    for name in folders:
        file = labels_file(project, name)
        labels = read_labels(file)
        check_body_parts(labels, project, file)
        digests[name] = digest_labels(labels, project.directory)
    frames = {image: pair for digest in digests.values() for image, pair in digest.frames.items()}
    return LabelDigest(hash_json({name: digest.hash for name, digest in digests.items()}), frames)
