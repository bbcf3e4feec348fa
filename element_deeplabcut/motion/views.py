"""Motion as tables and datasets, in the unit one asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..optional import import_optional
from ..pose.dataset import name_individual
from .units import Calibrated, choose_scale

if TYPE_CHECKING:
    import xarray as xr

RADIANS = "rad"


def build_table(
    rows: Sequence[Mapping[str, Any]],
    time: npt.NDArray[np.float64],
    calibrated: Calibrated | None,
    unit: str | None,
) -> pd.DataFrame:
    """Lay out motion as one table; see ``Kinematics.get_dataframe``.

    Args:
        rows: Rows of ``Kinematics.Individual`` of one analysis.
        time: Shape (n_frames,), s.
        calibrated: The calibration with which it was measured, if any.
        unit: Unit to show lengths in.
    """
    scale = choose_scale(unit, calibrated)
    columns: dict[tuple[str, str], npt.NDArray[Any]] = {}
    for row in rows:
        centroid, velocity = (row[name] * scale.units_per_px for name in ("centroid", "velocity"))
        quantities = {
            "x": centroid[:, 0],
            "y": centroid[:, 1],
            "velocity_x": velocity[:, 0],
            "velocity_y": velocity[:, 1],
            "speed": row["speed"] * scale.units_per_px,
        }
        if row["heading"] is not None:
            quantities["heading"] = row["heading"]
        columns.update({(row["individual"], name): array for name, array in quantities.items()})
    table = pd.DataFrame(columns, index=pd.Index(time, name="time"))
    table.columns = pd.MultiIndex.from_tuples(columns, names=["individual", "quantity"])
    table.attrs["units"] = {
        "time": "s",
        **dict.fromkeys(("x", "y"), scale.unit),
        **dict.fromkeys(("velocity_x", "velocity_y", "speed"), f"{scale.unit}/s"),
        "heading": RADIANS,
    }
    return table


def build_dataset(
    rows: Sequence[Mapping[str, Any]],
    time: npt.NDArray[np.float64],
    calibrated: Calibrated | None,
    unit: str | None,
) -> xr.Dataset:
    """Lay out motion as a dataset; see ``Kinematics.get_dataset``. Arguments as `build_table`."""
    xarray = import_optional("xarray", "analysis")
    scale = choose_scale(unit, calibrated)
    places = ("time", "space", "individuals")
    variables = {
        "centroid": (places, _stack(rows, "centroid", scale), {"units": scale.unit}),
        "velocity": (places, _stack(rows, "velocity", scale), {"units": f"{scale.unit}/s"}),
        "speed": (places[::2], _stack(rows, "speed", scale), {"units": f"{scale.unit}/s"}),
    }
    if any(row["heading"] is not None for row in rows):
        lacking = np.full(len(time), np.nan)
        headings = [lacking if row["heading"] is None else row["heading"] for row in rows]
        variables["heading"] = (places[::2], np.stack(headings, axis=-1), {"units": RADIANS})
    coords = {
        "time": ("time", time, {"units": "s"}),
        "space": ["x", "y"],
        "individuals": [name_individual(row["individual"]) for row in rows],
    }
    return xarray.Dataset(variables, coords)


def _stack(
    rows: Sequence[Mapping[str, Any]], name: str, scale: Calibrated
) -> npt.NDArray[np.floating[Any]]:
    return np.stack([row[name] * scale.units_per_px for row in rows], axis=-1)
