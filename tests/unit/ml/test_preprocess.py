"""The canonical plane, what the network is shown, and the way back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.plane import Alignment, image_centres_mm, plane_axes
from ml.preprocess import (
    AlignedVolume,
    InputSpec,
    context,
    network_input,
    resample,
    resample_labels,
    restore,
)
from ml.volume import NUM_CLASSES, Grid, Mask, Subtype, Volume
from tests.support.heads import Head, Storage, axial_grid

WAYS = st.builds(Storage, st.booleans(), st.booleans(), st.booleans(), st.booleans())
SPEC = InputSpec(size=96, pixel_mm=2.4)


def restored_labels(aligned: AlignedVolume, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring aligned labels back as if they were the network's answer."""
    one_hot = np.eye(NUM_CLASSES, dtype=np.float32)[labels].transpose(0, 3, 1, 2)
    restored = [restore(each, index, aligned).argmax(axis=0) for index, each in enumerate(one_hot)]
    return np.stack(restored).astype(np.uint8)


def centroid_mm(grid: Grid, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    centroid: NDArray[np.float64] = grid.positions_mm(np.argwhere(inside).astype(float)).mean(
        axis=0
    )
    return centroid


def random_blobs(grid: Grid, seed: int) -> Mask:
    """Random labels, coarse enough to survive resampling."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, NUM_CLASSES, (grid.shape[0], 8, 8))
    labels = np.kron(coarse, np.ones((1, grid.rows // 8, grid.columns // 8))).astype(np.uint8)
    return Mask(labels, grid)


def test_image_right_is_the_left_of_the_patient_and_image_down_the_back() -> None:
    grid = axial_grid(num_slices=3, size=32, pixel_mm=5.0)
    position = grid.positions_mm(np.moveaxis(np.indices(grid.shape), 0, -1).astype(float))
    spec = InputSpec(size=16, pixel_mm=5.0)
    to_the_left = Volume(position[..., 0].astype(np.float32), grid)
    to_the_back = Volume(position[..., 1].astype(np.float32), grid)
    for way in (Storage(), Storage(True, True, False, True), Storage(False, True, True, False)):
        left = way.volume(to_the_left)
        aligned = resample(left, Alignment.identity(left.grid), spec)
        np.testing.assert_allclose(np.diff(aligned.hu, axis=2), 5.0, atol=1e-3)
        back = way.volume(to_the_back)
        aligned = resample(back, Alignment.identity(back.grid), spec)
        np.testing.assert_allclose(np.diff(aligned.hu, axis=1), 5.0, atol=1e-3)


def test_the_axes_of_the_image_never_mirror() -> None:
    for way in (Storage(), Storage(transposed=True), Storage(columns_reversed=True)):
        grid = way.grid(axial_grid(num_slices=2, size=8, tilt_deg=15))
        down, right = plane_axes(grid)
        assert np.cross(right, down)[2] > 0


def test_a_sagittal_stack_has_axes_too() -> None:
    grid = Grid(
        np.arange(3)[:, None] * np.array([4.0, 0, 0]),
        np.array([0.0, 1, 0]),
        np.array([0.0, 0, -1]),
        (1.0, 1.0),
        8,
        8,
    )
    axes = plane_axes(grid)
    np.testing.assert_allclose(axes @ axes.T, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(axes @ grid.normal, 0, atol=1e-12)


@settings(max_examples=16, deadline=None)
@given(WAYS, st.floats(-25, 25), st.floats(-8, 8))
def test_the_canonical_image_does_not_depend_on_how_the_voxels_are_stored(
    way: Storage, rotation_deg: float, shift_mm: float
) -> None:
    volume = Head(holder=False).volume(
        replace(axial_grid(num_slices=4, size=48, pixel_mm=5.0, tilt_deg=12), columns=40)
    )
    stored = way.volume(volume)
    shift = np.linspace(shift_mm, shift_mm + 3, 4)
    centre = image_centres_mm(volume.grid)
    plain = resample(volume, Alignment(rotation_deg, shift, centre), SPEC)
    back = slice(None, None, -1 if way.slices_reversed else 1)
    other = resample(stored, Alignment(rotation_deg, shift[back], centre[back]), SPEC)
    np.testing.assert_allclose(other.hu[back], plain.hu, atol=0.1)
    np.testing.assert_allclose(network_input(other)[back], network_input(plain), atol=0.01)


@pytest.mark.parametrize("seed", range(3))
def test_on_the_same_pixels_the_labels_come_back_exactly(seed: int) -> None:
    grid = axial_grid(num_slices=3, size=96, pixel_mm=0.9)
    mask = random_blobs(grid, seed)
    spec = InputSpec(size=96, pixel_mm=0.9)
    hu = np.random.default_rng(seed).normal(30, 200, grid.shape).astype(np.float32)
    aligned = resample(Volume(hu, grid), Alignment.identity(grid), spec)
    np.testing.assert_allclose(aligned.hu, hu, atol=0.01)
    labels = resample_labels(mask, aligned.alignment, spec)
    np.testing.assert_array_equal(labels, mask.labels)
    np.testing.assert_array_equal(restored_labels(aligned, labels), mask.labels)


@settings(max_examples=20, deadline=None)
@given(WAYS, st.floats(-30, 30), st.floats(-10, 10), st.integers(0, 5), st.integers(0, 100))
def test_lesions_come_back_to_the_same_slices_and_places(
    way: Storage, rotation_deg: float, shift_mm: float, lesion_slice: int, seed: int
) -> None:
    heights_mm = np.array([0.0, 4.0, 8.0, 9.08, 16.08, 23.08])
    grid = way.grid(axial_grid(heights_mm=heights_mm, size=128, pixel_mm=0.9, tilt_deg=18.5))
    rng = np.random.default_rng(seed)
    centre_row, centre_column = rng.uniform(44, 84, 2)
    rows, columns = np.mgrid[:128, :128]
    near = np.hypot(rows - centre_row, columns - centre_column) < rng.uniform(4, 15)
    labels = np.zeros(grid.shape, np.uint8)
    labels[lesion_slice, near] = Subtype.EDH
    mask = Mask(labels, grid)
    shift = np.linspace(shift_mm, shift_mm + 5, 6)
    alignment = Alignment(rotation_deg, shift, image_centres_mm(grid))
    spec = InputSpec(size=160, pixel_mm=0.9)
    aligned = resample(Volume(np.zeros(grid.shape, np.float32), grid), alignment, spec)
    back = restored_labels(aligned, resample_labels(mask, alignment, spec))
    np.testing.assert_array_equal(np.flatnonzero(back.any(axis=(1, 2))), [lesion_slice])
    assert set(np.unique(back)) == {0, Subtype.EDH}
    moved_mm = centroid_mm(grid, back > 0) - centroid_mm(grid, labels > 0)
    assert np.linalg.norm(moved_mm) < 0.45
    assert (back > 0).sum() == pytest.approx((labels > 0).sum(), rel=0.15, abs=6)


def test_a_label_lands_on_the_pixel_that_shows_its_tissue() -> None:
    head = Head(turned_deg=14, left_mm=9)
    grid = axial_grid()
    volume = head.volume(grid, noise_hu=0)
    mask = Mask(np.where(volume.hu == 70, Subtype.IPH, 0).astype(np.uint8), grid)
    alignment = Alignment(14.0, np.zeros(grid.shape[0]), np.array([9.0, 0, 0]) + grid_z(grid))
    aligned = resample(volume, alignment, SPEC)
    labels = resample_labels(mask, alignment, SPEC) == Subtype.IPH
    assert labels.sum() > 300
    # half way between brain and blood
    assert (aligned.hu[labels] > 52).mean() > 0.95
    # the head stands straight: what is symmetric about x = 0 is so about the middle of the image
    brain = (aligned.hu > 25) & (aligned.hu < 45)
    assert (brain ^ brain[:, :, ::-1]).sum() / brain.sum() < 0.12


def grid_z(grid: Grid) -> NDArray[np.float64]:
    """Heights of the slices as points on the axis of the gantry."""
    heights: NDArray[np.float64] = grid.slice_origins_mm * np.array([0.0, 0, 1])
    return heights


def test_air_is_shown_outside_the_field_of_view_and_in_its_padding() -> None:
    grid = axial_grid(num_slices=2, size=32, pixel_mm=1.0)
    hu = np.full(grid.shape, -3024, np.float32)
    hu[:, 8:24, 8:24] = 40
    spec = InputSpec(size=64, pixel_mm=1.0)
    aligned = resample(Volume(hu, grid), Alignment.identity(grid), spec)
    assert aligned.hu.min() == pytest.approx(-1000)
    np.testing.assert_allclose(aligned.hu[:, :15], -1000)
    np.testing.assert_allclose(aligned.hu[:, 26:38, 26:38], 40, atol=1e-3)


def test_finer_pixels_are_averaged() -> None:
    grid = axial_grid(num_slices=2, size=144, pixel_mm=0.3)
    hu = np.random.default_rng(0).normal(40, 8, grid.shape).astype(np.float32)
    spec = InputSpec(size=32, pixel_mm=0.9)
    aligned = resample(Volume(hu, grid), Alignment.identity(grid), spec)
    blocks = hu.reshape(2, 48, 3, 48, 3).mean(axis=(2, 4))[:, 8:40, 8:40]
    np.testing.assert_allclose(aligned.hu, blocks, atol=0.01)


def test_where_the_network_saw_nothing_there_is_background() -> None:
    grid = axial_grid(num_slices=2, size=64, pixel_mm=1.0)
    spec = InputSpec(size=16, pixel_mm=1.0)
    aligned = resample(
        Volume(np.zeros(grid.shape, np.float32), grid), Alignment.identity(grid), spec
    )
    probability = np.full((NUM_CLASSES, 16, 16), 1 / NUM_CLASSES, np.float32)
    restored = restore(probability, 0, aligned)
    assert restored.shape == (NUM_CLASSES, 64, 64)
    np.testing.assert_allclose(restored.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(restored[0, :20], 1)
    np.testing.assert_allclose(restored[:, 26:38, 26:38], 1 / NUM_CLASSES, atol=1e-5)


def test_the_slices_around_are_the_nearest_by_position_from_feet_to_head() -> None:
    heights_mm = np.array([0.0, 4.0, 8.0, 9.08, 16.08])
    spec = InputSpec(num_slices=3, slice_step_mm=5.0)
    upwards = context(axial_grid(heights_mm=heights_mm, size=8), spec)
    expected = [[0, 0, 1], [0, 1, 3], [1, 2, 4], [1, 3, 4], [3, 4, 4]]
    np.testing.assert_array_equal(upwards, expected)
    downwards = context(axial_grid(heights_mm=heights_mm[::-1], size=8), spec)
    np.testing.assert_array_equal(4 - downwards[::-1], expected)


def test_thin_slices_show_those_five_millimetres_away() -> None:
    grid = axial_grid(num_slices=60, step_mm=0.625, size=8)
    np.testing.assert_array_equal(context(grid, InputSpec())[30], [22, 30, 38])


def test_thick_slices_show_themselves_when_the_neighbour_is_no_nearer() -> None:
    grid = axial_grid(num_slices=4, step_mm=10.0, size=8)
    np.testing.assert_array_equal(context(grid, InputSpec())[1], [1, 1, 1])


def test_five_slices_reach_ten_millimetres() -> None:
    grid = axial_grid(num_slices=9, step_mm=5.0, size=8)
    shown = context(grid, InputSpec(num_slices=5))
    np.testing.assert_array_equal(shown[4], [2, 3, 4, 5, 6])
    np.testing.assert_array_equal(shown[0], [0, 0, 0, 1, 2])


def test_the_input_is_windowed_and_standardised() -> None:
    grid = axial_grid(num_slices=3, size=8, pixel_mm=1.0)
    hu = np.zeros(grid.shape, np.float32) + np.array([-1000.0, 50.0, 2000.0])[:, None, None]
    spec = InputSpec(
        size=8,
        pixel_mm=1.0,
        windows=((50.0, 100.0), (100.0, 400.0)),
        num_slices=3,
        slice_step_mm=8.0,
        mean=0.25,
        deviation=0.5,
    )
    shown = network_input(
        resample(Volume(hu.astype(np.float32), grid), Alignment.identity(grid), spec)
    )
    assert shown.shape == (3, spec.num_channels, 8, 8)
    assert shown.dtype == np.float32
    windowed = shown[1, :, 4, 4] * 0.5 + 0.25
    np.testing.assert_allclose(windowed, [0, 0, 0.5, 0.375, 1, 1], atol=1e-5)


def test_the_input_of_some_slices_is_that_of_all() -> None:
    volume = Head().volume(axial_grid(num_slices=7, size=64, pixel_mm=3.6))
    aligned = resample(volume, Alignment.identity(volume.grid), SPEC)
    chosen = np.array([6, 0, 3])
    np.testing.assert_array_equal(network_input(aligned, chosen), network_input(aligned)[chosen])


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"pixel_mm": 0.0},
        {"num_slices": 2},
        {"slice_step_mm": -5.0},
        {"windows": ()},
        {"windows": ((50.0, 0.0),)},
        {"deviation": 0.0},
    ],
)
def test_an_impossible_specification_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|num_slices"):
        replace(InputSpec(), **wrong)  # type: ignore[arg-type]


def test_an_alignment_of_another_volume_is_refused() -> None:
    grid = axial_grid(num_slices=3, size=8)
    volume = Volume(np.zeros(grid.shape, np.float32), grid)
    other = Alignment.identity(axial_grid(num_slices=4, size=8))
    with pytest.raises(ValueError, match="4 slices, the grid 3"):
        resample(volume, other, SPEC)
