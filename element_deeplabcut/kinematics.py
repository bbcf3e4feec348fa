"""Schema ``kinematics``: poses cleaned, and the motion measured in them.

Activate it beside ``model``::

    kinematics.activate("lab_kinematics", linking_module=__name__)

Computing needs the extra ``analysis`` (scipy, xarray, movement); registering, queueing and fetching
do not, except for `Kinematics.get_dataset`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

import datajoint as dj
import numpy as np
import pandas as pd

from . import model
from .blobs import BLOB, check_fits, insert_row
from .compute.motion import MotionJob, MotionResult, run_cleaning, run_measuring
from .motion.params import check_kinematics_params
from .motion.units import Calibrated, check_calibration, scale_from_distance
from .motion.views import build_dataset, build_table
from .param_tables import insert_param_set
from .pose import Pose
from .pose.reading import read_mask, read_processed
from .tables import DistinctJobs, activate_beside, check_lengths, fetch_one, pick_primary_key

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

schema = dj.schema()


def activate(
    kinematics_schema_name: str,
    *,
    create_schema: bool = True,
    create_tables: bool = True,
    linking_module: str | ModuleType | None = None,
) -> None:
    """Activate the schema, after `model`.

    Args:
        kinematics_schema_name: Name of the database schema.
        create_schema: Create it if it does not exist.
        create_tables: Create tables that do not exist.
        linking_module: Module, or its name, as for ``model.activate``. Nothing is asked of it that
            `model` has not asked; it may be left out.

    Raises:
        SetupError: `model` is not active.
    """
    activate_beside(
        model.schema,
        schema,
        kinematics_schema_name,
        "kinematics",
        create_schema=create_schema,
        create_tables=create_tables,
        linking_module=linking_module,
    )


@schema
class Calibration(dj.Manual):
    """How long a pixel is in the plane in which the animal moves.

    Attributes:
        VideoRecording (foreign key): Recording.
        unit (varchar(16)): Unit of length, for instance ``mm``.
        units_per_px (double): How many of them one pixel is long.
        calibration_note (varchar(255)): How it was measured.
    """

    definition = """
    # How long a pixel is in a recording
    -> model.VideoRecording
    ---
    unit                : varchar(16)   # of length, for instance mm
    units_per_px        : double        # how many of them one pixel is long
    calibration_note='' : varchar(255)  # how it was measured
    """

    def insert(self, rows: Any, **options: Any) -> None:
        """Insert rows after checking them; see ``datajoint.Table.insert``.

        Raises:
            ParameterError: A unit is empty, px or too long, or a scale is not a positive number.
        """
        if isinstance(rows, pd.DataFrame):
            rows = rows.reset_index(drop=rows.index.names == [None]).to_dict("records")
        if isinstance(rows, Iterable) and not isinstance(rows, dj.expression.QueryExpression):
            rows = list(rows)
            for row in rows:
                self._check(row)
        super().insert(rows, **options)

    def _check(self, row: Any) -> None:
        names = self.heading.names
        if isinstance(row, (list, tuple)) and len(row) == len(names):
            row = dict(zip(names, row, strict=True))
        if isinstance(row, Mapping):
            check_calibration(row.get("unit"), row.get("units_per_px"))
            check_lengths(self, row)

    @classmethod
    def insert_from_distance(
        cls, key: Mapping[str, Any], *, length: float, unit: str, px: float, note: str = ""
    ) -> dict[str, Any]:
        """Calibrate a recording by something of known length in its picture.

        Args:
            key: Primary key of the recording.
            length: Its length.
            unit: Unit of the length, for instance ``mm``.
            px: How many pixels long it is in the picture.
            note: What it was.

        Returns:
            Primary key of the calibration.

        Raises:
            ParameterError: A length is not positive, the unit is none, or the key is not that of a
                recording.
        """
        scale = scale_from_distance(length, px)
        key = pick_primary_key(cls(), key)
        row = {"unit": unit, "units_per_px": scale, "calibration_note": note}
        cls.insert1({**key, **row})
        return key


@schema
class KinematicsParamSet(dj.Lookup):
    """Parameters of a motion analysis.

    Attributes:
        kinematics_paramset_idx (smallint): Number of the set.
        paramset_desc (varchar(128)): What it is for, in words.
        param_set_hash (uuid): Hash of ``params``, independent of key order.
        params (longblob): Parameters; see `element_deeplabcut.motion.params`.
    """

    definition = f"""
    # Parameters of a motion analysis
    kinematics_paramset_idx : smallint
    ---
    paramset_desc           : varchar(128)  # what it is for
    param_set_hash          : uuid          # hash of params
    unique index (param_set_hash)
    params                  : {BLOB}      # by name
    """

    @classmethod
    def insert_new_params(
        cls,
        paramset_desc: str,
        params: Mapping[str, Any],
        kinematics_paramset_idx: int | None = None,
    ) -> int:
        """Check, complete and insert parameters.

        Args:
            paramset_desc: What they are for, in words.
            params: Those that differ from `element_deeplabcut.motion.params.DEFAULTS`.
            kinematics_paramset_idx: Number to use; None takes the next free one.

        Returns:
            The number of the set: that of an existing one when it holds the same parameters.

        Raises:
            ParameterError: A parameter is not valid, the number is taken by others, or another
                number was asked for parameters that are there already.
        """
        checked = check_kinematics_params(params)
        return insert_param_set(
            cls(), "kinematics_paramset_idx", paramset_desc, checked, kinematics_paramset_idx
        )

    @classmethod
    def insert_default(cls) -> int:
        """Insert the default parameters, and return their number."""
        return cls.insert_new_params("default", {})


@schema
class ProcessedPose(DistinctJobs, dj.Computed):
    """Trajectories after masking, filling and smoothing.

    ``populate(report.PoseQuality & "verdict='PASS'")`` leaves out what is not worth it.

    Attributes:
        PoseEstimation (foreign key): Pose.
        KinematicsParamSet (foreign key): How to clean it.
        run_info (longblob): Provenance.
    """

    definition = f"""
    # Trajectories after masking, filling and smoothing
    -> model.PoseEstimation
    -> KinematicsParamSet
    ---
    run_info : {BLOB}  # how it came to be
    """

    class BodyPartPosition(dj.Part):
        """Cleaned trajectory of one body part of one individual, in full-frame pixels.

        Attributes:
            ProcessedPose (foreign key): Cleaned pose.
            PoseEstimation.BodyPartPosition (foreign key): The trajectory it was made from, which
                has frame numbers and likelihoods.
            x_pos (longblob): float32 or float64, shape (nframes,), px; NaN where there is no point.
            y_pos (longblob): Likewise.
            z_pos (longblob, nullable): Third coordinate, where there is one.
            mask (longblob): uint8, shape (nframes,): sum of 1 (DeepLabCut found nothing), 2
                (likelihood below the threshold) and 4 (filled again).
            n_masked (int): Frames with bit 1 or 2.
            n_filled (int): Frames with bit 4.
        """

        definition = f"""
        # Cleaned trajectory of one body part of one individual
        -> master
        -> model.PoseEstimation.BodyPartPosition
        ---
        x_pos      : {BLOB}  # px of the whole frame
        y_pos      : {BLOB}  # px of the whole frame
        z_pos=null : {BLOB}
        mask       : {BLOB}  # 1 not found, 2 unlikely, 4 filled
        n_masked   : int       # frames that were not found or not trusted
        n_filled   : int       # frames of these that were filled
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the parameters, and make sure that the result can be stored."""
        params = (KinematicsParamSet & key).fetch1("params")
        for nframes in (model.RecordingInfo & key).fetch("nframes"):
            check_fits(self.connection, int(nframes), bytes_per_value=8)
        return (MotionJob(key, params),)

    def make_compute(self, key: dict[str, Any], job: MotionJob) -> tuple[Any, ...]:
        """Clean the pose."""
        return (run_cleaning(job, model.PoseEstimation.get_pose(key)),)

    def make_insert(self, key: dict[str, Any], result: Any) -> None:
        """Record the trajectories."""
        self.insert1({**key, "run_info": result.run_info})
        for part in result.trajectories:
            insert_row(self.BodyPartPosition(), {**key, **part.columns}, part.arrays)

    @classmethod
    def get_pose(
        cls,
        key: Mapping[str, Any],
        body_parts: str | Sequence[str] | None = None,
        individuals: str | Sequence[str] | None = None,
        frames: slice | None = None,
    ) -> Pose:
        """Fetch a cleaned pose, with all the views of a raw one.

        Args:
            key: Restriction that matches exactly one processed pose.
            body_parts: As for ``PoseEstimation.get_pose``.
            individuals: Likewise.
            frames: Likewise.

        Returns:
            The pose, in full-frame coordinates. Likelihoods are those of the raw one.

        Raises:
            QueryError: The key matches none or several, or there is no such body part or
                individual.
            ParameterError: ``frames`` is no slice, or has a step.
        """
        key = cls._find_one(key)
        raw = model.PoseEstimation.get_pose(key, body_parts, individuals, frames)
        return read_processed(cls.BodyPartPosition(), key, raw)

    @classmethod
    def get_mask(
        cls,
        key: Mapping[str, Any],
        body_parts: str | Sequence[str] | None = None,
        individuals: str | Sequence[str] | None = None,
        frames: slice | None = None,
    ) -> npt.NDArray[np.uint8]:
        """Fetch what was masked or filled.

        Args:
            key: As for `get_pose`; so are the others.
            body_parts: One name or several; None for all.
            individuals: One name or several; None for all.
            frames: Range of frames.

        Returns:
            uint8, shape (n_frames, n_body_parts, n_individuals): bits `motion.filtering.MISSING`,
            `UNLIKELY` and `FILLED`.
        """
        key = cls._find_one(key)
        raw = model.PoseEstimation.get_pose(key, body_parts, individuals, frames)
        return read_mask(cls.BodyPartPosition(), key, raw)

    @classmethod
    def _find_one(cls, key: Mapping[str, Any]) -> dict[str, Any]:
        row = fetch_one((cls & key).proj(), "ProcessedPose")
        return {name: row[name] for name in cls.primary_key}


@schema
class Kinematics(DistinctJobs, dj.Computed):
    """Motion measured in a processed pose.

    Arrays and the columns that end in ``_px`` are in pixels and pixels per second, always. Where
    the recording is calibrated when this is computed, the scale is kept here, and the columns
    ``distance`` and ``mean_speed`` are in its unit; else they are null.

    Attributes:
        ProcessedPose (foreign key): Cleaned pose.
        unit (varchar(16), nullable): Physical unit of length; null without a calibration.
        units_per_px (double, nullable): How many of them one pixel is long.
        run_info (longblob): Provenance.
    """

    definition = f"""
    # Motion measured in a processed pose
    -> ProcessedPose
    ---
    unit=null         : varchar(16)  # physical unit of length
    units_per_px=null : double       # how many of them one pixel is long
    run_info          : {BLOB}     # how it came to be
    """

    class Individual(dj.Part):
        """Motion of one individual.

        Attributes:
            Kinematics (foreign key): Analysis.
            individual (varchar(32)): Name; '' in single-animal projects.
            centroid (longblob): float32 or float64, shape (nframes, 2), px of the whole frame; NaN
                where body parts are missing.
            velocity (longblob): Likewise, px/s.
            speed (longblob): Likewise, shape (nframes,), px/s.
            heading (longblob, nullable): Likewise, rad, from the right of the picture clockwise.
            distance_px (double, nullable): Distance travelled, px; null if never found.
            mean_speed_px (double, nullable): Mean speed, px/s.
            distance (double, nullable): Distance travelled in the calibration's unit.
            mean_speed (double, nullable): Mean speed in that unit per second.
        """

        definition = f"""
        # Motion of one individual
        -> master
        individual=''      : varchar(32)
        ---
        centroid           : {BLOB}  # px
        velocity           : {BLOB}  # px/s
        speed              : {BLOB}  # px/s
        heading=null       : {BLOB}  # rad
        distance_px=null   : double    # px
        mean_speed_px=null : double    # px/s
        distance=null      : double    # in the unit of the calibration
        mean_speed=null    : double    # in that unit per second
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch parameters and calibration, and make sure that the result can be stored."""
        params = (KinematicsParamSet & key).fetch1("params")
        for nframes in (model.RecordingInfo & key).fetch("nframes"):
            check_fits(self.connection, 2 * int(nframes), bytes_per_value=8)
        scales = (Calibration & key).fetch("unit", "units_per_px", as_dict=True)
        return (MotionJob(key, params, Calibrated(**scales[0]) if scales else None),)

    def make_compute(self, key: dict[str, Any], job: MotionJob) -> tuple[Any, ...]:
        """Measure the motion."""
        return (run_measuring(job, ProcessedPose.get_pose(key)),)

    def make_insert(self, key: dict[str, Any], result: MotionResult) -> None:
        """Record the motion."""
        self.insert1({**key, **result.columns, "run_info": result.run_info})
        for motion in result.individuals:
            insert_row(self.Individual(), {**key, **motion.columns}, motion.arrays)

    @classmethod
    def get_dataframe(cls, key: Mapping[str, Any], unit: str | None = None) -> pd.DataFrame:
        """Fetch the motion as one table.

        Args:
            key: Restriction that matches exactly one analysis.
            unit: ``px``, or the unit of the calibration; None takes the latter where there is one.

        Returns:
            One row per frame, labelled with its time in s. Columns (individual, quantity), with
            the quantities x, y, velocity_x, velocity_y, speed and, where it was asked for, heading
            (rad). ``attrs`` has the unit of each.

        Raises:
            QueryError: The key matches none or several.
            ParameterError: The recording was not calibrated in that unit.
        """
        return build_table(*cls._fetch(key), unit)

    @classmethod
    def get_dataset(cls, key: Mapping[str, Any], unit: str | None = None) -> xr.Dataset:
        """Fetch the motion as an xarray dataset.

        Args:
            key: Restriction that matches exactly one analysis.
            unit: As for `get_dataframe`.

        Returns:
            Variables centroid, velocity (time, space, individuals), speed and, where it was asked
            for, heading (time, individuals). ``attrs["units"]`` of each names its unit.

        Raises:
            QueryError: The key matches none or several.
            ParameterError: The recording was not calibrated in that unit.
            SetupError: xarray is not installed.
        """
        return build_dataset(*cls._fetch(key), unit)

    @classmethod
    def _fetch(cls, key: Mapping[str, Any]) -> tuple[Any, ...]:
        row = fetch_one(cls & key, "Kinematics")
        key = {name: row[name] for name in cls.primary_key}
        rows = (cls.Individual & key).fetch(as_dict=True)
        (first,) = (model.PoseEstimation.BodyPartPosition & key).fetch("KEY", limit=1)
        pose = model.PoseEstimation.get_pose(key, first["body_part"], first["individual"])
        scale = None if row["unit"] is None else Calibrated(row["unit"], row["units_per_px"])
        return rows, pose.time, scale
