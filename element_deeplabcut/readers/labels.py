"""Labelled frames of a project and the train/test split of a shuffle.

Coordinates of labels are pixels of the labelled frame, x to the right and y down from the top
left; a point that was not labelled is NaN. If a video's frames were extracted with a crop, labels
are relative to that crop.
"""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..errors import ProjectError
from .project import ProjectConfig

LABELS_FOLDER = "labeled-data"
_SHORT = 16
"""Hex digits that tell the labels of one frame from others; the whole set has all 64."""


@dataclass(frozen=True)
class LabelSet:
    """Labelled frames, as one table.

    Attributes:
        images: Path of each frame relative to the project, for instance
            ``labeled-data/m4s1/img0027.png``.
        body_parts: Names, in the order of the columns.
        positions: float64, shape (n_images, n_body_parts, 2): x, y in px; NaN where not labelled.
    """

    images: tuple[str, ...]
    body_parts: tuple[str, ...]
    positions: npt.NDArray[np.float64]

    @property
    def folders(self) -> frozenset[str]:
        """Names of the labelled-data folders the frames lie in."""
        return frozenset(Path(image).parts[-2] for image in self.images)


@dataclass(frozen=True)
class LabelDigest:
    """Hashes by which a label set is known again.

    Attributes:
        hash: Of the set as a whole, 64 hex digits.
        frames: Image -> hashes of its labels and of its picture, 16 hex digits each.
    """

    hash: str
    frames: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Split:
    """Which labelled frames a shuffle trains on and which it tests on.

    Attributes:
        train: Row numbers in the dataset's label table.
        test: Likewise; the two never overlap.
        train_images: Frames as the shuffle recorded them when it was made (they tell whether the
            label table has changed since).
    """

    train: tuple[int, ...]
    test: tuple[int, ...]
    train_images: tuple[str, ...]


def list_labelled_folders(project: ProjectConfig) -> tuple[str, ...]:
    """Name the labelled-data folders that hold labels of the project's scorer, sorted."""
    parent = project.directory / LABELS_FOLDER
    if not parent.is_dir():
        return ()
    names = (folder.name for folder in parent.iterdir() if folder.is_dir())
    return tuple(sorted(name for name in names if labels_file(project, name).is_file()))


def labels_file(project: ProjectConfig, folder: str) -> Path:
    """Path of the label table of one labelled-data folder."""
    return project.directory / LABELS_FOLDER / folder / f"CollectedData_{project.scorer}.h5"


def read_labels(file: Path) -> LabelSet:
    """Read a ``CollectedData_<scorer>.h5`` of a single-animal project.

    Raises:
        ProjectError: It is missing or is not such a table.
    """
    try:
        table = pd.read_hdf(file)
        table = table.loc[:, table.columns.get_level_values("coords") != "likelihood"]
        parts = [str(part) for part in table.columns.get_level_values("bodyparts")[::2]]
        expected = [(part, coord) for part in parts for coord in "xy"]
        given = [(str(column[-2]), str(column[-1])) for column in table.columns]
        if table.columns.nlevels != 3 or given != expected or len(set(parts)) != len(parts):
            raise ValueError("its columns are not x and y of each body part in turn")
        images = tuple(_image_path(row) for row in table.index)
        positions = np.asarray(table, dtype=np.float64).reshape(len(images), len(parts), 2)
    except (OSError, RuntimeError, KeyError, ValueError, AttributeError, TypeError) as error:
        # PyTables raises its own RuntimeError, a page long, for what is no HDF5 file.
        raise ProjectError(
            f"'{file}' is not a label table of a single-animal DeepLabCut project "
            f"({type(error).__name__}). Save the labels again in DeepLabCut."
        ) from error
    return LabelSet(images, tuple(parts), positions)


def _image_path(row: Any) -> str:
    # DeepLabCut 3 indexes by (folder, folder, file); older tables by one text, on Windows with \.
    return "/".join(row) if isinstance(row, tuple) else str(row).replace("\\", "/")


def read_split(file: Path) -> Split:
    """Read a shuffle's split (``Documentation_data-...pickle``).

    Project folders are the user's own, yet nothing but numpy arrays and plain values is accepted.

    Raises:
        ProjectError: The file is missing or is not such a record.
    """
    try:
        with file.open("rb") as stream:
            data, train, test, _ = _SplitUnpickler(stream).load()
        return Split(
            tuple(int(row) for row in train if row >= 0),
            tuple(int(row) for row in test if row >= 0),
            tuple(_image_path(entry["image"]) for entry in data),
        )
    except Exception as error:  # a damaged pickle can raise anything
        raise ProjectError(
            f"'{file}' is not the record of a DeepLabCut shuffle ({error}). Create the training "
            "dataset again, or choose another shuffle."
        ) from error


