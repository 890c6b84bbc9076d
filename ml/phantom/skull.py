"""The cranial cavity with its floor, and everything around it: bone, scalp, face."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml.phantom.anatomy import Head, Skull
from ml.phantom.bending import BentTemplate
from ml.phantom.plane import Plane, Window, cut
from ml.phantom.shapes import Field, Place, Point, blend, capsule, ellipsoid, inside, ramp
from ml.phantom.template_skull import (
    base_share,
    paint_base,
    skin_distance,
    template_distance,
    thin_base,
)
from ml.phantom.texture import upsample

_AIR_HU = -1000.0
_BASE_TOP_MM = -16.0
"""Below this height a plane may meet the skull base and the face."""


@dataclass(frozen=True, eq=False)
class Cavity:
    """Signed distances to the walls of the cranial cavity, mm, negative inside.

    Attributes
    ----------
    distance
        To vault and floor.
    vault
        To the vault alone, as if the skull had no base.
    has_base
        Whether the plane is low enough to meet the skull base.
    thickness, scalp
        Thickness of the bone and of the soft tissue over it, mm.
    base, skin
        Of a template: share of skull base and face, and distance to the skin, mm.
    """

    distance: Field
    vault: Field
    has_base: bool
    thickness: Field
    scalp: Field
    base: Field | None = None
    skin: Field | None = None

    def part(self, window: Window) -> "Cavity":
        """Cut out a part of the plane."""
        return replace(
            self,
            distance=self.distance[window],
            vault=self.vault[window],
            thickness=self.thickness[window],
            scalp=self.scalp[window],
            base=None if self.base is None else self.base[window],
            skin=None if self.skin is None else self.skin[window],
        )


def make_cavity(plane: Plane, head: Head) -> Cavity:
    """Lay the cranial cavity on a plane."""
    if head.bent is not None:
        return _template_cavity(plane, head, head.bent)
    skull = head.skull
    coarse = plane.coarse_place
    factor = plane.coarse_factor
    vault = upsample(_vault(coarse, skull), factor)
    vault += 0.5 * plane.drift + skull.roughness_mm * plane.mottle
    # Crests of the frontal and the occipital bone stand out in the middle.
    crest = upsample(_midline_crest(coarse), factor)
    has_base = bool(plane.place[2].min() < _BASE_TOP_MM)
    thickness = upsample(_bone_thickness(coarse, skull), factor)
    distance = vault
    if has_base:
        floor = _floor_height(plane, skull)
        base = (floor - plane.place[2]) * np.float32(0.8)
        # The bone between fossae and orbits is thin.
        thin = (base > vault) & (plane.place[1] > 18)
        thickness = np.where(thin, np.float32(2.2), thickness)
        distance = np.maximum(vault, base)
    return Cavity(
        distance=distance + skull.crest_mm * crest,
        vault=vault,
        has_base=has_base,
        thickness=thickness,
        scalp=upsample(_scalp_thickness(coarse, head), factor),
    )


def _template_cavity(plane: Plane, head: Head, bent: BentTemplate) -> Cavity:
    skull = head.skull
    inner, skin = template_distance(plane, bent)
    base = base_share(plane, inner, skin)
    distance = inner + 0.4 * plane.drift + skull.roughness_mm * plane.mottle
    thickness = upsample(_bone_thickness(plane.coarse_place, skull), plane.coarse_factor)
    return Cavity(
        distance=distance,
        vault=distance,
        has_base=bool(base.any()),
        thickness=thin_base(thickness, base),
        scalp=upsample(_scalp_thickness(plane.coarse_place, head), plane.coarse_factor),
        base=base,
        skin=skin,
    )


def _vault(place: Place, skull: Skull) -> Field:
    """First-order signed distance to a superellipsoid that narrows to the front."""
    x, y, z = place
    long = y / skull.half_length_mm
    forward = np.clip(long + 0.1, -0.3, 1.1)
    width = skull.half_width_mm * (1 - 0.14 * forward * np.abs(forward))
    wide = np.abs(x) / width
    high = np.where(z > 0, z, z * np.float32(0.42)) / skull.height_mm
    power = np.float32(skull.squareness)
    reach = np.sqrt(wide**power + np.abs(long) ** power + high * high) + np.float32(1e-4)
    slope = np.sqrt(
        (wide / width) ** 2
        + (long / skull.half_length_mm) ** 2
        + (high / skull.height_mm) ** 2
        + np.float32(1e-9)
    )
    distance: Field = (reach - 1) * reach / slope
    return np.clip(distance, -80, 80, out=distance)


def _midline_crest(place: Place) -> Field:
    """Share of the full height of the crests on the inside of forehead and occiput."""
    x, y, z = place
    front = ramp(y - 40, 20) * ramp(18 - z, 20)
    back = ramp(-45 - y, 20) * ramp(-4 - z, 12)
    crest: Field = np.exp(-np.abs(x) / 4) * (0.6 * front + back)
    return crest


def _bone_thickness(place: Place, skull: Skull) -> Field:
    """Thick at the occiput and the forehead, thin at the temple."""
    _, y, z = place
    long = y / skull.half_length_mm
    temple = np.clip(1 - np.abs(long) * 1.5, 0, 1) * np.clip(1 - z / 60, 0, 1)
    factor = 1 + 0.35 * np.clip(-long - 0.5, 0, 1) + 0.25 * np.clip(long - 0.6, 0, 1) - 0.3 * temple
    return np.asarray(skull.thickness_mm * factor, dtype=np.float32)


def _scalp_thickness(place: Place, head: Head) -> Field:
    """Thick over the temporal muscle, the neck and a haematoma of the scalp."""
    x, y, z = place
    temporal = np.exp(-(((y - 18) / 26) ** 2)) * ramp(18 - z, 30) * ramp(np.abs(x) - 40, 24)
    neck = ramp(-38 - z, 24) * ramp(-30 - y, 30)
    scalp = head.skull.scalp_mm + 7 * temporal + 13 * neck
    if head.mimics.scalp_haematoma is not None:
        direction, thickness_mm = head.mimics.scalp_haematoma
        turned = (x * np.cos(direction) + y * np.sin(direction)) / np.sqrt(x * x + y * y + 1)
        scalp += thickness_mm * np.exp((turned - 1) / 0.06) * np.exp(-(((z - 30) / 25) ** 2))
        scalp = np.minimum(scalp, head.skull.scalp_mm + 7 * temporal + 13 * neck + thickness_mm)
    return np.asarray(scalp, dtype=np.float32)


def _floor_height(plane: Plane, skull: Skull) -> Field:
    """Height of the floor of the cavity: three fossae and the petrous ridges, mm."""
    x, y, _ = plane.place
    side = np.abs(x)
    behind = np.clip(1 - (side / 57) ** 2 - ((y + 38) / 48) ** 2, 0, 1)
    middle = np.clip(1 - ((side - 37) / 26) ** 2 - ((y - 13) / 30) ** 2, 0, 1)
    floor = np.minimum(-30 - 36 * _steep(behind), -26 - 22 * _steep(middle))
    roof = -31 + 13 * np.exp(-(((side - 30) / 15) ** 2) - ((y - 50) / 20) ** 2)
    front = np.where(y > 22, roof - 4 * np.exp(-((side / 9) ** 2)), np.float32(-25))
    floor = np.minimum(floor, front)
    # The petrous ridge runs from beside the clivus outwards and backwards, like a roof.
    from_ridge = np.abs((side - 12) * 0.515 + (y - 4) * 0.857)
    crest = -30 + (side - 12) * 0.1 - 2.5 * np.maximum(12 - side, 0)
    ridge = crest - 1.3 * np.maximum(from_ridge - 2.5, 0)
    height: Field = np.maximum(floor, ridge) + skull.floor_shift_mm + 0.6 * plane.drift
    return height


def _steep(share: Field) -> Field:
    """Rise from 0 to 1 like a wall that becomes a floor."""
    root = np.sqrt(share)
    steep: Field = 0.5 * (root + np.sqrt(root))
    return steep


def paint_outside(plane: Plane, head: Head, cavity: Cavity) -> Field:
    """Paint air, scalp, muscle, face and bone, in HU; the cavity is filled later."""
    surface: Field = cavity.vault - cavity.thickness - cavity.scalp
    if cavity.skin is not None:
        surface = skin_distance(plane, surface, cavity.skin)
    elif cavity.has_base:
        face = ellipsoid(plane.place, (0, 50, -70), (60, 62, 62))
        surface = np.where(plane.place[2] < -30, np.minimum(surface, face), surface)
    hu = np.full(plane.shape, _AIR_HU, np.float32)
    fat = -85 + 12 * plane.mottle
    soft = _soft_tissue(plane, head, cavity)
    skin = np.where(surface > -1.8, np.float32(1), np.float32(0))
    tissue = fat + np.maximum(soft, skin) * (52 + 4 * plane.mottle - fat)
    blend(hu, inside(surface, plane.edge_mm * 1.4), tissue)
    if head.bent is not None and cavity.base is not None and cavity.has_base:
        aerated = head.skull.has_aerated_mastoid
        paint_base(hu, plane, head.bent, base=cavity.base, surface=surface, aerated=aerated)
    elif cavity.has_base:
        _paint_face(hu, plane, surface)
    _paint_bone(hu, plane, head, cavity)
    if head.skull.has_frontal_sinus and head.bent is None:
        _paint_frontal_sinus(hu, plane, head, cavity)
    return hu


def _paint_frontal_sinus(hu: Field, plane: Plane, head: Head, cavity: Cavity) -> None:
    x, y, z = plane.place
    over_bone = cavity.vault - cavity.thickness
    walls = np.maximum(1.4 - cavity.distance, over_bone + 1.4)
    sinus = ellipsoid((np.abs(x), y, z), (9, head.skull.half_length_mm + 3.2, -14), (9, 3, 14))
    blend(hu, inside(np.maximum(sinus, walls), plane.edge_mm), -950)


def _soft_tissue(plane: Plane, head: Head, cavity: Cavity) -> Field:
    """Share of muscle and of clotted blood in the scalp."""
    over_bone = cavity.vault - cavity.thickness
    muscle_mm = cavity.scalp - head.skull.scalp_mm
    muscle = inside(over_bone - muscle_mm, plane.edge_mm) * ramp(muscle_mm - 0.7, 1.0)
    lean = ramp(plane.mottle + 0.9, 0.8)
    return muscle * lean


def _paint_face(hu: Field, plane: Plane, surface: Field) -> None:
    """Paint what lies before and below the skull base: muscle, sinuses, orbits."""
    x, y, z = plane.place
    side = np.abs(x)
    edge = plane.edge_mm
    depth = inside(surface + 4, 4) * ramp(-24 - z, 8)
    blend(hu, depth * ramp(plane.drift + 0.5 * plane.mottle + 0.3, 1.2), 55)
    airways = ellipsoid((side, y, z), (0, 56, -54), (14, 31, 23))
    walls = (np.abs(np.sin(x * 0.42 + plane.drift) * np.sin(y * 0.3 + z * 0.2)) - 0.10) * 12
    blend(hu, inside(airways, edge), 500)
    blend(hu, inside(np.maximum(airways + 1.5, -walls), edge), -900)
    for centre, radii, value in (
        ((33.0, 70.0, -44.0), (19.0, 23.0, 18.0), 750.0),
        ((33.0, 71.5, -44.0), (17.0, 22.5, 16.0), -85.0),
        ((33.0, 76.0, -44.0), (12.0, 12.0, 12.0), 45.0),
        ((33.0, 76.0, -44.0), (10.8, 10.8, 10.8), 14.0),
        ((33.0, 85.0, -44.0), (4.5, 2.0, 4.5), 75.0),
    ):
        for sign in (-1, 1):
            window = plane.near((sign * centre[0], centre[1], centre[2]), max(radii) + 2)
            if window is None:
                continue
            local = cut(plane.place, window)
            shape = ellipsoid((np.abs(local[0]), local[1], local[2]), centre, radii)
            # The orbit is open to the front.
            share = inside(shape, edge) * (local[1] < 84 if value > 700 else 1)
            blend(hu[window], share * (hu[window] > _AIR_HU + 100), value)


def _paint_bone(hu: Field, plane: Plane, head: Head, cavity: Cavity) -> None:
    """Paint the tables with the diploe between them, sutures, petrous bone, foramen magnum."""
    x, y, z = plane.place
    skull = head.skull
    edge = plane.edge_mm
    depth = np.clip(cavity.distance / cavity.thickness, 0, 1)
    diploe = np.exp(-(((depth - 0.5) / 0.2) ** 2)) * ramp(cavity.thickness - 4, 1.5)
    bone = skull.bone_hu - 0.42 * skull.bone_hu * diploe + 60 * plane.mottle
    share = inside(cavity.distance - cavity.thickness, edge) * inside(-cavity.distance, edge)
    if cavity.has_base and head.bent is None:
        foramen = np.sqrt((x / 17) ** 2 + ((y + 34) / 20) ** 2) * 17 - 17
        share *= 1 - inside(foramen, edge) * (z < -50)
    if head.mimics.burr_hole is not None:
        share *= 1 - burr_hole(plane, head.mimics.burr_hole, head.mimics.hole_radius_mm)
    blend(hu, share, bone)
    if cavity.has_base and head.bent is None:
        _paint_petrous(hu, plane, head, cavity.distance)
    suture_y = 24 - 0.25 * (z - 40) - 2 * np.sin(z * 0.9 + x)
    suture = np.exp(-(((y - suture_y) / 0.7) ** 2)) * share * (z > 0)
    hu -= suture * 520


def burr_hole(plane: Plane, direction: Point, radius_mm: float) -> Field:
    """Share of a hole drilled towards the origin of the head."""
    x, y, z = plane.place
    along = x * direction[0] + y * direction[1] + z * direction[2]
    off_axis = np.sqrt(np.maximum(x * x + y * y + z * z - along * along, 0))
    hole: Field = inside(off_axis - radius_mm, plane.edge_mm) * (along > 0)
    return hole


def _paint_petrous(hu: Field, plane: Plane, head: Head, distance: Field) -> None:
    """Paint the petrous bones, dense at the apex, with air cells in the mastoid."""
    for sign in (-1, 1):
        window = plane.near((sign * 38.0, -6.0, -40.0), 42)
        if window is None:
            continue
        x, y, z = cut(plane.place, window)
        side = np.abs(x)
        bone = capsule((side, y, z), (64, -20, -42), (14, 6, -38), (12, 5))
        share = inside(bone, plane.edge_mm) * inside(-distance[window], plane.edge_mm)
        share *= hu[window] > _AIR_HU + 100
        mottle = plane.mottle[window]
        cells = _mastoid(mottle, head.skull.has_aerated_mastoid)
        blend(hu[window], share, np.where(side > 44, cells, 1150 + 150 * mottle))


def _mastoid(mottle: Field, aerated: bool) -> NDArray[np.float32]:
    if aerated:
        return np.where(mottle > 0.2, np.float32(-800), np.float32(450))
    return 350 + 250 * mottle
