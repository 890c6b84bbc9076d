"""Finding the midline of simple heads of known pose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.align import Alignment, align
from ml.preprocess import InputSpec, resample
from ml.readers.dicom import read_series
from ml.volume import Grid, Volume
from tests.support.heads import AIR_HU, Head, Storage, axial_grid
from tests.support.shared_data import shared_files

POSES = (
    Head(),
    Head(turned_deg=12, left_mm=8, back_mm=-6),
    Head(turned_deg=-19, left_mm=-12, bleed_left_mm=-35),
    Head(turned_deg=-3, left_mm=3, lean=0.08),
    Head(turned_deg=30, left_mm=15, back_mm=10),
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
    assert alignment.rotation_deg == pytest.approx(head.rotation_deg(grid), abs=1.0)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[4:-4]).max() < 1.5


def test_the_midline_is_found_in_a_tilted_irregular_stack_stored_from_head_to_feet() -> None:
    steps_mm = np.array([4.0] * 10 + [1.08] + [7.0] * 10)
    heights_mm = 60 - np.append(0.0, np.cumsum(steps_mm))
    grid = axial_grid(heights_mm=heights_mm, tilt_deg=18.5)
    head = Head(turned_deg=9, left_mm=-5)
    alignment = align(head.volume(grid))
    assert alignment.rotation_deg == pytest.approx(head.rotation_deg(grid), abs=1.0)
    off_mm = head.lateral_mm(on_the_midline(alignment, grid)).mean(axis=1)
    assert np.abs(off_mm[4:-4]).max() < 1.5


def test_the_shift_is_linear_along_the_normal() -> None:
    head = Head(lean=0.1)
    grid = axial_grid()
    alignment = align(head.volume(grid))
    inner = alignment.shift_mm[2:-2]
    assert np.ptp(np.diff(inner)) < 1e-9
    assert np.diff(inner).mean() == pytest.approx(0.1 * 8.0, abs=0.05)


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
    volume = Head(turned_deg=11, left_mm=6, lean=0.05).volume(axial_grid(num_slices=6, tilt_deg=9))
    plain, stored = align(volume), align(way.volume(volume))
    assert stored.rotation_deg == pytest.approx(plain.rotation_deg, abs=0.01)
    back = slice(None, None, -1 if way.slices_reversed else 1)
    np.testing.assert_allclose(stored.shift_mm[back], plain.shift_mm, atol=0.02)
    np.testing.assert_allclose(stored.centre_mm[back], plain.centre_mm, atol=0.02)


def test_left_of_the_midline_is_positive() -> None:
    grid = axial_grid(num_slices=3, size=64, pixel_mm=2.0)
    alignment = Alignment(0.0, np.full(3, 10.0), Alignment.identity(grid).centre_mm)
    # columns run to the patient's left; the middle of the image is at column 31.5
    lateral_mm = alignment.lateral_mm(grid, np.array([[1.0, 5.0, 40.0], [1.0, 5.0, 31.5]]))
    np.testing.assert_allclose(lateral_mm, [7.0, -10.0])


def test_a_centre_for_each_slice_is_required() -> None:
    with pytest.raises(ValueError, match="centres have shape"):
        Alignment(0.0, np.zeros(3), np.zeros((2, 3)))


@pytest.mark.peers
def test_a_real_head_turned_in_a_tilted_irregular_stack_is_straightened() -> None:
    volume = read_series(shared_files("head_ct_ge")).volume
    alignment = align(volume)
    # measured once and looked at: falx, third ventricle and nose lie on the line
    assert alignment.rotation_deg == pytest.approx(-11.3, abs=1.0)

    def asymmetry(of: Alignment) -> float:
        bone = resample(volume, of, InputSpec()).hu[6:] > 300
        return float((bone ^ bone[:, :, ::-1]).sum() / bone.sum())

    assert asymmetry(alignment) < 0.75 * asymmetry(Alignment.identity(volume.grid))
