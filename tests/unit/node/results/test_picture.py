"""Pictures show what was found, where it was found, on the right side, and nothing else."""

from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image

from config.errors import Reason
from ml.volume import Mask, Subtype, Volume
from node.results import codes
from node.results.drawing import AMBER, side_letter
from node.results.outcomes import StudyResult
from node.results.picture import (
    MOST_SLICES,
    NUM_SLICES_WITHOUT_FINDINGS,
    WIDTH,
    choose_slices,
    draw_montage,
    draw_result,
    encode_png,
)
from tests.support.result_inputs import (
    BLOCKS,
    all_results,
    make_context,
    make_finding,
    make_grid,
    make_mask,
    make_series,
)

CONTEXT = make_context()
GRID = make_grid()
VOLUME = make_series(GRID).volume
NOTHING = make_mask(GRID, [])


def pixels_of(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture)


def where(picture: Image.Image, rgb: tuple[int, int, int]) -> NDArray[np.intp]:
    """Rows and columns of the pixels of a colour, shape (N, 2)."""
    return np.argwhere((pixels_of(picture) == rgb).all(axis=2))


def montage(mask: Mask, volume: Volume = VOLUME, **more: object) -> Image.Image:
    return draw_montage(volume, mask, title="T", disclaimer="D", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("subtype", Subtype)
def test_a_subtype_is_outlined_in_its_own_colour_only(subtype: Subtype) -> None:
    picture = montage(make_mask(GRID, [subtype]))
    found = {s for s in Subtype if len(where(picture, codes.SUBTYPES[s].rgb))}
    assert found == {subtype}


def test_without_findings_no_colour_of_a_subtype_is_drawn() -> None:
    result = StudyResult.negative(num_images=12)
    picture = draw_result(CONTEXT, result, volume=VOLUME, mask=NOTHING)
    assert not any(len(where(picture, codes.SUBTYPES[s].rgb)) for s in Subtype)
    assert picture.height > 1000  # and slices are there all the same


def test_an_outline_lies_around_its_lesion_and_leaves_it_visible() -> None:
    slices, rows, columns = BLOCKS[Subtype.IPH]
    hu = np.full(GRID.shape, 40, np.float32)
    picture = montage(make_mask(GRID, [Subtype.IPH]), Volume(hu, GRID))
    outline = where(picture, codes.SUBTYPES[Subtype.IPH].rgb)
    # the whole slice is drawn: 120 by 154 mm, so that columns fill the tile of 400 pixels
    per_column, per_row = 400 / 44, 400 / 44 * 3.0 / 3.5
    tile = outline[(outline[:, 1] < 420) & (outline[:, 0] > outline[0, 0] + 30)]
    top, left = first_tile(picture)
    width = np.ptp(tile[:, 1]) + 1
    assert width == pytest.approx((columns.stop - columns.start) * per_column, abs=6)
    assert tile[:, 1].min() - left == pytest.approx(columns.start * per_column, abs=4)
    first = tile[tile[:, 0] < top + 400 * 120 / 154]
    assert first[:, 0].min() - top == pytest.approx(rows.start * per_row, abs=4)
    middle = pixels_of(picture)[top + round(12 * per_row), left + round(26 * per_column)]
    assert tuple(middle) == (127, 127, 127)  # 40 HU is the middle of the window
    assert slices.stop - slices.start == 4


def first_tile(picture: Image.Image) -> tuple[int, int]:
    """Top left corner of the first slice of a volume that is grey all over."""
    grey = where(picture, (127, 127, 127))
    return int(grey[:, 0].min()), int(grey[:, 1].min())


def test_the_window_runs_from_0_to_80_hu() -> None:
    hu = np.tile(np.linspace(-40, 120, GRID.columns, dtype=np.float32), (12, GRID.rows, 1))
    picture = montage(NOTHING, Volume(hu, GRID))
    levels = pixels_of(picture)[-150, 20:410, 0].astype(int)
    assert levels[:95].max() == 0
    assert levels[-95:-30].min() > 250
    assert abs(levels[len(levels) // 2 - 5 :][:10].mean() - 127) < 12


@pytest.mark.parametrize(("mirrored", "letters"), [(False, "RL"), (True, "LR")])
def test_slices_are_drawn_as_stored_and_the_letters_tell_the_sides(
    mirrored: bool, letters: str
) -> None:
    grid = make_grid(mirrored=mirrored)
    assert side_letter(-grid.row_direction) + side_letter(grid.row_direction) == letters
    mask = make_mask(grid, [Subtype.EDH])
    volume = make_series(grid).volume
    outline = where(montage(mask, volume), codes.SUBTYPES[Subtype.EDH].rgb)
    assert outline[outline[:, 0] > 200][:, 1].min() < 60  # low columns are on the left


def test_key_slices_come_first_then_the_largest_findings() -> None:
    mask = make_mask(GRID)
    areas = (mask.labels > 0).sum(axis=(1, 2))
    chosen = choose_slices(mask, [9, 2])
    assert chosen[:2] == [9, 2]
    assert all(areas[a] >= areas[b] for a, b in pairwise(chosen[2:]))
    assert set(chosen) == set(np.flatnonzero(areas))


def test_without_findings_the_slices_are_spread_over_the_head() -> None:
    tall = make_grid(heights_mm=tuple(range(90)))
    chosen = choose_slices(make_mask(tall, []))
    assert len(chosen) == NUM_SLICES_WITHOUT_FINDINGS
    assert len(set(np.diff(chosen))) == 1
    assert choose_slices(make_mask(make_grid(heights_mm=(0, 5)), [])) == [0, 1]


@given(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(2, 30), st.just(3), st.just(4)),
        elements={"min_value": 0, "max_value": 5},
    ),
    st.lists(st.integers(0, 1), max_size=3),
)
def test_chosen_slices_are_few_distinct_and_there(
    labels: NDArray[np.uint8], key_slices: list[int]
) -> None:
    grid = make_grid(heights_mm=tuple(range(len(labels))), size=(3, 4))
    chosen = choose_slices(Mask(labels, grid), key_slices)
    assert 0 < len(chosen) <= MOST_SLICES
    assert len(set(chosen)) == len(chosen)
    assert all(0 <= index < len(labels) for index in chosen)


@pytest.mark.parametrize("name", all_results(make_mask(GRID)))
def test_every_outcome_has_a_picture_under_the_disclaimer(name: str) -> None:
    result = all_results(make_mask(GRID))[name]
    shown = make_mask(GRID, [finding.subtype for finding in result.findings])
    for volume, mask in ((VOLUME, shown), (None, None)):
        picture = draw_result(CONTEXT, result, volume=volume, mask=mask)
        assert picture.width == WIDTH
        assert picture.mode == "RGB"
        assert tuple(pixels_of(picture)[2, 2]) == AMBER
        assert (pixels_of(picture)[60:, :] == 255).any()  # words


def test_different_outcomes_look_different_even_without_slices() -> None:
    results = all_results(make_mask(GRID)).values()
    pictures = {encode_png(draw_result(CONTEXT, result)) for result in results}
    assert len(pictures) == len(results)


def test_the_same_input_gives_the_same_bytes() -> None:
    mask = make_mask(GRID)
    first, second = (encode_png(montage(mask, lines=["a line"])) for _ in range(2))
    assert first == second
    assert Image.open(BytesIO(first)).size == (WIDTH, montage(mask, lines=["a line"]).height)


def test_a_lesion_of_one_voxel_is_drawn_even_in_a_large_matrix() -> None:
    grid = make_grid(size=(1200, 1200))
    labels = np.zeros(grid.shape, np.uint8)
    labels[4, 601, 333] = Subtype.SAH
    volume = Volume(np.full(grid.shape, 30, np.float32), grid)
    finding = where(montage(Mask(labels, grid), volume), codes.SUBTYPES[Subtype.SAH].rgb)
    assert len(finding[finding[:, 0] > 200]) >= 8


def test_a_volume_of_air_or_with_missing_values_is_drawn_too() -> None:
    air = np.full(GRID.shape, -1000, np.float32)
    air[3, 4, 5] = np.nan
    assert montage(NOTHING, Volume(air, GRID)).height > 400


def test_long_lines_are_wrapped_and_make_the_picture_higher() -> None:
    result = StudyResult.partial(Reason.INCOMPLETE, num_images=9, detail="word " * 39)
    short = StudyResult.partial(Reason.INCOMPLETE, num_images=9, detail="word")
    long_page, short_page = draw_result(CONTEXT, result), draw_result(CONTEXT, short)
    assert long_page.height > short_page.height
    assert not pixels_of(long_page)[60:, -8:].any()


def test_a_mask_of_another_shape_or_without_volume_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        montage(make_mask(make_grid(heights_mm=(0, 1)), []))
    result = StudyResult.positive([make_finding(make_mask(GRID), Subtype.IPH)], num_images=12)
    with pytest.raises(ValueError, match="comes with its mask"):
        draw_result(CONTEXT, result, volume=VOLUME)
