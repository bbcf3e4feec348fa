"""From a DeepLabCut project to the files of a video set."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import ParameterError, ProjectError
from ..linking import Roots
from ..readers.labels import LABELS_FOLDER, labels_file, list_labelled_folders
from ..readers.project import read_project


def list_label_files(
    config: str | os.PathLike[str], folders: Sequence[str] | None, roots: Roots
) -> tuple[str, ...]:
    """Name the label tables of a project's labelled-data folders.

    The tables stand for their folders because they are there whenever there is something to train
    on; the videos that the frames were taken from often are not.

    Args:
        config: The project's config.yaml or folder, absolute or relative to a root.
        folders: Names of labelled-data folders; None takes all that hold labels.
        roots: The lab's directories.

    Returns:
        One path per folder, relative to a root, in the order of the folders' names.

    Raises:
        PathError: The project or a folder is missing or outside every root.
        ProjectError: The project has no labels, or a folder that was named has none.
        ParameterError: ``folders`` is not a list of names.
    """
    project = read_project(roots.locate(config))
    labelled = list_labelled_folders(project)
    if not labelled:
        raise ProjectError(
            f"'{project.directory / LABELS_FOLDER}' holds no labels of '{project.scorer}'. Label "
            "frames in DeepLabCut first."
        )
    if folders is not None and (isinstance(folders, str) or not folders):
        raise ParameterError(
            "Give folders as a list of names of labelled-data folders, or leave it out to take all "
            f"of them. Labelled are: {', '.join(labelled)}."
        )
    wanted = sorted(set(folders)) if folders is not None else labelled
    missing = [name for name in wanted if name not in labelled]
    if missing:
        raise ProjectError(
            f"The project '{project.directory}' has no labels of '{project.scorer}' in "
            f"{', '.join(missing)}. Labelled are: {', '.join(labelled)}."
        )
    return tuple(roots.relativize(labels_file(project, name)) for name in wanted)
