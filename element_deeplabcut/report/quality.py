"""Tables of pose quality: thresholds, and the verdict on each pose estimation."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import datajoint as dj

from .. import model
from ..blobs import BLOB
from ..compute.provenance import Stopwatch
from ..param_tables import insert_param_set
from ..pose.quality import check_quality_params, judge_pose
from ..tables import DistinctJobs
from .base import schema

MAX_REASON = 1000


@schema
class QualityParamSet(dj.Lookup):
    """Thresholds of a quality check.

    Attributes:
        quality_paramset_idx (smallint): Number of the set.
        paramset_desc (varchar(128)): What it is for, in words.
        param_set_hash (uuid): Hash of ``params``, independent of key order.
        params (longblob): Thresholds; see `element_deeplabcut.pose.quality`.
    """

    definition = f"""
    # Thresholds of a quality check
    quality_paramset_idx : smallint
    ---
    paramset_desc        : varchar(128)  # what it is for
    param_set_hash       : uuid          # hash of params
    unique index (param_set_hash)
    params               : {BLOB}      # thresholds by name
    """

    @classmethod
    def insert_new_params(
        cls,
        paramset_desc: str,
        params: Mapping[str, Any],
        quality_paramset_idx: int | None = None,
    ) -> int:
        """Check, complete and insert thresholds.

        Args:
            paramset_desc: What they are for, in words.
            params: Those that differ from `element_deeplabcut.pose.quality.DEFAULTS`.
            quality_paramset_idx: Number to use; None takes the next free one.

        Returns:
            The number of the set: that of an existing one when it holds the same thresholds.

        Raises:
            ParameterError: A threshold is not valid, the number is taken by others, or another
                number was asked for thresholds that are there already.
        """
        checked = check_quality_params(params)
        return insert_param_set(
            cls(), "quality_paramset_idx", paramset_desc, checked, quality_paramset_idx
        )

    @classmethod
    def insert_default(cls) -> int:
        """Insert the default thresholds, and return their number."""
        return cls.insert_new_params("default", {})


@schema
class PoseQuality(DistinctJobs, dj.Computed):
    """Verdict on a pose estimation.

    Restrict other tables by it: ``ProcessedPose.populate(PoseQuality & "verdict='PASS'")``.

    Attributes:
        PoseEstimation (foreign key): What is judged.
        QualityParamSet (foreign key): By which thresholds.
        verdict (enum): ``PASS``, ``WARN`` or ``FAIL``; the worst of the body parts that decide.
        reason (varchar(1000)): Why it is not PASS, in words.
        run_info (longblob): Provenance.
    """

    definition = f"""
    # Verdict on a pose estimation
    -> model.PoseEstimation
    -> QualityParamSet
    ---
    verdict   : enum('PASS', 'WARN', 'FAIL')
    reason='' : varchar({MAX_REASON})  # why it is not PASS
    run_info  : {BLOB}       # how it came to be
    """

    class BodyPart(dj.Part):
        """Figures and verdict of one body part of one individual.

        Shares lie in [0, 1]; a figure is null where there is nothing to compute it from.

        Attributes:
            PoseQuality (foreign key): Verdict.
            PoseEstimation.BodyPartPosition (foreign key): Trajectory.
            share_found (double, nullable): Of all frames.
            share_above_cutoff (double, nullable): Of all frames; null without a likelihood.
            longest_gap_frames (int): Longest run of frames without a trusted point.
            longest_gap (double, nullable): The same, s; null without a frame rate.
            jump_rate (double, nullable): Share of the steps that are jumps.
            out_of_frame_share (double, nullable): Of the points found.
            limb_outlier_share (double, nullable): Of the worst limb that ends here.
            part_verdict (enum): ``PASS``, ``WARN`` or ``FAIL``.
            part_reason (varchar(1000)): Why it is not PASS, in words.
        """

        definition = f"""
        # Figures and verdict of one body part
        -> master
        -> model.PoseEstimation.BodyPartPosition
        ---
        share_found=null        : double  # of all frames
        share_above_cutoff=null : double  # of all frames
        longest_gap_frames      : int     # frames without a trusted point
        longest_gap=null        : double  # s
        jump_rate=null          : double  # share of the steps that are jumps
        out_of_frame_share=null : double  # of the points found
        limb_outlier_share=null : double  # of the worst limb that ends here
        part_verdict            : enum('PASS', 'WARN', 'FAIL')
        part_reason=''          : varchar({MAX_REASON})
        """

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the thresholds."""
        return ((QualityParamSet & key).fetch1("params"),)

    def make_compute(self, key: dict[str, Any], params: dict[str, Any]) -> tuple[Any, ...]:
        """Judge the pose."""
        watch = Stopwatch()
        quality = judge_pose(model.PoseEstimation.get_pose(key), params)
        return quality, watch.record(engine="", device="cpu", versions={})

    def make_insert(self, key: dict[str, Any], quality: Any, run_info: dict[str, Any]) -> None:
        """Record the verdict."""
        reason = _shorten(quality.reason)
        self.insert1({**key, "verdict": quality.verdict, "reason": reason, "run_info": run_info})
        for part in quality.parts:
            figures = dataclasses.asdict(part)
            verdict, reason = figures.pop("verdict"), _shorten(figures.pop("reason"))
            self.BodyPart.insert1(
                {**key, **figures, "part_verdict": verdict, "part_reason": reason}
            )


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_REASON else f"{text[: MAX_REASON - 4]} ..."
