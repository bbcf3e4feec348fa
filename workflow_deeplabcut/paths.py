"""Where this workflow's data lies: directories from the environment and DataJoint's configuration.

Each setting is looked up in the environment first, then in ``dj.config['custom']``, which DataJoint
reads from ``dj_local_conf.json`` (see `workflow_deeplabcut.configuration`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datajoint as dj

from element_deeplabcut.errors import SetupError


def _custom() -> Mapping[str, Any]:
    custom = dj.config.get("custom")
    return custom if isinstance(custom, Mapping) else {}


def get_database_prefix() -> str:
    """Prefix of the names of all schemas (``DATABASE_PREFIX`` or ``database.prefix``)."""
    return os.environ.get("DATABASE_PREFIX") or str(_custom().get("database.prefix") or "")


def get_dlc_root_data_dir() -> list[Path]:
    """Root directories of videos and projects (``DLC_ROOT_DATA_DIR`` or ``dlc_root_data_dir``).

    In the environment several are separated as in ``PATH``; in the configuration they are a list.
    ``~`` stands for the home directory.

    Raises:
        SetupError: None is configured.
    """
    value = os.environ.get("DLC_ROOT_DATA_DIR") or _custom().get("dlc_root_data_dir")
    parts = value.split(os.pathsep) if isinstance(value, str) else value or []
    if not isinstance(parts, (list, tuple)) or not all(isinstance(p, (str, Path)) for p in parts):
        raise SetupError(
            f"dj.config['custom']['dlc_root_data_dir'] is {value!r}; make it a directory or a list "
            "of directories."
        )
    roots = [Path(part).expanduser() for part in parts if str(part).strip()]
    if not roots:
        raise SetupError(
            "No root directory is configured. Run `workflow-deeplabcut configure --root DIR`, or "
            "set the environment variable DLC_ROOT_DATA_DIR or dj.config['custom'] = "
            "{'dlc_root_data_dir': [...]}, to where videos and projects are."
        )
    return roots


def get_dlc_processed_data_dir() -> Path | None:
    """Directory for results (``DLC_PROCESSED_DATA_DIR``, ``dlc_processed_data_dir``), if any.

    The older key ``dlc_output_dir`` is accepted. None lets the library use a folder of its own
    below the first root.

    Raises:
        SetupError: The setting is no path.
    """
    custom = _custom()
    value = (
        os.environ.get("DLC_PROCESSED_DATA_DIR")
        or custom.get("dlc_processed_data_dir")
        or custom.get("dlc_output_dir")
    )
    if value and not isinstance(value, (str, Path)):
        raise SetupError(
            f"dj.config['custom']['dlc_processed_data_dir'] is {value!r}; make it a directory."
        )
    return Path(value).expanduser() if value else None
