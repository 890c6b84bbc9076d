"""The midline of a real head: no truth exists, but what is done to the head must be found again."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from ml.align import Alignment, align
from ml.plane import image_centres_mm, plane_axes, superior_normal
from ml.preprocess import InputSpec, resample
from ml.readers.dicom import read_series
from ml.volume import Volume
from tests.support.shared_data import shared_files

pytestmark = pytest.mark.peers

MOVES = [(0.0, 0.0), (8.0, 0.0), (-8.0, 6.0), (20.0, -12.0), (-15.0, 15.0), (3.0, 3.0)]
"""Degrees by which the head is turned clockwise as the canonical image shows it, mm to the left."""


@cache
def real_head() -> Volume:
    return read_series(shared_files("head_ct_ge")).volume


@cache
def found() -> Alignment:
    return align(real_head())


def axis_mm(volume: Volume) -> NDArray[np.float64]:
    """Where the axis of the turn meets each slice, shape (Z, 3), LPS mm.

    It is perpendicular to the slices: a turn about the middles of their images, which in a tilted
    stack lie along the table, would shear the head.
    """
    grid = volume.grid
    normal = superior_normal(grid)
    centre_mm = image_centres_mm(grid)[grid.shape[0] // 2]
    heights_mm = (grid.slice_origins_mm - centre_mm) @ normal
    axis: NDArray[np.float64] = centre_mm + heights_mm[:, None] * normal
    return axis


def moved(volume: Volume, turned_deg: float, left_mm: float) -> Volume:
    """Turn the voxels of each slice about the axis, then move them; the grid stays."""
    grid = volume.grid
    turn = np.deg2rad(turned_deg)
    down, right = plane_axes(grid)
    # in this series rows run to the patient's left and columns to the back
    assert right @ grid.row_direction > 0.999
    assert down @ grid.column_direction > 0.999
    back = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    hu = np.empty_like(volume.hu)
    for index, centre_mm in enumerate(axis_mm(volume) - grid.slice_origins_mm):
        middle = np.array([centre_mm @ down, centre_mm @ right]) / grid.pixel_spacing_mm[0]
        offset = middle - back @ (middle + np.array([0, left_mm / grid.pixel_spacing_mm[0]]))
        hu[index] = ndimage.affine_transform(volume.hu[index], back, offset, order=1, cval=-1000.0)
    return replace(volume, hu=hu)


def on_the_midline(alignment: Alignment, volume: Volume) -> NDArray[np.float64]:
    """Two points in each slice, shape (Z, 2, 3): LPS mm."""
    down, right = alignment.axes(volume.grid)
    middle = alignment.centre_mm + alignment.shift_mm[:, None] * right
    points: NDArray[np.float64] = middle[:, None] + np.array([[-60.0], [60.0]]) * down
    return points


def errors(turned_deg: float, left_mm: float) -> tuple[float, NDArray[np.float64]]:
    """How far what is found differs from what was done: degrees, and mm in each slice."""
    volume = real_head()
    alignment = align(moved(volume, turned_deg, left_mm))
    down, right = plane_axes(volume.grid)
    turn = np.deg2rad(turned_deg)
    axis = axis_mm(volume)[:, None]
    apart = on_the_midline(found(), volume) - axis
    u, v = apart @ right, apart @ down
    u, v = np.cos(turn) * u - np.sin(turn) * v + left_mm, np.sin(turn) * u + np.cos(turn) * v
    went = axis + u[..., None] * right + v[..., None] * down
    across = alignment.axes(volume.grid)[1]
    off_mm = (went - alignment.centre_mm[:, None]) @ across - alignment.shift_mm[:, None]
    return alignment.rotation_deg - found().rotation_deg - turned_deg, off_mm.mean(axis=1)


@pytest.mark.parametrize(("turned_deg", "left_mm"), MOVES)
def test_what_is_done_to_the_head_is_found_again(turned_deg: float, left_mm: float) -> None:
    off_deg, off_mm = errors(turned_deg, left_mm)
    assert abs(off_deg) < 0.2
    assert np.abs(off_mm).max() < 0.3


def likeness(alignment: Alignment, window: tuple[float, float]) -> float:
    """Share of the windowed image that its mirror image repeats, over the whole head."""
    low, high = window
    hu = resample(real_head(), alignment, InputSpec()).hu
    image = np.clip((hu - low) / (high - low), 0, 1)
    return float((image * image[:, :, ::-1]).sum() / (image * image).sum())


def test_the_head_is_more_like_its_mirror_image_than_before() -> None:
    before, after = Alignment.identity(real_head().grid), found()
    assert likeness(after, (-30, 120)) > likeness(before, (-30, 120)) + 0.03
    # bone alone: skull base and vault
    assert likeness(after, (200, 1000)) > likeness(before, (200, 1000)) + 0.1


def test_the_midline_that_was_looked_at_is_found() -> None:
    # dens, third ventricle and falx up to the vertex were seen to lie on this line
    assert found().rotation_deg == pytest.approx(-11.1, abs=0.5)
    np.testing.assert_allclose(found().shift_mm, -1.2, atol=0.8)
