"""The cranial cavity and what surrounds it."""

import numpy as np
import pytest

from ml.phantom.anatomy import sample_head
from ml.phantom.plane import Plane, make_plane
from ml.phantom.pose import Pose, Scan, make_grid
from ml.phantom.skull import make_cavity, paint_outside

HEAD = sample_head(np.random.default_rng(11))


def plane_at(z_mm: float) -> Plane:
    grid = make_grid(Scan(num_slices=3, slice_step_mm=1, matrix=256))
    straight = Pose(rotation=np.eye(3), shift_mm=np.array([0.0, 0.0, 7.0 - z_mm]))
    plane = make_plane(HEAD, straight, grid, 1.0, edge_mm=1.0)
    assert plane is not None
    return plane


@pytest.mark.parametrize("z_mm", [5.0, 30.0])
def test_the_cavity_has_the_width_and_length_of_the_head(z_mm: float) -> None:
    plane = plane_at(z_mm)
    cavity = make_cavity(plane, HEAD)
    x, y, _ = plane.place
    shrunk = np.sqrt(1 - (z_mm / HEAD.skull.height_mm) ** 2)
    free = cavity.distance < 0
    assert x[free].max() == pytest.approx(HEAD.skull.half_width_mm * shrunk, abs=4)
    assert y[free].min() == pytest.approx(-HEAD.skull.half_length_mm * shrunk, abs=4)


def test_the_distance_is_about_true_near_the_inner_table() -> None:
    plane = plane_at(20.0)
    cavity = make_cavity(plane, HEAD)
    down, across = np.gradient(cavity.distance, plane.pixel_mm)
    slope = np.hypot(down, across)[np.abs(cavity.distance) < 6]
    assert 0.8 < np.median(slope) < 1.25


def test_the_skull_base_has_two_middle_fossae_and_one_behind() -> None:
    plane = plane_at(-40.0)
    cavity = make_cavity(plane, HEAD)
    assert cavity.has_base
    x, y, _ = plane.place

    def open_at(left_mm: float, front_mm: float) -> bool:
        nearest = np.argmin((x - left_mm) ** 2 + (y - front_mm) ** 2)
        return bool(cavity.distance.ravel()[nearest] < 0)

    assert open_at(0, -40)
    assert open_at(37, 13)
    assert open_at(-37, 13)
    assert not open_at(30, -8), "the petrous bone lies between them"
    assert not open_at(0, 50), "the face lies in front"


def test_from_the_outside_come_scalp_then_bone() -> None:
    plane = plane_at(30.0)
    cavity = make_cavity(plane, HEAD)
    hu = paint_outside(plane, HEAD, cavity)
    in_bone = (cavity.distance > 1.5) & (cavity.distance < cavity.thickness - 1.5)
    over_bone = cavity.vault - cavity.thickness
    assert np.median(hu[in_bone]) > 500
    in_scalp = (over_bone > 1) & (over_bone < cavity.scalp - 2.5)
    assert -120 < np.median(hu[in_scalp]) < 80
    assert (hu[over_bone > cavity.scalp + 2] == -1000).all()
