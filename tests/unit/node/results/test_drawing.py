"""What all pictures are drawn with: sides, lines of text, outlines around lesions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from ml.volume import Subtype
from node.results import codes
from node.results.drawing import (
    Crop,
    draw_outlines,
    draw_tissue,
    font_of,
    side_letter,
    whole_slice,
    wrap,
)
from tests.support.result_inputs import make_grid


@pytest.mark.parametrize(
    ("direction", "letter"),
    [
        ((1, 0, 0), "L"),
        ((-1, 0.2, 0), "R"),
        ((0, 1, 0), "P"),
        ((0, -1, 0), "A"),
        ((0, 0, 1), "H"),
        ((0.3, 0, -0.9), "F"),
    ],
)
def test_a_direction_is_named_by_the_side_it_points_to(
    direction: tuple[float, float, float], letter: str
) -> None:
    assert side_letter(np.array(direction)) == letter


@given(
    st.text("abcW .", max_size=80), st.integers(8, 30), st.integers(40, 200), st.sampled_from("L1")
)
def test_wrapped_lines_fit_and_lose_no_letter(text: str, size: int, width: int, mode: str) -> None:
    font = font_of(size)
    lines = wrap(text, font, width, mode=mode)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(font.getlength(line, mode) <= width or len(line) == 1 for line in lines)


@given(hnp.arrays(np.bool_, (7, 9)))
def test_an_outline_lies_beside_its_region_and_never_on_it(region: NDArray[np.bool_]) -> None:
    crop = Crop(0, 0, 9, 7, 9, 7)
    tissue = draw_tissue(np.full((7, 9), 40, np.float32), crop)
    labels = np.where(region, np.uint8(Subtype.EDH), np.uint8(0))
    drawn = np.asarray(draw_outlines(tissue, labels, crop, width=1))
    line = (drawn == codes.SUBTYPES[Subtype.EDH].rgb).all(axis=2)
    padded = np.pad(region, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    np.testing.assert_array_equal(line, near & ~region)


def test_a_whole_slice_is_drawn_pixel_for_pixel_through_the_window() -> None:
    grid = make_grid()
    hu = np.tile(np.linspace(-40, 120, grid.columns, dtype=np.float32), (grid.rows, 1))
    pixels = np.asarray(draw_tissue(hu, whole_slice(grid)))
    assert pixels.shape == (grid.rows, grid.columns, 3)
    expected = np.clip(hu / 80 * 255, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(pixels, np.repeat(expected[..., None], 3, axis=2))
