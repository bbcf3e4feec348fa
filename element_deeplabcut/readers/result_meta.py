"""What DeepLabCut notes beside a result: which model made it, of what, and which crop it saw.

``<video><scorer>_meta.pickle`` (``...includingmetadata.pickle`` up to DeepLabCut 2.1) of an
analysis, or the one of a triangulation, which names the scorer of each camera. Old versions noted
less; what is not there is None.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import ResultError
from .untrusted import load_meta_pickle


@dataclass(frozen=True)
class ResultMeta:
    """What is known of an analysis.

    Attributes:
        scorer: DeepLabCut's name for the model; None for a triangulation.
        camera_scorers: Of a triangulation: camera -> scorer of its model.
        engine: ``pytorch`` or ``tensorflow``.
        iteration: Round of active learning of the model.
        fraction: Its training fraction.
        n_frames: Frames as the video's header states them, which may differ from the decoded ones.
        cropped: Whether a crop was analysed, or None if not noted.
        crop: The crop that was asked for, [x1, x2, y1, y2] in px.
        frame_size: Width and height in px: before cropping (TensorFlow) or after it (PyTorch).
        finished_at: When the analysis ended, UTC.
    """

    scorer: str | None = None
    camera_scorers: Mapping[str, str] = field(default_factory=dict)
    engine: str | None = None
    iteration: int | None = None
    fraction: float | None = None
    n_frames: int | None = None
    cropped: bool | None = None
    crop: tuple[int, int, int, int] | None = None
    frame_size: tuple[int, int] | None = None
    finished_at: datetime.datetime | None = None


def read_meta(data: bytes, what: str) -> ResultMeta:
    """Read the notes on a result.

    Args:
        data: The whole file.
        what: How messages call it.

    Raises:
        ResultError: It could run code, is damaged, or is not such a file.
    """
    content = load_meta_pickle(data, what)
    try:
        if "scorer_name" in content:
            names = content["scorer_name"]
            return ResultMeta(camera_scorers={str(k): str(names[k]) for k in names})
        return _read_analysis(content["data"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ResultError(
            f"{what} does not hold what DeepLabCut notes of an analysis ({error!r}). Write the "
            "result again with DeepLabCut, or remove the file to load without it."
        ) from error


def _read_analysis(notes: Mapping[str, Any]) -> ResultMeta:
    crop = notes.get("cropping_parameters")
    size = notes.get("frame_dimensions")
    engine = None
    if "pytorch-config" in notes:
        engine = "pytorch"
    elif notes.get("DLC-model-config file") or notes.get("config file"):
        engine = "tensorflow"
        size = size[::-1] if size is not None else None  # height and width there
    return ResultMeta(
        scorer=str(notes["Scorer"]),
        engine=engine,
        iteration=_whole(notes.get("iteration (active-learning)")),
        fraction=_number(notes.get("training set fraction")),
        n_frames=_whole(notes.get("nframes")),
        cropped=bool(notes["cropping"]) if notes.get("cropping") is not None else None,
        crop=_four(crop) if notes.get("cropping") else None,
        # Other programs that write this file round the size to their network's stride.
        frame_size=_two(size) if engine and size is not None else None,
        finished_at=_time(_number(notes.get("stop"))),
    )


def _number(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _whole(value: Any) -> int | None:
    number = _number(value)
    if number is not None and number != int(number):
        raise ValueError(f"{value!r} is no whole number")
    return None if number is None else int(number)


def _integers(values: Any, count: int) -> list[int]:
    numbers = [_whole(value) for value in values]
    if len(numbers) != count or None in numbers:
        raise ValueError(f"{values!r} are not {count} whole numbers")
    return [number for number in numbers if number is not None]


def _four(values: Any) -> tuple[int, int, int, int]:
    x1, x2, y1, y2 = _integers(values, 4)
    return x1, x2, y1, y2


def _two(values: Any) -> tuple[int, int]:
    width, height = _integers(values, 2)
    return width, height


def _time(stamp: float | None) -> datetime.datetime | None:
    if stamp is None or not 0 < stamp < 1e11:
        return None
    return datetime.datetime.fromtimestamp(stamp, datetime.timezone.utc).replace(tzinfo=None)
