"""Project views: the private, complete-looking DeepLabCut projects that DeepLabCut gets to see.

DeepLabCut rewrites ``config.yaml`` in place whenever ``project_path`` is not its folder, rewrites
engine configs with every override, appends to shared tables, and deletes snapshots. So it is never
given the user's project: a view is a folder of the run's own, with its own ``config.yaml``, real
model and dataset folders, and links to the labelled frames. A read-only project works, and two
workers on one project never meet.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ProjectError
from ..readers.labels import LABELS_FOLDER
from ..readers.project import CONFIG_NAME, ENGINE_CONFIG, ProjectConfig, parse_project
from ..readers.yaml_files import write_yaml
from .files import make_folder


@dataclass(frozen=True)
class ProjectView:
    """A private project.

    Attributes:
        project: The view's own config, with `directory` the view's folder.
        engine: ``pytorch`` or ``tensorflow``.
        shuffle: Shuffle the view is for.
        trainingsetindex: Index of its training fraction.
        model_prefix: Folder between project and models, or ''.
        bundle_hash: Content hash of the bundle it shows, under which an engine may keep the model
            loaded; '' for a view of anything else.
    """

    project: ProjectConfig
    engine: str
    shuffle: int
    trainingsetindex: int
    model_prefix: str = ""
    bundle_hash: str = ""

    @property
    def directory(self) -> Path:
        """The view's folder."""
        return self.project.directory

    @property
    def config_file(self) -> Path:
        """The view's ``config.yaml``."""
        return self.directory / CONFIG_NAME

    @property
    def log_file(self) -> Path:
        """Where DeepLabCut's messages go: beside the view, so that they outlive it."""
        return self.directory.parent / "engine.log"

    @property
    def model_folder(self) -> Path:
        """Folder of the shuffle's ``train`` and ``test``."""
        relative = self.project.model_folder(
            self.engine, self.shuffle, self.trainingsetindex, self.model_prefix
        )
        return self.directory / relative

    @property
    def train_folder(self) -> Path:
        """Folder of engine config, snapshots and learning curve."""
        return self.model_folder / "train"

    @property
    def engine_config_file(self) -> Path:
        """The engine's own config."""
        return self.train_folder / ENGINE_CONFIG[self.engine]


def make_view(
    project: ProjectConfig,
    directory: Path,
    *,
    engine: str,
    shuffle: int,
    trainingsetindex: int,
    model_prefix: str = "",
    frames_of: Path | None = None,
    folders: Iterable[str] = (),
    settings: Mapping[str, Any] | None = None,
) -> ProjectView:
    """Create an empty view: a config of its own, and links to labelled frames.

    Args:
        project: Whose settings to take.
        directory: Existing empty folder that becomes the view.
        engine: Engine the view is for.
        shuffle: Shuffle the view is for.
        trainingsetindex: Index of its training fraction.
        model_prefix: Folder between project and models, or ''.
        frames_of: Folder of the project that holds ``labeled-data``.
        folders: Labelled-data folders to link; DeepLabCut trains on exactly these.
        settings: Entries that replace those of the project's config.
    """
    names = sorted(folders)
    if names and frames_of is not None:
        parent = make_folder(directory, LABELS_FOLDER)
        for name in names:
            (parent / name).symlink_to((frames_of / LABELS_FOLDER / name).resolve())
    settings = {**project.settings, **(settings or {})}
    settings["project_path"] = str(directory)
    # DeepLabCut finds labelled-data folders through the stems of these names; the files are
    # never opened, so they need not exist.
    settings["video_sets"] = {
        str(directory / "videos" / f"{name}.mp4"): {"crop": "0, 0, 0, 0"} for name in names
    }
    settings["engine"] = engine
    write_yaml(directory / CONFIG_NAME, settings)
    return ProjectView(
        parse_project(settings, directory), engine, shuffle, trainingsetindex, model_prefix
    )


def copy_shuffle(source: ProjectConfig, view: ProjectView) -> None:
    """Copy a shuffle that the user's project already has: dataset, split, engine config.

    Snapshots are not copied: training from scratch beside old snapshots can delete new ones.

    Raises:
        ProjectError: The project lacks one of the files.
    """
    copy_dataset(source, view)
    folder = source_model_folder(source, view)
    for relative in (f"train/{ENGINE_CONFIG[view.engine]}", "test/pose_cfg.yaml"):
        _copy(folder / relative, view.model_folder / relative, view.directory)
    optional = folder / "test" / "inference_cfg.yaml"
    if optional.is_file():
        _copy(optional, view.model_folder / "test" / optional.name, view.directory)


def source_model_folder(source: ProjectConfig, view: ProjectView) -> Path:
    """Folder of the shuffle in the user's project: below the model prefix, or else without it."""
    where = (view.engine, view.shuffle, view.trainingsetindex)
    prefixed = source.directory / source.model_folder(*where, view.model_prefix)
    plain = source.directory / source.model_folder(*where)
    return prefixed if prefixed.is_dir() else plain


def copy_dataset(source: ProjectConfig, view: ProjectView) -> None:
    """Copy the dataset and split of the view's shuffle from another project.

    Raises:
        ProjectError: The project lacks one of the files.
    """
    folder = source.directory / source.dataset_folder()
    for name in dataset_files(source, view.shuffle, view.trainingsetindex):
        _copy(folder / name, view.directory / source.dataset_folder() / name, view.directory)


def dataset_files(project: ProjectConfig, shuffle: int, trainingsetindex: int) -> list[str]:
    """Names of the files in a project's dataset folder that one shuffle needs."""
    percent = project.percent(trainingsetindex)
    stem = f"{project.task}_{project.scorer}{percent}shuffle{shuffle}"
    names = [
        f"CollectedData_{project.scorer}.h5",
        project.split_file(shuffle, trainingsetindex).name,
        f"{stem}.pickle" if project.multi_animal else f"{stem}.mat",
    ]
    folder = project.directory / project.dataset_folder()
    return names + [name for name in ("metadata.yaml",) if (folder / name).is_file()]


def _copy(source: Path, target: Path, base: Path) -> None:
    if not source.is_file():
        raise ProjectError(
            f"'{source}' is missing, so the shuffle is not complete. Create the training dataset "
            "again in DeepLabCut, or choose a shuffle number that does not exist yet."
        )
    make_folder(base, *PurePosixPath(target.parent.relative_to(base).as_posix()).parts)
    shutil.copyfile(source, target)


def remove_view(view: ProjectView) -> None:
    """Remove a view that holds no result of its own."""
    shutil.rmtree(view.directory)
