"""How much was trained and analyzed lately, from the recorded progress."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .progress import InferenceProgress, TrainingProgress


@dataclass(frozen=True)
class Throughput:
    """What came to its end within some hours, on one device of one host.

    Attributes:
        table: ``ModelTraining`` or ``PoseEstimation``.
        host: Machine.
        device: Device there.
        n_finished: How many trainings or recordings.
        mean_s: How long one took, s, from the start of its last attempt.
        per_hour: How many in an hour of computing.
        n_frames: Frames of these recordings; 0 for trainings.
        frames_per_s: Frames in a second of computing, start-up included; None for trainings.
    """

    table: str
    host: str
    device: str
    n_finished: int
    mean_s: float
    per_hour: float
    n_frames: int
    frames_per_s: float | None


def measure_throughput(hours: float = 24) -> list[Throughput]:
    """Say what was finished in the last hours, per kind of work, host and device."""
    found = []
    if TrainingProgress.database is not None:
        found += _measure(TrainingProgress(), "ModelTraining", "0", hours)
    return found + _measure(InferenceProgress(), "PoseEstimation", "frames_done", hours)


def _measure(table: Any, name: str, frames: str, hours: float) -> list[Throughput]:
    rows = table.connection.query(
        f"SELECT host, device, COUNT(*), SUM({frames}), "
        "SUM(TIMESTAMPDIFF(MICROSECOND, started_at, updated_at)) / 1e6 "
        f"FROM {table.full_table_name} WHERE state='finished' "
        "AND updated_at > UTC_TIMESTAMP(6) - INTERVAL %s SECOND "
        "GROUP BY host, device ORDER BY host, device",
        args=(hours * 3600,),
    ).fetchall()
    found = []
    for host, device, n_finished, n_frames, busy in rows:
        seconds = max(float(busy), 1e-3)
        found.append(
            Throughput(
                name, host, device, int(n_finished), seconds / n_finished,
                3600 * n_finished / seconds, int(n_frames),
                int(n_frames) / seconds if n_frames else None,
            )
        )  # fmt: skip
    return found
