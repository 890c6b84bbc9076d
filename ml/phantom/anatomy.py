"""The parameters of one synthetic head, and what of it does not depend on a bleed."""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from ml.phantom.bending import BentTemplate, bend
from ml.phantom.shapes import Point
from ml.phantom.template import Template
from ml.phantom.texture import Texture, sample_texture


class Difficulty(StrEnum):
    """How far brightness alone tells blood from what is none."""

    EASY = "easy"
    """Fresh, bright blood, and nothing else in the brain that is bright."""
    STANDARD = "standard"
    """As in practice: mostly fresh blood, some faint, all mimics now and then."""
    HARD = "hard"
    """Faint or isodense blood, and bright mimics in most heads."""


_CHANCE_FACTOR = {Difficulty.EASY: 0.0, Difficulty.STANDARD: 1.0, Difficulty.HARD: 2.0}
"""How much likelier a bright or dark mimic is than in practice."""


@dataclass(frozen=True, eq=False)
class Textures:
    """The random fields of a head.

    Attributes
    ----------
    sulci
        Its zero surfaces are the sulci.
    drift
        Large and smooth: bends surfaces and shifts brightness.
    mottle
        Fine: grain of tissue and bone.
    clot
        Medium: lobes of a haematoma.
    """

    sulci: Texture
    drift: Texture
    mottle: Texture
    clot: Texture


@dataclass(frozen=True)
class Skull:
    """Sizes of the cranial cavity (half axes) and of what surrounds it, mm; and the bone's HU."""

    half_width_mm: float
    half_length_mm: float
    height_mm: float
    thickness_mm: float
    scalp_mm: float
    bone_hu: float
    squareness: float
    floor_shift_mm: float
    roughness_mm: float
    crest_mm: float
    has_frontal_sinus: bool
    has_aerated_mastoid: bool


@dataclass(frozen=True)
class Brain:
    """Sizes of the brain's spaces and the HU of its tissues.

    Attributes
    ----------
    csf_mm
        Thickness of the fluid between inner table and brain.
    sulcus_mm
        Half width of a sulcus at the surface.
    sulcus_depth_mm
        How deep sulci reach.
    fissure_mm
        Half width of the interhemispheric fissure.
    ventricle
        Size of the ventricles, 1 being that of a grown person in middle age.
    patchiness_hu
        Deviation of slow changes of brightness.
    grey_hu, white_hu, csf_hu
        Attenuation without cupping.
    cupping_hu, cupping_mm
        Brightening of brain next to bone by beam hardening and scatter, and its reach.
    broad_cupping_hu, broad_cupping_mm
        The same, weaker and over the whole brain.
    vertex_hu
        Further brightening towards the vertex, where the bone is cut tangentially.
    petrous_hu
        Depth of the dark bands between the petrous bones.
    """

    csf_mm: float
    sulcus_mm: float
    sulcus_depth_mm: float
    fissure_mm: float
    ventricle: float
    patchiness_hu: float
    grey_hu: float
    white_hu: float
    csf_hu: float
    cupping_hu: float
    cupping_mm: float
    broad_cupping_hu: float
    broad_cupping_mm: float
    vertex_hu: float
    petrous_hu: float


@dataclass(frozen=True)
class Dura:
    """Half thickness (mm) and HU of falx, tentorium and venous sinuses."""

    falx_mm: float
    falx_hu: float
    tentorium_mm: float
    tentorium_hu: float
    sinus_hu: float
    sinus_size: float


@dataclass(frozen=True)
class Mimics:
    """Bright and dark findings that are not intracranial blood; None or 0 where absent.

    Attributes
    ----------
    choroid_hu, choroid_mm
        Calcified choroid plexus of the left and of the right side.
    pineal_hu, falx_hu, ganglia_hu, dentate_hu
        Calcification of the pineal gland, of the falx, of basal ganglia and dentate nuclei.
    artery_hu
        Basilar and middle cerebral arteries (dense in a thrombosis or a high haematocrit).
    scalp_haematoma
        Direction in the axial plane (radians from the left towards the front) and thickness, mm.
    infarct, infarct_share
        Centre and radius of an infarct, mm: (x, y, z, radius), and how far it has turned to fluid.
    oedema
        Centre and radius of an oedema without blood, mm.
    burr_hole
        Unit vector from the head's origin to a hole in the vault, or None.
    hole_radius_mm
        Its radius: 7 mm for a burr hole, more after a craniectomy.
    leukoaraiosis_hu
        Darkening of the white matter around the ventricles.
    """

    choroid_hu: tuple[float, float] | None
    choroid_mm: float
    pineal_hu: float | None
    falx_hu: float | None
    ganglia_hu: float | None
    dentate_hu: float | None
    artery_hu: float
    scalp_haematoma: tuple[float, float] | None
    infarct: tuple[float, float, float, float] | None
    infarct_share: float
    oedema: tuple[float, float, float, float] | None
    burr_hole: tuple[float, float, float] | None
    hole_radius_mm: float
    leukoaraiosis_hu: float


