"""Geometry of stacks."""

from dataclasses import replace

import numpy as np
import pytest

from ml.volume import Mask, Subtype, Volume
from tests.support.heads import axial_grid

IRREGULAR_MM = np.array([0.0, 4.0, 8.0, 9.08, 16.08])


def test_a_voxel_lies_where_the_standard_says() -> None:
    grid = replace(axial_grid(num_slices=3, size=8), pixel_spacing_mm=(0.5, 0.25))
    index = np.array([[2.0, 3.0, 5.0]])
    expected = (
        grid.slice_origins_mm[2] + 3 * 0.5 * grid.column_direction + 5 * 0.25 * grid.row_direction
    )
    np.testing.assert_allclose(grid.positions_mm(index)[0], expected)


def test_each_slice_stands_for_half_the_way_to_its_neighbours() -> None:
    grid = axial_grid(heights_mm=IRREGULAR_MM, size=8)
    np.testing.assert_allclose(grid.slice_steps_mm, [4.0, 4.0, 2.54, 4.04, 7.0])


def test_a_tilted_stack_counts_the_distance_along_the_normal() -> None:
    grid = axial_grid(num_slices=4, size=8, step_mm=5.0, tilt_deg=18.5)
    np.testing.assert_allclose(grid.slice_steps_mm, 5.0 * np.cos(np.deg2rad(18.5)))


def test_steps_are_positive_for_a_stack_stored_from_head_to_feet() -> None:
    upwards = axial_grid(heights_mm=IRREGULAR_MM, size=8)
    downwards = axial_grid(heights_mm=IRREGULAR_MM[::-1], size=8)
    np.testing.assert_allclose(downwards.slice_steps_mm, upwards.slice_steps_mm[::-1])


def test_a_single_slice_has_no_extent() -> None:
    with pytest.raises(ValueError, match="one slice"):
        _ = axial_grid(num_slices=1, size=8).slice_steps_mm


def test_the_volume_of_a_subtype_follows_the_true_positions() -> None:
    grid = axial_grid(heights_mm=IRREGULAR_MM, size=8, pixel_mm=0.5)
    labels = np.zeros(grid.shape, np.uint8)
    labels[2, :2, :3] = Subtype.SDH
    labels[4, 0, 0] = Subtype.SDH
    labels[1] = Subtype.IPH
    volume_ml = Mask(labels, grid).volume_ml(Subtype.SDH)
    assert volume_ml == pytest.approx((6 * 2.54 + 7.0) * 0.25 / 1000)


def test_slices_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="not in order"):
        axial_grid(heights_mm=np.array([0.0, 5.0, 4.0]), size=8)


def test_directions_that_are_not_perpendicular_are_refused() -> None:
    grid = axial_grid(num_slices=2, size=8)
    with pytest.raises(ValueError, match="perpendicular"):
        replace(grid, column_direction=np.array([0.6, 0.8, 0.0]))


def test_a_spacing_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match="not positive"):
        replace(axial_grid(num_slices=2, size=8), pixel_spacing_mm=(0.5, 0.0))


def test_origins_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="slice origins"):
        replace(axial_grid(num_slices=2, size=8), slice_origins_mm=np.zeros(3))


def test_voxels_and_labels_must_lie_on_their_grid() -> None:
    grid = axial_grid(num_slices=2, size=8)
    with pytest.raises(ValueError, match="voxels have shape"):
        Volume(np.zeros((2, 8, 9), np.float32), grid)
    with pytest.raises(ValueError, match="labels have shape"):
        Mask(np.zeros((3, 8, 8), np.uint8), grid)


def test_a_label_that_names_no_subtype_is_refused() -> None:
    grid = axial_grid(num_slices=2, size=8)
    with pytest.raises(ValueError, match="names no subtype"):
        Mask(np.full(grid.shape, 6, np.uint8), grid)
