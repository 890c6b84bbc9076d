"""Fluid and tissue of the brain."""

import numpy as np
import pytest

from ml.phantom.anatomy import Head, sample_head
from ml.phantom.brain import paint_brain
from ml.phantom.dura import brighten_at_bone, paint_calcification, paint_dura
from ml.phantom.plane import Plane, make_plane
from ml.phantom.pose import Pose, Scan, make_grid
from ml.phantom.skull import make_cavity
from ml.phantom.spaces import find_spaces


def plane_at(head: Head, z_mm: float) -> Plane:
    grid = make_grid(Scan(num_slices=3, slice_step_mm=1, matrix=256))
    straight = Pose(rotation=np.eye(3), shift_mm=np.array([0.0, 0.0, 7.0 - z_mm]))
    plane = make_plane(head, straight, grid, 1.0, edge_mm=1.0)
    assert plane is not None
    return plane


def test_the_ventricles_are_fluid_and_the_deep_brain_is_tissue() -> None:
    head = sample_head(np.random.default_rng(1))
    plane = plane_at(head, 12)
    cavity = make_cavity(plane, head)
    spaces = find_spaces(plane, head, plane.place, plane.coarse_place, cavity.distance)
    hu = paint_brain(plane, head, spaces)
    deep = cavity.distance < -15
    assert np.median(hu[deep & (spaces.ventricles < -1.5)]) < head.brain.csf_hu
    tissue = hu[deep & (spaces.ventricles > 5)]
    assert head.brain.white_hu - 8 < np.median(tissue) < head.brain.grey_hu + 3


def test_blocked_ventricles_are_wider() -> None:
    def ventricle_pixels(*, hydrocephalic: bool) -> int:
        total = 0
        for seed in range(6):
            head = sample_head(np.random.default_rng(seed), hydrocephalic=hydrocephalic)
            plane = plane_at(head, 15)
            spaces = find_spaces(
                plane, head, plane.place, plane.coarse_place, make_cavity(plane, head).distance
            )
            total += int((spaces.ventricles < 0).sum())
        return total

    assert ventricle_pixels(hydrocephalic=True) > 1.2 * ventricle_pixels(hydrocephalic=False)


@pytest.mark.parametrize("z_mm", [-20.0, 55.0])
def test_dura_is_as_bright_as_blood_without_being_blood(z_mm: float) -> None:
    head = sample_head(np.random.default_rng(2))
    plane = plane_at(head, z_mm)
    cavity = make_cavity(plane, head)
    spaces = find_spaces(plane, head, plane.place, plane.coarse_place, cavity.distance)
    hu = paint_brain(plane, head, spaces)
    before = hu.copy()
    paint_dura(hu, plane, head, cavity, spaces)
    paint_calcification(hu, plane, head, spaces)
    brighter = (hu > before + 6) & (cavity.distance < -2)
    assert 40 < np.percentile(hu[brighter], 90) < 70
    assert brighter.sum() * plane.pixel_mm**2 > 50


def test_beam_hardening_brightens_brain_at_the_bone_most() -> None:
    head = sample_head(np.random.default_rng(2))
    plane = plane_at(head, 20)
    cavity = make_cavity(plane, head)
    hu = np.zeros(plane.shape, np.float32)
    brighten_at_bone(hu, plane, head, cavity)
    at_bone = hu[(cavity.distance < 0) & (cavity.distance > -2)].mean()
    assert at_bone > hu[cavity.distance < -30].mean() + 0.5 * head.brain.cupping_hu
