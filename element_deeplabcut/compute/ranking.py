"""What it takes to compare evaluated models: whose weights they are, and how many points count."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import QueryError
from ..linking import Roots
from ..readers.labels import read_labels, read_split
from ..readers.snapshots import Snapshot
from ..store.bundles import BUNDLE, MODELS, open_bundle
from ..store.files import hash_json

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelCounts:
    """How many labelled points of each body part an evaluation was about.

    Attributes:
        train: On training frames, by body part.
        test: On test frames.
        test_frames: Hash of the test frames' names and labels.
    """

    train: dict[str, int]
    test: dict[str, int]
    test_frames: str


def read_weights_hash(roots: Roots, bundle_hash: str) -> str | None:
    """SHA-256 of the weights' file of a registered model; None where its bundle is damaged.

    It is taken from the bundle's own list, which evaluating checks against the files.
    """
    file = roots.processed / MODELS / bundle_hash / BUNDLE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        snapshot = Snapshot(False, 0, Path(content["facts"]["snapshot"]))
        name = snapshot.weights_file.name
        return next(str(value) for path, value in content["files"].items()
                    if path.rpartition("/")[2] == name)  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        logger.warning("The model bundle '%s' is left out (%s).", file.parent, error)
        return None


def count_labels(roots: Roots, bundle_hash: str) -> LabelCounts:
    """Count the labelled points that a model was trained and tested on.

    Raises:
        ModelError: The bundle is missing, or damaged beside its weights.
        ProjectError: Its labels are.
    """
    bundle = open_bundle(roots.processed, bundle_hash, with_weights=False)
    project, facts = bundle.project, bundle.facts
    folder = bundle.directory / project.dataset_folder()
    labels = read_labels(folder / f"CollectedData_{project.scorer}.h5")
    split = read_split(bundle.directory / project.split_file(facts.shuffle, facts.trainingsetindex))

    def count(rows: tuple[int, ...]) -> dict[str, int]:
        is_labelled = ~np.isnan(labels.positions[list(rows)]).any(axis=-1)
        numbers = (int(number) for number in is_labelled.sum(axis=0))
        return dict(zip(labels.body_parts, numbers, strict=True))

    tested: list[Any] = [[labels.images[row], _spell(labels.positions[row])] for row in split.test]
    return LabelCounts(count(split.train), count(split.test), hash_json(sorted(tested)))


def _spell(positions: Any) -> str:
    return " ".join(f"{value:.4f}" for value in np.ravel(positions))


def pool_errors(
    errors: Mapping[str, float | None], counts: Mapping[str, int], body_parts: Iterable[str]
) -> float | None:
    """Mean error over all labelled points of several body parts, from the mean of each.

    Returns:
        px; None where there is no such point.

    Raises:
        QueryError: A body part is none of the model's.
    """
    total, n_points = 0.0, 0
    for name in body_parts:
        if name not in errors:
            raise QueryError(
                f"A model does not predict '{name}'. Choose from {', '.join(errors)}, or leave "
                "the trainings without it out."
            )
        error = errors[name]
        if error is not None and not np.isnan(error):
            total += error * counts.get(name, 0)
            n_points += counts.get(name, 0)
    return total / n_points if n_points else None
