"""Bright things in the cavity that are not a bleed: dura, venous sinuses, arteries, calcification.

They are what a reader, and a network, mistakes for blood; so they are drawn at the same brightness
and never labelled.
"""

from collections.abc import Sequence

import numpy as np

from ml.phantom.anatomy import Head
from ml.phantom.plane import Plane, cut
from ml.phantom.shapes import Field, Point, blend, capsule, ellipsoid, inside, ramp, slit
from ml.phantom.skull import Cavity
from ml.phantom.spaces import Spaces


def paint_dura(hu: Field, plane: Plane, head: Head, cavity: Cavity, spaces: Spaces) -> None:
    """Paint falx, tentorium, venous sinuses and arteries into the cavity, in place."""
    _paint_falx(hu, plane, head, cavity, spaces)
    if cavity.has_base or float(spaces.place[2].min()) < 30:
        _paint_tentorium(hu, plane, head, cavity, spaces)
    _paint_sinuses(hu, plane, head, cavity)
    if cavity.has_base:
        _paint_arteries(hu, plane, head, spaces)


def _paint_falx(hu: Field, plane: Plane, head: Head, cavity: Cavity, spaces: Spaces) -> None:
    x, y, z = spaces.place
    dura = head.dura
    over_callosum = np.maximum(ramp(y - 29, 5), ramp(-47 - y, 5))
    over_callosum = np.maximum(over_callosum, ramp(z - 40 - 0.006 * (y + 5) ** 2, 5))
    there = over_callosum * ramp(z + 8, 6) * (1 - spaces.cerebellum) * (cavity.distance < -0.5)
    # The falx is thicker behind and at its root on the sinus.
    half_mm = dura.falx_mm * (1 + 0.6 * ramp(-y - 20, 50) + 0.9 * ramp(cavity.distance + 7, 6))
    share = slit(np.abs(x), half_mm * (1 + 0.3 * plane.drift), plane.edge_mm)
    blend(hu, 0.9 * share * there, dura.falx_hu)
    if head.mimics.falx_hu is not None:
        window = plane.near((0, 46, 38), 18)
        if window is not None:
            plaque = ellipsoid(cut(spaces.place, window), (0, 46, 38), (1.6, 8, 7))
            plaque += plane.mottle[window]
            blend(hu[window], inside(plaque, plane.edge_mm), head.mimics.falx_hu)


def _paint_tentorium(hu: Field, plane: Plane, head: Head, cavity: Cavity, spaces: Spaces) -> None:
    x, y, _ = spaces.place
    side = np.abs(x)
    # The notch lets the midbrain through.
    notch = 17 - np.sqrt((side * 1.05) ** 2 + (np.maximum(y + 12, 0) + np.minimum(y + 40, 0)) ** 2)
    notch = np.maximum(notch, y + 8 - 0.3 * side)
    height = spaces.tentorium + 0.8 * plane.drift
    sheet = np.maximum(np.abs(height) - head.dura.tentorium_mm, notch)
    share = inside(np.asarray(sheet), plane.edge_mm * 1.5) * (cavity.distance < 0.5)
    blend(hu, 0.75 * share, head.dura.tentorium_hu)


def _paint_sinuses(hu: Field, plane: Plane, head: Head, cavity: Cavity) -> None:
    """Superior sagittal sinus along the vault, straight, transverse and sigmoid sinuses."""
    x, y, z = plane.place
    dura = head.dura
    size = dura.sinus_size
    under_bone = cavity.vault + 2.2 * size
    triangle = np.abs(x) * 1.25 + np.abs(under_bone) * 0.8 - 3.2 * size
    along = ramp(z + 10, 6) * ((y < -20) | (z > 40) | (y > 60))
    triangle = np.maximum(triangle, -cavity.vault - 6 * size)
    blend(hu, inside(triangle, plane.edge_mm) * along, dura.sinus_hu)
    back = head.skull.half_length_mm / 82
    wide = head.skull.half_width_mm / 67
    paths: Sequence[tuple[Point, Point, float]] = (
        ((3.0, -78 * back, -12.0), (49 * wide, -47 * back, -22.0), 3.4),
        ((49 * wide, -47 * back, -22.0), (46 * wide, -26 * back, -42.0), 3.6),
        ((0.0, -36.0, -4.0), (0.0, -76 * back, -10.0), 2.2),
    )
    for start, end, radius_mm in paths:
        for sign in (-1.0, 1.0):
            middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
            reach = float(np.linalg.norm(np.subtract(end, start))) / 2 + 6
            window = plane.near((sign * middle[0], middle[1], middle[2]), reach)
            if window is None:
                continue
            x_local, y_local, z_local = cut(plane.place, window)
            radius = radius_mm * size
            tube = capsule((sign * x_local, y_local, z_local), start, end, (radius, radius))
            blend(hu[window], inside(tube, plane.edge_mm * 1.5), dura.sinus_hu)


