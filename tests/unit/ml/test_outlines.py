"""Outlines along pixel edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from ml.outlines import largest_region, trace


def enclosed_pixels(outline: NDArray[np.float64]) -> float:
    """Area inside a closed polygon, positive if it runs clockwise on the screen."""
    x, y = outline.T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


def pixels(*rows: str) -> NDArray[np.bool_]:
    return np.array([[character == "#" for character in row] for row in rows])


@st.composite
def regions(draw: st.DrawFn) -> NDArray[np.bool_]:
    """One random region with bays, holes and pinches."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    bits = draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    inside = np.array(bits).reshape(rows, columns)
    inside[draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))] = True
    return largest_region(inside)


def test_one_pixel_has_four_corners() -> None:
    outline = trace(pixels("...", "..#"))
    np.testing.assert_array_equal(outline, [[2, 1], [3, 1], [3, 2], [2, 2], [2, 1]])


def test_straight_edges_have_no_points_between_their_corners() -> None:
    outline = trace(pixels("###.", "####"))
    np.testing.assert_array_equal(outline, [[0, 0], [3, 0], [3, 1], [4, 1], [4, 2], [0, 2], [0, 0]])


def test_holes_are_left_out() -> None:
    outline = trace(pixels("###", "#.#", "###"))
    assert enclosed_pixels(outline) == 9
    assert len(outline) == 5


def test_a_bay_that_opens_at_a_corner_is_outside() -> None:
    outline = trace(pixels("##.", "#.#", "###"))
    assert enclosed_pixels(outline) == 7


def test_pixels_that_touch_at_a_corner_are_apart() -> None:
    region = largest_region(pixels("#..", ".##", ".##"))
    assert region.sum() == 4
    assert not region[0, 0]


def test_the_largest_region_of_one_is_itself() -> None:
    inside = pixels(".##", "..#")
    np.testing.assert_array_equal(largest_region(inside), inside)


@settings(max_examples=300, deadline=None)
@given(regions())
def test_an_outline_encloses_its_region_and_its_holes(region: NDArray[np.bool_]) -> None:
    outline = trace(region)
    np.testing.assert_array_equal(outline[0], outline[-1])
    steps = np.diff(outline, axis=0)
    assert ((steps == 0).sum(axis=1) == 1).all()
    # background that reaches the rim, also across corners, is outside
    outside, _ = ndimage.label(np.pad(~region, 1, constant_values=True), np.ones((3, 3)))
    filled = outside[1:-1, 1:-1] != outside[0, 0]
    assert enclosed_pixels(outline) == filled.sum()


@settings(max_examples=100, deadline=None)
@given(regions())
def test_the_outline_of_a_mirrored_region_is_as_long(region: NDArray[np.bool_]) -> None:
    def length(of: NDArray[np.bool_]) -> float:
        return float(np.abs(np.diff(trace(of), axis=0)).sum())

    assert length(region) == length(region[:, ::-1]) == length(region.T)


def test_nothing_has_no_outline() -> None:
    with pytest.raises(ValueError, match="empty"):
        trace(np.zeros((3, 3), bool))
