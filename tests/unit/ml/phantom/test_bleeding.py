"""How bleeds look on a plane."""

from dataclasses import replace

import numpy as np
import pytest

from ml.phantom.anatomy import sample_head
from ml.phantom.bleeding import extra_axial_layers, paint_bleeds, pushed
from ml.phantom.brain import paint_brain
from ml.phantom.lesions import (
    Bleed,
    Epidural,
    Intraparenchymal,
    Intraventricular,
    Subarachnoid,
    Subdural,
)
from ml.phantom.plane import Plane, make_plane
from ml.phantom.pose import Pose, Scan, make_grid
from ml.phantom.skull import make_cavity
from ml.phantom.spaces import find_spaces
from ml.volume import Subtype

HEAD = sample_head(np.random.default_rng(11))
CLOT = Intraparenchymal(
    supratentorial=True,
    centre=(26.0, 5.0, 5.0),
    radii_mm=(12.0, 14.0, 12.0),
    turn_rad=0.0,
    lobe_offset_mm=(0.0, 5.0, 0.0),
    lobe_mm=8.0,
    roughness=0.1,
    oedema_mm=4.0,
    oedema_hu=9.0,
    hu=65.0,
)
LENS = Epidural(side=-1.0, direction=(-1.0, 0.0, 0.0), height_mm=18.0, curvature_mm=40.0, hu=70.0)
CRESCENT = Subdural(
    kind="convexity",
    side=1.0,
    width_mm=12.0,
    middle_mm=(0.0, 10.0),
    extent_mm=(45.0, 35.0),
    sediment_hu=0.0,
    hu=60.0,
)


def plane_at(z_mm: float) -> Plane:
    """Make the horizontal plane at a height over the origin of a straight head."""
    grid = make_grid(Scan(num_slices=3, slice_step_mm=1, matrix=256))
    straight = Pose(rotation=np.eye(3), shift_mm=np.array([0.0, 0.0, 7.0 - z_mm]))
    plane = make_plane(HEAD, straight, grid, 1.0, edge_mm=1.0)
    assert plane is not None
    return plane


def paint(plane: Plane, *bleeds: Bleed) -> tuple[np.ndarray, dict[Subtype, np.ndarray]]:
    cavity = make_cavity(plane, HEAD)
    layers = extra_axial_layers(plane, HEAD, cavity, bleeds)
    wall = cavity.distance
    for layer in layers.values():
        wall = np.maximum(wall, -layer)
    spaces = find_spaces(plane, HEAD, plane.place, plane.coarse_place, wall)
    hu = paint_brain(plane, HEAD, spaces)
    shares = paint_bleeds(hu, plane, HEAD, cavity, spaces, bleeds=bleeds, layers=layers)
    return hu, shares


@pytest.mark.parametrize(
    ("bleed", "to_left"), [(CLOT, -1), (LENS, 1), (CRESCENT, -1)], ids=["IPH", "EDH", "SDH"]
)
def test_a_mass_pushes_the_midline_to_the_other_side(bleed: Bleed, to_left: int) -> None:
    plane = plane_at(8)
    x, y, z = pushed(plane.place, [bleed])
    middle = np.abs(plane.place[0]) < 1
    # What now lies in the middle came from the side of the bleed.
    assert (np.sign(x - plane.place[0])[middle & (np.abs(y) < 10)] == -to_left).all()
    assert np.abs(x - plane.place[0]).max() < 15
    np.testing.assert_array_equal(y, plane.place[1])
    np.testing.assert_array_equal(z, plane.place[2])


def test_a_haematoma_is_bright_around_its_centre_with_a_dark_rim() -> None:
    plane = plane_at(5)
    hu, shares = paint(plane, CLOT)
    clean, _ = paint(plane)
    x, y, _ = plane.place
    from_centre = np.hypot(x - 26, y - 5)
    assert shares[Subtype.IPH][from_centre < 6].min() > 0.9
    assert np.median(hu[from_centre < 6]) == pytest.approx(65, abs=5)
    assert not shares[Subtype.IPH][x < 0].any(), "it stays on its side"
    rim = (shares[Subtype.IPH] == 0) & (from_centre < 24) & (hu != clean)
    assert (hu - clean)[rim].mean() < -1


def test_a_haematoma_beside_the_midline_does_not_cross_it() -> None:
    plane = plane_at(5)
    _, shares = paint(plane, replace(CLOT, centre=(9.0, 5.0, 5.0)))
    blood = shares[Subtype.IPH] > 0.5
    assert blood.any()
    assert plane.place[0][blood].min() > 0


def test_an_epidural_lens_lies_on_the_bone_and_displaces_the_brain() -> None:
    plane = plane_at(8)
    _, shares = paint(plane, LENS)
    blood = shares[Subtype.EDH] > 0.5
    x = plane.place[0]
    assert (x[blood] < 0).all()
    thickness_mm = [blood[row].sum() * plane.pixel_mm for row in np.flatnonzero(blood.any(axis=1))]
    assert max(thickness_mm) == pytest.approx(18, abs=3)
    assert thickness_mm[0] < 6
    assert thickness_mm[-1] < 6


def test_a_subdural_crescent_follows_the_inner_table() -> None:
    plane = plane_at(10)
    _, shares = paint(plane, CRESCENT)
    blood = shares[Subtype.SDH] > 0.5
    distance = make_cavity(plane, HEAD).distance
    assert (plane.place[0][blood] > 0).all()
    assert -14 < distance[blood].min() < -8
    assert np.ptp(plane.place[1][blood]) > 60


def test_ventricular_blood_stays_in_the_ventricles_and_settles_behind() -> None:
    plane = plane_at(8)
    level = Intraventricular(kind="level", side=1.0, level_mm=-38.0, hu=60.0)
    _, shares = paint(plane, level)
    blood = shares[Subtype.IVH] > 0.5
    assert blood.any()
    assert plane.place[1][blood].max() < -36
    cavity = make_cavity(plane, HEAD)
    spaces = find_spaces(plane, HEAD, plane.place, plane.coarse_place, cavity.distance)
    assert spaces.ventricles[blood].max() < 0.2


def test_subarachnoid_blood_fills_fluid_near_its_centre_only() -> None:
    plane = plane_at(-24)
    basal = Subarachnoid(centre=(0.0, 8.0, -26.0), reach_mm=25.0, filled_mm=1.5, hu=60.0)
    _, shares = paint(plane, basal)
    blood = shares[Subtype.SAH] > 0.36
    x, y, _ = plane.place
    assert blood[np.hypot(x, y - 12) < 2].any()
    assert np.hypot(x, y - 8)[blood].max() < 50


@pytest.mark.parametrize("kind", ["falx", "tentorium"])
def test_a_sheet_of_subdural_blood_lies_on_one_side(kind: str) -> None:
    sheet = Subdural(
        kind="falx" if kind == "falx" else "tentorium",
        side=1.0,
        width_mm=6.0,
        middle_mm=(-62.0, 10.0),
        extent_mm=(40.0, 30.0),
        sediment_hu=0.0,
        hu=60.0,
    )
    plane = plane_at(10 if kind == "falx" else -12)
    _, shares = paint(plane, sheet)
    blood = shares[Subtype.SDH] > 0.5
    assert blood.sum() * plane.pixel_mm**2 > 40
    assert plane.place[0][blood].min() > -0.5
