"""The names a parameter set may hold, what their values must be, and each engine's own spelling.

This is the one table between our names, which are those of DeepLabCut 3, the spellings of
DeepLabCut 2, and the arguments of each engine's functions. A test holds it against the installed
DeepLabCut's signatures.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

ENGINES = ("pytorch", "tensorflow")
PRETRAINED, RANDOM = "pretrained", "random"


@dataclass(frozen=True)
class Parameter:
    """One name a parameter set may hold.

    Attributes:
        convert: Checks and converts a value; raises ``ValueError`` with "what it must be".
        arguments: Engine -> that engine's argument name. An engine that is not named cannot
            honour the parameter. The empty string marks one that this package acts on itself.
        old_names: Spellings of DeepLabCut 2 that mean the same.
    """

    convert: Callable[[Any], Any]
    arguments: Mapping[str, str]
    old_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """The names one kind of parameter set may hold.

    Attributes:
        what: How messages call such a set.
        parameters: Name -> parameter.
        refused: Name -> the sentence that says where that choice belongs.
        required: Names without which a set makes no sense.
    """

    what: str
    parameters: Mapping[str, Parameter]
    refused: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()


# --- values ---------------------------------------------------------------------------------------


def _integer(low: int, high: int | None = None) -> Callable[[Any], int]:
    wanted = f"a whole number of at least {low}" + (f" and at most {high}" if high else "")

    def convert(value: Any) -> int:
        is_whole = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_whole or not math.isfinite(value) or value != int(value):
            raise ValueError(wanted)
        if value < low or (high is not None and value > high):
            raise ValueError(wanted)
        return int(value)

    return convert


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a non-empty text")
    return value


def _choice(*options: str) -> Callable[[Any], str]:
    def convert(value: Any) -> str:
        if not isinstance(value, str) or value.lower() not in options:
            raise ValueError("one of " + ", ".join(options))
        return value.lower()

    return convert


def _settings(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError("a dictionary of settings")
    return dict(value)


def _weights(value: Any) -> str:
    text = _text(value)
    return text.lower() if text.lower() in (PRETRAINED, RANDOM) else text


def _crop(value: Any) -> list[int] | bool | None:
    wanted = "four whole numbers [x1, x2, y1, y2] in px with 0 <= x1 < x2 and 0 <= y1 < y2"
    if value is None or value is False:
        return value  # False switches off the crop of the model's config, None leaves it
    if not isinstance(value, (list, tuple)) or len(value) != 4:
        raise ValueError(wanted)
    try:
        x1, x2, y1, y2 = (_integer(0)(edge) for edge in value)
    except ValueError:
        raise ValueError(wanted) from None
    if x1 >= x2 or y1 >= y2:
        raise ValueError(wanted)
    return [x1, x2, y1, y2]


def _dynamic(value: Any) -> list[Any] | None:
    wanted = "[on, detection threshold, margin in px], for instance [True, 0.5, 10]"
    if value is None or value is False:
        return None
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        raise ValueError(wanted)
    state, threshold, margin = value
    is_number = isinstance(threshold, numbers.Real) and not isinstance(threshold, bool)
    if not isinstance(state, bool) or not is_number or not 0 <= threshold <= 1:
        raise ValueError(wanted)
    return [state, float(threshold), _integer(0)(margin)]


def _number(low: float, high: float, unit: str = "") -> Callable[[Any], float]:
    wanted = f"a number from {low:g} to {high:g}{unit}"

    def convert(value: Any) -> float:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            raise ValueError(wanted)
        return float(value)

    return convert


def _names(value: Any) -> list[str] | None:
    if value is None or value == "all":
        return None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise ValueError("'all', one name, or a list of names")
    return names


def _links(value: Any) -> list[list[str]]:
    pairs = value if isinstance(value, list) else []
    if not pairs or not all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in pairs
    ):
        raise ValueError("a list of pairs of body parts, for instance [['nose', 'tailbase']]")
    return pairs


def _wish(value: Any) -> dict[str, Any] | None:
    if value is None or value is False:
        return None
    if value is True:
        return {}
    if not isinstance(value, Mapping):
        raise ValueError("True, False, or a dictionary of settings")
    return dict(value)


# --- vocabularies ---------------------------------------------------------------------------------

_AT_POPULATE = (
    "the device is chosen where the work is done: populate(make_kwargs={'device': 'cuda:0'})"
)
_BY_TASK = "the task's own row says it"
_BY_MODEL = "the model's own row says it"


def _both(convert: Callable[[Any], Any], name: str, *old_names: str) -> Parameter:
    return Parameter(convert, {"pytorch": name, "tensorflow": name}, old_names)


def _ours(convert: Callable[[Any], Any], *old_names: str) -> Parameter:
    return Parameter(convert, {"pytorch": "", "tensorflow": ""}, old_names)


def _torch(convert: Callable[[Any], Any], name: str, *old_names: str) -> Parameter:
    return Parameter(convert, {"pytorch": name}, old_names)


def _tensorflow(convert: Callable[[Any], Any], name: str, *old_names: str) -> Parameter:
    return Parameter(convert, {"tensorflow": name}, old_names)


TRAINING = Vocabulary(
    what="training parameters",
    required=("shuffle", "trainingsetindex"),
    parameters={
        "shuffle": _both(_integer(0), "shuffle", "Shuffle"),
        "trainingsetindex": _both(_integer(0), "trainingsetindex", "trainingset_index"),
        "engine": _ours(_choice(*ENGINES)),
        "net_type": _ours(_text, "default_net_type"),
        "augmenter_type": _ours(_text, "default_augmenter"),
        "init_weights": _ours(_weights),
        "seed": _ours(_integer(0, 2**32 - 1)),
        "split_seed": _ours(_integer(0, 2**32 - 1)),
        "display_iters": Parameter(
            _integer(1),
            {"pytorch": "display_iters", "tensorflow": "displayiters"},
            ("displayiters",),
        ),
        "max_snapshots_to_keep": _both(_integer(1), "max_snapshots_to_keep"),
        "batch_size": _both(_integer(1), "batch_size"),
        "load_head_weights": Parameter(
            _boolean,
            {"pytorch": "load_head_weights", "tensorflow": "keepdeconvweights"},
            ("keepdeconvweights",),
        ),
        "epochs": _torch(_integer(1), "epochs"),
        "save_epochs": _torch(_integer(1), "save_epochs"),
        "pytorch_cfg_updates": _torch(_settings, "pytorch_cfg_updates"),
        "max_iters": _tensorflow(_integer(1), "maxiters", "maxiters"),
        "save_iters": _tensorflow(_integer(1), "saveiters", "saveiters"),
        "pose_cfg_updates": _tensorflow(_settings, "pose_cfg_updates"),
    },
    refused={
        "device": _AT_POPULATE,
        "gputouse": _AT_POPULATE,
        "config": _BY_TASK,
        "modelprefix": "TrainingTask.model_prefix says it",
        "snapshot_path": "init_weights takes a snapshot, relative to a root directory",
    },
)

PRECISIONS = ("float32", "bfloat16")
"""In which a network can be computed; the first is DeepLabCut's."""

