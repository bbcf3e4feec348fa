"""Result files as DeepLabCut writes them, for tests of engines and versions that cannot run here.

Written with DeepLabCut's own calls (`save_data`, `create_df_from_prediction`, `write_tracks`,
`triangulate`): pandas, key df_with_missing or tracks, format table.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

XYP = ("x", "y", "likelihood")


def make_table(
    scorer: str,
    parts: Sequence[str],
    n_frames: int,
    *,
    individuals: Sequence[str] | None = None,
    unique: Sequence[str] = (),
    coords: Sequence[str] = XYP,
    dtype: str = "float64",
    seed: int = 0,
) -> pd.DataFrame:
    """Make a table of random numbers in DeepLabCut's layout."""
    names = ["scorer", "bodyparts", "coords"]
    levels: list[Sequence[str]] = [[scorer], list(parts), list(coords)]
    if individuals is not None:
        names.insert(1, "individuals")
        levels.insert(1, list(individuals))
    columns = pd.MultiIndex.from_product(levels, names=names)
    if unique:
        more = pd.MultiIndex.from_product([[scorer], ["single"], unique, coords], names=names)
        columns = columns.append(more)
    values = np.random.default_rng(seed).uniform(0, 100, (n_frames, len(columns)))
    return pd.DataFrame(values.astype(dtype), columns=columns, index=range(n_frames))


def write_table(table: pd.DataFrame, file: Path, key: str = "df_with_missing") -> pd.DataFrame:
    """Write a table to ``.h5`` or ``.csv``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".csv":
        table.to_csv(file)
    else:
        table.to_hdf(file, key=key, format="table", mode="w")
    return table


def tensorflow_meta(scorer: str, n_frames: int, **changes: Any) -> dict[str, Any]:
    """Notes of a TensorFlow analysis of 200 x 200 px."""
    notes = {
        "start": 1.6e9,
        "stop": 1.6e9 + 10,
        "run_duration": 10.0,
        "Scorer": scorer,
        "DLC-model-config file": {"net_type": "resnet_50", "all_joints": [[0], [1]]},
        "fps": np.float64(30),
        "batch_size": 8,
        "frame_dimensions": (200, 200),
        "nframes": n_frames,
        "iteration (active-learning)": 0,
        "training set fraction": 0.8,
        "cropping": False,
        "cropping_parameters": [0, 200, 0, 200],
    }
    return {"data": {**notes, **changes}}


def pytorch_meta(scorer: str, n_frames: int, **changes: Any) -> dict[str, Any]:
    """Notes of a PyTorch analysis of 200 x 200 px."""
    meta = tensorflow_meta(scorer, n_frames, **changes)
    meta["data"]["pytorch-config"] = {"net_type": "resnet_50"}
    del meta["data"]["DLC-model-config file"]
    return meta


def write_meta(meta: Any, file: Path) -> None:
    """Write notes."""
    file.write_bytes(pickle.dumps(meta, pickle.HIGHEST_PROTOCOL))
