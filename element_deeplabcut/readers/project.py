"""A DeepLabCut project's ``config.yaml`` and the names DeepLabCut derives from it.

DeepLabCut files everything under names built from the config: ``iteration-<N>`` folders, model
folders ``<Task><date>-trainset<percent>shuffle<S>``, datasets ``UnaugmentedDataSet_<Task><date>``.
The percentage is truncated, not rounded: a fraction of 0.29 gives 28, as in DeepLabCut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ProjectError
from .yaml_files import read_yaml

CONFIG_NAME = "config.yaml"
MODELS_FOLDER = {"pytorch": "dlc-models-pytorch", "tensorflow": "dlc-models"}
ENGINE_CONFIG = {"pytorch": "pytorch_config.yaml", "tensorflow": "pose_cfg.yaml"}


@dataclass(frozen=True)
class ProjectConfig:
    """What a project's ``config.yaml`` says.

    Attributes:
        directory: The project's folder, wherever it is now (``project_path`` in the file may be
            out of date).
        task: Name of the task.
        date: Date in DeepLabCut's spelling, for instance ``Oct30``.
        scorer: Who labelled the frames.
        iteration: Round of active learning, from 0.
        body_parts: Labelled points, in the order of the config.
        training_fractions: Share of labelled frames used for training, one per dataset.
        p_cutoff: Likelihood below which DeepLabCut does not trust a point.
        multi_animal: Whether several animals are labelled.
        snapshotindex: Which snapshot is used for analysis; -1 is the best or last.
        skeleton: Pairs of body parts.
        settings: The whole file.
    """

    directory: Path
    task: str
    date: str
    scorer: str
    iteration: int
    body_parts: tuple[str, ...]
    training_fractions: tuple[float, ...]
    p_cutoff: float
    multi_animal: bool
    snapshotindex: int
    skeleton: tuple[tuple[str, str], ...]
    settings: Mapping[str, Any]

    @property
    def crop(self) -> list[int] | None:
        """The crop [x1, x2, y1, y2] in px that DeepLabCut would apply silently, if any."""
        if not self.settings.get("cropping"):
            return None
        try:
            return [int(self.settings[edge]) for edge in ("x1", "x2", "y1", "y2")]
        except (KeyError, TypeError, ValueError) as error:
            raise ProjectError(
                f"'{self.directory / CONFIG_NAME}' sets cropping: true but lacks x1, x2, y1 or y2. "
                "Complete them, or set cropping: false."
            ) from error

    @property
    def unique_body_parts(self) -> tuple[str, ...]:
        """Points that only one thing in the picture has, beside those of every animal."""
        names = self.settings.get("uniquebodyparts") if self.multi_animal else None
        return tuple(str(name) for name in names or ())

    @property
    def predicted_body_parts(self) -> tuple[str, ...]:
        """Every point a model of this project predicts."""
        return tuple(dict.fromkeys((*self.body_parts, *self.unique_body_parts)))

    def fraction(self, trainingsetindex: int) -> float:
        """Training fraction with that index.

        Raises:
            ProjectError: The config has no such fraction.
        """
        if not 0 <= trainingsetindex < len(self.training_fractions):
            raise ProjectError(
                f"trainingsetindex {trainingsetindex} is out of range: TrainingFraction of "
                f"'{self.directory / CONFIG_NAME}' is {list(self.training_fractions)}."
            )
        return self.training_fractions[trainingsetindex]

    def percent(self, trainingsetindex: int) -> int:
        """Training fraction in percent as DeepLabCut writes it into names (truncated)."""
        return int(100 * self.fraction(trainingsetindex))

    def shuffle_name(self, shuffle: int, trainingsetindex: int) -> str:
        """Name of a shuffle's model folder."""
        percent = self.percent(trainingsetindex)
        return f"{self.task}{self.date}-trainset{percent}shuffle{shuffle}"

    def model_folder(
        self, engine: str, shuffle: int, trainingsetindex: int, model_prefix: str = ""
    ) -> PurePosixPath:
        """Path of a shuffle's model folder, relative to the project."""
        return PurePosixPath(
            model_prefix,
            MODELS_FOLDER[engine],
            f"iteration-{self.iteration}",
            self.shuffle_name(shuffle, trainingsetindex),
        )

    def dataset_folder(self) -> PurePosixPath:
        """Path of the training datasets of the current iteration, relative to the project."""
        name = f"UnaugmentedDataSet_{self.task}{self.date}"
        return PurePosixPath("training-datasets", f"iteration-{self.iteration}", name)

    def split_file(self, shuffle: int, trainingsetindex: int) -> PurePosixPath:
        """Path of the pickle that holds a shuffle's split, relative to the project."""
        percent = self.percent(trainingsetindex)
        name = f"Documentation_data-{self.task}_{percent}shuffle{shuffle}.pickle"
        return self.dataset_folder() / name


