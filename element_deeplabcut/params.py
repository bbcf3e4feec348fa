"""Parameter sets: canonical form, hash, validation, translation to an engine's arguments.

A parameter set is a flat dictionary of the names in `vocabulary`, which are those of DeepLabCut 3.
Spellings of DeepLabCut 2 are accepted and translated. What is stored is a canonical typed copy, so
that two spellings of the same settings are the same parameter set; the caller's dictionary is never
changed.

A whole ``config.yaml`` may be given with parameters among its entries, as users of older pipelines
do: the entries that describe the project are set apart, because training takes them from the
project itself.

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
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import ParameterError
from .vocabulary import (
    ENGINES,
    FORBIDDEN_UPDATES,
    INFERENCE,
    LABELED_VIDEO,
    MARKS_OF_A_CONFIG,
    PRETRAINED,
    PROJECT_ENTRIES,
    RANDOM,
    TRAINING,
    Vocabulary,
)

__all__ = [
    "ENGINES",
    "INFERENCE",
    "LABELED_VIDEO",
    "PRETRAINED",
    "RANDOM",
    "TRAINING",
    "canonicalize",
    "check_engine_honours",
    "check_inference_params",
    "check_params",
    "check_training_params",
    "engine_arguments",
    "hash_params",
    "split_config",
    "split_wish",
]


def canonicalize(value: Any, name: str = "value") -> Any:
    """Return a plain copy of a value: lists for tuples, Python numbers for numpy's.

    Raises:
        ParameterError: It holds something that has no exact plain form (a non-text key, NaN, an
            object).
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)  # numpy's texts are texts too
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
        return {str(key): canonicalize(item, f"{name}.{key}") for key, item in value.items()}
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
    parameters, _ = split_config(params)
    checked = check_params(parameters, TRAINING)
    for name, reasons in FORBIDDEN_UPDATES.items():
        _check_updates(name, checked.get(name, {}), reasons)
    engine = checked.get("engine")
    if engine is not None:
        check_engine_honours(checked, engine)
    return checked


def split_config(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the project's description apart from parameters given inside a whole config.

    Args:
        params: Parameters, or a project's whole config with parameters among its entries.

    Returns:
        The parameters, and the entries that describe the project (none unless it is a config).
    """
    if not isinstance(params, Mapping):
        raise ParameterError(f"Give the {TRAINING.what} as a dictionary.")
    if not all(name in params for name in MARKS_OF_A_CONFIG):
        return dict(params), {}
    described = {name: value for name, value in params.items() if name in PROJECT_ENTRIES}
    parameters = {name: value for name, value in params.items() if name not in described}
    # DeepLabCut's configs of old name an augmenter of its TensorFlow engine whatever the engine.
    if "default_augmenter" in parameters and parameters.get("engine") != "tensorflow":
        described["default_augmenter"] = parameters.pop("default_augmenter")
    return {name: value for name, value in parameters.items() if value is not None}, described


def _check_updates(name: str, updates: Mapping[str, Any], reasons: Mapping[str, str]) -> None:
    for path in _list_paths(updates):
        for forbidden, reason in reasons.items():
            if path == forbidden or path.startswith(f"{forbidden}."):
                raise ParameterError(f"{name} may not set '{path}': {reason}. Take it out.")


def _list_paths(settings: Mapping[str, Any], trail: str = "") -> Iterator[str]:
    """List every setting as a dotted path, however it is nested."""
    for name, value in settings.items():
        path = f"{trail}.{name}" if trail else name
        yield path
        if isinstance(value, Mapping):
            yield from _list_paths(value, path)


def check_inference_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """Validate parameters of a pose estimation, flat or nested under ``analyze_videos``.

    The wish for a labeled video comes out as a dictionary of its settings, empty for the defaults,
    and not at all where none is wanted.

    Raises:
        ParameterError: As `check_training_params`.
    """
    if params is None:
        return {}
    if not isinstance(params, Mapping):
        raise ParameterError(f"Give the {INFERENCE.what} as a dictionary.")
    if "analyze_videos" in params:
        others = [name for name in params if name != "analyze_videos"]
        if others:
            raise ParameterError(
                f"{', '.join(others)} beside 'analyze_videos': put all pose estimation parameters "
                "in one flat dictionary, or all under 'analyze_videos'."
            )
        params = params["analyze_videos"]
    checked = check_params(params, INFERENCE)
    if checked.get("labeled_video"):
        settings = check_params(checked["labeled_video"], LABELED_VIDEO)
        checked["labeled_video"] = {k: value for k, value in settings.items() if value is not None}
    return {name: value for name, value in checked.items() if value is not None}


def split_wish(params: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Validate parameters of a pose estimation and set the wish for a labeled video apart.

    The analysis does not depend on it, so it may change while the analysis runs.

    Returns:
        Parameters of the analysis, and the settings of the labeled video, None where none is
        wanted.

    Raises:
        ParameterError: As `check_training_params`.
    """
    checked = check_inference_params(params)
    wish = checked.pop("labeled_video", None)
    return checked, wish


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


def check_params(params: Mapping[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
    """Validate parameters by a vocabulary and return their canonical form.

    Raises:
        ParameterError: As `check_training_params`.
    """
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
