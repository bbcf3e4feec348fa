"""The model store: self-contained, immutable copies of trained models, named by their content.

A bundle is a minimal DeepLabCut project holding what inference and evaluation need: the config, the
engine config, ``test/pose_cfg.yaml``, one snapshot, and the label table and split where they were
there. Its name is the hash of all of it, so the same model registered twice, or from a moved copy
of its project, is the same bundle, and a damaged one is noticed before it is used. Paths of the
machine it came from are left out.

DeepLabCut deletes old snapshots and rewrites engine configs in the project; the bundle does not
change with it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, ProjectError
from ..readers.labels import LABELS_FOLDER, read_labels
from ..readers.project import (
    CONFIG_NAME,
    ENGINE_CONFIG,
    ProjectConfig,
    parse_project,
    read_shuffle_engine,
    read_yaml,
)
from ..readers.snapshots import pytorch_scorer, select_snapshot
from .files import (
    attempt_folder,
    find_changed,
    fingerprint,
    hash_json,
    make_folder,
    publish,
    write_new,
)
from .views import ProjectView, dataset_files, make_view, write_yaml

MODELS = "models"
BUNDLE = "bundle.json"
_FORMAT = 1


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle says of its model.

    Attributes:
        engine: ``pytorch`` or ``tensorflow``.
        shuffle: Shuffle it was trained on.
        trainingsetindex: Index of its training fraction.
        model_prefix: DeepLabCut's model prefix, or ''.
        snapshot: File name of the snapshot, for instance ``snapshot-best-010.pt``.
        train_iterations: Epochs the snapshot was trained for.
        scorer: DeepLabCut's name for this model in its results.
        has_labels: Whether the label table and split came along, so it can be evaluated.
    """

    engine: str
    shuffle: int
    trainingsetindex: int
    model_prefix: str
    snapshot: str
    train_iterations: int
    scorer: str
    has_labels: bool


@dataclass(frozen=True)
class Bundle:
    """A model in the store.

    Attributes:
        directory: Its folder.
        hash: Name and content hash, 64 hex digits.
        project: The config it holds.
        facts: What it says of its model.
    """

    directory: Path
    hash: str
    project: ProjectConfig
    facts: BundleFacts


def build_bundle(
    source: ProjectConfig,
    store: Path,
    *,
    shuffle: int,
    trainingsetindex: int,
    snapshotindex: int | None = None,
    model_prefix: str = "",
    settings: Mapping[str, Any] | None = None,
) -> Bundle:
    """Copy a trained model into the store.

    Args:
        source: Project (the user's, or a training's run directory) that holds the model.
        store: Processed directory of the lab.
        shuffle: Shuffle to take.
        trainingsetindex: Index of its training fraction.
        snapshotindex: Which snapshot; None takes the config's.
        model_prefix: DeepLabCut's model prefix, or ''.
        settings: Entries that replace those of the config, for instance ``pcutoff``.

    Returns:
        The bundle, which may have been there before.

    Raises:
        ProjectError: The project lacks the shuffle or one of its files.
        ModelError: It has no such snapshot, or loading it could run code.
    """
    engine = read_shuffle_engine(source, shuffle, trainingsetindex)
    merged = _drop_paths({**source.settings, **(settings or {})})
    project = parse_project(merged, source.directory)
    folder = source.directory / project.model_folder(
        engine or "pytorch", shuffle, trainingsetindex, model_prefix
    )
    if engine is None or not folder.is_dir():
        raise ProjectError(
            f"The project '{source.directory}' has no trained shuffle {shuffle} with "
            f"trainingsetindex {trainingsetindex}: '{folder}' is not there."
        )
    if engine != "pytorch":
        raise ModelError(f"Models of the {engine} engine cannot be registered yet.")
    index = project.snapshotindex if snapshotindex is None else snapshotindex
    snapshot = select_snapshot(folder / "train", index)
    engine_config = read_yaml(folder / "train" / ENGINE_CONFIG[engine])
    facts = BundleFacts(
        engine=engine,
        shuffle=shuffle,
        trainingsetindex=trainingsetindex,
        model_prefix=model_prefix,
        snapshot=snapshot.path.name,
        train_iterations=snapshot.epochs,
        scorer=pytorch_scorer(
            str(engine_config["net_type"]), project.task, project.date, shuffle, snapshot
        ),
        has_labels=_has_labels(source, shuffle, trainingsetindex),
    )
    check_safe_to_load(engine_config, folder / "train" / ENGINE_CONFIG[engine])
    with attempt_folder(make_folder(store, MODELS), "bundle") as attempt:
        _fill(attempt, source, merged, engine_config, snapshot.path, folder, facts)
        return _store(attempt, store, asdict(facts))


def check_safe_to_load(engine_config: Mapping[str, Any], file: Path) -> None:
    """Refuse an engine config that asks torch to run code stored in a snapshot.

    Raises:
        ModelError: ``runner.load_weights_only`` is false.
    """
    if (engine_config.get("runner") or {}).get("load_weights_only") is False:
        raise ModelError(
            f"'{file}' sets runner.load_weights_only: false, which lets a snapshot run code when "
            "it is loaded. Remove the entry."
        )


