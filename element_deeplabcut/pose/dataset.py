"""The pose as an xarray dataset, in the form in which `movement` makes its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..optional import import_optional

if TYPE_CHECKING:
    import xarray as xr

    from .data import Pose

DIMENSIONS = ("time", "space", "keypoints", "individuals")
"""How movement 0.6 names and orders them; used where movement is not installed."""

SINGLE_INDIVIDUAL = "individual_0"
"""What movement calls the only animal, which has no name in DeepLabCut's files."""


def build_dataset(pose: Pose) -> xr.Dataset:
    """Convert a pose; see `Pose.to_xarray`."""
    xarray = import_optional("xarray", "analysis")
    time, space, keypoints, individuals = DIMENSIONS
    coords = {
        time: pose.frame_index.copy() if pose.rate is None else pose.time,
        space: list(pose.space),
        keypoints: list(pose.body_parts),
        individuals: [name_individual(name) for name in pose.individuals],
    }
    dataset = xarray.Dataset(
        {
            "position": ((time, keypoints, individuals, space), pose.position.copy(order="K")),
            "confidence": ((time, keypoints, individuals), pose.likelihood.copy(order="K")),
        },
        coords,
        _describe(pose),
    )
    return _as_installed(dataset)


def name_individual(name: str) -> str:
    """Name an individual as movement would."""
    return name or SINGLE_INDIVIDUAL


def _describe(pose: Pose) -> dict[str, Any]:
    """List the attributes: those of movement, and those that make the pose reproducible."""
    known: dict[str, Any] = {
        "source_software": "DeepLabCut",
        "ds_type": "poses",
        "fps": pose.fps,
        "time_unit": "frames" if pose.rate is None else "seconds",
        "source_file": "; ".join(file.path for file in pose.files),
        "scorer": pose.scorer,
        "space_unit": pose.unit,
        "full_frame": int(pose.full_frame),
    }
    if pose.crop is not None:
        known["crop"] = list(pose.crop)
    if pose.rate is not None:
        known["fps_ratio"] = str(pose.rate)
    if pose.width is not None and pose.height is not None:
        known["frame_size"] = [pose.width, pose.height]
    return {name: value for name, value in known.items() if value is not None}


def _as_installed(dataset: xr.Dataset) -> xr.Dataset:
    """Name and order the dimensions as the installed movement does."""
    try:
        from movement.validators.datasets import ValidPosesDataset
    except ImportError:
        return dataset.transpose(*DIMENSIONS)
    installed = ValidPosesDataset.DIM_NAMES
    names = {name: _match(name, installed) for name in DIMENSIONS}
    dataset = dataset.rename({old: new for old, new in names.items() if old != new})
    return dataset.transpose(*installed)


def _match(name: str, installed: Any) -> str:
    """Find the spelling of a dimension, in the singular or the plural."""
    return next(other for other in installed if other.rstrip("s") == name.rstrip("s"))
