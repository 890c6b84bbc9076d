"""The spaces of the brain: sulci, fissures, cisterns, ventricles, and what they leave as tissue."""

from dataclasses import dataclass

import numpy as np

from ml.phantom.anatomy import Head
from ml.phantom.bending import BentTemplate
from ml.phantom.plane import Plane, cut
from ml.phantom.shapes import Field, Place, capsule, ellipsoid, ramp
from ml.phantom.texture import upsample

FAR_MM = np.float32(99)
"""The distance to a shape that is not on the plane."""


@dataclass(frozen=True, eq=False)
class Spaces:
    """Where fluid and tissue are; distances are signed, mm, negative inside.

    Attributes
    ----------
    place
        Positions in the brain as it was before a bleed pushed it.
    wall
        To the inner table, or to the inner surface of an extra-axial bleed.
    depth
        Depth below the pia, mm.
    sulci
        To the middle surface of the nearest sulcus (not negative).
    sulcus_width
        Half width of a sulcus here, mm.
    fissure_width
        Half width of the interhemispheric fissure here, mm.
    sylvian, cisterns, ventricles, fourth_ventricle
        To these spaces.
    tentorium
        Height over the tentorium, mm; negative below it.
    cerebellum
        Share of the cerebellum and the brain stem.
    grey
        Share of grey matter as a template has it; None where implicit functions draw it.
    """

    place: Place
    wall: Field
    depth: Field
    sulci: Field
    sulcus_width: Field
    fissure_width: Field
    sylvian: Field
    cisterns: Field
    ventricles: Field
    fourth_ventricle: Field
    tentorium: Field
    cerebellum: Field
    grey: Field | None = None


def tentorium_height(place: Place) -> Field:
    """Height of the tentorium over its own surface, mm: a tent with its ridge in the middle."""
    x, y, z = place
    height: Field = z + 16 + 0.35 * (y + 40) + 0.0045 * x * x
    return height


def find_spaces(plane: Plane, head: Head, place: Place, coarse_place: Place, wall: Field) -> Spaces:
    """Lay the spaces of the brain on a plane.

    Parameters
    ----------
    place, coarse_place
        Positions in the unpushed brain, of the pixels and of blocks of them.
    wall
        Signed distance to what bounds brain and fluid outwards, mm.
    """
    x, y, _ = place
    brain = head.brain
    if head.bent is None:
        tent: Field = tentorium_height(place)
        cerebellum: Field = ramp(-6 - y - 0.25 * np.abs(x), 6) * ramp(-tent - 1, 5)
        deep = _drawn_spaces(plane, head, place)
    else:
        deep = _template_spaces(plane, head, head.bent, place, coarse_place)
        tent = deep.pop("tentorium")
        cerebellum = ramp(-tent - 1, 5)
    depth = -(wall + brain.csf_mm * (1 + 0.3 * plane.drift))
    reach = np.maximum(brain.sulcus_depth_mm * (1 + 0.35 * plane.drift), 5)
    shallow = np.clip(1.1 - depth / reach, 0, 1)
    sulcus_width = brain.sulcus_mm * shallow * (1 - 0.7 * cerebellum)
    fissure_width = np.maximum(brain.fissure_mm + 0.25 * plane.drift, 0) * beside_falx(place)
    return Spaces(
        place=place,
        wall=wall,
        depth=depth,
        sulci=_sulci(plane, head),
        sulcus_width=sulcus_width,
        fissure_width=fissure_width * (1 - cerebellum),
        tentorium=tent,
        cerebellum=cerebellum,
        **deep,
    )


def _drawn_spaces(plane: Plane, head: Head, place: Place) -> dict[str, Field]:
    """Fluid spaces deep in the brain by implicit functions."""
    brain = head.brain
    return {
        "sylvian": _sylvian(plane, place, brain.sulcus_mm),
        "cisterns": _cisterns(plane, place, brain.sulcus_mm),
        "ventricles": _ventricles(plane, place, brain.ventricle),
        "fourth_ventricle": _fourth_ventricle(plane, place, brain.ventricle),
    }


