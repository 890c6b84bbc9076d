"""The page for eyes: whatever is stated is on it, whole, clear of the edges, over no slice."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from config.errors import Reason
from ml.findings import Side
from ml.volume import Mask, Subtype, Volume
from node.results import codes
from node.results.drawing import AMBER, GREY
from node.results.identity import ModelIdentity
from node.results.outcomes import StudyResult
from node.results.summary_page import FREE_EDGE, PICTURES_LEFT, SIZE, draw_page
from tests.support.result_inputs import (
    MODEL,
    UNFAMILIAR,
    all_results,
    make_context,
    make_findings,
    make_grid,
    make_mask,
    make_series,
)

CONTEXT = make_context()
GRID = make_grid()
VOLUME = make_series(GRID).volume
MASK = make_mask(GRID)
RESULTS = all_results(MASK)
SHOWING = [name for name, result in RESULTS.items() if result.findings]


def page(
    result: StudyResult, volume: Volume | None = VOLUME, mask: Mask | None = MASK
) -> NDArray[np.uint8]:
    return np.asarray(draw_page(CONTEXT, result, volume=volume, mask=mask))


def text_alone(result: StudyResult) -> NDArray[np.uint8]:
    return page(result, None, None)


def painted(pixels: NDArray[np.uint8], rgb: tuple[int, int, int]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (pixels == rgb).all(axis=2)
    return found


@pytest.mark.parametrize("name", RESULTS)
def test_every_outcome_has_a_page_of_its_own_under_the_disclaimer(name: str) -> None:
    pixels = page(RESULTS[name])
    assert pixels.shape == (SIZE, SIZE, 3)
    bar = painted(pixels, AMBER)[FREE_EDGE + 2]
    assert bar.all()
    others = [page(result) for other, result in RESULTS.items() if other != name]
    assert all((pixels != other).any() for other in others)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("with_slices", [True, False])
def test_nothing_is_drawn_where_viewers_write(name: str, with_slices: bool) -> None:
    pixels = page(RESULTS[name]) if with_slices else text_alone(RESULTS[name])
    assert not pixels[:FREE_EDGE].any()
    assert not pixels[-FREE_EDGE:].any()


@pytest.mark.parametrize("name", SHOWING)
def test_each_finding_has_a_chip_and_an_outline_in_its_colour(name: str) -> None:
    result = RESULTS[name]
    pixels = page(result)
    found = {finding.subtype for finding in result.findings}
    for subtype in Subtype:
        colour = painted(pixels, codes.SUBTYPES[subtype].rgb)
        assert (colour[:, :80].sum() > 100) == (subtype in found)
        assert colour[:, PICTURES_LEFT:].any() == (subtype in found)


@pytest.mark.parametrize("name", [name for name in RESULTS if name not in SHOWING])
def test_without_findings_no_slice_and_no_colour_of_a_subtype_is_drawn(name: str) -> None:
    pixels = page(RESULTS[name])
    np.testing.assert_array_equal(pixels, text_alone(RESULTS[name]))
    assert not any(painted(pixels, terms.rgb).any() for terms in codes.SUBTYPES.values())


GREY_VOLUME = Volume(np.full(GRID.shape, 40, np.float32), GRID)
"""Of the middle of the window: a slice of it is one grey rectangle."""


def rectangles(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels of slices of `GREY_VOLUME`; rows and columns with less are text."""
    grey = painted(pixels, (127, 127, 127))
    grey[:, :PICTURES_LEFT] = False
    grey[grey.sum(axis=1) < 100] = False
    return grey


