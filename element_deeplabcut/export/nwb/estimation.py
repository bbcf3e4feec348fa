"""What one PoseEstimation of a file is made of: the numbers, and the facts that go with them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pose import Pose

UNIQUE = "single"
"""What DeepLabCut calls the individual of body parts that belong to no animal."""


@dataclass(frozen=True)
class Estimation:
    """A pose estimation and all that a file says of it.

    Attributes:
        pose: The numbers.
        recording: Key of its recording.
        camera: Name of the device that recorded it.
        camera_description: What the lab says of the device.
        model_name: The lab's name for the model.
        software_version: Version of DeepLabCut that predicted it; None where nobody knows.
        finished_at: When it was predicted, UTC, without a time zone.
        recorded_at: Creation time in the video's metadata, likewise; None where there is none.
        provenance: ``run_info`` and the model's facts.
        part_descriptions: Body part -> what the lab says of it.
        videos: Files of the recording, absolute, in their order; they need not be there.
        labeled_videos: The labeled video of each, or empty.
    """

    pose: Pose
    recording: Mapping[str, Any]
    camera: str = "camera"
    camera_description: str = ""
    model_name: str = ""
    software_version: str | None = None
    finished_at: datetime.datetime | None = None
    recorded_at: datetime.datetime | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    part_descriptions: Mapping[str, str] = field(default_factory=dict)
    videos: tuple[Path, ...] = ()
    labeled_videos: tuple[Path, ...] = ()

    @property
    def animals(self) -> tuple[str, ...]:
        """Individuals that are animals; the others' body parts belong to the scene."""
        named = tuple(name for name in self.pose.individuals if name != UNIQUE)
        return named or self.pose.individuals

    @property
    def has_scene(self) -> bool:
        """Whether some body parts belong to no animal (corners of an arena, say)."""
        return UNIQUE in self.pose.individuals and self.animals != (UNIQUE,)