def _template_spaces(
    plane: Plane, head: Head, bent: BentTemplate, place: Place, coarse_place: Place
) -> dict[str, Field]:
    """Fluid spaces and grey matter of a template; age widens what its average has."""
    names = ("ventricles", "cisterns", "grey", "below_tentorium")
    ventricles, cisterns, grey, below = bent.fields(names, coarse_place, plane.coarse_factor)
    ventricles -= 3.2 * (head.brain.ventricle - 1.05) - 0.35 * plane.drift
    cisterns -= 1.5 * head.brain.sulcus_mm - 1.4 - 0.6 * plane.drift
    upper = place[2] > -24
    return {
        "sylvian": cisterns,
        "cisterns": cisterns,
        "ventricles": np.where(upper, ventricles, FAR_MM),
        "fourth_ventricle": np.where(upper, FAR_MM, ventricles),
        "grey": grey,
        "tentorium": below,
    }


def beside_falx(place: Place) -> Field:
    """Find where the falx reaches down to: in front of, behind and over the corpus callosum."""
    _, y, z = place
    along = np.maximum(ramp(y - 28, 5), ramp(-46 - y, 5))
    along = np.maximum(along, ramp(z - 34 - 0.006 * (y + 5) ** 2, 5))
    beside: Field = along * ramp(z + 16, 6)
    return beside


def _sulci(plane: Plane, head: Head) -> Field:
    """Distance to the nearest zero surface of a field that hardly changes with depth."""
    x, y, z = plane.coarse_place
    skull = head.skull
    reach = np.sqrt(
        (x / skull.half_width_mm) ** 2
        + (y / skull.half_length_mm) ** 2
        + (z / skull.height_mm) ** 2
    )
    outwards = 0.93 * np.maximum(reach, 0.05) ** np.float32(-0.75)
    bend = 2.5 * head.textures.clot.at((y, x, z))
    field = head.textures.sulci.at((x * outwards + bend, y * outwards + bend, z * outwards - bend))
    across, along = np.gradient(field, plane.coarse_factor * plane.pixel_mm)
    signed = field / (np.sqrt(across * across + along * along) + 0.1)
    return np.abs(upsample(np.asarray(signed, dtype=np.float32), plane.coarse_factor))


def _sylvian(plane: Plane, place: Place, width_mm: float) -> Field:
    """Sylvian fissure (a slit from the surface inwards) and the insular cistern at its end."""
    distance = np.full(plane.shape, FAR_MM)
    for sign in (-1.0, 1.0):
        window = plane.near((sign * 48, 6, 0), 42)
        if window is None:
            continue
        x, y, z = cut(place, window)
        side = np.abs(x)
        drift, mottle = plane.drift[window], plane.mottle[window]
        course = y - 7 - 0.5 * (z + 2) - 3.5 * drift + 0.33 * (side - 46) + 1.1 * mottle
        slit = np.abs(course) - (0.5 + 1.3 * width_mm) * (0.7 + 0.35 * drift)
        slit = np.maximum(slit, np.maximum(36 - side, np.abs(z + 1) - 17))
        course = side - 39.5 + 0.02 * (y - 4) ** 2 + 1.6 * drift + 0.6 * mottle
        insula = np.abs(course) - (0.4 + 0.8 * width_mm)
        insula = np.maximum(insula, np.maximum(np.abs(y - 5) - 17, np.abs(z - 1) - 13))
        near = np.minimum(slit, insula)
        distance[window] = np.minimum(distance[window], near)
    return distance


