"""Views of the trajectories in the database, and the names of the folders they come from."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import QueryError
from .store.files import hash_json, slugify

POSES = "poses"


def name_output_dir(key: Mapping[str, Any]) -> Path:
    """Name a task's output folder, relative to the processed directory.

    Readable, and distinct for distinct keys: "a b" and "a-b" read the same but hash differently.
    """
    plain = {name: str(value) for name, value in sorted(key.items())}
    values = "-".join(slugify(value, 24) for value in plain.values())
    return Path(POSES, f"{slugify(values, 100)}-{hash_json(plain)[:12]}")


def pick_body_parts(config: Mapping[str, Any], wanted: str | Sequence[str]) -> list[str]:
    """Choose body parts of a model by name.

    Args:
        config: The model's config.
        wanted: ``"all"``, one name, or several.

    Raises:
        QueryError: The model has no such body part; the message suggests the nearest.
    """
    known = list_body_parts(config)
    if isinstance(wanted, str):
        wanted = known if wanted == "all" else [wanted]
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"It has {', '.join(known)}."
            raise QueryError(f"The model has no body part '{name}'. {hint}")
    return list(wanted)


def list_body_parts(config: Mapping[str, Any]) -> list[str]:
    """List what a model of this config predicts, in DeepLabCut's order."""
    if not config.get("multianimalproject"):
        return [str(part) for part in config["bodyparts"]]
    names = (*config["multianimalbodyparts"], *(config.get("uniquebodyparts") or ()))
    return list(dict.fromkeys(str(name) for name in names))


def build_table(
    rows: Sequence[Mapping[str, Any]],
    scorer: str,
    body_parts: Sequence[str],
    crop: Sequence[int] | None,
) -> pd.DataFrame:
    """Lay out trajectories as DeepLabCut does.

    Args:
        rows: Rows of ``PoseEstimation.BodyPartPosition`` of one estimation.
        scorer: First level of the columns.
        body_parts: Order of the columns.
        crop: Crop whose corner to add to x and y, or None to leave them.

    Returns:
        One row per frame; columns (scorer, bodyparts, coords), with individuals in between where
        animals are named, and with z after y where there is one.
    """
    x_corner, y_corner = (crop[0], crop[2]) if crop else (0, 0)
    ordered = sorted(rows, key=lambda row: (row["individual"], body_parts.index(row["body_part"])))
    named = any(row["individual"] for row in ordered)
    columns: dict[tuple[str, ...], Any] = {}
    for row in ordered:
        levels = (row["individual"], row["body_part"]) if named else (row["body_part"],)
        arrays = {
            "x": _shift(row["x_pos"], x_corner),
            "y": _shift(row["y_pos"], y_corner),
            "z": row.get("z_pos"),
            "likelihood": row["likelihood"],
        }
        for coord, array in arrays.items():
            if array is not None:
                name = (scorer, *levels, coord)
                columns[name] = array
    names = ["scorer", *(["individuals"] if named else []), "bodyparts", "coords"]
    table = pd.DataFrame(columns, index=pd.Index(ordered[0]["frame_index"], dtype=np.int64))
    table.columns = pd.MultiIndex.from_tuples(columns, names=names)
    return table


def _shift(values: Any, by: int) -> Any:
    return values if by == 0 else values + by
