"""Finding the midline of simple heads of known pose."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.align import Alignment, align, fit_line, fit_midline, head_slices, slice_midlines
from ml.plane import inverse, source_to_plane
from ml.volume import Grid, Volume
from tests.support.heads import AIR_HU, Head, Storage, axial_grid

POSES = (
    Head(),
    Head(turned_deg=12, left_mm=8, back_mm=-6),
    Head(turned_deg=-19, left_mm=-12, bleed_left_mm=-35),
    Head(turned_deg=30, left_mm=15, back_mm=10),
)


def rolled(grid: Grid, roll_deg: float) -> Grid:
    """Turn a grid about the axis from front to back: the head then leans within it."""
    roll = np.deg2rad(roll_deg)
    turn = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    return replace(
        grid,
        slice_origins_mm=grid.slice_origins_mm @ turn.T,
        row_direction=turn @ grid.row_direction,
        column_direction=turn @ grid.column_direction,
    )


def on_the_midline(alignment: Alignment, grid: Grid) -> NDArray[np.float64]:
    """Two points in each slice through which the found midline runs, shape (Z, 2, 3), LPS mm."""
    down, right = alignment.axes(grid)
    middle = alignment.centre_mm + alignment.shift_mm[:, None] * right
    points: NDArray[np.float64] = middle[:, None] + np.array([[-60.0], [60.0]]) * down
    return points


@pytest.mark.parametrize("head", POSES)
def test_the_pose_of_a_head_is_found(head: Head) -> None:
    grid = axial_grid()
    alignment = align(head.volume(grid))
    assert alignment.rotation_deg == pytest.approx(head.rotation_deg(grid), abs=0.4)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[2:-2]).max() < 0.8


def test_the_midline_is_found_in_a_tilted_irregular_stack_stored_from_head_to_feet() -> None:
    steps_mm = np.array([4.0] * 10 + [1.08] + [7.0] * 10)
    heights_mm = 60 - np.append(0.0, np.cumsum(steps_mm))
    grid = axial_grid(heights_mm=heights_mm, tilt_deg=18.5)
    head = Head(turned_deg=9, left_mm=-5)
    alignment = align(head.volume(grid))
    assert alignment.rotation_deg == pytest.approx(head.rotation_deg(grid), abs=0.4)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[2:-2]).max() < 0.8


@pytest.mark.parametrize("tilt_deg", [0.0, 15.0])
def test_a_head_that_leans_to_one_side_is_found_to_lean_that_far(tilt_deg: float) -> None:
    head = Head(turned_deg=-3, left_mm=3)
    grid = rolled(axial_grid(tilt_deg=tilt_deg), 5.0)
    alignment = align(head.volume(grid))
    assert alignment.rotation_deg == pytest.approx(head.rotation_deg(grid), abs=0.3)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[2:-2]).max() < 0.7


def test_the_midline_of_one_slice_alone_leans_less_than_the_head() -> None:
    grid = rolled(axial_grid(), 5.0)
    head = head_slices(Head(bleed_left_mm=500.0).volume(grid))
    assert head is not None
    slope = fit_line(head, slice_midlines(head))[1]
    assert 0.2 < -slope / np.tan(np.deg2rad(5.0)) < 0.8


def test_the_shift_is_linear_along_the_normal() -> None:
    grid = rolled(axial_grid(), 5.0)
    alignment = align(Head().volume(grid))
    inner = alignment.shift_mm[2:-2]
    assert np.ptp(np.diff(inner)) < 1e-9
    assert np.diff(inner).mean() == pytest.approx(-np.tan(np.deg2rad(5.0)) * 8.0, abs=0.05)


def test_the_image_is_centred_on_the_head() -> None:
    head = Head(left_mm=20, back_mm=-14)
    grid = axial_grid()
    alignment = align(head.volume(grid))
    middle = grid.shape[0] // 2
    left, back, _ = alignment.centre_mm[middle]
    assert left + alignment.shift_mm[middle] == pytest.approx(20, abs=1.0)
    assert back == pytest.approx(-14, abs=4.0)


def test_a_head_holder_does_not_count() -> None:
    grid = axial_grid()
    bare = align(Head(turned_deg=8, holder=False).volume(grid))
    held = align(Head(turned_deg=8, holder=True).volume(grid))
    assert held.rotation_deg == pytest.approx(bare.rotation_deg, abs=0.1)
    np.testing.assert_allclose(held.shift_mm, bare.shift_mm, atol=0.3)


@pytest.mark.parametrize("hu", [AIR_HU, 0.0, 35.0])
def test_a_volume_without_a_head_is_left_as_it_is(hu: float) -> None:
    grid = axial_grid(num_slices=5, size=64)
    alignment = align(Volume(np.full(grid.shape, hu, np.float32), grid))
    np.testing.assert_array_equal(alignment.shift_mm, 0)
    assert alignment.rotation_deg == 0


def test_a_water_phantom_is_left_as_it_is() -> None:
    grid = axial_grid(num_slices=6)
    position = grid.positions_mm(np.moveaxis(np.indices(grid.shape), 0, -1).astype(np.float64))
    x, y = position[..., 0] - 10, position[..., 1]
    oblique = ((x + 0.3 * y) / 70) ** 2 + ((y - 0.3 * x) / 95) ** 2 < 1
    alignment = align(Volume(np.where(oblique, 3.0, AIR_HU).astype(np.float32), grid))
    assert alignment.rotation_deg == 0
    np.testing.assert_array_equal(alignment.shift_mm, 0)


def test_what_touches_the_head_but_is_thin_does_not_count() -> None:
    head = Head(turned_deg=8, holder=False)
    grid = axial_grid()
    bare = head.volume(grid)
    strapped = bare.hu.copy()
    # a cable two pixels wide, from the back of the head to the end of the field of view
    strapped[:, 100:, 63:65] = np.maximum(strapped[:, 100:, 63:65], 90)
    with_strap, without = align(Volume(strapped, grid)), align(bare)
    np.testing.assert_allclose(with_strap.centre_mm, without.centre_mm, atol=2.0)


def test_a_head_at_the_edge_of_a_wide_field_of_view_is_found() -> None:
    head = Head(turned_deg=-6, left_mm=75, back_mm=60, holder=False)
    grid = axial_grid(num_slices=8, size=128, pixel_mm=3.2, step_mm=12)
    alignment = align(head.volume(grid))
    assert alignment.rotation_deg == pytest.approx(-6, abs=1.0)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[2:-2]).max() < 1.5


def test_the_rotation_is_finer_than_the_steps_of_the_search() -> None:
    grid = axial_grid()
    for turned_deg in (4.25, 6.25, 9.75):
        head = Head(turned_deg=turned_deg, bleed_left_mm=500.0)
        assert align(head.volume(grid)).rotation_deg == pytest.approx(turned_deg, abs=0.15)


@pytest.mark.parametrize("num_slices", [1, 2, 3])
def test_few_slices_are_enough(num_slices: int) -> None:
    head = Head(turned_deg=7, left_mm=5)
    grid = axial_grid(num_slices=num_slices)
    alignment = align(head.volume(grid))
    assert alignment.rotation_deg == pytest.approx(7, abs=1.0)
    np.testing.assert_allclose(alignment.shift_mm.shape, num_slices)


def test_a_slice_that_is_all_wrong_does_not_move_the_line() -> None:
    head = Head(turned_deg=5, left_mm=4)
    grid = axial_grid(num_slices=14)
    hu = head.volume(grid).hu.copy()
    hu[6] = np.roll(hu[6], 12, axis=1)
    alignment = align(Volume(hu, grid))
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[3:-3]).max() < 1.0


WAYS = st.builds(Storage, st.booleans(), st.booleans(), st.booleans(), st.booleans())


@settings(max_examples=8, deadline=None)
@given(WAYS)
def test_the_midline_does_not_depend_on_how_the_voxels_are_stored(way: Storage) -> None:
    grid = rolled(axial_grid(num_slices=6, tilt_deg=9), 3.0)
    volume = Head(turned_deg=11, left_mm=6).volume(grid)
    plain, stored = align(volume), align(way.volume(volume))
    assert stored.rotation_deg == pytest.approx(plain.rotation_deg, abs=0.01)
    back = slice(None, None, -1 if way.slices_reversed else 1)
    np.testing.assert_allclose(stored.shift_mm[back], plain.shift_mm, atol=0.02)
    np.testing.assert_allclose(stored.centre_mm[back], plain.centre_mm, atol=0.02)


def test_the_midline_of_each_slice_is_found_in_that_slice_alone() -> None:
    grid = axial_grid()
    bare = Head(turned_deg=8, left_mm=5, bleed_left_mm=500.0)
    hu = bare.volume(grid).hu.copy()
    hu[5] = Head(turned_deg=-10, left_mm=-4, bleed_left_mm=500.0).volume(grid).hu[5]
    head = head_slices(Volume(hu, grid))
    assert head is not None
    midlines = slice_midlines(head)
    rotation_deg = dict(zip(head.slices.tolist(), midlines.rotation_deg, strict=True))
    assert rotation_deg[5] == pytest.approx(-10, abs=0.6)
    assert rotation_deg[8] == pytest.approx(8, abs=0.6)
    shift_mm = dict(zip(head.slices.tolist(), midlines.shift_mm, strict=True))
    for index, true in ((5, Head(turned_deg=-10, left_mm=-4)), (8, bare)):
        single = Alignment(
            rotation_deg[index], np.full(grid.shape[0], shift_mm[index]), head.centre_mm
        )
        assert abs(true.lateral_mm(on_the_midline(single, grid)).mean(axis=1)[index]) < 0.5
    assert midlines.likeness.min() > 0.9


def test_a_plane_far_from_what_the_slices_say_is_not_believed() -> None:
    grid = axial_grid()
    head = head_slices(Head(turned_deg=5).volume(grid))
    assert head is not None
    found = slice_midlines(head)
    # 11 degrees and more away there may be another, wrong plane: the slices are taken at their word
    wrong = replace(found, rotation_deg=found.rotation_deg - 11.0)
    assert fit_midline(head, wrong).rotation_deg == pytest.approx(fit_line(head, wrong)[0])
    near = replace(found, rotation_deg=found.rotation_deg - 2.0)
    assert fit_midline(head, near).rotation_deg == pytest.approx(5, abs=0.4)


def test_a_swollen_scalp_and_a_large_bleed_on_one_side_hardly_move_the_midline() -> None:
    grid, head = axial_grid(), Head(turned_deg=7, left_mm=-4, bleed_left_mm=500.0)
    hu = head.volume(grid).hu.copy()
    position = grid.positions_mm(np.moveaxis(np.indices(grid.shape), 0, -1).astype(np.float64))
    lateral, back, up = head.lateral_mm(position), position[..., 1], position[..., 2]
    swollen = ((lateral - 72) / 20) ** 2 + ((back - 40) / 45) ** 2 + ((up - 20) / 45) ** 2 < 1
    hu[swollen & (hu < -500)] = 50
    bleed = ((lateral - 40) / 22) ** 2 + (back / 32) ** 2 + (up / 25) ** 2 < 1
    assert bleed.sum() * grid.voxel_ml[0] > 70
    hu[bleed] = 70
    alignment = align(Volume(hu, grid))
    assert alignment.rotation_deg == pytest.approx(7, abs=0.15)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[2:-2]).max() < 0.3


def test_fine_pixels_are_averaged_where_they_lie() -> None:
    volume = Head(turned_deg=4, left_mm=7).volume(axial_grid(num_slices=6, size=480, pixel_mm=0.48))
    mirrored = Storage(columns_reversed=True, rows_reversed=True).volume(volume)
    plain, stored = align(volume), align(mirrored)
    assert stored.rotation_deg == pytest.approx(plain.rotation_deg, abs=0.01)
    np.testing.assert_allclose(
        on_the_midline(stored, mirrored.grid), on_the_midline(plain, volume.grid), atol=0.05
    )


def test_a_thin_stack_is_searched_on_some_of_its_slices() -> None:
    grid = rolled(axial_grid(num_slices=100, size=96, pixel_mm=2.4, step_mm=1.4), 4.0)
    head = Head(turned_deg=6, left_mm=-4)
    volume = head.volume(grid)
    sampled = head_slices(volume)
    assert sampled is not None
    assert len(sampled.slices) <= 40
    alignment = align(volume)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[10:-10]).max() < 0.8


@settings(max_examples=30, deadline=None)
@given(
    WAYS,
    st.floats(-40, 40),
    st.floats(-30, 30),
    st.floats(-25, 25),
    st.integers(0, 2**32 - 1),
)
def test_points_go_to_the_plane_and_back_exactly(
    way: Storage, turned_deg: float, left_mm: float, tilt_deg: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixel_mm = rng.uniform(0.3, 3.0)
    grid = way.grid(axial_grid(num_slices=7, size=64, pixel_mm=3.6, tilt_deg=tilt_deg))
    centre_mm = Alignment.identity(grid).centre_mm
    alignment = Alignment(turned_deg, left_mm + rng.normal(0, 3, 7), centre_mm)
    there = source_to_plane(grid, alignment, size=128, pixel_mm=pixel_mm)
    back = inverse(*there)
    index = np.concatenate([rng.integers(0, 7, (50, 1)), rng.uniform(0, 63, (50, 2))], axis=1)
    slices = index[:, 0].astype(np.intp)
    in_plane = index[:, 1:] @ there[0].T + there[1][slices]
    again = index.copy()
    again[:, 1:] = in_plane @ back[0].T + back[1][slices]
    off_mm = grid.positions_mm(again) - grid.positions_mm(index)
    assert np.abs(off_mm).max() < 1e-9
    # columns of the plane count the distance from the midline
    lateral_mm = (in_plane[:, 1] - 63.5) * pixel_mm
    np.testing.assert_allclose(lateral_mm, alignment.lateral_mm(grid, index), atol=1e-9)


def test_left_of_the_midline_is_positive() -> None:
    grid = axial_grid(num_slices=3, size=64, pixel_mm=2.0)
    alignment = Alignment(0.0, np.full(3, 10.0), Alignment.identity(grid).centre_mm)
    # columns run to the patient's left; the middle of the image is at column 31.5
    lateral_mm = alignment.lateral_mm(grid, np.array([[1.0, 5.0, 40.0], [1.0, 5.0, 31.5]]))
    np.testing.assert_allclose(lateral_mm, [7.0, -10.0])


def test_a_centre_for_each_slice_is_required() -> None:
    with pytest.raises(ValueError, match="centres have shape"):
        Alignment(0.0, np.zeros(3), np.zeros((2, 3)))