@pytest.mark.parametrize("count", range(1, 6))
def test_the_slice_of_every_finding_is_there_whatever_their_number(count: int) -> None:
    subtypes = tuple(Subtype)[:count]
    result = StudyResult.positive(make_findings(MASK, subtypes), num_images=12)
    shown = rectangles(page(result, GREY_VOLUME))
    assert shown.sum() / count > 180 * 180
    rows = np.flatnonzero(shown.any(axis=1))
    num_rows = 1 + (np.diff(rows) > 20).sum()
    assert num_rows == (count if count <= 2 else -(-count // 2))
    assert not shown[:, -20:].any()


def test_an_outline_lies_around_its_lesion() -> None:
    result = StudyResult.positive(make_findings(MASK, [Subtype.EDH]), num_images=12)
    pixels = page(result, GREY_VOLUME, make_mask(GRID, [Subtype.EDH]))
    rows, columns = np.nonzero(rectangles(pixels))
    per_column = (np.ptp(columns) + 1) / GRID.columns
    per_row = per_column * 3.0 / 3.5  # pixels are 3 mm high and 3.5 mm wide
    line_rows, line_columns = np.nonzero(
        painted(pixels, codes.SUBTYPES[Subtype.EDH].rgb)[:, PICTURES_LEFT:]
    )
    left, top = columns.min() - PICTURES_LEFT, rows.min()
    assert line_columns.min() - left == pytest.approx(8 * per_column, abs=4)
    assert line_columns.max() - left == pytest.approx(11 * per_column, abs=4)
    assert line_rows.min() - top == pytest.approx(10 * per_row, abs=4)
    assert line_rows.max() - top == pytest.approx(13 * per_row, abs=4)


def test_what_is_not_reported_is_not_drawn() -> None:
    result = StudyResult.positive(make_findings(MASK, [Subtype.SDH]), num_images=12)
    pixels = page(result)
    assert not painted(pixels, codes.SUBTYPES[Subtype.IPH].rgb).any()


def ends(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """Last row and column of text beside slices."""
    rows, columns = np.nonzero(pixels[FREE_EDGE + 60 :, : PICTURES_LEFT - 1].any(axis=2))
    return int(rows.max()) + FREE_EDGE + 60, int(columns.max())


@pytest.mark.parametrize("detail", ["word " * 39, "W" * 200, "W" * 99 + " " + "i" * 100])
def test_the_longest_result_fits(detail: str) -> None:
    findings = make_findings(MASK, tuple(Subtype), side=Side.BOTH)
    large = [
        replace(f, volume_ml=1234.5 + n, mean_hu=-1000.4, max_diameter_mm=2345.6)
        for n, f in enumerate(findings)
    ]
    result = StudyResult.partial(
        Reason.INCOMPLETE,
        large,
        num_images=99999,
        case_score_percent=99.6,
        detail=detail[:200],
        familiarity=UNFAMILIAR,
    )
    model = ModelIdentity("m" * 64, "v" * 64, MODEL.manufacturer, MODEL.device_uid)
    context = replace(CONTEXT, model=model, generation=1000)
    pixels = np.asarray(draw_page(context, result, volume=VOLUME, mask=MASK))
    row, column = ends(pixels)
    assert row < SIZE - FREE_EDGE
    assert column < PICTURES_LEFT - 4
    last = pixels[row - 8 : row + 1, : PICTURES_LEFT - 1]
    brightest = last.max()  # the note comes last: nothing was cut off
    assert brightest <= GREY[0]


def test_every_line_of_a_result_is_on_the_page() -> None:
    result = RESULTS["partly-positive"]
    shorter = replace(result, detail="")
    assert ends(page(shorter))[0] < ends(page(result))[0]


def test_a_score_is_drawn_when_it_is_there() -> None:
    with_score = StudyResult.negative(num_images=12, case_score_percent=3.0)
    without = StudyResult.negative(num_images=12)
    assert (text_alone(with_score) != text_alone(without)).any()


def test_the_image_of_a_slice_is_named_as_a_viewer_counts_it() -> None:
    result = RESULTS["positive"]
    names = [f"image {n}" for n in range(12)]
    named = np.asarray(draw_page(CONTEXT, result, volume=VOLUME, mask=MASK, image_names=names))
    differs = (named != page(result)).any(axis=2)
    assert differs[:, PICTURES_LEFT:].any()
    assert not differs[:, : PICTURES_LEFT - 1].any()


def test_a_volume_of_air_or_of_a_long_shape_is_drawn_too() -> None:
    tall = make_grid(size=(88, 44))
    for grid in (GRID, tall):
        mask = make_mask(grid)
        air = np.full(grid.shape, -1000, np.float32)
        air[3, 4, 5] = np.nan
        result = StudyResult.positive(make_findings(mask, tuple(Subtype)), num_images=12)
        pixels = page(result, Volume(air, grid), mask)
        assert not pixels[-FREE_EDGE:].any()