def read_project(path: Path) -> ProjectConfig:
    """Read a project's config.

    Args:
        path: The ``config.yaml``, or the project's folder.

    Raises:
        ProjectError: The file is missing, is not a mapping of YAML's plain types, or lacks
            something every project has.
    """
    file = path / CONFIG_NAME if path.is_dir() else path
    return parse_project(read_yaml(file), file.parent)


def parse_project(settings: Mapping[str, Any], directory: Path) -> ProjectConfig:
    """Check the content of a ``config.yaml`` that lies in ``directory``.

    Raises:
        ProjectError: As `read_project`.
    """
    file = directory / CONFIG_NAME
    missing = [name for name in ("Task", "scorer", "date", "TrainingFraction")
               if settings.get(name) in (None, "", [])]  # fmt: skip
    multi_animal = bool(settings.get("multianimalproject"))
    parts = settings.get("multianimalbodyparts" if multi_animal else "bodyparts")
    if not isinstance(parts, (list, tuple)) or not parts:
        missing.append("multianimalbodyparts" if multi_animal else "bodyparts")
    if missing:
        raise ProjectError(
            f"'{file}' lacks {', '.join(missing)}. It is not a complete DeepLabCut project; open "
            "it with DeepLabCut and save it, or restore the entry."
        )
    try:
        return ProjectConfig(
            directory=directory,
            task=str(settings["Task"]),
            date=str(settings["date"]),
            scorer=str(settings["scorer"]),
            iteration=int(settings.get("iteration") or 0),
            body_parts=tuple(str(part) for part in parts or ()),
            training_fractions=_read_fractions(settings["TrainingFraction"]),
            p_cutoff=float(settings.get("pcutoff", 0.6)),
            multi_animal=multi_animal,
            snapshotindex=_read_snapshotindex(settings.get("snapshotindex", -1)),
            skeleton=tuple((str(a), str(b)) for a, b in settings.get("skeleton") or ()),
            settings=settings,
        )
    except (TypeError, ValueError) as error:
        raise ProjectError(
            f"'{file}' holds a value of the wrong kind ({error}); correct the entry."
        ) from error


def _read_fractions(value: Any) -> tuple[float, ...]:
    fractions = tuple(
        float(item) for item in (value if isinstance(value, (list, tuple)) else [value])
    )
    if not all(0 < fraction <= 1 for fraction in fractions):
        raise ValueError(f"TrainingFraction {list(fractions)} is not between 0 and 1")
    return fractions


def _read_snapshotindex(value: Any) -> int:
    # "all" makes sense for an evaluation only; DeepLabCut analyses with the best or last then.
    return -1 if value in ("all", None) else int(value)


def read_shuffle_engine(
    project: ProjectConfig, shuffle: int, trainingsetindex: int, model_prefix: str = ""
) -> str | None:
    """Say which engine a shuffle was made for, or None when the project has no such shuffle.

    DeepLabCut 3 records it per shuffle in ``metadata.yaml`` beside the dataset, and that record
    wins over the config's own ``engine``, which is only the default for new shuffles. Projects of
    DeepLabCut 2 have no record; there the model folders say it.
    """
    name = project.shuffle_name(shuffle, trainingsetindex)
    metadata = project.directory / project.dataset_folder() / "metadata.yaml"
    if metadata.is_file():
        entry = (read_yaml(metadata).get("shuffles") or {}).get(name)
        if isinstance(entry, dict) and entry.get("engine"):
            engine = str(entry["engine"]).lower()
            return "tensorflow" if engine in ("tf", "tensorflow") else engine
    for engine in ("pytorch", "tensorflow"):
        where = (engine, shuffle, trainingsetindex)
        folders = {project.model_folder(*where), project.model_folder(*where, model_prefix)}
        files = (project.directory / folder / "train" / ENGINE_CONFIG[engine] for folder in folders)
        if any(file.is_file() for file in files):
            return engine
    return None
