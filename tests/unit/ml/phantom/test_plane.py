"""Planes through the head."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.phantom.anatomy import sample_head
from ml.phantom.plane import Plane, make_plane
from ml.phantom.pose import Pose, Scan, make_grid, sample_pose
from ml.volume import Grid

HEAD = sample_head(np.random.default_rng(0))


def make(seed: int, tilt_deg: float, index: float) -> tuple[Plane, Pose, Grid]:
    pose = sample_pose(np.random.default_rng(seed), 1.0)
    grid = make_grid(Scan(num_slices=20, slice_step_mm=8, matrix=128, gantry_tilt_deg=tilt_deg))
    plane = make_plane(HEAD, pose, grid, index, edge_mm=1.0)
    assert plane is not None
    return plane, pose, grid


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.floats(-20, 20), st.integers(3, 15))
def test_every_pixel_lies_where_the_grid_says(seed: int, tilt_deg: float, index: int) -> None:
    plane, pose, grid = make(seed, tilt_deg, index)
    rows, columns = np.mgrid[plane.window]
    positions = grid.positions_mm(np.stack([np.full(rows.shape, index), rows, columns], axis=-1))
    expected = pose.head_of_point(positions.astype(np.float64))
    np.testing.assert_allclose(np.stack(plane.place, axis=-1), expected, atol=1e-3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.floats(-20, 20), st.floats(2, 40))
def test_the_neighbourhood_of_a_point_contains_all_pixels_within_the_radius(
    seed: int, tilt_deg: float, radius_mm: float
) -> None:
    plane, _, _ = make(seed, tilt_deg, 9)
    centre = (20.0, -15.0, 5.0)
    x, y, z = (v - c for v, c in zip(plane.place, centre, strict=True))
    close = np.sqrt(x * x + y * y + z * z) < radius_mm
    window = plane.near(centre, radius_mm)
    if window is None:
        assert not close.any()
    else:
        close[window] = False
        assert not close.any()


def test_a_part_of_a_plane_keeps_its_positions() -> None:
    plane, _, _ = make(4, 12.0, 9)
    found = np.zeros(plane.shape, bool)
    found[20:50, 30:41] = True
    part, window = plane.part(found)
    assert found[window].sum() == found.sum()
    for whole, cut in zip(plane.place, part.place, strict=True):
        np.testing.assert_array_equal(whole[window], cut)
    corner = [v[0, 0] for v in part.place]
    np.testing.assert_allclose(part.corner, corner, atol=1e-3)
    assert part.shape == (part.window[0].stop - part.window[0].start, part.place[0].shape[1])
    np.testing.assert_allclose(
        part.sample(HEAD.textures.drift), plane.sample(HEAD.textures.drift)[window], atol=0.35
    )


def test_a_plane_above_the_head_is_none() -> None:
    grid = make_grid(Scan(num_slices=80, slice_step_mm=6, matrix=64))
    pose = sample_pose(np.random.default_rng(0), 0.0)
    assert make_plane(HEAD, pose, grid, 79.0, edge_mm=1.0) is None


@pytest.mark.parametrize("position", [-0.5, 19.5])
def test_the_outer_faces_of_the_end_slices_lie_half_a_step_outside(position: float) -> None:
    pose = Pose(rotation=np.eye(3), shift_mm=np.zeros(3))
    grid = make_grid(Scan(num_slices=20, slice_step_mm=4, matrix=128))
    plane = make_plane(HEAD, pose, grid, position, edge_mm=1.0)
    assert plane is not None
    assert plane.place[2][0, 0] == pytest.approx(7 + (position - 9.5) * 4)
