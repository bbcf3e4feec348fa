"""The small interface that every engine implements, and the values that pass through it.

An engine is a module with the functions of `Engine`. It gets project views and plain values, and
returns plain values and numpy arrays: nothing of DeepLabCut, torch or TensorFlow leaves it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..readers.snapshots import Snapshot
from ..store.views import ProjectView


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training stands.

    Attributes:
        epoch: Epochs (PyTorch) or iterations (TensorFlow) done.
        total: How many there will be.
        metrics: Losses and metrics measured last, by DeepLabCut's names, and ``learning_rate``.
    """

    epoch: int
    total: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    Attributes:
        arguments: Arguments of the engine's own train function.
        init_weights: ``pretrained``, ``random`` or a snapshot file.
        seed: Seeds the weights (when random) and the training.
        split_seed: Seeds the split into training and test frames, where one is made.
        net_type: Network, where the shuffle is created; None takes the config's default.
        augmenter_type: Augmentation, likewise.
    """

    arguments: Mapping[str, Any]
    init_weights: str | Path
    seed: int
    split_seed: int
    net_type: str | None = None
    augmenter_type: str | None = None


@dataclass(frozen=True)
class FrameErrors:
    """Distances between labels and predictions on every labelled frame.

    Attributes:
        images: Paths of the frames relative to the project.
        distance: float64, shape (n_images, n_body_parts), px; NaN where not labelled.
        likelihood: float64, same shape, of the prediction.
        in_test: bool, shape (n_images,): whether the frame is one of the test frames.
    """

    images: tuple[str, ...]
    distance: npt.NDArray[np.float64]
    likelihood: npt.NDArray[np.float64]
    in_test: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Video:
    """A video to analyze.

    Attributes:
        path: The file.
        n_frames: Frames it holds, decoded and counted.
    """

    path: Path
    n_frames: int


@dataclass(frozen=True)
class InferencePlan:
    """How to analyze a video.

    Attributes:
        batch_size: Frames per forward pass; None takes the config's.
        crop: [x1, x2, y1, y2] in px, or None for the whole frame. Already effective: a crop that
            the config would apply silently is written here.
        dynamic: (on, threshold, margin in px) of DeepLabCut's dynamic cropping, or None.
    """

    batch_size: int | None = None
    crop: tuple[int, int, int, int] | None = None
    dynamic: tuple[bool, float, int] | None = None


OnTraining = Callable[[TrainingProgress], None]
OnFrames = Callable[[int], None]


class Engine(Protocol):
    """What a module of this room offers."""

    def describe(self, device: str | None) -> dict[str, str]:
        """Versions of everything that computes, and the device's name."""

    def resolve_device(self, device: str | None) -> str:
        """Turn a wish (None: the best there is) into a device that exists here.

        Raises:
            EngineError: It does not exist.
        """

    def create_dataset(self, view: ProjectView, plan: TrainingPlan) -> None:
        """Create dataset, split and engine config of the view's shuffle from its labels."""

    def train(
        self,
        view: ProjectView,
        plan: TrainingPlan,
        device: str,
        on_progress: OnTraining,
        resume_from: Snapshot | None = None,
    ) -> None:
        """Train the view's shuffle; an exception raised by ``on_progress`` stops it cleanly.

        With ``resume_from``, one of the view's own snapshots, the training goes on from there to
        the length that the plan says.
        """

    def is_complete(self, snapshot: Snapshot) -> bool:
        """Whether a snapshot was written to its end: a killed worker may leave half of one."""

    def evaluate(self, view: ProjectView, snapshot: str, device: str) -> FrameErrors:
        """Predict every labelled frame of the view with one of its snapshots."""

    def infer(
        self,
        view: ProjectView,
        video: Video,
        folder: Path,
        plan: InferencePlan,
        device: str,
        on_frames: OnFrames,
    ) -> Path:
        """Analyze a video and return the prediction file written to ``folder``."""