INFERENCE = Vocabulary(
    what="pose estimation parameters",
    parameters={
        "batch_size": Parameter(
            _integer(1), {"pytorch": "batch_size", "tensorflow": "batchsize"}, ("batchsize",)
        ),
        "cropping": _both(_crop, "cropping"),
        "dynamic": _both(_dynamic, "dynamic"),
        "exact": _ours(_boolean),
        "precision": _ours(_choice(*PRECISIONS)),
        "filtered": _ours(_boolean),
        "labeled_video": _ours(_wish),
    },
    refused={
        "device": _AT_POPULATE,
        "gputouse": _AT_POPULATE,
        "config": _BY_MODEL,
        "shuffle": _BY_MODEL,
        "trainingsetindex": _BY_MODEL,
        "modelprefix": _BY_MODEL,
        "snapshot_index": _BY_MODEL,
        "videos": "the recording's own files are analyzed",
        "video_extensions": "the recording's own files are analyzed",
        "videotype": "the recording's own files are analyzed",
        "in_random_order": "files are always analyzed in file_id order",
        "destfolder": "PoseEstimationTask.pose_estimation_output_dir says it",
    },
)

_ALWAYS_H264 = "labeled videos are always H.264 in MP4, which plays everywhere"

LABELED_VIDEO = Vocabulary(
    what="labeled video settings",
    parameters={
        "frame_rate": _ours(_number(0.001, 1000, " frames/s"), "outputframerate"),
        "displayedbodyparts": _ours(_names, "body_parts"),
        "displayedindividuals": _ours(_names, "individuals"),
        "dotsize": _ours(_number(0.5, 500, " px")),
        "pcutoff": _ours(_number(0, 1), "p_cutoff"),
        "alphavalue": _ours(_number(0, 1), "alpha"),
        "colormap": _ours(_text),
        "color_by": _ours(_choice("bodypart", "individual")),
        "trailpoints": _ours(_integer(0, 1000)),
        "draw_skeleton": _ours(_boolean),
        "skeleton": _ours(_links),
        "skeleton_color": _ours(_text),
        "keypoints_only": _ours(_boolean),
        "crf": _ours(_integer(0, 51)),
    },
    refused={
        "codec": _ALWAYS_H264,
        "fastmode": "there is one mode, and it is fast",
        "save_frames": "decode the labeled video for single frames",
        "Frames2plot": "every frame is drawn",
        "displaycropped": "the whole frame is drawn, with cropped poses at their place in it",
        "overwrite": "delete the row of LabeledVideo, then populate",
        "filtered": "the poses of the task are drawn; load DeepLabCut's filtered ones to see those",
        "destfolder": "LabeledVideo.File.labeled_video_path says where it is",
        "videos": "the recording's own files are drawn on",
        "config": _BY_MODEL,
        "shuffle": _BY_MODEL,
        "trainingsetindex": _BY_MODEL,
        "modelprefix": _BY_MODEL,
    },
)
"""How poses are drawn; the names are those of DeepLabCut's ``create_labeled_video``.

``frame_rate`` is that at which the labeled video plays (no frame is dropped or repeated),
``dotsize`` a radius in px, ``trailpoints`` a number of frames, ``crf`` x264's quality from 0 to 51,
of which less is better and larger.
"""

