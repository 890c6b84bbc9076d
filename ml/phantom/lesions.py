"""The bleeds of one head as parameters: where, how large, how bright."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ml.phantom.anatomy import Difficulty, Head
from ml.phantom.shapes import Point
from ml.volume import Subtype

_SUBTYPE_CHANCE = {
    Subtype.IPH: 0.30,
    Subtype.IVH: 0.18,
    Subtype.EDH: 0.14,
    Subtype.SDH: 0.19,
    Subtype.SAH: 0.19,
}
"""How often a subtype is drawn first; about its share among bleeds, the rare ones raised."""
_FRESH_HU = {
    Subtype.IPH: (56.0, 80.0),
    Subtype.IVH: (50.0, 76.0),
    Subtype.EDH: (54.0, 80.0),
    Subtype.SDH: (50.0, 76.0),
    Subtype.SAH: (47.0, 70.0),
}
"""Attenuation of fresh blood."""
_SECOND_CHANCE = {
    Subtype.IPH: 0.2,
    Subtype.IVH: 0.0,
    Subtype.EDH: 0.08,
    Subtype.SDH: 0.25,
    Subtype.SAH: 0.25,
}
"""How often there is a second bleed of the same subtype."""
_NUM_SUBTYPES_CHANCE = (0.62, 0.28, 0.10)


@dataclass(frozen=True)
class Intraparenchymal:
    """A haematoma in the brain: an ellipsoid joined with a smaller lobe, with oedema around.

    Attributes
    ----------
    supratentorial
        False in pons and cerebellum, where it may cross the midline.
    centre, radii_mm, turn_rad
        The ellipsoid, turned about z.
    lobe_offset_mm, lobe_mm
        Centre of the second lobe from the first, and its radius.
    roughness
        Unevenness of the surface as a share of the radius.
    oedema_mm, oedema_hu
        Width of the dark rim, and how dark it is.
    """

    supratentorial: bool
    centre: Point
    radii_mm: Point
    turn_rad: float
    lobe_offset_mm: Point
    lobe_mm: float
    roughness: float
    oedema_mm: float
    oedema_hu: float
    hu: float


@dataclass(frozen=True)
class Intraventricular:
    """Blood in the ventricles.

    Attributes
    ----------
    kind
        Fluid level in the back horns, cast of one or of both lateral ventricles, or blood in the
        third and the fourth.
    side
        +1 left, -1 right.
    level_mm
        y of the fluid level.
    """

    kind: Literal["level", "cast of one", "cast", "third"]
    side: float
    level_mm: float
    hu: float


@dataclass(frozen=True)
class Epidural:
    """A lens between bone and dura.

    Attributes
    ----------
    side
        +1 left, -1 right.
    direction
        Unit vector from the head's origin to the middle of the lens.
    height_mm
        Thickness in the middle.
    curvature_mm
        Radius of its inner surface.
    """

    side: float
    direction: Point
    height_mm: float
    curvature_mm: float
    hu: float


@dataclass(frozen=True)
class Subdural:
    """A crescent along the convexity, or a sheet on falx or tentorium.

    Attributes
    ----------
    side
        +1 left, -1 right.
    width_mm
        Greatest thickness.
    middle_mm, extent_mm
        (y, z) of its middle and half extents.
    sediment_hu
        How much darker the upper (front) part is, for blood of two ages.
    """

    kind: Literal["convexity", "falx", "tentorium"]
    side: float
    width_mm: float
    middle_mm: tuple[float, float]
    extent_mm: tuple[float, float]
    sediment_hu: float
    hu: float


@dataclass(frozen=True)
class Subarachnoid:
    """Blood in the fluid spaces around a centre.

    Attributes
    ----------
    reach_mm
        How far around the centre the spaces are filled.
    filled_mm
        Half width to which sulci are distended.
    """

    centre: Point
    reach_mm: float
    filled_mm: float
    hu: float


Bleed = Intraparenchymal | Intraventricular | Epidural | Subdural | Subarachnoid

SUBTYPE_OF: dict[type, Subtype] = {
    Intraparenchymal: Subtype.IPH,
    Intraventricular: Subtype.IVH,
    Epidural: Subtype.EDH,
    Subdural: Subtype.SDH,
    Subarachnoid: Subtype.SAH,
}


def sample_subtypes(rng: np.random.Generator, *, healthy: float = 0.3) -> tuple[Subtype, ...]:
    """Draw which subtypes a head has: none with the chance `healthy`, else one to three."""
    if rng.uniform() < healthy:
        return ()
    num_subtypes = int(rng.choice((1, 2, 3), p=_NUM_SUBTYPES_CHANCE))
    drawn = rng.choice(
        [int(subtype) for subtype in _SUBTYPE_CHANCE],
        size=num_subtypes,
        replace=False,
        p=list(_SUBTYPE_CHANCE.values()),
    )
    return tuple(Subtype(int(value)) for value in sorted(drawn))


def sample_bleeds(
    rng: np.random.Generator,
    subtype: Subtype,
    head: Head,
    *,
    growth: float = 1.0,
    difficulty: Difficulty = Difficulty.STANDARD,
) -> tuple[Bleed, ...]:
    """Draw the bleeds of a subtype: one, or sometimes two; `growth` enlarges them."""
    count = 2 if rng.uniform() < _SECOND_CHANCE[subtype] else 1
    return tuple(_sample_bleed(rng, subtype, head, growth, difficulty) for _ in range(count))


def _sample_bleed(
    rng: np.random.Generator, subtype: Subtype, head: Head, growth: float, difficulty: Difficulty
) -> Bleed:
    side = float(rng.choice((-1.0, 1.0)))
    hu = _hu(rng, subtype, head, difficulty)
    match subtype:
        case Subtype.IPH:
            return _sample_intraparenchymal(rng, side, head, growth, hu)
        case Subtype.IVH:
            return _sample_intraventricular(rng, side, growth, hu)
        case Subtype.EDH:
            return _sample_epidural(rng, side, growth, hu)
        case Subtype.SDH:
            return _sample_subdural(rng, side, growth, hu)
        case Subtype.SAH:
            return _sample_subarachnoid(rng, side, head, growth, hu)


def _hu(rng: np.random.Generator, subtype: Subtype, head: Head, difficulty: Difficulty) -> float:
    """Draw the attenuation of blood.

    Fresh clot has 55 to 80 HU. One standard bleed in six is faint (anaemia, or a few days old), one
    in twelve hardly brighter than grey matter. Hard bleeds all are: what shows them is their shape,
    what they push, and the other side.
    """
    low, high = _FRESH_HU[subtype]
    chance, faint, isodense, fresh = rng.uniform(size=4)
    barely = head.brain.grey_hu + 3 + 9 * isodense
    match difficulty:
        case Difficulty.EASY:
            return float(low + 4 + (high - low - 4) * fresh)
        case Difficulty.HARD:
            return float(barely)
    if chance < 0.08:
        return float(barely + 2)
    if chance < 0.24:
        return float(low - 9 * faint)
    return float(low + (high - low) * fresh)


def _on_shell(head: Head, point: Sequence[float], share: float, *, always: bool) -> Point:
    """Move a point to the given share of the way to the inner table (unless it is nearer)."""
    length = float(np.sqrt(sum(p * p for p in point)))
    direction = (point[0] / length, point[1] / length, point[2] / length)
    reach = length / head.reach_mm(direction)
    factor = share / reach if always or reach > share else 1.0
    x, y, z = (float(p * factor) for p in point)
    return x, y, z


def _sample_intraparenchymal(
    rng: np.random.Generator, side: float, head: Head, growth: float, hu: float
) -> Intraparenchymal:
    u = rng.uniform
    places = ("ganglia", "thalamus", "lobar", "cerebellum", "pons")
    place = rng.choice(places, p=(0.36, 0.17, 0.33, 0.10, 0.04))
    radius = float(np.clip(rng.lognormal(2.5, 0.45), 5, 30)) * growth
    centre: Point
    match place:
        case "ganglia":
            centre = (side * u(22, 30), u(-5, 14), u(-4, 12))
        case "thalamus":
            centre, radius = (side * u(10, 14), u(-12, -4), u(2, 10)), min(radius, 14 * growth)
        case "lobar":
            point = (side * u(22, 46), u(-55, 50), u(0, 45))
            centre = _on_shell(head, point, 0.78, always=False)
        case "cerebellum":
            centre, radius = (side * u(8, 28), u(-58, -42), u(-46, -34)), min(radius, 16 * growth)
        case _:
            y = u(-9, -5) if head.bent is None else u(-21, -15)
            centre, radius = (u(-3, 3), y, u(-44, -34)), min(radius, 9 * growth)
    x, y, z = (float(v) for v in rng.normal(0, 0.55 * radius, 3))
    return Intraparenchymal(
        supratentorial=place in {"ganglia", "thalamus", "lobar"},
        centre=centre,
        radii_mm=(radius * u(0.7, 1.15), radius * u(0.85, 1.5), radius * u(0.7, 1.2)),
        turn_rad=u(-0.6, 0.6),
        lobe_offset_mm=(x, y, z),
        lobe_mm=radius * u(0.5, 0.85),
        roughness=u(0.1, 0.35),
        oedema_mm=u(9, 22) if u() < 0.3 else u(1, 9),
        oedema_hu=u(5, 12),
        hu=hu,
    )


def _sample_intraventricular(
    rng: np.random.Generator, side: float, growth: float, hu: float
) -> Intraventricular:
    kinds: tuple[Literal["level", "cast of one", "cast", "third"], ...] = (
        "level",
        "cast of one",
        "cast",
        "third",
    )
    kind = kinds[int(rng.choice(4, p=(0.42, 0.28, 0.18, 0.12)))]
    if growth > 1.5 and kind == "third":
        kind = "cast"
    level_mm = rng.uniform(-50, -32) + 12 * (growth - 1)
    return Intraventricular(kind=kind, side=side, level_mm=level_mm, hu=hu)


def _sample_epidural(rng: np.random.Generator, side: float, growth: float, hu: float) -> Epidural:
    azimuth, elevation = rng.uniform(-0.3, 0.3) * np.pi, rng.uniform(-0.3, 0.8)
    direction = (
        float(side * np.cos(azimuth) * np.cos(elevation)),
        float(np.sin(azimuth) * np.cos(elevation)),
        float(np.sin(elevation)),
    )
    return Epidural(
        side=side,
        direction=direction,
        height_mm=rng.uniform(4, 24) * growth,
        curvature_mm=rng.uniform(28, 55),
        hu=hu,
    )


def _sample_subdural(rng: np.random.Generator, side: float, growth: float, hu: float) -> Subdural:
    u = rng.uniform
    kinds: tuple[Literal["convexity", "falx", "tentorium"], ...] = (
        "convexity",
        "falx",
        "tentorium",
    )
    kind = kinds[int(rng.choice(3, p=(0.74, 0.17, 0.09)))]
    front = u() < 0.5
    return Subdural(
        kind=kind,
        side=side,
        width_mm=(u(3, 15) if kind == "convexity" else u(2.5, 7)) * growth,
        middle_mm=(u(-35, 30) if kind != "falx" else u(36, 60) if front else u(-74, -56), u(0, 40)),
        extent_mm=(u(28, 60), u(22, 42)),
        sediment_hu=u(10, 26) if u() < 0.25 else 0.0,
        hu=hu,
    )


def _sample_subarachnoid(
    rng: np.random.Generator, side: float, head: Head, growth: float, hu: float
) -> Subarachnoid:
    u = rng.uniform
    place = rng.choice(("basal", "sylvian", "convexity", "diffuse"), p=(0.28, 0.25, 0.32, 0.15))
    centre: Point
    match place:
        case "basal":
            centre, reach = (0.0, 8.0, -26.0), u(20, 30)
        case "sylvian":
            centre, reach = (side * 44, 10.0, -4.0), u(18, 28)
        case "convexity":
            point = (side * u(25, 50), u(-50, 55), u(20, 55))
            centre, reach = _on_shell(head, point, 0.95, always=True), u(16, 28)
        case _:
            centre, reach = (0.0, 8.0, -15.0), u(45, 60)
    return Subarachnoid(centre=centre, reach_mm=reach * growth, filled_mm=u(1.3, 2.4), hu=hu)
