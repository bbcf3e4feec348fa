"""Loading results into the database, beside ``pd.read_hdf`` and a raw insert of the same bytes."""

from __future__ import annotations

import argparse
import datetime
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .lab import SCORER, BenchLab, make_values, name_parts


def write_result(folder: Path, stem: str, values: npt.NDArray[np.float64]) -> Path:
    """Write a result as ``deeplabcut.analyze_videos`` does: the table and its notes."""
    n_frames, n_columns = values.shape
    names = ["scorer", "bodyparts", "coords"]
    columns = pd.MultiIndex.from_product(
        [[SCORER], name_parts(n_columns // 3), ["x", "y", "likelihood"]], names=names
    )
    file = folder / f"{stem}{SCORER}.h5"
    table = pd.DataFrame(values, columns=columns)
    table.to_hdf(file, key="df_with_missing", format="table", mode="w")
    return file


def queue_result(lab: BenchLab, values: npt.NDArray[np.float64], recording: int) -> dict[str, Any]:
    """Write a result and queue its loading; returns the key of the task."""
    model = {"model_name": f"model{values.shape[1] // 3}"}
    if not lab.model.Model & model:
        lab.add_model(model["model_name"], name_parts(values.shape[1] // 3))
    key = {**lab.add_recording(recording, len(values)), **model}
    folder = lab.root / str(recording)
    folder.mkdir()
    write_result(folder, str(recording), values)
    return lab.model.PoseEstimationTask.generate(key, task_mode="load", output_dir=folder)
