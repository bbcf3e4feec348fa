"""The pose object: where each body part of each individual was in each frame, and what it means.

**Order.** Arrays are frames x body parts x individuals (x space). In memory the frames of one
coordinate lie side by side, as they do in the database, so that reading, filtering and
differentiating a trajectory touch contiguous numbers.

**Coordinates.** Pixels, x to the right and y down, the centre of the top left pixel at (0, 0). With
``full_frame`` they count from the corner of the whole frame, else from that of the crop that was
analyzed. A triangulated pose has x, y, z in the unit of its calibration, which DeepLabCut does not
write down.

**Time.** Frame ``i`` of a recording is shown ``i / rate`` seconds after its first: the files of a
recording follow each other without a pause, at one rate (`video.combine_files` insists on the
latter).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import ResultError

if TYPE_CHECKING:
    import os

    import pandas as pd
    import xarray as xr

PIXELS = "px"
UNKNOWN_UNIT = "unknown"
"""Unit of triangulated poses: DeepLabCut does not write down that of the calibration."""


@dataclass(frozen=True)
class PoseFile:
    """One video file of the recording.

    Attributes:
        file_id: Its number, which gives its place in the recording.
        path: Path relative to a root directory.
        first_frame: Number of its first frame within the recording.
        nframes: Decoded frames.
        rate: Frames per second, exact (29.97 is 30000/1001); None where the recording states none.
    """

    file_id: int
    path: str
    first_frame: int
    nframes: int
    rate: Fraction | None


@dataclass(frozen=True, eq=False)
class Pose:
    """Poses of a recording, or of a range of its frames.

    Attributes:
        position: float32 or float64, shape (n_frames, n_body_parts, n_individuals, 2 or 3): x, y
            (and z) in ``unit``. NaN where nothing was found.
        likelihood: Same type, shape (n_frames, n_body_parts, n_individuals), in [0, 1]; NaN in
            results that have none.
        frame_index: int64, shape (n_frames,): numbers of the frames within the recording.
        body_parts: Names, in the order of the arrays.
        individuals: Names, in the order of the arrays; one empty name in single-animal projects.
        scorer: DeepLabCut's name for the model.
        rate: Frames per second, exact; None where the recording states none.
        files: The recording's video files, in their order. All of them, also where ``position``
            holds a range.
        width: Width of the whole frame, px.
        height: Height of the whole frame, px.
        crop: Crop that was analyzed, (x1, x2, y1, y2) in px of the whole frame; None for all of it.
        full_frame: Whether ``position`` counts from the corner of the whole frame rather than from
            that of the crop.
        unit: Of ``position``: ``px``, or ``unknown`` for triangulated poses.
        skeleton: Pairs of body parts that the model's config connects, of those that are here.
        p_cutoff: Likelihood below which the model's config does not trust a point.
        tracked: bool, shape (n_body_parts, n_individuals): which combinations the model predicts
            (the body parts of ``single``, say, are not those of the animals). None for all.
        n_recorded: Frames of the whole recording, of which ``position`` may hold a range.
        key: Primary key of the pose estimation.
    """

    position: npt.NDArray[np.floating[Any]]
    likelihood: npt.NDArray[np.floating[Any]]
    frame_index: npt.NDArray[np.int64]
    body_parts: tuple[str, ...]
    individuals: tuple[str, ...] = ("",)
    scorer: str = ""
    rate: Fraction | None = None
    files: tuple[PoseFile, ...] = ()
    width: int | None = None
    height: int | None = None
    crop: tuple[int, int, int, int] | None = None
    full_frame: bool = True
    unit: str = PIXELS
    skeleton: tuple[tuple[str, str], ...] = ()
    p_cutoff: float = 0.6
    tracked: npt.NDArray[np.bool_] | None = None
    n_recorded: int = 0
    key: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        expected = (len(self.frame_index), len(self.body_parts), len(self.individuals))
        if self.likelihood.shape != expected or self.position.shape[:-1] != expected:
            raise ResultError(
                f"position has the shape {self.position.shape} and likelihood "
                f"{self.likelihood.shape}, where frames, body parts and individuals make "
                f"{expected}. Give arrays of that order."
            )
        if self.position.shape[-1] not in (2, 3):
            raise ResultError(
                f"position has {self.position.shape[-1]} coordinates; give x and y, or x, y, z."
            )

    @property
    def n_frames(self) -> int:
        """Number of frames held."""
        return len(self.frame_index)

    @property
    def space(self) -> tuple[str, ...]:
        """Names of the coordinates: x, y and, where there is one, z."""
        return ("x", "y", "z")[: self.position.shape[-1]]

    @property
    def fps(self) -> float | None:
        """Frames per second, rounded to a float; `rate` has it exactly."""
        return None if self.rate is None else float(self.rate)

    @property
    def time(self) -> npt.NDArray[np.float64]:
        """Seconds since the recording's first frame, shape (n_frames,).

        Raises:
            ResultError: The recording has no frame rate.
        """
        if self.rate is None:
            raise ResultError(
                f"The recording of {dict(self.key)} has no frame rate, so its frames have no time. "
                "Populate RecordingInfo from its video files, or use frame_index."
            )
        return self.frame_index * self.rate.denominator / self.rate.numerator

    @property
    def is_tracked(self) -> npt.NDArray[np.bool_]:
        """Which combinations the model predicts: bool, shape (n_body_parts, n_individuals)."""
        if self.tracked is not None:
            return self.tracked
        return np.ones((len(self.body_parts), len(self.individuals)), bool)

    @property
    def has_likelihood(self) -> bool:
        """Whether any point has a likelihood."""
        return bool((~np.isnan(self.likelihood)).any())

    def with_arrays(
        self,
        position: npt.NDArray[np.floating[Any]],
        likelihood: npt.NDArray[np.floating[Any]] | None = None,
    ) -> Pose:
        """Copy the pose with other numbers in it, of the same frames and names."""
        likelihood = self.likelihood if likelihood is None else likelihood
        return dataclasses.replace(self, position=position, likelihood=likelihood)

    # --- views -----------------------------------------------------------------------------------

    def to_dataframe(self) -> pd.DataFrame:
        """Lay out the pose as DeepLabCut does; nothing is lost.

        Returns:
            One row per frame, labelled with `frame_index`. Columns (scorer, bodyparts, coords),
            with individuals in between where they are named; coords are x, y, z where there is
            one, and likelihood. A copy.
        """
        from .table import build_table

        return build_table(self)

    def to_xarray(self) -> xr.Dataset:
        """Convert to a dataset that `movement` takes for its own.

        Returns:
            Variables ``position`` and ``confidence``, dimensions time, space, keypoints and
            individuals, named and ordered as the installed `movement` has them. Time is in seconds,
            or in frames where there is no rate. A copy.

        Raises:
            SetupError: xarray is not installed.
        """
        from .dataset import build_dataset

        return build_dataset(self)

    def to_h5(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the file that DeepLabCut would: key ``df_with_missing``, format table.

        Args:
            path: File to write. DeepLabCut's tools find it beside the video when it is called
                ``<video's name><scorer>.h5``.
            overwrite: Replace a file that is there.

        Returns:
            The path.

        Raises:
            PathError: The file is there already, or its folder is not.
            ResultError: The pose has no frames.
        """
        from .writing import write_h5

        return write_h5(self, path, overwrite=overwrite)

    def to_csv(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the CSV file that DeepLabCut would.

        Args:
            path: File to write.
            overwrite: Replace a file that is there.

        Returns:
            The path.

        Raises:
            PathError: As `to_h5`.
        """
        from .writing import write_csv

        return write_csv(self, path, overwrite=overwrite)