@dataclass(frozen=True, eq=False)
class Head:
    """A synthetic head without a bleed.

    Attributes
    ----------
    bent
        The template that gives its anatomy; None if implicit functions do.
    """

    skull: Skull
    brain: Brain
    dura: Dura
    mimics: Mimics
    textures: Textures
    bent: BentTemplate | None = None

    @property
    def skew(self) -> float:
        """The midline is the plane x = skew * y: not quite sagittal in an asymmetric skull."""
        return 0.0 if self.bent is None else self.bent.skew

    def reach_mm(self, direction: Point) -> float:
        """Distance from the origin to the inner table in a direction (unit vector), mm."""
        if self.bent is not None:
            return self.bent.reach_mm(direction)
        skull = self.skull
        axes = (skull.half_width_mm, skull.half_length_mm, skull.height_mm)
        share = sum((d / a) ** 2 for d, a in zip(direction, axes, strict=True))
        return float(1 / np.sqrt(share))


def sample_head(
    rng: np.random.Generator,
    *,
    hydrocephalic: bool = False,
    difficulty: Difficulty = Difficulty.STANDARD,
    template: Template | None = None,
) -> Head:
    """Draw a head; its age, which widens the spaces, runs from young to very old.

    With `hydrocephalic` its ventricles are wide, as they are when blood blocks them. With a
    template its anatomy is a bend of that, else implicit functions draw it.
    """
    age = rng.uniform()
    bent = None if template is None else bend(rng, template)
    skull = _sample_skull(rng)
    if bent is not None:
        # what is painted by position relative to the skull finds the bent inner table
        skull = replace(
            skull,
            half_width_mm=bent.reach_mm((1.0, 0.0, 0.0)),
            half_length_mm=bent.reach_mm((0.0, -1.0, 0.0)),
            height_mm=bent.reach_mm((0.0, 0.0, 1.0)),
        )
    return Head(
        skull=skull,
        brain=_sample_brain(rng, age, hydrocephalic=hydrocephalic),
        dura=_sample_dura(rng, difficulty),
        mimics=_sample_mimics(rng, age, difficulty),
        bent=bent,
        textures=Textures(
            sulci=sample_texture(rng, blob_mm=rng.uniform(3.5, 4.3), symmetry=0.45),
            drift=sample_texture(rng, blob_mm=11.0, symmetry=0.4),
            mottle=sample_texture(rng, blob_mm=2.8, symmetry=0.2),
            clot=sample_texture(rng, blob_mm=6.5, symmetry=0.0),
        ),
    )


def _sample_skull(rng: np.random.Generator) -> Skull:
    scale = rng.normal(1, 0.03)
    return Skull(
        half_width_mm=67.5 * scale * rng.normal(1, 0.04),
        half_length_mm=81.5 * scale * rng.normal(1, 0.025),
        height_mm=78 * scale * rng.normal(1, 0.015),
        thickness_mm=rng.uniform(4.5, 8.0),
        scalp_mm=rng.uniform(3.5, 8.0),
        bone_hu=rng.uniform(1050, 1400),
        squareness=rng.uniform(2.1, 2.5),
        floor_shift_mm=rng.normal(0, 2),
        roughness_mm=rng.uniform(0.1, 0.5),
        crest_mm=rng.uniform(0, 7),
        has_frontal_sinus=rng.uniform() < 0.85,
        has_aerated_mastoid=rng.uniform() < 0.85,
    )


