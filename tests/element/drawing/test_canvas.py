"""Lines on a frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from element_deeplabcut.drawing.canvas import Canvas, Ink, draw_lines

PLACES = st.integers(-20, 70)
LINES = st.lists(st.tuples(PLACES, PLACES, PLACES, PLACES), min_size=1, max_size=4)


def draw(lines: list[tuple[int, ...]], width: float = 2, alpha: float = 1) -> Canvas:
    planes = ((40, 60), (20, 30), (20, 30))
    canvas = Canvas(*(np.zeros(shape, np.uint8) for shape in planes))
    draw_lines(canvas, lines, width, Ink((240, 200, 100), alpha))
    return canvas


@given(LINES, st.sampled_from([1.0, 2.0, 5.0]), st.sampled_from([0.5, 1.0]))
def test_where_lines_meet_none_weakens_the_other(
    lines: list[tuple[int, ...]], width: float, alpha: float
) -> None:
    together = draw(lines, width, alpha)
    alone = [draw([line], width, alpha) for line in lines]
    for plane in ("luma", "blue", "red"):
        strongest = np.max([getattr(canvas, plane) for canvas in alone], axis=0)
        assert np.array_equal(getattr(together, plane), strongest)


@given(LINES)
def test_a_turned_line_is_drawn_as_the_line_itself(lines: list[tuple[int, ...]]) -> None:
    backwards = [(x2, y2, x1, y1) for x1, y1, x2, y2 in lines]
    difference = draw(lines).luma.astype(int) - draw(backwards).luma
    assert np.abs(difference).max() <= 1  # rounding


@pytest.mark.parametrize("line", [(10, 5, 10, 30), (5, 10, 50, 10)], ids=["upright", "level"])
def test_a_straight_line_covers_its_width(line: tuple[int, ...]) -> None:
    luma = draw([line], width=3).luma
    along = luma[line[1] : line[3] + 1, 9:12] if line[0] == line[2] else luma[9:12, 5:51]
    assert (along == 240).all()
    assert luma.astype(bool).sum() == along.size
