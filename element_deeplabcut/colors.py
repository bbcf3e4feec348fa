"""Colours of body parts and individuals, the same in labeled videos and in plots.

As in DeepLabCut, the ``i``-th of ``n`` names gets the colour at ``i / (n - 1)`` of the colormap
that the project's config names, whichever of them are shown. Where no colormap is named, the
colours are ``colorblind``: those of Okabe and Ito (https://jfly.uni-koeln.de/color) up to eight
names, and those of viridis, which differ in lightness too, for more.

``rainbow``, DeepLabCut's default, and ``colorblind`` are built in; every other colormap comes from
matplotlib, which is imported when one is asked for.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence

from .errors import ParameterError
from .optional import import_optional

RGB = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

COLORBLIND = "colorblind"
DEFAULT_COLORMAP = COLORBLIND

_OKABE_ITO = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#56b4e9",
    "#cc79a7",
    "#f0e442",
    "#000000",
)
_VIRIDIS = (
    "#440154", "#482878", "#3e4989", "#31688e", "#26828e",
    "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip

_LETTERS = {
    "k": "black", "w": "white", "r": "red", "g": "green",
    "b": "blue", "y": "yellow", "m": "magenta", "c": "cyan",
}  # fmt: skip
"""One-letter names of matplotlib, which configs may hold."""

_MAX_LUMINANCE_ON_WHITE = 0.42
"""Lighter colours are hard to see as thin lines on white (contrast below 2.2 to 1)."""


def name_colors(names: Sequence[str], colormap: str | None = None) -> dict[str, RGB]:
    """Give each name its colour.

    Args:
        names: All body parts of a model, or all individuals, in their order. A subset would get
            other colours.
        colormap: ``colorblind``, or any colormap of matplotlib; None for the default.

    Returns:
        Name -> colour, in the order of ``names``.

    Raises:
        ParameterError: There is no such colormap.
        SetupError: The colormap needs matplotlib, which is not installed.
    """
    count = len(names)
    colormap = colormap or DEFAULT_COLORMAP
    if colormap == COLORBLIND and count <= len(_OKABE_ITO):
        colors = [parse_color(text) for text in _OKABE_ITO[:count]]
    else:
        colors = sample_colormap(colormap, [i / max(count - 1, 1) for i in range(count)])
    return dict(zip(names, colors, strict=True))


def sample_colormap(colormap: str, places: Sequence[float]) -> list[RGB]:
    """Read a colormap at places from 0 to 1.

    Raises:
        ParameterError: There is no such colormap.
        SetupError: It needs matplotlib, which is not installed.
    """
    if colormap == COLORBLIND:
        return [_interpolate(_VIRIDIS, place) for place in places]
    if colormap == "rainbow":
        return [_rainbow(place) for place in places]
    known = import_optional("matplotlib", "analysis").colormaps
    if colormap not in known:
        names = [COLORBLIND, *known]
        near = difflib.get_close_matches(str(colormap), names, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "Take 'colorblind', or 'rainbow'."
        raise ParameterError(f"There is no colormap '{colormap}'. {hint}")
    return [_to_rgb(*known[colormap](float(place))[:3]) for place in places]


def _rainbow(place: float) -> RGB:
    # matplotlib's own formula: built in, because it is the colormap of nearly every project.
    red = min(abs(2 * place - 0.5), 1.0)
    return _to_rgb(red, math.sin(math.pi * place), math.cos(math.pi * place / 2))


def _interpolate(anchors: Sequence[str], place: float) -> RGB:
    position = place * (len(anchors) - 1)
    low = min(int(position), len(anchors) - 2)
    one, other = parse_color(anchors[low]), parse_color(anchors[low + 1])
    part = position - low
    red, green, blue = (round(a + part * (b - a)) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _to_rgb(red: float, green: float, blue: float) -> RGB:
    return int(255 * red + 1e-9), int(255 * green + 1e-9), int(255 * blue + 1e-9)


def parse_color(text: str) -> RGB:
    """Read a colour: a CSS name, a letter of matplotlib's, or ``#rrggbb``.

    Raises:
        ParameterError: It is none.
    """
    from PIL import ImageColor

    name = str(text).strip().lower()
    try:
        return ImageColor.getrgb(_LETTERS.get(name, name))[:3]
    except ValueError:
        raise ParameterError(
            f"'{text}' is no colour. Give a name such as 'white', or '#rrggbb'."
        ) from None


def to_hex(color: RGB) -> str:
    """Spell a colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def darken_for_white(color: RGB) -> RGB:
    """Keep a colour's hue, and make it dark enough for a line on white."""
    luminance = _luminance(color)
    if luminance <= _MAX_LUMINANCE_ON_WHITE:
        return color
    scale = (_MAX_LUMINANCE_ON_WHITE / luminance) ** (1 / 2.4)
    red, green, blue = (round(scale * channel) for channel in color)
    return red, green, blue


def _luminance(color: RGB) -> float:
    """Relative luminance, 0 to 1 (WCAG 2)."""
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 255 / 12.92 for c in color]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