PROJECT_ENTRIES = frozenset((
    "Task", "scorer", "date", "multianimalproject", "identity", "project_path",
    "pose_config_path", "config_version", "video_sets", "video_sets_original", "bodyparts",
    "individuals", "uniquebodyparts", "multianimalbodyparts", "start", "stop", "numframes2pick",
    "skeleton", "skeleton_color", "pcutoff", "dotsize", "alphavalue", "colormap",
    "TrainingFraction", "iteration", "default_track_method", "snapshotindex",
    "detector_snapshotindex", "batch_size", "detector_batch_size", "cropping", "x1", "x2", "y1",
    "y2", "corner2move2", "move2corner", "SuperAnimalConversionTables", "resnet",
    "croppedtraining",
))  # fmt: skip
"""Entries of a ``config.yaml`` that describe the project, its plots, or its analyses.

``batch_size`` is among them: in a config it is that of analyses, not of trainings.
"""

MARKS_OF_A_CONFIG = ("Task", "scorer", "project_path")
_BY_WEIGHTS = "init_weights takes a snapshot, relative to a root directory"
_BY_LABELS = "it follows from the labels"
FORBIDDEN_UPDATES: dict[str, dict[str, str]] = {
    "pytorch_cfg_updates": {
        "device": _AT_POPULATE,
        "runner.device": _AT_POPULATE,
        "runner.load_weights_only": "it would let a snapshot run code when it is loaded",
        "resume_training_from": _BY_WEIGHTS,
        "train_settings.weight_init": _BY_WEIGHTS,
        "metadata": "it is DeepLabCut's own record",
        "inference.conditions": "its paths would lead out of the root directories",
    },
    "pose_cfg_updates": {
        "init_weights": _BY_WEIGHTS,
        "net_type": "net_type is a parameter of its own",
        "dataset_type": "augmenter_type is the parameter for it",
        "batch_size": "batch_size is a parameter of its own",
        "project_path": "it is the private view that DeepLabCut trains in",
        "snapshot_prefix": "snapshots go to the private view that DeepLabCut trains in",
        "log_dir": "logs go to the private view that DeepLabCut trains in",
        "engine": "engine is a parameter of its own",
        "dataset": _BY_LABELS,
        "metadataset": _BY_LABELS,
        "num_joints": _BY_LABELS,
        "all_joints": _BY_LABELS,
        "all_joints_names": _BY_LABELS,
    },
}
"""Entries of an engine config that a parameter set may not change, and why."""
