"""One evaluation: how far a registered model's predictions are from the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..engines import get_engine
from ..engines.base import FrameErrors
from ..errors import ModelError
from ..linking import Roots
from ..readers.labels import LabelDigest, digest_labels, read_labels
from ..store.bundles import Bundle, check_single_animal, make_bundle_view, open_bundle
from ..store.files import make_folder
from ..store.runs import RunIdentity, find_run, start_run
from ..store.views import remove_view
from .provenance import Stopwatch

EVALUATIONS = "evaluations"


@dataclass(frozen=True)
class EvaluationJob:
    """What the database says of an evaluation.

    Attributes:
        key: Primary key of the model.
        bundle_hash: Which bundle it is.
        project_path: Project that holds the labelled frames, relative to a root.
        device: Wish of this populate call, or None.
    """

    key: Mapping[str, Any]
    bundle_hash: str
    project_path: str
    device: str | None = None


@dataclass(frozen=True)
class ErrorSummary:
    """Mean distances between labels and predictions, in px; None where there is nothing to average.

    DeepLabCut calls the same figures "rmse", though they are means of Euclidean distances.

    Attributes:
        train_error: Over all labelled points of training frames.
        test_error: Over those of test frames.
        train_error_p: As train_error, over points predicted with likelihood >= p-cutoff.
        test_error_p: As test_error, likewise.
    """

    train_error: float | None
    test_error: float | None
    train_error_p: float | None
    test_error_p: float | None


@dataclass(frozen=True)
class EvaluationResult:
    """What an evaluation leaves in the database.

    Attributes:
        train_iterations: Epochs the snapshot was trained for.
        p_cutoff: Likelihood threshold of the errors with cutoff.
        overall: Errors over all body parts.
        body_parts: Errors of each body part.
        run_info: Provenance.
    """

    train_iterations: int
    p_cutoff: float
    overall: ErrorSummary
    body_parts: dict[str, ErrorSummary]
    run_info: dict[str, Any]


def run_evaluation(job: EvaluationJob, roots: Roots) -> EvaluationResult:
    """Evaluate a model on the labels it was registered with, or find that done before.

    Raises:
        ElementError: The bundle is damaged or has no labels, or frames are missing.
    """
    bundle = open_bundle(roots.processed, job.bundle_hash)
    check_single_animal(bundle)
    labels, frames_of = _check_labels(bundle, job, roots)
    engine = get_engine(bundle.facts.engine)
    identity = RunIdentity("evaluation", job.key, {"bundle": bundle.hash, "labels": labels.hash})
    parent = make_folder(roots.processed, EVALUATIONS)
    run = find_run(parent, identity)
    if run is None:
        watch = Stopwatch()
        device = engine.resolve_device(job.device)
        with start_run(parent, identity) as attempt:
            view = make_bundle_view(bundle, make_folder(attempt.directory, "project"), frames_of)
            errors = engine.evaluate(view, bundle.facts.snapshot, device)
            remove_view(view)
            provenance = watch.record(
                engine=bundle.facts.engine, device=device, versions=engine.describe(device)
            )
            summaries = _summarize_parts(errors, bundle)
            run = attempt.finish({"errors": summaries, "provenance": provenance})
    by_part = {name: ErrorSummary(**values) for name, values in run.result["errors"].items()}
    return EvaluationResult(
        train_iterations=bundle.facts.train_iterations,
        p_cutoff=bundle.project.p_cutoff,
        overall=by_part.pop(""),
        body_parts=by_part,
        run_info={
            **run.result["provenance"],
            "bundle_hash": bundle.hash,
            "labels_hash": labels.hash,
            "labelled_frames": labels.frames,
            "run_directory": run.directory.relative_to(roots.processed).as_posix(),
        },
    )


def _check_labels(bundle: Bundle, job: EvaluationJob, roots: Roots) -> tuple[LabelDigest, Path]:
    if not bundle.facts.has_labels:
        raise ModelError(
            "This model was registered without a label table and split (training-datasets/ of its "
            "project lacked them), so it cannot be evaluated. Register it again from a complete "
            "project, or leave it out of ModelEvaluation.populate()."
        )
    project_dir = roots.resolve(job.project_path)
    name = f"CollectedData_{bundle.project.scorer}.h5"
    labels = read_labels(bundle.directory / bundle.project.dataset_folder() / name)
    return digest_labels(labels, project_dir), project_dir


def _summarize_parts(errors: FrameErrors, bundle: Bundle) -> dict[str, dict[str, Any]]:
    p_cutoff = bundle.project.p_cutoff
    summaries = {"": asdict(summarize_errors(errors, p_cutoff))}
    for column, name in enumerate(bundle.project.body_parts):
        summaries[name] = asdict(summarize_errors(errors, p_cutoff, slice(column, column + 1)))
    return summaries


def summarize_errors(
    errors: FrameErrors, p_cutoff: float, body_parts: slice = slice(None)
) -> ErrorSummary:
    """Average distances as DeepLabCut does, without rounding."""
    distance = errors.distance[:, body_parts]
    trusted = np.where(errors.likelihood[:, body_parts] >= p_cutoff, distance, np.nan)
    return ErrorSummary(
        train_error=_mean(distance[~errors.in_test]),
        test_error=_mean(distance[errors.in_test]),
        train_error_p=_mean(trusted[~errors.in_test]),
        test_error_p=_mean(trusted[errors.in_test]),
    )


def _mean(values: npt.NDArray[np.float64]) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))
