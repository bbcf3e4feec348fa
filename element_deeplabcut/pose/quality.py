"""Judging a pose: how much of it can be trusted, and why not more.

Each body part of each individual gets five figures, each figure a level (PASS, WARN or FAIL) by two
thresholds, and the worst level is the verdict.

- **Share above p-cutoff** of all frames.
- **Longest gap**: longest run of frames, within one file, without a point above p-cutoff.
- **Jump rate**: of the steps between two successive frames of a file with a point above p-cutoff in
  both, the share that is longer than ``jump_length`` (a share of the frame's diagonal, so that it
  means the same at every resolution).
- **Out-of-frame share** of the points found: outside the picture, half a pixel of grace included.
- **Limb outlier share**: of the frames with both ends of a limb above p-cutoff, the share in which
  its length is further from its median than ``limb_mads`` median absolute deviations (scaled to a
  standard deviation, and at least `LENGTH_ERROR`). Of the limbs that end at a body part, the worst.

Results without a likelihood are judged on every point found, and never better than WARN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ParameterError
from ..motion.params import number
from ..motion.segments import find_runs, split_by_file
from ..params import check_params
from ..vocabulary import Parameter, Vocabulary
from .data import Pose
from .reading import pick_names

LEVELS = PASS, WARN, FAIL = ("PASS", "WARN", "FAIL")

LENGTH_ERROR = 1.0
"""Error of a limb's length, px, that is never an outlier: what a good network leaves."""

_MAD_TO_SIGMA = 1.4826  # for normally distributed lengths

DEFAULTS: Mapping[str, Any] = {
    "p_cutoff": 0.6,
    "jump_length": 0.1,
    "limb_mads": 6.0,
    "share_above_warn": 0.9,
    "share_above_fail": 0.5,
    "longest_gap_warn": 1.0,
    "longest_gap_fail": 10.0,
    "jump_rate_warn": 0.005,
    "jump_rate_fail": 0.05,
    "out_of_frame_warn": 0.01,
    "out_of_frame_fail": 0.1,
    "limb_outliers_warn": 0.05,
    "limb_outliers_fail": 0.25,
    "body_parts": None,
}
"""p_cutoff: likelihood from which on a point is trusted.
jump_length: a longer step is a jump; share of the frame's diagonal.
limb_mads: see the module.
share_above_*: below it, WARN or FAIL. longest_gap_* (s) and the other rates: above it.
body_parts: those that decide the verdict; None for all."""


_NO_SHARES = ("limb_mads", "longest_gap_warn", "longest_gap_fail")


def _names(value: Any) -> list[str] | None:
    names = [value] if isinstance(value, str) else value
    is_list = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    if names is not None and not is_list:
        raise ValueError("a list of body parts, or None for all")
    return names


def _converter(name: str) -> Callable[[Any], Any]:
    if name == "body_parts":
        return _names
    return number(0) if name in _NO_SHARES else number(0, 1)


QUALITY = Vocabulary(
    "thresholds of a quality check", {name: Parameter(_converter(name), {}) for name in DEFAULTS}
)


