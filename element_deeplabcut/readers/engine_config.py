"""An engine config is read by DeepLabCut; this checks it beforehand.

It is ``pytorch_config.yaml``, or ``pose_cfg.yaml`` with TensorFlow.

Project folders are the user's own, but an engine config travels with them, and three kinds of
entry in it reach further than the project: one lets torch run code stored in a snapshot, some are
paths to other weights, and a schema version tells that a newer DeepLabCut wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ModelError, PathError

_PATH_ENTRIES = ("snapshot_path", "detector_snapshot_path", "resume_training_from", "conditions")


def check_loads_safely(config: Mapping[str, Any], file: Path) -> None:
    """Refuse an engine config that asks torch to run code stored in a snapshot.

    Raises:
        ModelError: ``runner.load_weights_only`` is not true.
    """
    # Only an absent entry and a plain true are safe: DeepLabCut takes "no" and 0 for false, too.
    runners = (config.get("runner"), (config.get("detector") or {}).get("runner"))
    if any((runner or {}).get("load_weights_only") not in (None, True) for runner in runners):
        raise ModelError(
            f"'{file}' sets runner.load_weights_only to something else than true, which lets a "
            "snapshot run code when it is loaded. Remove the entry."
        )


def check_engine_config(
    config: Mapping[str, Any], file: Path, confine: Callable[[Path], object]
) -> None:
    """Refuse an engine config that would run code or reach outside the lab's directories.

    Args:
        config: Its content.
        file: Where it lies, for messages and relative paths.
        confine: Raises `PathError` for a path outside every root.

    Raises:
        ModelError: ``runner.load_weights_only`` is not true, or a path leads outside.
    """
    check_loads_safely(config, file)
    for name, value in _find_paths(config):
        try:
            confine(file.parent / value)
        except PathError as error:
            raise ModelError(
                f"'{file}' sets {name} to a path that cannot be used: {error} Correct or remove "
                "the entry."
            ) from error


def _find_paths(value: Any, trail: str = "") -> Iterator[tuple[str, str]]:
    """Find the entries, at any depth, that name a file of weights or conditions."""
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        name = f"{trail}.{key}" if trail else str(key)
        if key in _PATH_ENTRIES and isinstance(item, str) and item:
            yield name, item
        yield from _find_paths(item, name)


def drop_places(config: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """Leave out where the project lay when DeepLabCut wrote the config.

    DeepLabCut does not need it, and a moved project is still the same one.
    """
    if engine == "tensorflow":
        return {**config, "project_path": "", "init_weights": ""}
    metadata = {**(config.get("metadata") or {}), "project_path": "", "pose_config_path": ""}
    return {**config, "metadata": metadata}


def name_network(config: Mapping[str, Any]) -> str:
    """Name the network of an engine config, so that networks alike in cost have one name."""
    net_type = str(config.get("net_type") or "")
    backbone = ((config.get("model") or {}).get("backbone") or {}).get("model_name")
    return f"{net_type} ({backbone})" if backbone and backbone != net_type else net_type
