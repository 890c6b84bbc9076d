"""A NIfTI voxel lies in LPS where its affine says, left and right included."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.affines import apply_affine
from numpy.typing import NDArray

from config.errors import UnreadableInputError, UsageError
from ml.data.nifti import (
    affine_of_grid,
    grid_of_affine,
    nifti_files,
    read_image,
    read_labels,
)
from ml.volume import Grid
from tests.unit.ml.data.published import SHAPE, blob, everywhere, scan, tilted_grid, write_nifti

LPS_OF_RAS = np.array([-1.0, -1.0, 1.0])
SIZES = (5, 6, 4)
"""Along i, j and k: all different."""


def turned(angles: tuple[float, float, float]) -> NDArray[np.float64]:
    """Rotation matrix about x, then y, then z."""
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        one, other = (axis + 1) % 3, (axis + 2) % 3
        step = np.eye(3)
        step[[one, other], [one, other]] = c
        step[one, other], step[other, one] = -s, s
        matrix = step @ matrix
    return matrix


def affine(
    angles: tuple[float, float, float],
    steps: tuple[float, float, float],
    offset: tuple[float, float, float],
    shear: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """Affine with turned axes, signed steps, and slices that slide over each other."""
    result = np.eye(4)
    result[:3, :3] = turned(angles) * np.array(steps)
    result[:3, 2] += shear[0] * result[:3, 0] + shear[1] * result[:3, 1]
    result[:3, 3] = offset
    return result


def stored_index(grid: Grid, order: tuple[int, int, int]) -> NDArray[np.float64]:
    """Index (i, j, k) of every voxel of our array."""
    ours = everywhere(grid)
    return np.stack([ours[..., order.index(axis)] for axis in range(3)], axis=-1)


def check_positions(matrix: NDArray[np.float64]) -> Grid:
    grid, order = grid_of_affine(matrix, SIZES)
    assert grid.shape == tuple(SIZES[axis] for axis in order)
    expected = apply_affine(matrix, stored_index(grid, order)) * LPS_OF_RAS
    np.testing.assert_allclose(grid.positions_mm(everywhere(grid)), expected, atol=1e-9)
    return grid


ANGLE = st.floats(-0.4, 0.4)
STEP = st.floats(0.3, 6.0)
SIGN = st.sampled_from((-1.0, 1.0))
OFFSET = st.floats(-300, 300)


@settings(deadline=None)
@given(
    angles=st.tuples(ANGLE, ANGLE, ANGLE),
    steps=st.tuples(STEP, STEP, STEP),
    signs=st.tuples(SIGN, SIGN, SIGN),
    offset=st.tuples(OFFSET, OFFSET, OFFSET),
    shear=st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)),
)
def test_any_affine_survives_the_way_to_our_grid_and_back(
    angles: tuple[float, float, float],
    steps: tuple[float, float, float],
    signs: tuple[float, float, float],
    offset: tuple[float, float, float],
    shear: tuple[float, float],
) -> None:
    signed = (steps[0] * signs[0], steps[1] * signs[1], steps[2] * signs[2])
    matrix = affine(angles, signed, offset, shear)
    grid = check_positions(matrix)
    np.testing.assert_allclose(affine_of_grid(grid), matrix, atol=1e-9)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
def test_slices_are_found_on_whatever_axis_they_are_stored(axes: tuple[int, int, int]) -> None:
    usual = affine((0.1, 0.05, -0.1), (-0.5, 0.6, 5.0), (10, -20, 30))
    stored = usual.copy()
    stored[:3, :3] = usual[:3, axes]
    grid = check_positions(stored)
    assert abs(grid.normal[2]) > 0.9


def test_a_tilted_gantry_keeps_its_shear() -> None:
    grid = tilted_grid()
    again, order = grid_of_affine(affine_of_grid(grid), (grid.columns, grid.rows, grid.shape[0]))
    assert order == (2, 1, 0)
    np.testing.assert_allclose(again.slice_origins_mm, grid.slice_origins_mm, atol=1e-9)
    assert again.slice_steps_mm[0] == pytest.approx(5.0 * np.cos(np.deg2rad(15)))


def test_a_bleed_on_the_patients_left_is_on_the_left(tmp_path: Path) -> None:
    # RAS and LAS files of one head: the blood is at x = -40 in RAS, that is 40 mm to the left
    for name, step in (("ras.nii", 10.0), ("las.nii.gz", -10.0)):
        matrix = np.diag([step, 10.0, 5.0, 1.0])
        matrix[:3, 3] = (-5 * step, -30, 20)
        values = np.full((11, 7, 3), -100, np.int16)
        at_ras = np.array([-40.0, 10.0, 25.0])
        index = np.rint(apply_affine(np.linalg.inv(matrix), at_ras)).astype(int)
        values[tuple(index)] = 70
        image = nibabel.Nifti1Image(values, matrix)
        nibabel.save(image, tmp_path / name)
        volume, _ = read_image(tmp_path / name)
        (found,) = np.argwhere(volume.hu == 70)
        position = volume.grid.positions_mm(found.astype(np.float64))
        np.testing.assert_allclose(position, [40.0, -10.0, 25.0], atol=1e-5)


def test_what_is_written_is_read_voxel_by_voxel(tmp_path: Path) -> None:
    original = scan()
    write_nifti(tmp_path / "a.nii.gz", original.hu, original.grid)
    volume, order = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(volume.hu, original.hu)
    np.testing.assert_allclose(
        volume.grid.positions_mm(everywhere(volume.grid)),
        original.grid.positions_mm(everywhere(original.grid)),
        atol=1e-4,
    )
    write_nifti(tmp_path / "m.nii", blob(3), original.grid, dtype="uint8")
    np.testing.assert_array_equal(read_labels(tmp_path / "m.nii", volume.grid, order), blob(3))


def test_scaled_values_are_scaled_and_air_has_a_floor(tmp_path: Path) -> None:
    values = scan().hu
    values[1, 1, 1] = -3024
    image = nibabel.Nifti1Image(values.T.astype(np.int16), affine_of_grid(tilted_grid()))
    image.header.set_slope_inter(2, -10)
    nibabel.save(image, tmp_path / "a.nii")
    volume, _ = read_image(tmp_path / "a.nii")
    assert volume.hu[1, 1, 1] == -1024
    assert volume.hu[2, 2, 2] == 2 * values[2, 2, 2] - 10


@pytest.mark.parametrize(
    ("shift_mm", "flip", "message"),
    [(12.0, False, r"up to 12\.0 mm away from its image"), (0.0, True, "away from its image")],
)
def test_a_mask_on_another_grid_is_refused(
    tmp_path: Path, shift_mm: float, flip: bool, message: str
) -> None:
    volume = scan()
    grid = volume.grid
    if flip:
        far = grid.slice_origins_mm + grid.row_direction * 3.0 * (grid.columns - 1)
        grid = Grid(far, -grid.row_direction, grid.column_direction, (2.0, 3.0), *SHAPE[1:])
    write_nifti(tmp_path / "m.nii", blob(1), grid, shift_mm=shift_mm, dtype="uint8")
    with pytest.raises(UnreadableInputError, match=message):
        read_labels(tmp_path / "m.nii", volume.grid, (2, 1, 0))
    taken = read_labels(tmp_path / "m.nii", volume.grid, (2, 1, 0), follows_image=True)
    np.testing.assert_array_equal(taken, blob(1))


def test_a_mask_stored_along_other_axes_is_refused(tmp_path: Path) -> None:
    # as many voxels along each stored axis, of which another one runs from feet to head
    grid = tilted_grid((6, 4, 4))
    affine_of_mask = affine_of_grid(grid)
    affine_of_mask[:3, :3] = affine_of_mask[:3, [2, 1, 0]]
    nibabel.save(
        nibabel.Nifti1Image(np.zeros((4, 4, 6), np.uint8), affine_of_mask), tmp_path / "m.nii"
    )
    with pytest.raises(UnreadableInputError, match="away from its image"):
        read_labels(tmp_path / "m.nii", grid, (2, 1, 0))


def test_a_mask_whose_header_was_rounded_is_taken(tmp_path: Path) -> None:
    write_nifti(tmp_path / "m.nii", blob(1), tilted_grid(), shift_mm=0.05, dtype="uint8")
    labels = read_labels(tmp_path / "m.nii", tilted_grid(), (2, 1, 0))
    assert labels.sum() == blob(1).sum()
    assert labels.shape == tilted_grid().shape


def test_a_mask_of_another_shape_is_refused(tmp_path: Path) -> None:
    other = tilted_grid((4, 5, 6))
    write_nifti(tmp_path / "m.nii", np.zeros((4, 5, 6)), other)
    for follows in (False, True):
        with pytest.raises(UnreadableInputError, match="6 x 5 x 4 voxels, its image 5 x 6 x 4"):
            read_labels(tmp_path / "m.nii", tilted_grid(), (2, 1, 0), follows_image=follows)


def test_an_image_that_does_not_say_left_from_right_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(scan().hu.T, None)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(UnreadableInputError, match="left from its right"):
        read_image(tmp_path / "a.nii")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.full((5, 6, 4), 40.0), "not in Hounsfield units"),
        (np.full((5, 6, 4), np.nan), "no numbers"),
        (np.full((5, 6, 4, 3), -10.0), "5 x 6 x 4 x 3 voxels"),
        (np.full((5, 6, 1), -10.0), "5 x 6 x 1 voxels"),
    ],
)
def test_what_is_no_ct_volume_is_refused(
    tmp_path: Path, values: NDArray[np.float64], message: str
) -> None:
    nibabel.save(
        nibabel.Nifti1Image(values.astype(np.float32), np.diag([1, 1, 5, 1])), tmp_path / "a.nii"
    )
    with pytest.raises(UnreadableInputError, match=message):
        read_image(tmp_path / "a.nii")


def test_rows_that_are_not_perpendicular_to_columns_are_refused() -> None:
    matrix = np.diag([1.0, 1.0, 5.0, 1.0])
    matrix[1, 0] = 0.2
    with pytest.raises(UnreadableInputError, match="not perpendicular"):
        grid_of_affine(matrix, SIZES)
    with pytest.raises(UnreadableInputError, match="singular"):
        grid_of_affine(np.zeros((4, 4)), SIZES)


def test_uneven_slices_have_no_affine() -> None:
    grid = tilted_grid()
    origins = grid.slice_origins_mm.copy()
    origins[-1, 2] += 3
    uneven = Grid(
        origins, grid.row_direction, grid.column_direction, (2.0, 3.0), grid.rows, grid.columns
    )
    with pytest.raises(ValueError, match="evenly"):
        affine_of_grid(uneven)


@pytest.mark.parametrize("kept", [0, 100, 360, 400])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    write_nifti(tmp_path / "whole.nii", scan().hu, tilted_grid())
    (tmp_path / "a.nii").write_bytes((tmp_path / "whole.nii").read_bytes()[:kept])
    with pytest.raises(UnreadableInputError, match=r"^a\.nii (cannot be read|is cut short)"):
        read_image(tmp_path / "a.nii")


def test_a_name_that_is_there_twice_is_a_mistake(tmp_path: Path) -> None:
    for suffix in (".nii", ".nii.gz"):
        write_nifti(tmp_path / f"a{suffix}", scan().hu, tilted_grid())
    with pytest.raises(UsageError, match=r"as \.nii and as \.nii\.gz"):
        nifti_files(tmp_path)