def check_quality_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Validate thresholds and complete them.

    Raises:
        ParameterError: A name is unknown, a value is not valid, or it fails what it does not warn
            of.
    """
    checked = {**DEFAULTS, **check_params(params, QUALITY)}
    for _, thresholds, _ in _FIGURES:
        warn, fail = (checked[f"{thresholds}_{level}"] for level in ("warn", "fail"))
        if _sign(thresholds) * warn > _sign(thresholds) * fail:
            raise ParameterError(
                f"{thresholds}_warn is {warn:g} and {thresholds}_fail {fail:g}: what is bad enough "
                "to fail would not be bad enough to warn. Exchange them."
            )
    return checked


@dataclass(frozen=True)
class PartQuality:
    """Figures and verdict of one body part of one individual.

    Figures are None where there is nothing to compute them from.

    Attributes:
        individual: Name of the individual.
        body_part: Name of the body part.
        share_found: Share of all frames in which it was found at all; None without frames.
        share_above_cutoff: Of all frames; None where there is no likelihood, or no frame.
        longest_gap_frames: Frames.
        longest_gap: s; None where the recording has no frame rate.
        jump_rate: None where no two successive frames have a point.
        out_of_frame_share: None where nothing was found, or the frame's size is not known.
        limb_outlier_share: None where the skeleton has no limb that ends here.
        verdict: ``PASS``, ``WARN`` or ``FAIL``.
        reason: Why it is not PASS, in words; '' if it is.
    """

    individual: str
    body_part: str
    share_found: float | None
    share_above_cutoff: float | None
    longest_gap_frames: int
    longest_gap: float | None
    jump_rate: float | None
    out_of_frame_share: float | None
    limb_outlier_share: float | None
    verdict: str = PASS
    reason: str = ""


@dataclass(frozen=True)
class Quality:
    """Verdict on a pose.

    Attributes:
        verdict: The worst of the body parts that decide.
        reason: Why it is not PASS, in words; '' if it is.
        parts: One per body part of each individual.
    """

    verdict: str
    reason: str
    parts: tuple[PartQuality, ...]


def judge_pose(pose: Pose, params: Mapping[str, Any]) -> Quality:
    """Judge a pose.

    Args:
        pose: The pose, in full-frame coordinates.
        params: Checked thresholds.

    Raises:
        QueryError: ``body_parts`` names one that the pose does not have.
    """
    deciding = pick_names(params["body_parts"], pose.body_parts, "body part")
    measured = _Measured(pose, params)
    parts = tuple(
        _judge_part(measured.describe(part, animal), params)
        for animal, part in np.argwhere(pose.is_tracked.T)
    )
    if pose.n_frames == 0:
        return Quality(FAIL, "The pose has no frames.", parts)
    bad = [part for part in parts if part.body_part in deciding and part.verdict != PASS]
    worst = max((part.verdict for part in bad), key=LEVELS.index, default=PASS)
    named = any(pose.individuals)
    reasons = []
    for part in sorted(bad, key=lambda part: -LEVELS.index(part.verdict)):
        name = f"{part.body_part} of {part.individual}" if named else part.body_part
        reasons.append(f"{name}: {part.reason}.")
    return Quality(worst, " ".join(reasons), parts)


class _Measured:
    """What the figures are computed from."""

    def __init__(self, pose: Pose, params: Mapping[str, Any]) -> None:
        self._pose = pose
        self._params = params
        self._found = ~np.isnan(pose.position).any(axis=-1)
        likely = np.isnan(pose.likelihood) | (pose.likelihood >= params["p_cutoff"])
        self._trusted = self._found & likely
        self._segments = split_by_file(pose.frame_index, pose.files, join_files=False)

    def describe(self, part: int, animal: int) -> PartQuality:
        pose = self._pose
        gap = self._measure_gap(part, animal)
        return PartQuality(
            pose.individuals[animal],
            pose.body_parts[part],
            _share(self._found[:, part, animal]),
            self._measure_share(part, animal),
            gap,
            None if pose.rate is None else float(gap / pose.rate),
            self._measure_jumps(part, animal),
            self._measure_outside(part, animal),
            self._measure_limbs(part, animal),
        )

    def _measure_share(self, part: int, animal: int) -> float | None:
        found = self._found[:, part, animal]
        unknown = np.isnan(self._pose.likelihood[:, part, animal])
        if found.any() and unknown[found].all():
            return None
        return _share(self._trusted[:, part, animal])

    def _measure_gap(self, part: int, animal: int) -> int:
        lost = ~self._trusted[:, part, animal]
        runs = (run for segment in self._segments for run in find_runs(lost[segment]))
        return max((run.stop - run.start for run in runs), default=0)

    def _measure_jumps(self, part: int, animal: int) -> float | None:
        pose = self._pose
        if pose.width is None or pose.height is None or pose.unit != "px":
            return None
        longest = self._params["jump_length"] * np.hypot(pose.width, pose.height)
        steps = []
        for segment in self._segments:
            trusted = self._trusted[segment, part, animal]
            track = pose.position[segment, part, animal].astype(np.float64)
            lengths = np.linalg.norm(np.diff(track, axis=0), axis=-1)
            steps.append(lengths[trusted[1:] & trusted[:-1]])
        return _share(np.concatenate(steps) > longest) if steps else None

    def _measure_outside(self, part: int, animal: int) -> float | None:
        pose = self._pose
        if pose.width is None or pose.height is None or pose.unit != "px":
            return None
        x, y = pose.position[self._found[:, part, animal], part, animal, :2].T
        inside = (x >= -0.5) & (x <= pose.width - 0.5) & (y >= -0.5) & (y <= pose.height - 0.5)
        return _share(~inside)

    def _measure_limbs(self, part: int, animal: int) -> float | None:
        shares = [
            self._measure_limb([self._pose.body_parts.index(end) for end in limb], animal)
            for limb in self._pose.skeleton
            if self._pose.body_parts[part] in limb
        ]
        return max((share for share in shares if share is not None), default=None)

    def _measure_limb(self, ends: Sequence[int], animal: int) -> float | None:
        both = self._trusted[:, ends, animal].all(axis=1)
        one, other = (self._pose.position[both, end, animal].astype(np.float64) for end in ends)
        lengths = np.linalg.norm(one - other, axis=-1)
        if len(lengths) == 0:
            return None
        away = np.abs(lengths - np.median(lengths))
        tolerance = self._params["limb_mads"] * _MAD_TO_SIGMA * np.median(away)
        return _share(away > max(tolerance, LENGTH_ERROR))


def _share(flags: npt.NDArray[np.bool_]) -> float | None:
    return float(flags.mean()) if len(flags) else None


# --- verdicts -------------------------------------------------------------------------------------


_FIGURES = (
    ("share_above_cutoff", "share_above", "only {:.1%} of the frames above p-cutoff"),
    ("longest_gap", "longest_gap", "not seen for {:.3g} s"),
    ("jump_rate", "jump_rate", "{:.2%} of its steps are jumps"),
    ("out_of_frame_share", "out_of_frame", "{:.2%} of its points are outside the picture"),
    ("limb_outlier_share", "limb_outliers", "{:.2%} of its limbs have an implausible length"),
)
"""Figure, the start of its thresholds' names, and how to say that it is bad."""


