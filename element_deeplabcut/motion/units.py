"""Units of length: a recording's calibration, and what may not be mixed."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass
from typing import Any

from ..errors import ParameterError
from ..pose.data import PIXELS


@dataclass(frozen=True)
class Calibrated:
    """Scale of a recording.

    Attributes:
        unit: Unit of length, for instance ``mm``.
        units_per_px: How many of them one pixel is long.
    """

    unit: str
    units_per_px: float


def check_calibration(unit: Any, units_per_px: Any) -> None:
    """Insist that a calibration means something.

    Raises:
        ParameterError: The unit is empty or px, or the scale is not a positive number.
    """
    if not isinstance(unit, str) or not unit.strip() or unit.strip().lower() in ("px", "pixel"):
        raise ParameterError(
            f"The unit of a calibration is {unit!r}. Name a unit of length, for instance 'mm'."
        )
    check_positive("units_per_px", units_per_px)


def check_positive(name: str, value: Any) -> float:
    """Insist that a value is a positive number.

    Raises:
        ParameterError: It is not.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or value <= 0:
        raise ParameterError(f"'{name}' is {value!r}; give a number above 0.")
    return float(value)


def scale_from_distance(length: float, px: float) -> float:
    """Compute a scale from something of known length.

    Raises:
        ParameterError: A length is not positive.
    """
    return check_positive("length", length) / check_positive("px", px)


def choose_scale(wanted: str | None, calibrated: Calibrated | None) -> Calibrated:
    """Choose the unit in which lengths are shown.

    Args:
        wanted: ``px``, the unit of the calibration, or None for the latter where there is one.
        calibrated: The calibration with which the motion was measured, if any.

    Raises:
        ParameterError: There is no calibration in that unit.
    """
    if calibrated is not None and wanted in (None, calibrated.unit):
        return calibrated
    if wanted in (None, PIXELS):
        return Calibrated(PIXELS, 1.0)
    there = "is not calibrated" if calibrated is None else f"is calibrated in {calibrated.unit}"
    raise ParameterError(
        f"'{wanted}' is asked for, and the recording {there}. Ask for "
        f"{'px' if calibrated is None else calibrated.unit + ' or px'}, or insert a Calibration in "
        f"{wanted}, delete this Kinematics row and populate it again."
    )
