"""One infinitely thin plane through the head: where its pixels lie and the random fields there."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml.phantom.anatomy import Head
from ml.phantom.pose import Pose
from ml.phantom.shapes import Field, Place, Point
from ml.phantom.texture import Texture, upsample
from ml.volume import Grid

Window = tuple[slice, slice]
"""Rows and columns of a part of an image."""

_COARSE_MM = 1.9
"""Random fields are smooth: they are sampled at about this distance and interpolated."""
_BLOCK = 8
"""Windows on the image are multiples of this many pixels, so that coarse pixels fit."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The part of an image plane that can contain the head.

    Attributes
    ----------
    window
        This part of the whole image.
    place
        Positions of its pixels in the frame of the head.
    coarse_place
        Positions of blocks of `coarse_factor` pixels in each direction.
    coarse_factor
        How many pixels a coarse one spans.
    pixel_mm
        Distance between pixels.
    edge_mm
        Width over which edges are blurred.
    corner, across, down, normal
        The plane in the frame of the head: first pixel of the window, the steps to the next
        column and row, mm, and the unit normal.
    drift, mottle
        The head's random fields of these names, at the pixels.
    """

    window: Window
    place: Place
    coarse_place: Place
    coarse_factor: int
    pixel_mm: float
    edge_mm: float
    corner: NDArray[np.float64]
    across: NDArray[np.float64]
    down: NDArray[np.float64]
    normal: NDArray[np.float64]
    drift: Field
    mottle: Field

    @property
    def shape(self) -> tuple[int, int]:
        """(Y, X) of the window."""
        rows, columns = self.place[0].shape
        return rows, columns

    def sample(self, texture: Texture) -> Field:
        """Sample a random field at the pixels."""
        return upsample(texture.at(self.coarse_place), self.coarse_factor)

    def part(self, found: NDArray[np.bool_]) -> tuple["Plane", Window]:
        """Cut the plane down to the blocks of pixels that contain `found`, shape (Y, X)."""
        rows, columns = _pixel_bounds(found, axis=0), _pixel_bounds(found, axis=1)
        window = (rows, columns)
        first = self.window
        factor = self.coarse_factor
        coarse = tuple(slice(s.start // factor, s.stop // factor) for s in window)
        part = replace(
            self,
            window=(_moved(rows, first[0].start), _moved(columns, first[1].start)),
            place=cut(self.place, window),
            coarse_place=cut(self.coarse_place, (coarse[0], coarse[1])),
            corner=self.corner + rows.start * self.down + columns.start * self.across,
            drift=self.drift[window],
            mottle=self.mottle[window],
        )
        return part, window

    def near(self, centre: Point, radius_mm: float) -> Window | None:
        """Find the part of the window within `radius_mm` of a point, None if there is none."""
        offset = np.asarray(centre) - self.corner
        height_mm = float(offset @ self.normal)
        if abs(height_mm) >= radius_mm:
            return None
        reach = np.sqrt(radius_mm**2 - height_mm**2) / self.pixel_mm
        spans = []
        for step, size in zip((self.down, self.across), self.shape, strict=True):
            middle = float(offset @ step) / self.pixel_mm**2
            first, last = max(int(middle - reach), 0), min(int(middle + reach) + 2, size)
            if first >= last:
                return None
            spans.append(slice(first, last))
        return spans[0], spans[1]


def cut(place: Place, window: Window) -> Place:
    """Take the positions in a part of a plane."""
    x, y, z = place
    return x[window], y[window], z[window]


def make_plane(
    head: Head, pose: Pose, grid: Grid, position: float, *, edge_mm: float
) -> Plane | None:
    """Lay a plane through the head.

    Parameters
    ----------
    position
        Where the plane lies, counted in slices; 0.5 is half way between the first two.
    edge_mm
        Width over which edges are blurred.

    Returns
    -------
    Plane | None
        None if the plane misses the head.
    """
    whole = np.arange(grid.shape[0])
    origin = np.array([np.interp(position, whole, grid.slice_origins_mm[:, k]) for k in range(3)])
    outside = position - np.clip(position, 0, grid.shape[0] - 1)
    origin += outside * (grid.slice_origins_mm[1] - grid.slice_origins_mm[0])
    pixel_mm = grid.pixel_spacing_mm[0]
    corner = pose.head_of_point(origin)
    across = pose.head_of_direction(grid.row_direction) * pixel_mm
    down = pose.head_of_direction(grid.column_direction) * pixel_mm
    blocks = _places(corner, across, down, (_span(grid.rows, _BLOCK), _span(grid.columns, _BLOCK)))
    found = _may_be_head(head, blocks)
    if not found.any():
        return None
    rows, columns = _bounds(found, axis=0), _bounds(found, axis=1)
    factor = next(f for f in (8, 4, 2, 1) if f == 1 or f * pixel_mm <= _COARSE_MM)
    coarse = _places(corner, across, down, (_within(rows, factor), _within(columns, factor)))
    return Plane(
        window=(rows, columns),
        place=_places(corner, across, down, (_within(rows, 1), _within(columns, 1))),
        coarse_place=coarse,
        coarse_factor=factor,
        pixel_mm=pixel_mm,
        edge_mm=edge_mm,
        corner=corner + rows.start * down + columns.start * across,
        across=across,
        down=down,
        normal=np.cross(across, down) / pixel_mm**2,
        drift=upsample(head.textures.drift.at(coarse), factor),
        mottle=upsample(head.textures.mottle.at(coarse), factor),
    )


def _span(size: int, factor: int) -> Field:
    """Centres of blocks of `factor` pixels, in pixels."""
    return (np.arange(size // factor, dtype=np.float32) + 0.5) * factor - 0.5


def _within(pixels: slice, factor: int) -> Field:
    return _span(pixels.stop - pixels.start, factor) + np.float32(pixels.start)


def _bounds(found: NDArray[np.bool_], *, axis: int) -> slice:
    """Pixels along an axis in which blocks were found."""
    blocks = np.unique(np.nonzero(found)[axis])
    return slice(int(blocks[0]) * _BLOCK, int(blocks[-1] + 1) * _BLOCK)


def _pixel_bounds(found: NDArray[np.bool_], *, axis: int) -> slice:
    """Pixels along an axis that contain what was found, in whole blocks."""
    pixels = np.flatnonzero(found.any(axis=1 - axis))
    return slice(int(pixels[0]) // _BLOCK * _BLOCK, (int(pixels[-1]) // _BLOCK + 1) * _BLOCK)


def _moved(pixels: slice, start: int) -> slice:
    return slice(pixels.start + start, pixels.stop + start)


def _places(
    corner: NDArray[np.float64],
    across: NDArray[np.float64],
    down: NDArray[np.float64],
    pixels: tuple[Field, Field],
) -> Place:
    """Positions in the frame of the head of pixels given by their rows and columns."""
    rows, columns = pixels
    x, y, z = (
        np.float32(corner[k])
        + rows[:, None] * np.float32(down[k])
        + columns[None, :] * np.float32(across[k])
        for k in range(3)
    )
    return x, y, z


def _may_be_head(head: Head, place: Place) -> NDArray[np.bool_]:
    """Mark coarse positions that can be head, generously."""
    x, y, z = place
    around_mm = head.skull.thickness_mm + head.skull.scalp_mm + 9
    if head.mimics.scalp_haematoma is not None:
        around_mm += head.mimics.scalp_haematoma[1]
    width = head.skull.half_width_mm + around_mm
    length = head.skull.half_length_mm + around_mm
    height = head.skull.height_mm + around_mm
    skull = (np.abs(x) / width) ** 2.2 + (np.abs(y) / length) ** 2.2
    skull += (np.maximum(z, 0) / height) ** 2.2
    face = (z < -15) & (np.abs(x) < width) & (np.abs(y - 30) < 88)
    found: NDArray[np.bool_] = (skull < 1) | face
    return found