class _SplitUnpickler(pickle.Unpickler):
    """Builds numpy arrays and plain values, and nothing else."""

    _ALLOWED = frozenset(
        (module, name)
        for core in ("numpy.core", "numpy._core")
        for module, name in (
            (f"{core}.multiarray", "_reconstruct"),
            (f"{core}.multiarray", "scalar"),
            (f"{core}.numeric", "_frombuffer"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        )
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        if module.startswith("numpy._core") or module.startswith("numpy.core"):
            # numpy 1 and 2 spell this module differently; a file of either must read on both.
            for spelling in (module.replace("numpy.core", "numpy._core"),
                             module.replace("numpy._core", "numpy.core")):  # fmt: skip
                try:
                    return super().find_class(spelling, name)
                except (ImportError, AttributeError):
                    continue
        return super().find_class(module, name)


def check_body_parts(labels: LabelSet, project: ProjectConfig, file: Path) -> None:
    """Insist that the config knows every labelled body part.

    DeepLabCut would drop the labels of the others without a word.

    Raises:
        ProjectError: It lacks some.
    """
    unknown = [part for part in labels.body_parts if part not in project.body_parts]
    if unknown:
        raise ProjectError(
            f"'{file}' holds labels of {', '.join(unknown)}, which the config's bodyparts lack "
            f"(they are {', '.join(project.body_parts)}). Add them to the config, or rename them "
            "in the labels."
        )


def check_split(split: Split, labels: LabelSet, where: Path) -> None:
    """Insist that a shuffle's split still means the frames it was made for.

    All shuffles of an iteration share one label table, and DeepLabCut writes it anew with every
    training dataset it creates; an older shuffle's row numbers then point at other frames.

    Raises:
        ProjectError: They do.
    """
    rows = (*split.train, *split.test)
    out_of_range = any(row >= len(labels.images) for row in rows)
    expected = {labels.images[row] for row in split.train} if not out_of_range else set()
    # Frames without any label are in the split but not in the list of training images.
    if out_of_range or not set(split.train_images) <= expected:
        raise ProjectError(
            f"The shuffle recorded in '{where}' was made from other labels than its training "
            "dataset holds now (labels were added, and another shuffle was created, since). Choose "
            "a shuffle number that does not exist yet, or create this one again in DeepLabCut."
        )


def digest_labels(labels: LabelSet, project_dir: Path) -> LabelDigest:
    """Hash a label set as a whole, and frame by frame.

    Raises:
        ProjectError: A frame named by the labels is missing.
    """
    digest = hashlib.sha256()
    order = np.argsort(np.array(labels.images, dtype=object), kind="stable")
    digest.update("\n".join(labels.body_parts).encode())
    positions = digest_positions(labels)
    frames = {}
    for row in order:
        image = labels.images[row]
        digest.update(b"\0" + image.encode() + b"\0" + labels.positions[row].tobytes())
        try:
            picture = hashlib.sha256((project_dir / image).read_bytes())
        except OSError as error:
            raise ProjectError(
                f"The labels name '{image}', which is not in '{project_dir}'. Restore the frame, "
                "or remove its label in DeepLabCut."
            ) from error
        digest.update(picture.digest())
        frames[image] = (positions[image], picture.hexdigest()[:_SHORT])
    return LabelDigest(digest.hexdigest(), frames)


def digest_positions(labels: LabelSet) -> dict[str, str]:
    """Hash the labels of each frame, whatever the order of the body parts: image -> hash."""
    order = np.argsort(np.array(labels.body_parts, dtype=object), kind="stable")
    names = "\n".join(labels.body_parts[part] for part in order).encode() + b"\0"
    rows = np.ascontiguousarray(labels.positions[:, order])
    return {
        image: hashlib.sha256(names + row.tobytes()).hexdigest()[:_SHORT]
        for image, row in zip(labels.images, rows, strict=True)
    }


def digest_picture(file: Path) -> str:
    """Hash a labelled frame's picture, as `digest_labels` does.

    Raises:
        OSError: It cannot be read.
    """
    return hashlib.sha256(file.read_bytes()).hexdigest()[:_SHORT]
