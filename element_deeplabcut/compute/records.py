"""How long work took, and how much it left, by the records of earlier work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ..readers.engine_config import name_network


@dataclass(frozen=True)
class TrainingRecord:
    """What a finished training tells of others of its network.

    Attributes:
        engine: Engine.
        network: Name of the network; see `name_network`.
        device: Device, with its name where it has one.
        seconds_per_step: Seconds per epoch and training frame (PyTorch), or per iteration.
        disk_bytes: Size of its run directory, or None.
    """

    engine: str
    network: str
    device: str
    seconds_per_step: float
    disk_bytes: int | None


@dataclass(frozen=True)
class InferenceRecord:
    """What an analysis tells of others with its model.

    Attributes:
        device: Device, with its name where it has one.
        frames_per_s: Frames per second.
        bytes_per_frame: Of its run directory, or None.
    """

    device: str
    frames_per_s: float
    bytes_per_frame: float | None


def name_device(device: str, device_name: str | None = None) -> str:
    """Name a device, so that equal GPUs have one name whatever their number."""
    return device_name or device.partition(":")[0]


def read_training_records(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[TrainingRecord]:
    """Take records from ``latest_snapshot`` and ``run_info`` of trainings that have what it takes.

    A training that was resumed counts with its last part, which is what its duration is of.
    """
    records = []
    for latest, info in rows:
        resumed = info.get("resumed") or ()
        length = int(latest) - (int(resumed[-1]["epochs"]) if resumed else 0)
        n_frames = len((info.get("split") or {}).get("train") or ())
        steps = length * (n_frames if info.get("engine") == "pytorch" else 1)
        if steps > 0 and info.get("duration_s") and info.get("engine_config"):
            records.append(
                TrainingRecord(
                    info["engine"],
                    name_network(info["engine_config"]),
                    name_device(info["device"], info.get("device_name")),
                    float(info["duration_s"]) / steps,
                    info.get("disk_bytes"),
                )
            )
    return records


def read_inference_records(rows: Iterable[tuple[int, Mapping[str, Any]]]) -> list[InferenceRecord]:
    """Take records from ``nframes`` and ``run_info`` of analyses that were computed."""
    return [
        InferenceRecord(
            name_device(info["device"], info.get("device_name")),
            int(n_frames) / float(info["duration_s"]),
            int(info["disk_bytes"]) / int(n_frames) if info.get("disk_bytes") else None,
        )
        for n_frames, info in rows
        if info.get("device") and info.get("duration_s") and n_frames
    ]


def middle(values: Iterable[float | None]) -> float | None:
    """Median of the values that are known."""
    known: Sequence[float] = [value for value in values if value is not None]
    return median(known) if known else None
