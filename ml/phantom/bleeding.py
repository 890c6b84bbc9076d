"""How a bleed looks on a plane: its shape, its brightness, and how it pushes the brain."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.phantom.anatomy import Head
from ml.phantom.lesions import (
    SUBTYPE_OF,
    Bleed,
    Epidural,
    Intraparenchymal,
    Intraventricular,
    Subarachnoid,
    Subdural,
)
from ml.phantom.plane import Plane
from ml.phantom.shapes import Field, Place, Point, blend, ellipsoid, inside, ramp
from ml.phantom.skull import Cavity
from ml.phantom.spaces import FAR_MM, Spaces, beside_falx
from ml.volume import Subtype

Shares = dict[Subtype, Field]
"""Share of each pixel that is blood of a subtype."""


def pushed(place: Place, bleeds: Sequence[Bleed]) -> Place:
    """Find where the brain at each position lay before the bleeds pushed it across."""
    x, y, z = place
    shift: Field = np.zeros_like(x)
    for bleed in bleeds:
        match bleed:
            case Intraparenchymal(supratentorial=True):
                radius = sum(bleed.radii_mm) / 3
                amount, centre, reach = 0.22 * radius, bleed.centre, 2.2 * radius
                side = float(np.sign(centre[0]))
            case Epidural():
                dx, dy, dz = (60 * v for v in bleed.direction)
                amount, centre, reach = 0.28 * bleed.height_mm, (dx, dy, dz), 45.0
                side = bleed.side
            case Subdural(kind="convexity"):
                amount, reach, side = 0.38 * bleed.width_mm, 50.0, bleed.side
                centre = (side * 45, *bleed.middle_mm)
            case _:
                continue
        away = ((y - centre[1]) ** 2 + (z - centre[2]) ** 2) / (2 * reach * reach)
        shift += side * amount * np.exp(-away - ((x - centre[0]) / (1.6 * reach)) ** 2)
    return x + shift, y, z


def extra_axial_layers(
    plane: Plane, head: Head, cavity: Cavity, bleeds: Sequence[Bleed]
) -> dict[Bleed, Field]:
    """Find the bleeds that lie between bone and brain.

    Returns
    -------
    dict[Bleed, Field]
        For each of them the signed distance to it, mm, before it is cut by the bone.
    """
    layers: dict[Bleed, Field] = {}
    for bleed in bleeds:
        match bleed:
            case Epidural():
                layers[bleed] = _lens(plane, head, bleed)
            case Subdural(kind="convexity"):
                layers[bleed] = _crescent(plane, cavity, bleed)
    return layers


def _crescent(plane: Plane, cavity: Cavity, bleed: Subdural) -> Field:
    """Layer along the inner table that thins out towards its ends."""
    x, y, z = plane.place
    along_y = np.abs(y - bleed.middle_mm[0]) / bleed.extent_mm[0]
    along_z = np.abs(z - bleed.middle_mm[1]) / bleed.extent_mm[1]
    fading = np.exp(-along_y * along_y * along_y - along_z * along_z * along_z)
    width = bleed.width_mm * fading * ramp(bleed.side * x - 5, 10) - 0.6
    crescent = -cavity.distance - width + 0.35 * plane.drift
    return np.where(width > 0.3, crescent, FAR_MM)


def _lens(plane: Plane, head: Head, bleed: Epidural) -> Field:
    """Ball whose centre lies outside the head; it stops at the sutures."""
    direction = np.array(bleed.direction)
    surface = direction * head.reach_mm(bleed.direction)
    normal = _outwards(head, bleed.direction)
    cx, cy, cz = (float(v) for v in surface + normal * (bleed.curvature_mm - bleed.height_mm))
    radius = bleed.curvature_mm
    ball = ellipsoid(plane.place, (cx, cy, cz), (radius, radius, radius)) + 0.5 * plane.drift
    x, y, z = plane.place
    if abs(surface[1]) < 28:
        coronal = y - (30 - 0.25 * (z - 40))
        ball = np.maximum(ball, np.maximum(coronal, -62 - y))
    lens: Field = np.maximum(ball, 2 - bleed.side * x)
    return lens


def _outwards(head: Head, direction: Point) -> NDArray[np.float64]:
    """Return the unit normal of the inner table where a ray from the origin meets it."""
    start = np.array(direction)
    across = np.cross(start, (0.0, 0.0, 1.0) if abs(start[2]) < 0.9 else (1.0, 0.0, 0.0))
    across /= np.linalg.norm(across)
    ends = []
    for side in (across, np.cross(start, across)):
        turned = [start + sign * 0.12 * side for sign in (-1, 1)]
        unit = [t / np.linalg.norm(t) for t in turned]
        points = [u * head.reach_mm((float(u[0]), float(u[1]), float(u[2]))) for u in unit]
        ends.append(points[1] - points[0])
    normal = np.cross(ends[0], ends[1])
    normal *= np.sign(normal @ start) / np.linalg.norm(normal)
    return np.asarray(normal)


def paint_bleeds(
    hu: Field,
    plane: Plane,
    head: Head,
    cavity: Cavity,
    spaces: Spaces,
    *,
    bleeds: Sequence[Bleed],
    layers: Mapping[Bleed, Field],
) -> Shares:
    """Paint bleeds into the cavity, in place, and return where they are.

    `layers` are the bleeds between bone and brain, from `extra_axial_layers`.
    """
    shares: Shares = {}
    for bleed in bleeds:
        match bleed:
            case Intraparenchymal():
                share = _paint_haematoma(hu, plane, head, spaces, bleed)
            case Intraventricular():
                share = _ventricle_blood(plane, spaces, bleed)
                blend(hu, share, bleed.hu + 2 * plane.mottle)
            case Subarachnoid():
                share = _cistern_blood(plane, cavity, spaces, bleed)
                blend(hu, share, bleed.hu + 1.5 * plane.mottle)
            case Subdural(kind="falx") | Subdural(kind="tentorium"):
                share = _dural_sheet(plane, cavity, spaces, bleed)
                blend(hu, share, bleed.hu + 1.5 * plane.mottle)
            case _:
                share = inside(layers[bleed], plane.edge_mm)
                share *= inside(cavity.distance, plane.edge_mm)
                blend(hu, share, _layered(plane, bleed))
        subtype = SUBTYPE_OF[type(bleed)]
        shares[subtype] = np.maximum(shares[subtype], share) if subtype in shares else share
    return shares


def _layered(plane: Plane, bleed: Epidural | Subdural) -> Field:
    """Brightness of an extra-axial bleed; two ages of blood separate by gravity."""
    bright = bleed.hu + 2 * plane.mottle + 1.5 * plane.drift
    if isinstance(bleed, Subdural) and bleed.sediment_hu:
        bright -= bleed.sediment_hu * ramp(plane.place[1] - bleed.middle_mm[0], 24)
    return bright


def _paint_haematoma(
    hu: Field, plane: Plane, head: Head, spaces: Spaces, bleed: Intraparenchymal
) -> Field:
    share = np.zeros(plane.shape, np.float32)
    reach = 2.5 * max(bleed.radii_mm) + 3 * bleed.oedema_mm + 12
    window = plane.near(bleed.centre, reach)
    if window is None:
        return share
    dx, dy, dz = (
        v[window] - np.float32(c) for v, c in zip(spaces.place, bleed.centre, strict=True)
    )
    cosine, sine = np.cos(bleed.turn_rad), np.sin(bleed.turn_rad)
    turned = (cosine * dx + sine * dy, cosine * dy - sine * dx, dz)
    smallest = min(bleed.radii_mm)
    distance = np.minimum(
        ellipsoid(turned, (0, 0, 0), bleed.radii_mm),
        ellipsoid((dx, dy, dz), bleed.lobe_offset_mm, (bleed.lobe_mm,) * 3),
    )
    clot = plane.sample(head.textures.clot)[window]
    distance += bleed.roughness * smallest * clot + 0.5 * plane.mottle[window]
    wall = spaces.wall[window]
    if bleed.supratentorial:
        same_side = -np.sign(bleed.centre[0]) * spaces.place[0][window] + 0.8
        distance = np.maximum(distance, same_side)
        below_tent = 1.5 - spaces.tentorium[window]
        behind = spaces.place[1][window] < -10
        distance = np.maximum(distance, np.where(behind, below_tent, -FAR_MM))
    distance = np.maximum(distance, wall + 1.2)
    cortex = np.minimum(spaces.depth, spaces.sulci)[window]
    rim = np.clip(1 - distance / bleed.oedema_mm, 0, 1)
    rim *= 0.25 + 0.75 * ramp(cortex - 4 + plane.mottle[window], 2)
    hu[window] -= bleed.oedema_hu * rim * (hu[window] > head.brain.csf_hu + 8)
    ventricle = np.minimum(spaces.ventricles, spaces.fourth_ventricle)[window]
    local = inside(distance, plane.edge_mm * 2) * (1 - inside(ventricle, plane.edge_mm))
    bright = bleed.hu - 3 + 2.5 * plane.mottle[window] + 3 * np.clip(-distance / 6, 0, 1)
    blend(hu[window], local, bright)
    share[window] = local
    return share


def _ventricle_blood(plane: Plane, spaces: Spaces, bleed: Intraventricular) -> Field:
    x, y, _ = spaces.place
    lateral = inside(spaces.ventricles, plane.edge_mm * 1.2)
    fourth = inside(spaces.fourth_ventricle, plane.edge_mm * 1.2)
    match bleed.kind:
        case "level":
            # Blood settles at the back of the lying patient: gravity follows the table.
            lateral = lateral * ramp(bleed.level_mm - plane.place[1], 2) * (np.abs(x) > 9)
            fourth = fourth * np.float32(bleed.level_mm > -42)
        case "cast of one":
            lateral = lateral * ramp(bleed.side * x - 0.5, 2) * ramp(28 + 4 * plane.drift - y, 4)
            fourth = fourth * np.float32(0)
        case "cast":
            lateral = lateral * ramp(plane.drift + 1.1, 0.8)
        case "third":
            lateral = lateral * (np.abs(x) < 6)
    share: Field = np.maximum(lateral, fourth) * inside(spaces.wall + 3, 2)
    return share


def _cistern_blood(plane: Plane, cavity: Cavity, spaces: Spaces, bleed: Subarachnoid) -> Field:
    """Blood in sulci, fissures and cisterns around a centre; it distends what it fills."""
    x, y, z = spaces.place
    cx, cy, cz = bleed.centre
    away = (x - cx) ** 2 + (y - cy) ** 2 + ((z - cz) * 1.2) ** 2
    near = np.exp(-away / (2 * bleed.reach_mm**2))
    filled = np.clip((near - 0.42 + 0.13 * plane.drift) * 6, 0, 1)
    if not filled.any():
        return np.zeros(plane.shape, np.float32)
    edge = plane.edge_mm
    shallow = np.clip(1 - spaces.depth / 15, 0, 1)
    width = np.maximum(spaces.sulcus_width, bleed.filled_mm * shallow)
    sulci = inside(spaces.sulci - width, edge) * (spaces.depth < 15)
    sulci = sulci * (1 - 0.8 * spaces.cerebellum)
    fissure = inside(np.abs(x) - spaces.fissure_width, edge) * (spaces.fissure_width > 0.1)
    space = np.maximum(np.maximum(sulci, fissure), inside(spaces.sylvian - 0.8, edge))
    surface = inside(spaces.depth, edge) * inside(spaces.wall + 0.2, edge)
    space = np.maximum(np.maximum(space, 0.9 * surface), inside(spaces.cisterns - 0.6, edge * 1.5))
    ventricle = np.minimum(spaces.ventricles, spaces.fourth_ventricle)
    in_cavity = inside(cavity.distance + 0.3, edge) * (1 - inside(ventricle, edge))
    share: Field = space * filled * in_cavity
    return share


def _dural_sheet(plane: Plane, cavity: Cavity, spaces: Spaces, bleed: Subdural) -> Field:
    """Lay a sheet of blood beside the falx or on the tentorium."""
    x, y, z = spaces.place
    half = 0.5 * bleed.width_mm
    across = bleed.side * x
    if bleed.kind == "falx":
        half_here = half * np.exp(-(((y - bleed.middle_mm[0]) / 30) ** 2))
        sheet = np.abs(across - 0.6 - half_here) - half_here + 0.3
        sheet = np.maximum(sheet, 0.3 - across)
        there = beside_falx(spaces.place) * (1 - spaces.cerebellum)
        there *= inside(np.abs(z - bleed.middle_mm[1]) - 40, 6)
    else:
        height = spaces.tentorium
        sheet = np.abs(height - half * 0.8) - half + 0.3 * plane.drift
        sheet = np.maximum(np.maximum(sheet, y + 18), np.maximum(12 - across, across - 55))
        there = np.ones_like(x)
    share: Field = inside(sheet, plane.edge_mm) * inside(cavity.distance + 0.4, plane.edge_mm)
    return share * there