def _judge_part(part: PartQuality, params: Mapping[str, Any]) -> PartQuality:
    """Give a body part its verdict, and the reason."""
    if part.share_found == 0:
        return replace(part, verdict=FAIL, reason="never found")
    findings = []
    for figure, thresholds, sentence in _FIGURES:
        value = getattr(part, figure)
        level = _find_level(value, thresholds, params)
        if level != PASS:
            findings.append((level, sentence.format(value)))
    if part.share_found is not None and part.share_above_cutoff is None:
        findings.append((WARN, "the result has no likelihood"))
    if part.longest_gap is None:
        findings.append((WARN, "the recording has no frame rate, so gaps cannot be judged"))
    verdict = max((level for level, _ in findings), key=LEVELS.index, default=PASS)
    return replace(part, verdict=verdict, reason="; ".join(text for _, text in findings))


def _find_level(value: float | None, thresholds: str, params: Mapping[str, Any]) -> str:
    if value is None:
        return PASS
    sign = _sign(thresholds)
    for level in (FAIL, WARN):
        if sign * value > sign * params[f"{thresholds}_{level.lower()}"]:
            return level
    return PASS


def _sign(thresholds: str) -> int:
    """Tell the one figure that should be high from those that should be low."""
    return -1 if thresholds == "share_above" else 1
