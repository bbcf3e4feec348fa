"""The model store: self-contained, immutable copies of trained models, named by their content.

A bundle is a minimal DeepLabCut project holding what inference and evaluation need: the config, the
engine config, ``test/pose_cfg.yaml``, one snapshot (three files with TensorFlow; the detector's too
for a top-down model), and the label table and split where they were there. Its name is the hash of
all of it, so the same model registered twice, or from a moved copy of its project, is the same
bundle, and a damaged one is noticed before it is used. Paths of the machine it came from are left
out.

DeepLabCut deletes old snapshots and rewrites engine configs in the project; the bundle does not
change with it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ..errors import ModelError, ProjectError
from ..readers.engine_config import check_loads_safely, drop_places
from ..readers.labels import LABELS_FOLDER, read_labels
from ..readers.project import (
    CONFIG_NAME,
    ENGINE_CONFIG,
    ProjectConfig,
    parse_project,
    read_shuffle_engine,
)
from ..readers.snapshots import (
    DETECTOR,
    Snapshot,
    pytorch_scorer,
    select_snapshot,
    tensorflow_scorer,
)
from ..readers.yaml_files import read_yaml, write_yaml
from .files import (
    attempt_folder,
    claim,
    find_changed,
    fingerprint,
    hash_json,
    list_files,
    make_folder,
    mark_used,
    publish,
    write_new,
)
from .views import ProjectView, dataset_files, make_view

MODELS = "models"
BUNDLE = "bundle.json"
_FORMAT = 1
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BundleFacts:
    """What a bundle says of its model.

    Attributes:
        engine: ``pytorch`` or ``tensorflow``.
        shuffle: Shuffle it was trained on.
        trainingsetindex: Index of its training fraction.
        model_prefix: DeepLabCut's model prefix, or ''.
        snapshot: File name of the snapshot, for instance ``snapshot-best-010.pt``; with TensorFlow
            what its three files have in common, ``snapshot-1030000``.
        train_iterations: Epochs (iterations with TensorFlow) the snapshot was trained for.
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
    found = find_model(
        source,
        shuffle=shuffle,
        trainingsetindex=trainingsetindex,
        snapshotindex=snapshotindex,
        model_prefix=model_prefix,
        settings=settings,
    )
    with attempt_folder(make_folder(store, MODELS), "bundle") as attempt:
        _fill(attempt, *found)
        return _store(attempt, store, asdict(found.facts))


class FoundModel(NamedTuple):
    """A trained model where it was trained, complete and safe to load; the arguments of `_fill`."""

    project: ProjectConfig
    engine_config: dict[str, Any]
    weights: list[Path]
    folder: Path
    facts: BundleFacts


def find_model(
    source: ProjectConfig,
    *,
    shuffle: int,
    trainingsetindex: int,
    snapshotindex: int | None = None,
    model_prefix: str = "",
    settings: Mapping[str, Any] | None = None,
) -> FoundModel:
    """Find a trained model as `build_bundle` would copy it, and check it; nothing is written.

    Raises:
        ProjectError: The project lacks the shuffle or one of its files.
        ModelError: It has no such snapshot, or loading it could run code.
    """
    merged = _drop_paths({**source.settings, **(settings or {})})
    project = parse_project(merged, source.directory)
    engine = read_shuffle_engine(project, shuffle, trainingsetindex, model_prefix)
    folder = source.directory / project.model_folder(
        engine or "pytorch", shuffle, trainingsetindex, model_prefix
    )
    if engine is None or not folder.is_dir():
        raise ProjectError(
            f"The project '{source.directory}' has no trained shuffle {shuffle} with "
            f"trainingsetindex {trainingsetindex}: '{folder}' is not there."
        )
    index = project.snapshotindex if snapshotindex is None else snapshotindex
    snapshot = select_snapshot(folder / "train", index, engine)
    engine_config = read_yaml(folder / "train" / ENGINE_CONFIG[engine])
    detector = _select_detector(folder / "train", engine_config, project)
    facts = BundleFacts(
        engine=engine,
        shuffle=shuffle,
        trainingsetindex=trainingsetindex,
        model_prefix=model_prefix,
        snapshot=snapshot.path.name,
        train_iterations=snapshot.epochs,
        scorer=_name_scorer(engine, engine_config, project, shuffle, snapshot, detector),
        has_labels=_has_labels(project, shuffle, trainingsetindex),
    )
    check_loads_safely(engine_config, folder / "train" / ENGINE_CONFIG[engine])
    weights = [*snapshot.files, *(detector.files if detector else ())]
    return FoundModel(project, engine_config, weights, folder, facts)


