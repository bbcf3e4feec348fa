"""What a model predicts, and the names of the folders its results come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .store.files import hash_json, slugify

POSES = "poses"


def name_output_dir(key: Mapping[str, Any]) -> Path:
    """Name a task's output folder, relative to the processed directory.

    Readable, and distinct for distinct keys: "a b" and "a-b" read the same but hash differently.
    """
    plain = {name: str(value) for name, value in sorted(key.items())}
    values = "-".join(slugify(value, 24) for value in plain.values())
    return Path(POSES, f"{slugify(values, 100)}-{hash_json(plain)[:12]}")


def list_body_parts(config: Mapping[str, Any]) -> list[str]:
    """List what a model of this config predicts, in DeepLabCut's order."""
    if not config.get("multianimalproject"):
        return [str(part) for part in config["bodyparts"]]
    names = (*config["multianimalbodyparts"], *(config.get("uniquebodyparts") or ()))
    return list(dict.fromkeys(str(name) for name in names))
