"""Cavity, bone and soft tissue of a head whose anatomy is a bent template."""

import numpy as np

from ml.phantom.bending import BentTemplate
from ml.phantom.plane import Plane
from ml.phantom.shapes import Field, blend, inside, ramp

_BASE_TOP_MM = -8.0
"""Below this height a plane may meet the skull base and the face."""
_FAR_FROM_SKIN_MM = 27.0
"""Where skin and cavity are farther apart than vault and scalp are thick, there is skull base."""
_BASE_BONE_MM = 2.4
"""The floor of the fossae is thin."""
_AIR_HU = -1000.0


def template_distance(plane: Plane, bent: BentTemplate) -> tuple[Field, Field]:
    """Signed distances to the inner table and to the skin of the template, mm."""
    cavity, skin = bent.fields(("cavity", "skin"), plane.coarse_place, plane.coarse_factor)
    return cavity, skin


def base_share(plane: Plane, cavity: Field, skin: Field) -> Field:
    """Share of skull base and face: far from the cavity or far from the skin, and low."""
    share: Field = ramp(cavity - skin - _FAR_FROM_SKIN_MM, 6) * ramp(
        _BASE_TOP_MM - plane.place[2], 10
    )
    return share


def skin_distance(plane: Plane, over_scalp: Field, skin: Field) -> Field:
    """Distance to the skin: that of the vault's own scalp above, of the template's face below."""
    low = ramp(_BASE_TOP_MM - 8 - plane.place[2], 12)
    surface: Field = over_scalp + low * (np.minimum(over_scalp, skin) - over_scalp)
    return surface


def thin_base(thickness: Field, base: Field) -> Field:
    """Thickness of the bone around the cavity, mm: thin where it is the floor of a fossa."""
    thin: Field = thickness + base * (_BASE_BONE_MM - thickness)
    return thin


def paint_base(
    hu: Field, plane: Plane, bent: BentTemplate, *, base: Field, surface: Field, aerated: bool
) -> None:
    """Paint muscle, fat, bone, air cells and eyes of skull base and face, in place, HU.

    The blurred average says what is likely at a place; the head's own texture decides.
    """
    average, globes = bent.fields(("ct_hu", "globes"), plane.coarse_place, plane.coarse_factor)
    edge = plane.edge_mm
    here = base * inside(surface + 2.5, 3)
    own = 30 * plane.drift + 45 * plane.mottle
    muscle = ramp(average + own + 35, 30)
    blend(hu, here, -90 + muscle * (146 + 5 * plane.mottle))
    _paint_eyes(hu, plane, globes, here)
    bony = ramp(average + 0.8 * own - 160, 60) * here
    blend(hu, bony, np.clip(260 + 1.9 * average + 160 * plane.mottle, 150, 1900))
    air = ramp(-(average + own) - 300, 80) * base * inside(surface + 6, 3)
    walls = np.exp(-((np.abs(plane.mottle) / 0.16) ** 2)) * 0.8
    blend(hu, air * (1 - walls), _AIR_HU + 20)
    if aerated:
        x, y, z = plane.place
        side = np.abs(x)
        mastoid = ramp(side - 44, 4) * ramp(-4 - y, 8) * ramp(y + 48, 8) * ramp(-26 - z, 6)
        blend(hu, bony * mastoid * inside(0.25 - plane.mottle, edge), -800)


def _paint_eyes(hu: Field, plane: Plane, globes: Field, here: Field) -> None:
    """Paint fat of the orbit, the wall, the fluid and the lens of the eyeballs."""
    edge = plane.edge_mm
    orbit = inside(globes - 5, 4) * here
    blend(hu, orbit, -85)
    blend(hu, inside(globes, edge) * here, 45)
    blend(hu, inside(globes + 1.4, edge) * here, 14)
    front = ramp(plane.place[1] - 76, 2) * inside(globes + 2.5, edge) * here
    blend(hu, 0.8 * front, 75)