def _sample_brain(rng: np.random.Generator, age: float, *, hydrocephalic: bool) -> Brain:
    grey_hu = rng.normal(36.0, 2.0)
    wide, chance = rng.uniform(0.2, 0.7), rng.uniform()
    hydrocephalus = wide if chance < (0.8 if hydrocephalic else 0.08) else 0.0
    return Brain(
        csf_mm=0.2 + 2.5 * age * rng.uniform(0.4, 1),
        sulcus_mm=0.15 + 1.6 * age * rng.uniform(0.4, 1),
        sulcus_depth_mm=rng.uniform(14, 26),
        fissure_mm=0.2 + 1.2 * age,
        ventricle=0.8 + 0.9 * age * rng.uniform(0.4, 1) + hydrocephalus,
        patchiness_hu=rng.uniform(0.3, 1.6),
        grey_hu=grey_hu,
        white_hu=grey_hu - rng.uniform(5.5, 10.0),
        csf_hu=rng.normal(8, 2),
        cupping_hu=rng.uniform(3, 22),
        cupping_mm=rng.uniform(2, 4.5),
        broad_cupping_hu=rng.uniform(0, 11),
        broad_cupping_mm=rng.uniform(8, 20),
        vertex_hu=rng.uniform(0, 15),
        petrous_hu=rng.uniform(6, 18),
    )


def _sample_dura(rng: np.random.Generator, difficulty: Difficulty) -> Dura:
    # one head in five has a thick falx and tentorium, easily taken for a subdural sheet
    thick = 1.7 if rng.uniform() < _CHANCE_FACTOR[difficulty] * 0.2 else 1.0
    return Dura(
        falx_mm=rng.uniform(0.3, 0.9) * thick,
        falx_hu=rng.uniform(46, 66),
        tentorium_mm=rng.uniform(0.6, 1.8) * thick,
        tentorium_hu=rng.uniform(44, 62),
        sinus_hu=rng.uniform(45, 66),
        sinus_size=rng.uniform(0.8, 1.3),
    )


def _sample_mimics(rng: np.random.Generator, age: float, difficulty: Difficulty) -> Mimics:
    factor = _CHANCE_FACTOR[difficulty]

    def perhaps(chance: float, low: float, high: float) -> float | None:
        value = rng.uniform(low, high)
        return value if rng.uniform() < chance * factor else None

    left, right = rng.uniform(50, 300, 2)
    has_choroid, has_scalp, has_infarct, has_oedema, has_hole = rng.uniform(size=5) < np.multiply(
        factor, (0.7, 0.3, 0.2, 0.12, 0.08)
    )
    return Mimics(
        choroid_hu=(float(left), float(right)) if has_choroid else None,
        choroid_mm=rng.uniform(1.2, 3.4),
        pineal_hu=perhaps(0.6, 60, 300),
        falx_hu=perhaps(0.15, 90, 300),
        ganglia_hu=perhaps(0.15, 50, 130),
        dentate_hu=perhaps(0.08, 50, 100),
        artery_hu=rng.uniform(38, 60),
        scalp_haematoma=(rng.uniform(-np.pi, np.pi), rng.uniform(4, 18)) if has_scalp else None,
        infarct=(*_sample_place(rng), rng.uniform(5, 26)) if has_infarct else None,
        infarct_share=rng.uniform(0.15, 0.9),
        oedema=(*_sample_place(rng), rng.uniform(10, 26)) if has_oedema else None,
        burr_hole=_sample_hole(rng) if has_hole else None,
        hole_radius_mm=7.0 if rng.uniform() < 0.6 else rng.uniform(15, 38),
        leukoaraiosis_hu=age * rng.uniform(0, 9),
    )


def _sample_place(rng: np.random.Generator) -> tuple[float, float, float]:
    side = float(rng.choice((-1.0, 1.0)))
    return side * rng.uniform(24, 52), rng.uniform(-50, 45), rng.uniform(0, 45)


def _sample_hole(rng: np.random.Generator) -> tuple[float, float, float]:
    azimuth, elevation = rng.uniform(-np.pi, np.pi), rng.uniform(0.3, 0.9)
    return (
        float(np.cos(azimuth) * np.cos(elevation)),
        float(np.sin(azimuth) * np.cos(elevation)),
        float(np.sin(elevation)),
    )
