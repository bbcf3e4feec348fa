"""Finding drawn dots again in decoded frames, by their colour."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from element_deeplabcut.colors import RGB


def find_dots(
    picture: np.ndarray, colors: Mapping[str, RGB], reach: int = 8
) -> dict[str, np.ndarray]:
    """Find the dot of each colour on a black ground, no other dot within ``2 * reach``.

    Colour has half the resolution of brightness, so colour tells which dot it is, and brightness
    where its centre is; a rim counts as much as it is covered.

    Args:
        picture: uint8, shape (height, width, 3), RGB.
        colors: Name -> colour.
        reach: Largest radius of a dot, px.

    Returns:
        Name -> x, y in px; NaN where there is none.
    """
    brightness = picture.astype(float).sum(axis=2)
    places = {}
    for name, color in colors.items():
        of_color = np.abs(picture.astype(float) - color).sum(axis=2) < 60
        if not of_color.any():
            places[name] = np.full(2, np.nan)
            continue
        row, column = (int(np.median(index)) for index in of_color.nonzero())
        top, left = max(row - reach, 0), max(column - reach, 0)
        window = brightness[top : row + reach + 1, left : column + reach + 1].copy()
        window[window < 20] = 0
        rows, columns = np.indices(window.shape)
        place = ((columns * window).sum(), (rows * window).sum())
        places[name] = np.array(place) / window.sum() + (left, top)
    return places