def _select_detector(
    train_folder: Path, engine_config: Mapping[str, Any], project: ProjectConfig
) -> Snapshot | None:
    """Choose the detector as DeepLabCut does: only top-down models have one, and not all."""
    if str(engine_config.get("method", "")).lower() != "td":
        return None
    index = project.settings.get("detector_snapshotindex", -1)
    index = -1 if index in ("all", None) else int(index)
    try:
        return select_snapshot(train_folder, index, prefix=DETECTOR)
    except ModelError:
        return None


def _name_scorer(
    engine: str,
    engine_config: Mapping[str, Any],
    project: ProjectConfig,
    shuffle: int,
    snapshot: Snapshot,
    detector: Snapshot | None,
) -> str:
    task, date = project.task, project.date
    if engine == "tensorflow":
        return tensorflow_scorer(engine_config, task, date, shuffle, snapshot.epochs)
    net_type = engine_config.get("net_type")
    if not net_type:
        raise ModelError(
            f"'{ENGINE_CONFIG[engine]}' of shuffle {shuffle} names no net_type, so DeepLabCut "
            "cannot build its network. Restore the file, or train the shuffle again."
        )
    net_type = str(net_type)
    return pytorch_scorer(net_type, task, date, shuffle, snapshot, detector)


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
    engine_config: dict[str, Any],
    weights: list[Path],
    folder: Path,
    facts: BundleFacts,
) -> None:
    write_yaml(attempt / CONFIG_NAME, source.settings)
    project = parse_project(source.settings, attempt)
    view = ProjectView(
        project, facts.engine, facts.shuffle, facts.trainingsetindex, facts.model_prefix
    )
    parts = view.model_folder.relative_to(attempt).parts
    train, test = make_folder(attempt, *parts, "train"), make_folder(attempt, *parts, "test")
    write_yaml(train / ENGINE_CONFIG[facts.engine], _drop_origins(engine_config, facts.engine))
    pose_config = {**read_yaml(folder / "test" / "pose_cfg.yaml"), "dataset": ""}
    if facts.engine == "tensorflow":
        pose_config["init_weights"] = ""
    write_yaml(test / "pose_cfg.yaml", pose_config)
    tracking = folder / "test" / "inference_cfg.yaml"
    if project.multi_animal and tracking.is_file():
        write_yaml(test / tracking.name, read_yaml(tracking))
    for file in weights:
        shutil.copyfile(file, train / file.name)
    if facts.has_labels:
        dataset = make_folder(attempt, *project.dataset_folder().parts)
        for name in dataset_files(source, facts.shuffle, facts.trainingsetindex):
            if name != "metadata.yaml":  # it lists other shuffles, which come and go
                shutil.copyfile(source.directory / source.dataset_folder() / name, dataset / name)


