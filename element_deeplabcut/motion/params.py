"""Parameters of the motion analysis: their names, what they may be, and what they are by default.

What is stored names every parameter, the defaults too: two spellings of the same analysis are one
parameter set, and a later version's other defaults change no set that is there.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ParameterError
from ..params import check_params
from ..vocabulary import Parameter, Vocabulary

SMOOTHINGS = NONE, MEDIAN, SAVGOL = ("none", "median", "savgol")

DEFAULTS: Mapping[str, Any] = {
    "likelihood_threshold": 0.6,
    "max_gap": 5,
    "smoothing": MEDIAN,
    "window": 5,
    "polyorder": 2,
    "centroid": None,
    "min_body_parts": None,
    "heading": None,
    "join_files": False,
}
"""likelihood_threshold: points below it are masked; 0 masks none.
max_gap: longest run of missing frames that is filled, by a straight line; 0 fills none.
smoothing: none, median or savgol (Savitzky-Golay), over `window` frames (odd); the latter fits
polynomials of the order `polyorder`.
centroid: body parts whose mean is an animal's place; None for all.
min_body_parts: how many of these a frame must have; None for all, so that a body part that comes
and goes never moves the animal.
heading: [rear, front], the body parts it points from and to; None for no heading.
join_files: whether a recording's files are one take without a pause. If not, nothing is
interpolated, smoothed, differentiated or counted as distance across the end of a file."""


def number(low: float, high: float = math.inf) -> Callable[[Any], float]:
    """Convert to a number of a range."""
    wanted = f"a number of at least {low:g}" + (f" and at most {high:g}" if high < math.inf else "")

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError(wanted)
        converted = float(value)
        if not low <= converted <= high:
            raise ValueError(wanted)
        return converted

    return convert


def whole(low: int) -> Callable[[Any], int]:
    """Convert to a whole number."""

    def convert(value: Any) -> int:
        converted = number(low)(value)
        if converted != int(converted):
            raise ValueError(f"a whole number of at least {low}")
        return int(converted)

    return convert


def _odd(value: Any) -> int:
    converted = whole(3)(value)
    if converted % 2 == 0:
        raise ValueError("an odd number of frames, 3 or more")
    return converted


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _smoothing(value: Any) -> str:
    name = NONE if value is None else value
    if name not in SMOOTHINGS:
        raise ValueError("one of " + ", ".join(SMOOTHINGS))
    return str(name)


def _names(value: Any) -> list[str] | None:
    if value is None:
        return None
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError("a list of body parts, or None for all")
    if len(set(names)) != len(names):
        raise ValueError("a list of body parts that names each once")
    return list(names)


def _pair(value: Any) -> list[str] | None:
    names = None if isinstance(value, str) else _names(value)
    if value is not None and (names is None or len(names) != 2):
        raise ValueError("two body parts [rear, front], or None")
    return names


def _optional_count(value: Any) -> int | None:
    return None if value is None else whole(1)(value)


def _ours(convert: Callable[[Any], Any]) -> Parameter:
    return Parameter(convert, {})


KINEMATICS = Vocabulary(
    "parameters of a motion analysis",
    {
        "likelihood_threshold": _ours(number(0, 1)),
        "max_gap": _ours(whole(0)),
        "smoothing": _ours(_smoothing),
        "window": _ours(_odd),
        "polyorder": _ours(whole(0)),
        "centroid": _ours(_names),
        "min_body_parts": _ours(_optional_count),
        "heading": _ours(_pair),
        "join_files": _ours(_boolean),
    },
)


def check_kinematics_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Validate parameters of a motion analysis and complete them.

    Returns:
        Every parameter that has a meaning with the others, in canonical form.

    Raises:
        ParameterError: A name is unknown, a value is not valid, or two do not go together.
    """
    given = check_params(params, KINEMATICS)
    checked = {**DEFAULTS, **given}
    if checked["smoothing"] == SAVGOL and checked["polyorder"] >= checked["window"]:
        raise ParameterError(
            f"polyorder is {checked['polyorder']} and window {checked['window']}: a polynomial "
            "needs a longer window. Lower the one or raise the other."
        )
    named = checked["centroid"]
    if named and (checked["min_body_parts"] or 0) > len(named):
        raise ParameterError(
            f"min_body_parts is {checked['min_body_parts']}, and centroid names {len(named)} body "
            "parts. Lower it."
        )
    # A parameter without a meaning must not make two sets of one analysis.
    idle = {NONE: ("window", "polyorder"), MEDIAN: ("polyorder",), SAVGOL: ()}
    for name in idle[checked["smoothing"]]:
        if name in given:
            raise ParameterError(
                f"'{name}' means nothing with smoothing '{checked['smoothing']}'. Leave it out."
            )
        del checked[name]
    return checked
