"""Registering models: from a project or a training to the columns of a ``Model`` row."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compute.training import VIEW
from .errors import ParameterError, ProjectError
from .linking import Roots, check_relative
from .readers.project import ProjectConfig, parse_project, read_project
from .store.bundles import Bundle, build_bundle, find_model
from .store.runs import open_run
from .surroundings import is_in_notebook

SETTINGS = (
    "snapshotindex",
    "iteration",
    "pcutoff",
    "batch_size",
    "cropping",
    "x1",
    "x2",
    "y1",
    "y2",
)
"""Entries of a config that registering a model may replace."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelRecord:
    """A model that lies in the store and is to get a row.

    Attributes:
        columns: Columns of `Model` that follow from it.
        body_parts: Names of its body parts.
    """

    columns: dict[str, Any]
    body_parts: tuple[str, ...]

    def warn_if_known(self, names: Iterable[str]) -> None:
        """Say under which other names the same model is registered."""
        known = ", ".join(f"'{name}'" for name in names)
        if known:
            logger.warning("The same model is registered already as %s.", known)

    def describe(self, model_name: str) -> str:
        """Describe the row for a person who is asked whether to insert it."""
        shown = {name: value for name, value in self.columns.items() if name != "config_template"}
        lines = [f"  {name}: {value}" for name, value in shown.items()]
        return "\n".join([f"Insert the model '{model_name}'?", *lines])


def register_project(
    roots: Roots,
    dlc_config: str | os.PathLike[str] | Mapping[str, Any],
    *,
    shuffle: int,
    trainingsetindex: int,
    model_prefix: str,
    params: Mapping[str, Any],
) -> ModelRecord:
    """Copy a model out of a project into the store.

    Raises:
        PathError: The project is outside every root.
        ProjectError: Project or shuffle are incomplete.
        ParameterError: ``params`` holds an entry that may not be replaced.
    """
    project = _read_config(dlc_config, roots)
    project_path = roots.relativize(project.directory)
    return _register(roots, project, project_path, shuffle, trainingsetindex, model_prefix, params)


def check_project_model(
    roots: Roots,
    dlc_config: str | os.PathLike[str],
    *,
    shuffle: int,
    trainingsetindex: int,
    model_prefix: str,
    params: Mapping[str, Any],
) -> None:
    """Insist that `register_project` would find a model, without copying it.

    Raises:
        PathError: The project is outside every root.
        ProjectError: Project or shuffle are incomplete.
        ModelError: There is no such snapshot.
        ParameterError: ``params`` holds an entry that may not be replaced.
    """
    _check_request(model_prefix, params)
    find_model(
        _read_config(dlc_config, roots),
        shuffle=shuffle,
        trainingsetindex=trainingsetindex,
        model_prefix=model_prefix,
        settings=params,
    )


def register_training(
    roots: Roots, run_info: Mapping[str, Any], params: Mapping[str, Any]
) -> ModelRecord:
    """Copy a model out of a training's run directory into the store.

    Raises:
        ResultError: The run directory is missing or damaged.
    """
    run = open_run(roots.processed / run_info["run_directory"])
    facts = run.result
    return _register(
        roots,
        read_project(run.directory / VIEW),
        run_info["project_path"],
        facts["shuffle"],
        facts["trainingsetindex"],
        facts["model_prefix"],
        params,
    )


def _register(
    roots: Roots,
    project: ProjectConfig,
    project_path: str,
    shuffle: int,
    trainingsetindex: int,
    model_prefix: str,
    params: Mapping[str, Any],
) -> ModelRecord:
    _check_request(model_prefix, params)
    bundle = build_bundle(
        project,
        roots.processed,
        shuffle=shuffle,
        trainingsetindex=trainingsetindex,
        model_prefix=model_prefix,
        settings=params,
    )
    return ModelRecord(_to_columns(bundle, project_path), bundle.project.predicted_body_parts)


def _check_request(model_prefix: str, params: Mapping[str, Any]) -> None:
    unknown = [name for name in params if name not in SETTINGS]
    if unknown:
        raise ParameterError(
            f"params of a model holds {', '.join(unknown)}; it may hold {', '.join(SETTINGS)}."
        )
    if model_prefix:
        check_relative(model_prefix)


def _to_columns(bundle: Bundle, project_path: str) -> dict[str, Any]:
    project, facts = bundle.project, bundle.facts
    return {
        "task": project.task,
        "date": project.date,
        "iteration": project.iteration,
        "snapshotindex": project.snapshotindex,
        "shuffle": facts.shuffle,
        "trainingsetindex": facts.trainingsetindex,
        "engine": facts.engine,
        "scorer": facts.scorer,
        "config_template": dict(project.settings),
        "project_path": project_path,
        "model_prefix": facts.model_prefix,
        "snapshot": facts.snapshot,
        "bundle_hash": bundle.hash,
    }


def _read_config(config: str | os.PathLike[str] | Mapping[str, Any], roots: Roots) -> ProjectConfig:
    if isinstance(config, Mapping):
        directory = config.get("project_path")
        if not directory:
            raise ProjectError("The config lacks project_path; give the path of its config.yaml.")
        return parse_project(config, roots.locate(directory))
    return read_project(roots.locate(config))


def read_body_parts(
    config: str | os.PathLike[str] | Mapping[str, Any], get_roots: Callable[[], Roots]
) -> tuple[str, ...]:
    """Read the body parts of a config given by path or content.

    Raises:
        ProjectError: It is not a project's config.
    """
    if isinstance(config, Mapping):
        directory = Path(str(config.get("project_path") or "."))
        return parse_project(config, directory).predicted_body_parts
    path = Path(config)
    file = path if path.is_absolute() else get_roots().resolve(str(path))
    return read_project(file).predicted_body_parts


def describe_body_parts(
    names: Sequence[str], descriptions: Sequence[str] | Mapping[str, str] | None
) -> list[dict[str, str]]:
    """Pair new body parts with their descriptions.

    Raises:
        ParameterError: They do not match.
    """
    if descriptions is None:
        texts: Sequence[str] = [""] * len(names)
    elif isinstance(descriptions, Mapping):
        texts = [descriptions.get(name, "") for name in names]
    else:
        texts = list(descriptions)
    if len(texts) != len(names):
        raise ParameterError(
            f"{len(texts)} descriptions for {len(names)} new body parts ({', '.join(names)}). "
            "Give one for each, or a dictionary by name."
        )
    return [
        {"body_part": name, "body_part_description": text}
        for name, text in zip(names, texts, strict=True)
    ]


def confirm(question: str) -> bool:
    """Ask a person; where nobody can answer (a script, a worker) the call itself is consent."""
    import datajoint as dj

    if not (sys.stdin.isatty() or is_in_notebook()):
        return True
    return dj.utils.user_choice(question, choices=("yes", "no"), default="no") == "yes"
