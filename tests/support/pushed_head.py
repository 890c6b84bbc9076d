"""A simple head whose brain a bleed pushes aside within the skull."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.volume import Grid, Mask, Subtype, Volume
from tests.support.heads import (
    AIR_HU,
    BLOOD_HU,
    BONE_HU,
    BRAIN_HU,
    FLUID_HU,
    SCALP_HU,
    axial_grid,
)

GRID = axial_grid(num_slices=30, size=160, pixel_mm=1.4, step_mm=5.0)


@dataclass(frozen=True)
class PushedHead:
    """A head whose ventricles and fissures lie off the midline of its skull.

    Attributes
    ----------
    push_mm
        How far, to the left, in the middle of the head; less towards front and back.
    bleed
        What pushes it, on the side given by `bleed_left`.
    cast
        Whether blood fills the left ventricle.
    """

    push_mm: float = 0.0
    bleed: Subtype | None = Subtype.SDH
    bleed_left: bool = False
    cast: bool = False

    def scan(self, grid: Grid = GRID, *, seed: int = 0) -> tuple[Volume, Mask]:
        index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
        x, y, z = np.moveaxis(grid.positions_mm(index.astype(np.float64)), -1, 0)

        def ellipsoid(
            at: NDArray[np.float64], radii: tuple[float, ...], centre: tuple[float, ...]
        ) -> NDArray[np.bool_]:
            parts = [((v - c) / r) ** 2 for v, r, c in zip((at, y, z), radii, centre, strict=True)]
            inside: NDArray[np.bool_] = sum(parts) < 1
            return inside

        middle = (0.0, 0.0, 0.0)
        brain_x = x - self.push_mm * np.exp(-((y / 55) ** 2))
        hu = np.full(grid.shape, float(AIR_HU))
        hu[ellipsoid(x, (78, 94, 88), middle)] = SCALP_HU
        hu[ellipsoid(x, (74, 90, 84), middle)] = BONE_HU
        cavity = ellipsoid(x, (67, 83, 77), middle)
        hu[cavity] = BRAIN_HU
        labels = np.zeros(grid.shape, np.uint8)
        for side in (-1, 1):
            ventricle = cavity & ellipsoid(brain_x, (6, 30, 24), (side * 10.0, -4.0, 8.0))
            hu[ventricle] = FLUID_HU
            if side == 1 and self.cast:
                hu[ventricle], labels[ventricle] = BLOOD_HU, Subtype.IVH
            hu[cavity & ellipsoid(brain_x, (8, 8, 14), (side * 38.0, -12.0, 0.0))] = FLUID_HU
        hu[cavity & (np.abs(brain_x) < 1.5) & (np.abs(y) > 45)] = FLUID_HU
        if self.bleed is not None:
            side = 1 if self.bleed_left else -1
            crescent = (
                cavity & ~ellipsoid(x, (58, 78, 70), (-side * 2.0, 0.0, 0.0)) & (side * x > 8)
            )
            hu[crescent], labels[crescent] = BLOOD_HU, self.bleed
        hu += np.random.default_rng(seed).normal(0, 4, grid.shape)
        return Volume(hu.astype(np.float32), grid), Mask(labels, grid)
