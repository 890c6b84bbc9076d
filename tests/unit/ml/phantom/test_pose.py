"""Protocol, pose, grid and true midline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.phantom.pose import Pose, Scan, make_grid, sample_pose, sample_scan, true_midline


@settings(deadline=None)
@given(tilt_deg=st.floats(-25, 25), step_mm=st.floats(0.6, 6))
def test_slices_keep_their_distance_and_the_table_moves_along_z(
    tilt_deg: float, step_mm: float
) -> None:
    grid = make_grid(Scan(num_slices=5, matrix=64, slice_step_mm=step_mm, gantry_tilt_deg=tilt_deg))
    steps = np.diff(grid.slice_origins_mm, axis=0)
    np.testing.assert_allclose(steps @ grid.normal, step_mm, rtol=1e-9)
    np.testing.assert_allclose(steps[:, :2], 0, atol=1e-9)
    assert (steps[:, 2] > 0).all(), "slices run from feet to head"


def test_a_stack_may_have_wider_steps_in_its_upper_half() -> None:
    scan = Scan(num_slices=5, matrix=64, slice_step_mm=4, upper_step_mm=7, gantry_tilt_deg=18)
    grid = make_grid(scan)
    np.testing.assert_allclose(
        np.diff(grid.slice_origins_mm @ grid.normal), [4, 4, 7, 7], rtol=1e-9
    )


def test_the_middle_of_the_stack_lies_where_the_scan_says() -> None:
    grid = make_grid(Scan(num_slices=7, matrix=64, centre_mm=-3.0))
    assert grid.slice_origins_mm[:, 2].mean() == pytest.approx(-3)


def test_an_axial_grid_has_rows_to_the_left_and_columns_to_the_back() -> None:
    grid = make_grid(Scan(matrix=64))
    assert grid.row_direction.tolist() == [1, 0, 0]
    assert grid.column_direction.tolist() == [0, 1, 0]
    assert grid.normal.tolist() == [0, 0, 1]


def test_a_positive_tilt_has_the_orientation_of_a_ge_head_scan() -> None:
    grid = make_grid(Scan(matrix=64, gantry_tilt_deg=18.5))
    np.testing.assert_allclose(grid.column_direction, [0, 0.9483237, -0.3173047], atol=1e-6)


@settings(deadline=None)
@given(seed=st.integers(0, 500), tilt_deg=st.floats(-20, 20), x_mm=st.floats(-60, 60))
def test_the_true_midline_is_where_the_mid_sagittal_plane_cuts(
    seed: int, tilt_deg: float, x_mm: float
) -> None:
    pose = sample_pose(np.random.default_rng(seed), 1.0)
    grid = make_grid(Scan(num_slices=4, matrix=64, gantry_tilt_deg=tilt_deg))
    yaw_deg, midline_mm = true_midline(pose, grid)
    yaw = np.deg2rad(yaw_deg)
    # A point of the midline, y mm below the middle of the image.
    y_mm = x_mm
    across_mm = midline_mm - np.tan(yaw) * y_mm
    rows = 31.5 + y_mm / grid.pixel_spacing_mm[0]
    columns = 31.5 + across_mm / grid.pixel_spacing_mm[1]
    index = np.column_stack([np.arange(4), np.full(4, rows), columns])
    np.testing.assert_allclose(pose.head_of_point(grid.positions_mm(index))[:, 0], 0, atol=1e-6)


def test_the_midline_of_a_skewed_skull_is_turned_by_its_skew() -> None:
    pose = sample_pose(np.random.default_rng(3), 0.0)
    grid = make_grid(Scan(matrix=64))
    yaw_deg, midline_mm = true_midline(pose, grid, skew=0.05)
    # to the front (up in the image) it runs to the patient's left
    assert yaw_deg == pytest.approx(np.rad2deg(np.arctan(0.05)))
    np.testing.assert_allclose(midline_mm, 0, atol=1e-9)


def test_a_straight_head_has_its_midline_in_the_middle() -> None:
    pose = sample_pose(np.random.default_rng(3), 0.0)
    yaw_deg, midline_mm = true_midline(pose, make_grid(Scan(matrix=64)))
    assert yaw_deg == 0
    np.testing.assert_array_equal(midline_mm, 0)


def test_the_front_of_the_head_is_towards_negative_lps_y() -> None:
    pose = Pose(rotation=np.eye(3), shift_mm=np.zeros(3))
    assert pose.head_of_point(np.array([1.0, -2.0, 3.0])).tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("scan", "rule"),
    [
        ({"num_slices": 1}, "at least 2"),
        ({"matrix": 100}, "multiple of 8"),
        ({"slice_step_mm": 0.0}, "must be positive"),
        ({"upper_step_mm": -1.0}, "must be positive"),
        ({"gantry_tilt_deg": 45.0}, "beyond 30"),
    ],
)
def test_a_protocol_that_no_scanner_has_is_refused(scan: dict[str, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Scan(**scan)  # type: ignore[arg-type]


def test_sampled_scans_vary() -> None:
    rng = np.random.default_rng(0)
    scans = [sample_scan(rng, matrix=64) for _ in range(20)]
    assert len({scan.field_of_view_mm for scan in scans}) == 20
    assert {scan.gantry_tilt_deg == 0 for scan in scans} == {True, False}