def _drop_origins(engine_config: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """Leave out where the config lay, and which weights the training began with."""
    config = drop_places(engine_config, engine)
    if engine == "tensorflow":
        return config
    training = dict(config.get("train_settings") or {})
    if (training.get("weight_init") or {}).get("memory_replay"):
        raise ModelError(
            "The model was fine-tuned from a SuperAnimal with memory replay, which this version "
            "cannot run. Analyze with DeepLabCut, and load the result."
        )
    training["weight_init"] = None
    return {**config, "train_settings": training, "resume_training_from": None}


def _store(attempt: Path, store: Path, facts: dict[str, Any]) -> Bundle:
    files = fingerprint(attempt)
    name = hash_json({"facts": facts, "files": files})
    content = {"format": _FORMAT, "facts": facts, "files": files}
    write_new(attempt / BUNDLE, json.dumps(content, indent=1, sort_keys=True))
    for file in attempt.rglob("*"):
        if file.is_file():
            os.chmod(file, 0o444)
    if not publish(attempt, store / MODELS / name):
        if claim(store / MODELS / name):  # until a row names it
            _set_damaged_aside(store, name)
        publish(attempt, store / MODELS / name)
    return open_bundle(store, name)


def _set_damaged_aside(store: Path, name: str) -> None:
    """Make way for a good copy of a bundle that was damaged since it was registered."""
    try:
        open_bundle(store, name)
    except ModelError:
        damaged = make_folder(store, MODELS, ".damaged") / f"{name}.{uuid.uuid4().hex[:8]}"
        mark_used(store / MODELS / name)  # its days aside are counted from now on
        (store / MODELS / name).rename(damaged)
        logger.warning("The damaged model bundle '%s' was replaced; it is now '%s'.", name, damaged)


def open_bundle(store: Path, name: str, *, with_weights: bool = True) -> Bundle:
    """Open a registered model and check that it is what was registered.

    Args:
        store: The processed directory.
        name: Hash of the bundle.
        with_weights: Whether the weights are hashed too, which is nearly all of the work; not for
            who only wants its config or labels.

    Raises:
        ModelError: It is missing, or any file of it is not what it was.
    """
    folder = store / MODELS / name
    where = f"The model bundle '{folder}'"
    try:
        content = json.loads((folder / BUNDLE).read_text(encoding="utf-8"))
        facts, files = content["facts"], content["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{where} is missing or damaged ({error}). Restore it from a backup of the processed "
            "directory, or register the model again under another name."
        ) from error
    planted = set(list_files(folder)) - {*files, BUNDLE}
    read = {path: hash for path, hash in files.items() if with_weights or not _is_weights(path)}
    changed = [*find_changed(folder, read), *sorted(planted)]
    if changed or hash_json({"facts": facts, "files": files}) != name:
        raise ModelError(
            f"{where} is damaged: {', '.join(changed) or BUNDLE} changed since the model was "
            "registered. Restore it from a backup, or register the model again."
        )
    project = parse_project(read_yaml(folder / CONFIG_NAME, is_ours=True), folder)
    return Bundle(folder, name, project, BundleFacts(**facts))


def _is_weights(path: str) -> bool:
    """Whether a file of a bundle, by its POSIX path, holds weights."""
    file = PurePosixPath(path)
    return file.parent.name == "train" and file.suffix != ".yaml"


def recognize_bundle(folder: Path) -> frozenset[str] | None:
    """Say which files a bundle was stored with, from its name and ``bundle.json`` alone.

    Returns:
        POSIX paths, that of ``bundle.json`` included; None for anything that is not a bundle under
        its own name.
    """
    file = folder / BUNDLE
    try:
        content = {} if file.is_symlink() else json.loads(file.read_text(encoding="utf-8"))
        facts, files = content["facts"], content["files"]
        BundleFacts(**facts)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    is_named = hash_json({"facts": facts, "files": files}) == folder.name
    return frozenset({*files, BUNDLE}) if is_named else None


def check_single_animal(bundle: Bundle) -> None:
    """Insist that this package can run a model, not only load what DeepLabCut made with it.

    Raises:
        ModelError: It is of a multi-animal project.
    """
    if bundle.project.multi_animal:
        raise ModelError(
            "The model is of a multi-animal project. This version runs single-animal models; "
            "analyze and track the video with DeepLabCut, then load the result with task_mode "
            "'load'."
        )


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
        # The view holds one snapshot, and what is cropped is said by arguments: DeepLabCut would
        # apply the config's crop even where the task switched it off.
        settings={"snapshotindex": -1, "cropping": False},
    )
    for file in sorted(bundle.directory.rglob("*")):
        relative = file.relative_to(bundle.directory)
        is_top = len(relative.parts) == 1  # config.yaml and bundle.json: the view has its own
        if not file.is_file() or is_top or relative.parts[0] == LABELS_FOLDER:
            continue
        target = make_folder(directory, *relative.parent.parts) / file.name
        if file.name.startswith("snapshot-"):
            target.symlink_to(file.resolve())
        else:
            shutil.copyfile(file, target)
    return replace(view, bundle_hash=bundle.hash)