def _paint_arteries(hu: Field, plane: Plane, head: Head, spaces: Spaces) -> None:
    """Basilar artery and the first parts of both middle cerebral arteries."""
    bright = head.mimics.artery_hu
    paths: Sequence[tuple[Point, Point]] = (
        ((0.0, 4.5, -50.0), (0.0, 5.5, -28.0)),
        ((7.0, 10.0, -26.0), (27.0, 12.0, -23.0)),
        ((-7.0, 10.0, -26.0), (-27.0, 12.0, -23.0)),
    )
    for start, end in paths:
        middle = [(a + b) / 2 for a, b in zip(start, end, strict=True)]
        window = plane.near((middle[0], middle[1], middle[2]), 18)
        if window is None:
            continue
        tube = capsule(cut(spaces.place, window), start, end, (1.7, 1.5))
        blend(hu[window], inside(tube, plane.edge_mm), bright)


def paint_calcification(hu: Field, plane: Plane, head: Head, spaces: Spaces) -> None:
    """Paint calcified choroid plexus, pineal gland, basal ganglia and dentate nuclei, in place."""
    mimics = head.mimics
    size = head.brain.ventricle
    if mimics.choroid_hu is not None:
        radii = (mimics.choroid_mm * 0.6, mimics.choroid_mm)
        start, end = (22 + 2 * size, -35.0, 11.0), (25 + 2 * size, -41.0, 7.0)
        for sign, bright in zip((1.0, -1.0), mimics.choroid_hu, strict=True):
            window = plane.near((sign * start[0], -38, 9), 26)
            if window is not None:
                x, y, z = cut(spaces.place, window)
                tuft = capsule((sign * x, y, z), start, end, radii) + 0.5 * plane.mottle[window]
                blend(hu[window], inside(tuft, plane.edge_mm * 2), bright)
    spots: Sequence[tuple[float | None, Point, Point, float]] = (
        (mimics.pineal_hu, (0.0, -23.0, -2.0), (2.2, 2.6, 2.6), 0.3),
        (mimics.ganglia_hu, (20.0, 7.0, 0.0), (3.5, 7.0, 5.0), 1.4),
        (mimics.ganglia_hu, (-20.0, 7.0, 0.0), (3.5, 7.0, 5.0), 1.4),
        (mimics.dentate_hu, (14.0, -48.0, -40.0), (4.0, 7.0, 4.0), 1.4),
        (mimics.dentate_hu, (-14.0, -48.0, -40.0), (4.0, 7.0, 4.0), 1.4),
    )
    for bright_hu, centre, sizes, roughness in spots:
        window = plane.near(centre, max(sizes) + 14)
        if bright_hu is not None and window is not None:
            spot = ellipsoid(cut(spaces.place, window), centre, sizes)
            spot += roughness * plane.mottle[window]
            blend(hu[window], inside(spot, 2), bright_hu)


def brighten_at_bone(hu: Field, plane: Plane, head: Head, cavity: Cavity) -> None:
    """Add what beam hardening does inside a skull: cupping, and bands between petrous bones."""
    brain = head.brain
    x, y, z = plane.place
    hu += brain.cupping_hu * np.exp(np.clip(cavity.distance, -60, 0) / brain.cupping_mm)
    hu += brain.broad_cupping_hu * np.exp(np.clip(cavity.distance, -60, 0) / brain.broad_cupping_mm)
    hu += brain.vertex_hu * np.clip(z / head.skull.height_mm, 0, 1) ** 3
    if cavity.has_base:
        band = ((y + 4 + 1.5 * plane.drift) / 5.5) ** 2 + ((z + 42) / 9) ** 2
        hu -= brain.petrous_hu * np.exp(-band) * np.clip((60 - np.abs(x)) / 25, 0, 1)
