"""Implicit shapes: signed distances in millimetres, negative inside, and how they become edges.

Every function works on float32 arrays of any common shape; positions are in the frame of the head
(`ml.phantom.pose`): x to the left, y to the front, z to the top, in mm.
"""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating]
"""One value for each pixel of a plane; float32 throughout, for speed."""

Place = tuple[Field, Field, Field]
"""The positions x, y, z of the pixels of a plane."""

Point = tuple[float, float, float]
"""A position in the frame of the head, mm."""


def ramp(value: Field, width: float) -> Field:
    """Rise linearly from 0 to 1 while `value` goes from -width/2 to width/2."""
    rising = value * np.float32(1 / width)
    rising += np.float32(0.5)
    np.clip(rising, 0, 1, out=rising)
    return rising


def inside(distance: Field, width: float) -> Field:
    """Share of a pixel that lies in the shape, for an edge blurred over `width` mm."""
    return ramp(distance, -width)


def slit(distance: Field, half_width: Field | float, edge: float) -> Field:
    """Share of a pixel that lies in a sheet, which may be thinner than the blur of its edges.

    Parameters
    ----------
    distance
        To the middle surface of the sheet, mm, not negative.
    half_width
        Half thickness of the sheet, mm.
    edge
        Width over which edges are blurred, mm.
    """
    share = ramp(half_width - distance, edge) + ramp(half_width + distance, edge)
    share -= np.float32(1)
    return share


def capsule(at: Place, start: Point, end: Point, radii: tuple[float, float]) -> Field:
    """Signed distance to a tapered capsule, from a radius at `start` to one at `end`."""
    x, y, z = at
    ax, ay, az = (b - a for a, b in zip(start, end, strict=True))
    px, py, pz = x - start[0], y - start[1], z - start[2]
    along = np.clip((px * ax + py * ay + pz * az) / (ax * ax + ay * ay + az * az), 0, 1)
    px -= along * ax
    py -= along * ay
    pz -= along * az
    distance: Field = np.sqrt(px * px + py * py + pz * pz)
    distance -= radii[0] + (radii[1] - radii[0]) * along
    return distance


def ellipsoid(at: Place, centre: Point, radii: Point) -> Field:
    """Signed distance to an ellipsoid, exact on its surface and for a sphere."""
    px, py, pz = ((v - c) / r for v, c, r in zip(at, centre, radii, strict=True))
    distance: Field = np.sqrt(px * px + py * py + pz * pz)
    distance -= np.float32(1)
    distance *= np.float32(min(radii))
    return distance


def blend(base: Field, share: Field, value: Field | float) -> None:
    """Replace, in place, a share of each pixel of `base` by `value`."""
    base += share * (value - base)
