"""One individual's bend of the average head: resized, skewed and smoothly deformed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ml.phantom.shapes import Field, Place, Point
from ml.phantom.template import Template
from ml.phantom.texture import Texture, sample_texture, upsample

_FURTHEST_MM = 140.0


@dataclass(frozen=True, eq=False)
class BentTemplate:
    """A template as one individual has it.

    Attributes
    ----------
    template
        The average.
    scale
        Size of the individual over that of the average, (x, y, z).
    skew
        x gains this share of y: the common slight asymmetry of a skull.
    narrowing
        How much the front is narrower than the average, per mm.
    bend_mm
        Standard deviation of the smooth deformation.
    bends
        Random fields of the deformation, (x, y, z).
    """

    template: Template
    scale: Point
    skew: float
    narrowing: float
    bend_mm: float
    bends: tuple[Texture, Texture, Texture]

    def unbent(self, place: Place) -> Place:
        """Bring positions in this head to the average head."""
        x, y, z = place
        x = (x - self.skew * y) * (1 + self.narrowing * y)
        bent = [
            axis / np.float32(size) + np.float32(self.bend_mm) * field.at(place)
            for axis, size, field in zip((x, y, z), self.scale, self.bends, strict=True)
        ]
        return bent[0], bent[1], bent[2]

    def fields(self, names: Sequence[str], coarse_place: Place, factor: int) -> list[Field]:
        """Sample fields of the template at coarse positions, enlarged to the pixels of a plane."""
        place = self.unbent(coarse_place)
        return [upsample(self.template.at(name, place), factor) for name in names]

    def reach_mm(self, direction: Point) -> float:
        """Distance from the origin to the inner table in a direction (unit vector), mm."""
        steps = np.arange(20, _FURTHEST_MM, 0.5, dtype=np.float32)
        ray = (steps * direction[0], steps * direction[1], steps * direction[2])
        inside = self.template.at("cavity", self.unbent(ray)) < 0
        outside = np.flatnonzero(~inside)
        return float(steps[outside[0]]) if outside.size else _FURTHEST_MM


def bend(rng: np.random.Generator, template: Template) -> BentTemplate:
    """Draw an individual; sizes vary by about 4 %, and smooth deformation by a few mm."""
    size = rng.normal(1, 0.03)
    x, y, z = (float(np.clip(size * v, 0.86, 1.14)) for v in rng.normal(1, (0.035, 0.03, 0.02)))
    return BentTemplate(
        template=template,
        scale=(x, y, z),
        skew=float(np.clip(rng.normal(0, 0.02), -0.05, 0.05)),
        narrowing=float(np.clip(rng.normal(0, 0.0006), -0.0014, 0.0014)),
        bend_mm=float(rng.uniform(1.0, 2.8)),
        bends=(
            sample_texture(rng, blob_mm=19, symmetry=0.3, period_mm=240),
            sample_texture(rng, blob_mm=19, symmetry=0.6, period_mm=240),
            sample_texture(rng, blob_mm=19, symmetry=0.6, period_mm=240),
        ),
    )