def _drop_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    # What names a machine or does not concern the model must not change the bundle's hash.
    return {**settings, "project_path": "", "video_sets": {}}


def _has_labels(source: ProjectConfig, shuffle: int, trainingsetindex: int) -> bool:
    folder = source.directory / source.dataset_folder()
    names = dataset_files(source, shuffle, trainingsetindex)
    return all((folder / name).is_file() for name in names)


def _fill(
    attempt: Path,
    source: ProjectConfig,
    settings: Mapping[str, Any],
    engine_config: dict[str, Any],
    snapshot: Path,
    folder: Path,
    facts: BundleFacts,
) -> None:
    write_yaml(attempt / CONFIG_NAME, settings)
    project = parse_project(settings, attempt)
    view = ProjectView(
        project, facts.engine, facts.shuffle, facts.trainingsetindex, facts.model_prefix
    )
    parts = view.model_folder.relative_to(attempt).parts
    train, test = make_folder(attempt, *parts, "train"), make_folder(attempt, *parts, "test")
    # The engine config records where it once lay; DeepLabCut does not need it.
    metadata = {**engine_config.get("metadata", {}), "project_path": "", "pose_config_path": ""}
    write_yaml(
        train / ENGINE_CONFIG[facts.engine],
        {**engine_config, "metadata": metadata, "resume_training_from": None},
    )
    pose_config = read_yaml(folder / "test" / "pose_cfg.yaml")
    write_yaml(test / "pose_cfg.yaml", {**pose_config, "dataset": ""})
    shutil.copyfile(snapshot, train / facts.snapshot)
    if facts.has_labels:
        dataset = make_folder(attempt, *project.dataset_folder().parts)
        for name in dataset_files(source, facts.shuffle, facts.trainingsetindex):
            if name != "metadata.yaml":  # it lists other shuffles, which come and go
                shutil.copyfile(source.directory / source.dataset_folder() / name, dataset / name)


def _store(attempt: Path, store: Path, facts: dict[str, Any]) -> Bundle:
    files = fingerprint(attempt)
    name = hash_json({"facts": facts, "files": files})
    content = {"format": _FORMAT, "facts": facts, "files": files}
    write_new(attempt / BUNDLE, json.dumps(content, indent=1, sort_keys=True))
    for file in attempt.rglob("*"):
        if file.is_file():
            os.chmod(file, 0o444)
    publish(attempt, store / MODELS / name)
    return open_bundle(store, name)


def open_bundle(store: Path, name: str) -> Bundle:
    """Open a registered model and check that it is what was registered.

    Raises:
        ModelError: It is missing, or any file of it is not what it was.
    """
    folder = store / MODELS / name
    where = f"The model bundle '{folder}'"
    try:
        content = json.loads((folder / BUNDLE).read_text(encoding="utf-8"))
        facts, files = content["facts"], content["files"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{where} is missing or damaged ({error}). Restore it from a backup of the processed "
            "directory, or register the model again under another name."
        ) from error
    changed = find_changed(folder, files)
    if changed or hash_json({"facts": facts, "files": files}) != name:
        raise ModelError(
            f"{where} is damaged: {', '.join(changed) or BUNDLE} changed since the model was "
            "registered. Restore it from a backup, or register the model again."
        )
    project = parse_project(read_yaml(folder / CONFIG_NAME), folder)
    return Bundle(folder, name, project, BundleFacts(**facts))


def make_bundle_view(bundle: Bundle, directory: Path, frames_of: Path | None = None) -> ProjectView:
    """Give DeepLabCut a view of a bundle to work in.

    Small files are copied, because DeepLabCut may rewrite them; the snapshot is linked.

    Args:
        bundle: The model.
        directory: Existing empty folder that becomes the view.
        frames_of: Project that holds the labelled frames, for an evaluation.
    """
    facts = bundle.facts
    labels = bundle.directory / bundle.project.dataset_folder()
    folders: frozenset[str] = frozenset()
    if frames_of is not None:
        folders = read_labels(labels / f"CollectedData_{bundle.project.scorer}.h5").folders
    view = make_view(
        bundle.project,
        directory,
        engine=facts.engine,
        shuffle=facts.shuffle,
        trainingsetindex=facts.trainingsetindex,
        model_prefix=facts.model_prefix,
        frames_of=frames_of,
        folders=folders,
    )
    for file in sorted(bundle.directory.rglob("*")):
        relative = file.relative_to(bundle.directory)
        is_top = len(relative.parts) == 1  # config.yaml and bundle.json: the view has its own
        if not file.is_file() or is_top or relative.parts[0] == LABELS_FOLDER:
            continue
        target = make_folder(directory, *relative.parent.parts) / file.name
        if file.name == facts.snapshot:
            target.symlink_to(file.resolve())
        else:
            shutil.copyfile(file, target)
    return view
