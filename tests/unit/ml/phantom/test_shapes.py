"""Signed distances and edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml.phantom.shapes import Place, blend, capsule, ellipsoid, inside, ramp, slit

COORDINATE = st.floats(-50, 50, width=32)


def place(x: float, y: float, z: float) -> Place:
    return (
        np.array([x], np.float32),
        np.array([y], np.float32),
        np.array([z], np.float32),
    )


@settings(deadline=None)
@given(COORDINATE, COORDINATE, COORDINATE)
def test_a_sphere_is_the_same_as_an_ellipsoid_and_as_a_capsule_without_length(
    x: float, y: float, z: float
) -> None:
    expected = np.sqrt(x * x + y * y + z * z) - 7
    sphere = ellipsoid(place(x, y, z), (0, 0, 0), (7, 7, 7))
    short = capsule(place(x, y, z), (0, 0, 0), (0, 0, 1e-3), (7, 7))
    np.testing.assert_allclose(sphere, expected, atol=1e-3)
    np.testing.assert_allclose(short, expected, atol=3e-3)


@settings(deadline=None)
@given(st.floats(0, 2 * np.pi), st.floats(0, 1))
def test_a_capsule_tapers_evenly_from_one_end_to_the_other(angle: float, along: float) -> None:
    radius = 5 - 3 * along
    surface = place(radius * np.cos(angle), radius * np.sin(angle), 20 * along)
    distance = capsule(surface, (0, 0, 0), (0, 0, 20), (5, 2))
    np.testing.assert_allclose(distance, 0, atol=1e-4)


@settings(deadline=None)
@given(st.floats(-3, 3, width=32), st.floats(0.1, 4))
def test_an_edge_is_half_inside_where_the_distance_is_zero(distance: float, width: float) -> None:
    share = inside(np.array([distance, 0, -distance], np.float32), width)
    assert share[1] == np.float32(0.5)
    np.testing.assert_allclose(share[0] + share[2], 1, atol=1e-5)
    assert (share >= 0).all()
    assert (share <= 1).all()


def test_a_ramp_rises_and_leaves_its_argument_alone() -> None:
    value = np.linspace(-2, 2, 9, dtype=np.float32)
    before = value.copy()
    risen = ramp(value, 2)
    assert (np.diff(risen) >= 0).all()
    assert (risen[0], risen[-1]) == (0, 1)
    np.testing.assert_array_equal(value, before)


def test_blending_replaces_the_given_share() -> None:
    base = np.array([10, 10, 10], np.float32)
    blend(base, np.array([0, 0.5, 1], np.float32), 20.0)
    np.testing.assert_allclose(base, [10, 15, 20])


@settings(deadline=None)
@given(st.floats(0.05, 3), st.floats(0.5, 2))
def test_a_sheet_keeps_its_volume_however_it_is_blurred(half_width: float, edge: float) -> None:
    distance = np.abs(np.linspace(-8, 8, 3201, dtype=np.float32))
    assert slit(distance, half_width, edge).sum() * 0.005 == pytest.approx(2 * half_width, abs=0.02)
