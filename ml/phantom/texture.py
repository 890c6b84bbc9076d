"""Smooth random fields in the head: what makes sulci wind, tissue mottle and surfaces uneven."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

from ml.phantom.shapes import Field, Place


@dataclass(frozen=True, eq=False)
class Texture:
    """A periodic random field of mean 0 and standard deviation 1.

    Attributes
    ----------
    lattice
        Shape (z, y, x), values at the lattice points; the point (0, 0, 0) is the head's origin.
    spacing_mm
        Distance between lattice points.
    """

    lattice: Field
    spacing_mm: float

    def at(self, place: Place) -> Field:
        """Sample the field at positions in the frame of the head, mm."""
        index = np.stack(place[::-1])
        index *= np.float32(1 / self.spacing_mm)
        value: Field = ndimage.map_coordinates(
            self.lattice, index, output=np.float32, order=1, mode="grid-wrap", prefilter=False
        )
        return value


def sample_texture(
    rng: np.random.Generator, *, blob_mm: float, symmetry: float, period_mm: float = 192.0
) -> Texture:
    """Draw a random field.

    Parameters
    ----------
    rng
        Source of chance.
    blob_mm
        Standard deviation of the Gaussian that smooths white noise: the size of a blob.
    symmetry
        Share of the field that is the same on both sides of the head, 0 to 1.
    period_mm
        The field repeats after this distance.
    """
    num_points = max(8, round(period_mm * 1.25 / blob_mm))
    shape = (num_points, num_points, num_points)
    left = rng.standard_normal(shape, dtype=np.float32)
    # Index i and -i are mirror images, because the field is periodic around x = 0.
    right = np.roll(left[:, :, ::-1], 1, axis=2)
    other = rng.standard_normal(shape, dtype=np.float32)
    white = symmetry * (left + right) + (1 - symmetry) * other
    spacing_mm = period_mm / num_points
    smooth: Field = ndimage.gaussian_filter(white, blob_mm / spacing_mm, mode="wrap", truncate=3)
    smooth -= smooth.mean()
    smooth /= smooth.std()
    return Texture(lattice=smooth, spacing_mm=spacing_mm)


@lru_cache(maxsize=512)
def upsampling(num_coarse: int, factor: int) -> Field:
    """Matrix (num_coarse * factor, num_coarse) of Catmull-Rom interpolation at pixel centres."""
    matrix = np.zeros((num_coarse * factor, num_coarse), np.float32)
    for fine in range(num_coarse * factor):
        position = (fine + 0.5) / factor - 0.5
        first = int(np.floor(position))
        t = position - first
        weights = (
            -0.5 * t + t * t - 0.5 * t**3,
            1 - 2.5 * t * t + 1.5 * t**3,
            0.5 * t + 2 * t * t - 1.5 * t**3,
            -0.5 * t * t + 0.5 * t**3,
        )
        for offset, weight in enumerate(weights, start=-1):
            matrix[fine, min(max(first + offset, 0), num_coarse - 1)] += weight
    return matrix


def upsample(coarse: Field, factor: int) -> Field:
    """Enlarge a smooth field `factor` times in both directions."""
    if factor == 1:
        return coarse
    rows, columns = coarse.shape
    return np.asarray(
        upsampling(rows, factor) @ coarse @ upsampling(columns, factor).T, dtype=np.float32
    )
