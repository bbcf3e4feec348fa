"""Whether a result is what it claims: of this model, with these body parts, of this crop.

**Crops.** With a fixed crop both engines hand the network the cut-out picture and store what it
says: x and y are relative to the crop's corner (TensorFlow: ``GetPoseF`` and ``GetPoseS`` of
predict_videos.py; PyTorch: ``VideoIterator``; DeepLabCut adds the corner only when it draws).
TensorFlow's single-animal analysis cuts at the very pixels that were asked for. PyTorch's, and that
of several animals in either engine, keep the crop as fractions of the frame's size and truncate:
``int(200 * (29 / 200))`` is 28. The effective crop is stored, so that full-frame coordinates are
right to the pixel. DeepLabCut notes the crop that was asked for; where it noted nothing, the task's
``cropping`` says it. A dynamic crop is undone by DeepLabCut itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ParameterError, ResultError, VideoError
from ..readers.pose import SINGLE_ANIMAL, PoseTable
from ..readers.project import parse_project
from ..readers.result_meta import ResultMeta

UNIQUE = "single"
"""DeepLabCut's individual that has the unique body parts."""

_LONGEST_INDIVIDUAL = 32
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelFacts:
    """What a result must agree with.

    Attributes:
        name: The lab's name for the model.
        scorer: DeepLabCut's name for it.
        engine: ``pytorch`` or ``tensorflow``.
        iteration: Round of active learning.
        fraction: Training fraction.
        multi_animal: Whether it tells animals apart.
        body_parts: Body parts of each animal.
        unique_parts: Body parts that only one thing has.
        tracker: Tracker that its config prefers.
    """

    name: str
    scorer: str
    engine: str
    iteration: int
    fraction: float
    multi_animal: bool
    body_parts: tuple[str, ...]
    unique_parts: tuple[str, ...]
    tracker: str


def describe_model(row: Mapping[str, Any]) -> ModelFacts:
    """Take from a row of ``Model`` what results must agree with."""
    project = parse_project(row["config_template"], Path(row["project_path"]))
    return ModelFacts(
        name=row["model_name"],
        scorer=row["scorer"],
        engine=row["engine"],
        iteration=int(row["iteration"]),
        fraction=project.fraction(int(row["trainingsetindex"])),
        multi_animal=project.multi_animal,
        body_parts=project.body_parts,
        unique_parts=project.unique_body_parts,
        tracker=str(project.settings.get("default_track_method") or ""),
    )


def check_table(table: PoseTable, scorer: str, model: ModelFacts, what: str) -> None:
    """Insist that a table is by the scorer in its name and has the model's body parts.

    Raises:
        ResultError: It does not; the message names the body parts.
    """
    if table.scorer != scorer:
        raise ResultError(
            f"{what} is by '{table.scorer}' although its name says '{scorer}'. It was "
            "renamed; give it its own name back, or load it with the model it is from."
        )
    given: dict[str, set[str]] = {}
    for track in table.tracks:
        given.setdefault(track.individual, set()).add(track.body_part)
    needed = {name: _expected_parts(name, model) for name in given}
    if model.multi_animal and model.unique_parts and SINGLE_ANIMAL not in given:
        needed[UNIQUE] = set(model.unique_parts)
    for individual, parts in needed.items():
        of = f" of '{individual}'" if individual else ""
        missing = sorted(parts - given.get(individual, set()))
        unknown = sorted(given.get(individual, set()) - parts)
        if missing or unknown:
            difference = [f"lacks {', '.join(missing)}"] * bool(missing)
            difference += [f"has {', '.join(unknown)}, unknown to the model"] * bool(unknown)
            raise ResultError(
                f"{what} {' and '.join(difference)}{of}. The model '{model.name}' predicts "
                f"{', '.join(sorted(parts))}; load the result with the model it is from."
            )
        if len(individual) > _LONGEST_INDIVIDUAL:
            raise ResultError(
                f"{what} has the individual '{individual}', a name of more than "
                f"{_LONGEST_INDIVIDUAL} characters. Rename it in the project and track again."
            )


def _expected_parts(individual: str, model: ModelFacts) -> set[str]:
    if not model.multi_animal:
        return set(model.body_parts)
    if individual == SINGLE_ANIMAL:
        return {*model.body_parts, *model.unique_parts}
    return set(model.unique_parts if individual == UNIQUE else model.body_parts)


def check_meta(
    meta: ResultMeta, scorers: Sequence[str], model: ModelFacts, n_rows: int, what: str
) -> None:
    """Insist that DeepLabCut's notes on a result name the model, and count the table's rows.

    Raises:
        ResultError: They do not.
    """
    pairs = {
        "scorer": (meta.scorer, meta.scorer if meta.scorer in scorers else model.scorer),
        "engine": (meta.engine, model.engine),
        "iteration": (meta.iteration, model.iteration),
        "training fraction": (meta.fraction, model.fraction),
    }
    for name, (given, expected) in pairs.items():
        if given is not None and given != expected:
            raise ResultError(
                f"{what} is not by the model '{model.name}': the notes beside it say {name} "
                f"{given}, the model has {expected}. Load it with the model it is from."
            )
    if model.multi_animal or meta.n_frames in (None, n_rows):
        return
    if model.engine == "tensorflow":  # its table has as many rows as its notes count
        raise ResultError(
            f"{what} has {n_rows} rows, and the notes beside it count {meta.n_frames} frames: the "
            "two are not of one analysis. Analyze the video again with DeepLabCut."
        )
    logger.warning(
        "The notes beside %s count %s frames, as the video's header promised; %s were analyzed.",
        what, meta.n_frames, n_rows,
    )  # fmt: skip


def find_crop(
    meta: ResultMeta | None,
    stated: Sequence[int] | None,
    model: ModelFacts,
    width: int,
    height: int,
    what: str,
) -> list[int] | None:
    """Find the crop a result is relative to.

    Args:
        meta: DeepLabCut's notes, where they are there.
        stated: Crop that the task's parameters name, which counts where nothing is noted.
        model: Model it is by.
        width: Of the recording's frames, px.
        height: Likewise.
        what: How messages call the result.

    Returns:
        The effective crop [x1, x2, y1, y2] in px, or None for the whole frame.

    Raises:
        ParameterError: Notes and parameters contradict each other.
        VideoError: The crop is not inside the frame.
    """
    noted = meta.crop if meta else None
    if meta and meta.cropped is not None and stated is not None and list(noted or ()) != [*stated]:
        raise ParameterError(
            f"The task's cropping is {list(stated)}, but {what} was made with "
            f"{list(noted) if noted else 'the whole frame'}, say the notes beside it. Leave "
            "cropping out."
        )
    crop = noted or stated
    if crop is None:
        return None
    if not (0 <= crop[0] < crop[1] <= width and 0 <= crop[2] < crop[3] <= height):
        raise VideoError(
            f"{what} was made with the crop {list(crop)} (x1, x2, y1, y2), which is not inside the "
            f"recording's {width} x {height} px. It is of another video."
        )
    if model.engine == "tensorflow" and not model.multi_animal:
        return [int(edge) for edge in crop]
    return truncate_crop(crop, width, height)


def truncate_crop(crop: Sequence[int], width: int, height: int) -> list[int]:
    """Give the crop that DeepLabCut's VideoReader really cuts when asked for one.

    It keeps the edges as fractions of the frame's size, which loses a pixel now and then.
    """
    sizes = (width, width, height, height)
    return [int(size * (edge / size)) for edge, size in zip(crop, sizes, strict=True)]