def _cisterns(plane: Plane, place: Place, width_mm: float) -> Field:
    """Suprasellar star, ambient and quadrigeminal, prepontine, cerebellar cisterns."""
    distance = np.full(plane.shape, FAR_MM)
    window = plane.near((0, -18, -36), 58)
    if window is None:
        return distance
    x, y, z = cut(place, window)
    side = np.abs(x)
    local = (side, y, z)
    star = np.minimum(
        capsule(local, (0, 12, -26), (0, 24, -26), (4, 2.5)),
        capsule(local, (0, 10, -26), (17, 15, -25), (4.2, 2)),
    )
    star = np.minimum(star, capsule(local, (3, 6, -27), (14, -6, -26), (3.2, 2)))
    around_stem = np.sqrt(side**2 + ((y + 9) * 1.05) ** 2) - 17 - 1.2 * plane.drift[window]
    around_stem += 0.9 * np.cos(2.2 * np.arctan2(side, -y - 9))
    ambient = np.abs(around_stem) - (0.6 + 0.8 * width_mm)
    ambient = np.maximum(ambient, np.maximum(y + 1, np.abs(z + 18) - 6.5))
    found = np.minimum(star, ambient)
    for centre, radii in (
        ((0.0, -26.0, -12.0), (9.0, 4.0, 6.0)),
        ((0.0, 5.0, -40.0), (15.0, 3.5, 14.0)),
        ((0.0, -62.0, -62.0), (14.0, 8.0, 8.0)),
        ((17.0, -1.0, -40.0), (5.0, 5.0, 5.0)),
    ):
        found = np.minimum(found, ellipsoid(local, centre, radii))
    distance[window] = found
    return distance


def _ventricles(plane: Plane, place: Place, size: float) -> Field:
    """Lateral ventricles (front horn, body, trigone, back horn, temporal horn) and the third."""
    v = size
    trigone = (24 + 2 * v, -40.0, 8.0)
    horns = (
        ((3.5 + v, 6.0, 9.0), (7 + 6 * v, 30.0, 9.0), (2.2 * v, 3.6 * v)),
        ((4 + 2 * v, 6.0, 13.0), (9 + 6 * v, -22.0, 21.0), (3.2 * v, 4.2 * v)),
        ((10 + 5 * v, -22.0, 20.0), trigone, (4.2 * v, 6.2 * v)),
        ((25 + v, -40.0, 7.0), (21.0, -58 - 3 * v, 3.0), (4.6 * v, 1.2 * v)),
        ((25 + v, -38.0, 6.0), (36.0, -16.0, -17.0), (3.8 * v, 1.6 * v)),
        ((36.0, -16.0, -17.0), (29.0, 4.0, -24.0), (1.4 * v, 1.0 * v)),
    )
    distance = np.full(plane.shape, FAR_MM)
    for start, end, radii in horns:
        for sign in (-1.0, 1.0):
            middle = np.array([sign * (start[0] + end[0]), start[1] + end[1], start[2] + end[2]])
            length = float(np.linalg.norm(np.subtract(end, start)))
            centre = (float(middle[0] / 2), float(middle[1] / 2), float(middle[2] / 2))
            # The push of a bleed shifts the ventricles by up to a centimetre.
            window = plane.near(centre, length / 2 + max(radii) + 14)
            if window is None:
                continue
            x, y, z = cut(place, window)
            horn = capsule((sign * x, y, z), start, end, radii)
            distance[window] = np.minimum(distance[window], horn)
    window = plane.near((0, -3, 0), 26)
    if window is not None:
        x, y, z = cut(place, window)
        third = ellipsoid((x, y, z), (0, -3, 0), (4, 13, 10))
        third = np.maximum(np.abs(x) - 1.3 * v * v, third)
        distance[window] = np.minimum(distance[window], third)
    distance += np.float32(0.35) * plane.drift
    return distance


def _fourth_ventricle(plane: Plane, place: Place, size: float) -> Field:
    distance = np.full(plane.shape, FAR_MM)
    window = plane.near((0, -27, -40), 24)
    if window is not None:
        x, y, z = cut(place, window)
        width = size**0.5
        narrow = np.abs(x) * (1 + 0.05 * np.clip(-y - 27, -3, 5))
        distance[window] = ellipsoid((narrow, y, z), (0, -27, -40), (6 * width, 4 * width, 11))
    return distance
