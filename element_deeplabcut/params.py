"""Parameter sets: canonical form, hash, validation, and each engine's own argument names.

A parameter set is a flat dictionary of the names below, which are those of DeepLabCut 3. Spellings
of DeepLabCut 2 are accepted and translated. What is stored is a canonical typed copy, so that two
spellings of the same settings are the same parameter set; the caller's dictionary is never changed.

What is *not* a parameter: the device (a choice of the worker, made at ``populate`` time), where
files go, and what the model or the task already says. Such names are refused by name.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import numbers
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import ParameterError

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
    return {key: canonicalize(item, key) for key, item in value.items()}


def _weights(value: Any) -> str:
    text = _text(value)
    return text.lower() if text.lower() in (PRETRAINED, RANDOM) else text


def _crop(value: Any) -> list[int] | None:
    wanted = "four whole numbers [x1, x2, y1, y2] in px with 0 <= x1 < x2 and 0 <= y1 < y2"
    if value is None or value is False:
        return None
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
        "display_iters": _both(_integer(1), "display_iters", "displayiters"),
        "max_snapshots_to_keep": _both(_integer(1), "max_snapshots_to_keep"),
        "epochs": _torch(_integer(1), "epochs"),
        "batch_size": _torch(_integer(1), "batch_size"),
        "save_epochs": _torch(_integer(1), "save_epochs"),
        "load_head_weights": _torch(_boolean, "load_head_weights"),
        "pytorch_cfg_updates": _torch(_settings, "pytorch_cfg_updates"),
        "max_iters": _tensorflow(_integer(1), "max_iters", "maxiters"),
        "save_iters": _tensorflow(_integer(1), "save_iters", "saveiters"),
    },
    refused={
        "device": _AT_POPULATE,
        "gputouse": _AT_POPULATE,
        "config": _BY_TASK,
        "modelprefix": "TrainingTask.model_prefix says it",
        "snapshot_path": "init_weights takes a snapshot, relative to a root directory",
    },
)

INFERENCE = Vocabulary(
    what="pose estimation parameters",
    parameters={
        "batch_size": _both(_integer(1), "batch_size", "batchsize"),
        "cropping": _both(_crop, "cropping"),
        "dynamic": _both(_dynamic, "dynamic"),
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


# --- checking -------------------------------------------------------------------------------------


def canonicalize(value: Any, name: str = "value") -> Any:
    """Return a plain copy of a value: lists for tuples, Python numbers for numpy's.

    Raises:
        ParameterError: It holds something that has no exact plain form (a non-text key, NaN, an
            object).
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        return canonicalize(value.tolist(), name)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        if not math.isfinite(value):
            raise ParameterError(f"'{name}' is {value}; give a finite number.")
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ParameterError(f"'{name}' has the key {key!r}; keys must be texts.")
        return {key: canonicalize(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonicalize(item, name) for item in value]
    raise ParameterError(
        f"'{name}' is a {type(value).__name__}; give numbers, texts, lists or dictionaries."
    )


def hash_params(params: Mapping[str, Any]) -> uuid.UUID:
    """Hash a parameter set independently of key order.

    Types count: ``1``, ``1.0``, ``True`` and ``"1"`` are four values, and nesting cannot be
    confused with concatenation, because what is hashed is canonical JSON.
    """
    text = json.dumps(canonicalize(params, "params"), sort_keys=True, separators=(",", ":"))
    return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16])


def check_training_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Validate training parameters and return their canonical form.

    Raises:
        ParameterError: A required name is missing, a name is unknown or belongs elsewhere, a
            value is of the wrong type or out of range, or two spellings contradict each other.
    """
    checked = _check(params, TRAINING)
    engine = checked.get("engine")
    if engine is not None:
        check_engine_honours(checked, engine)
    return checked


def check_inference_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Validate parameters of a pose estimation, flat or nested under ``analyze_videos``.

    Raises:
        ParameterError: As `check_training_params`.
    """
    if not params:
        return {}
    if "analyze_videos" in params:
        others = [name for name in params if name != "analyze_videos"]
        if others:
            raise ParameterError(
                f"{', '.join(others)} beside 'analyze_videos': put all pose estimation parameters "
                "in one flat dictionary, or all under 'analyze_videos'."
            )
        params = params["analyze_videos"]
    checked = _check(params, INFERENCE)
    return {name: value for name, value in checked.items() if value is not None}


def check_engine_honours(params: Mapping[str, Any], engine: str) -> None:
    """Insist that an engine can honour every given training parameter.

    Raises:
        ParameterError: Some parameters mean nothing to that engine; the message names them.
    """
    foreign = [name for name in params if engine not in TRAINING.parameters[name].arguments]
    if foreign:
        counts = "epochs" if engine == "pytorch" else "max_iters"
        raise ParameterError(
            f"The {engine} engine cannot honour {', '.join(sorted(foreign))}. Leave it out, or "
            f"choose the other engine; the length of a {engine} training is '{counts}'."
        )


def engine_arguments(
    params: Mapping[str, Any], engine: str, vocabulary: Vocabulary
) -> dict[str, Any]:
    """Translate checked parameters into the argument names of an engine's own function."""
    arguments = {}
    for name, value in params.items():
        argument = vocabulary.parameters[name].arguments.get(engine, "")
        if argument:
            arguments[argument] = value
    return arguments


def _check(params: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    if not isinstance(params, Mapping):
        raise ParameterError(f"Give the {vocabulary.what} as a dictionary.")
    checked: dict[str, Any] = {}
    for given, value in params.items():
        name = _known_name(given, vocabulary)
        converted = _convert(name, value, vocabulary)
        if name in checked and checked[name] != converted:
            raise ParameterError(f"'{given}' and '{name}' are one parameter with two values.")
        checked[name] = converted
    missing = [name for name in vocabulary.required if name not in checked]
    if missing:
        raise ParameterError(
            f"The {vocabulary.what} lack {' and '.join(repr(name) for name in missing)}; add them "
            "(for a first training: shuffle=1, trainingsetindex=0)."
        )
    return checked


def _known_name(given: Any, vocabulary: Vocabulary) -> str:
    if given in vocabulary.parameters:
        return str(given)
    for name, parameter in vocabulary.parameters.items():
        if given in parameter.old_names:
            return name
    if given in vocabulary.refused:
        raise ParameterError(
            f"'{given}' is not one of the {vocabulary.what}: {vocabulary.refused[given]}."
        )
    known = sorted(vocabulary.parameters)
    near = difflib.get_close_matches(str(given), known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"Known names: {', '.join(known)}."
    raise ParameterError(f"'{given}' is not one of the {vocabulary.what}. {hint}")


def _convert(name: str, value: Any, vocabulary: Vocabulary) -> Any:
    plain = canonicalize(value, name)
    try:
        return vocabulary.parameters[name].convert(plain)
    except ValueError as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"'{name}' is {value!r}; it must be {error}.") from None
