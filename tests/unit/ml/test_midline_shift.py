"""The midline shift: measured where a bleed pushes the brain, and never stated otherwise."""

from dataclasses import replace

import numpy as np
import pytest

from ml import midline_shift
from ml.findings import Side
from ml.midline_shift import MidlineShift, largest_shift, measure_midline_shift
from ml.plane import Alignment
from ml.volume import Grid, Mask, Subtype, Volume
from tests.support.heads import AIR_HU, Storage, axial_grid
from tests.support.pushed_head import GRID, PushedHead


def measured(head: PushedHead, grid: Grid = GRID) -> MidlineShift | None:
    return measure_midline_shift(*head.scan(grid), Alignment.identity(grid))


@pytest.mark.parametrize("push_mm", [-12.0, -8.0, -4.5, 4.5, 8.0, 12.0])
def test_a_push_is_measured_with_its_size_and_side(push_mm: float) -> None:
    shift = measured(PushedHead(push_mm, bleed_left=push_mm < 0))
    assert shift is not None
    assert shift.shift_mm == pytest.approx(abs(push_mm), abs=1.3)
    assert shift.side is (Side.LEFT if push_mm > 0 else Side.RIGHT)


def test_the_line_runs_on_its_slice_from_the_midline_of_the_skull_to_that_of_the_brain() -> None:
    shift = measured(PushedHead(8.0))
    assert shift is not None
    # the corner of the first pixel is (0, 0), its centre has the index (0, 0)
    index = np.column_stack([np.full(2, shift.slice_index), shift.points[:, ::-1] - 0.5])
    start, end = GRID.positions_mm(index)
    assert start[0] == pytest.approx(0, abs=0.2)
    np.testing.assert_allclose(end - start, [shift.shift_mm, 0, 0], atol=1e-6)
    assert abs(start[1]) < 35


@pytest.mark.parametrize("way", [Storage(True, False, True, True), Storage(False, True)])
def test_the_shift_does_not_depend_on_how_the_voxels_are_stored(way: Storage) -> None:
    volume, mask = PushedHead(8.0).scan()
    grid = way.grid(GRID)
    plain = measure_midline_shift(volume, mask, Alignment.identity(GRID))
    stored = measure_midline_shift(
        way.volume(volume), Mask(way.array(mask.labels), grid), Alignment.identity(grid)
    )
    assert plain is not None
    assert stored is not None
    assert (stored.shift_mm, stored.side) == (pytest.approx(plain.shift_mm, abs=0.6), plain.side)


def test_the_midline_is_that_of_the_alignment() -> None:
    volume, mask = PushedHead(8.0).scan()
    alignment = Alignment.identity(GRID)
    half = replace(alignment, shift_mm=alignment.shift_mm + 3.0)
    shift = measure_midline_shift(volume, mask, half)
    assert shift is not None
    assert shift.shift_mm == pytest.approx(5.0, abs=1.3)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(PushedHead(0.0), id="nothing is pushed"),
        pytest.param(PushedHead(1.5), id="no more than heads differ by themselves"),
        pytest.param(PushedHead(8.0, bleed=None), id="no bleed pushes"),
        pytest.param(PushedHead(8.0, bleed=Subtype.SAH), id="a bleed that takes no room"),
        pytest.param(PushedHead(8.0, bleed_left=True), id="pushed towards the bleed"),
    ],
)
def test_what_no_bleed_explains_is_not_stated(head: PushedHead) -> None:
    assert measured(head) is None


def test_blood_in_one_ventricle_does_not_move_the_line() -> None:
    assert measured(PushedHead(0.0, bleed=None, cast=True)) is None
    shift = measured(PushedHead(8.0, cast=True))
    assert shift is not None
    assert shift.shift_mm == pytest.approx(8.0, abs=1.3)


def test_without_a_head_or_with_few_slices_nothing_is_stated() -> None:
    empty = Mask(np.zeros(GRID.shape, np.uint8), GRID)
    air = Volume(np.full(GRID.shape, AIR_HU, np.float32), GRID)
    assert measure_midline_shift(air, empty, Alignment.identity(GRID)) is None
    thick = axial_grid(num_slices=10, size=160, pixel_mm=1.4, step_mm=16.0)
    assert measured(PushedHead(8.0), thick) is None


def level(
    index: int, shift_mm: float, *, bend_mm: float = 0.0, seen: float = 1.0
) -> midline_shift.Level:
    stations = midline_shift._STATIONS
    line_mm = shift_mm + bend_mm * (stations - stations[midline_shift._CENTRAL].mean())
    return midline_shift.Level(index, line_mm, 100 * stations, seen)


def test_three_slices_must_agree() -> None:
    assert largest_shift([level(0, 5.0), level(1, 6.0)]) is None
    assert largest_shift([level(0, 0.0), level(1, 9.0), level(2, 0.0)]) is None
    found = largest_shift([level(0, 5.0), level(1, 6.0), level(2, 6.5), level(3, 0.0)])
    assert found is not None
    assert (found.slice_index, found.shift_mm) == (1, 6.0)


@pytest.mark.parametrize("unclear", [{"bend_mm": 40.0}, {"seen": 0.4}])
def test_a_line_that_is_not_clear_counts_for_nothing(unclear: dict[str, float]) -> None:
    assert largest_shift([level(k, 6.0, **unclear) for k in range(3)]) is None


@pytest.mark.parametrize(
    ("shift_mm", "side"), [(0.0, Side.LEFT), (np.nan, Side.LEFT), (5.0, Side.BOTH)]
)
def test_no_shift_is_zero_or_to_both_sides(shift_mm: float, side: Side) -> None:
    with pytest.raises(ValueError, match="midline shift"):
        MidlineShift(shift_mm, side, 3, np.zeros((2, 2)))


def test_a_line_has_two_points() -> None:
    with pytest.raises(ValueError, match="two points"):
        MidlineShift(5.0, Side.LEFT, 3, np.zeros((3, 2)))
