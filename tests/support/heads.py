"""Simple heads of known pose on any grid: ellipsoids, the same left and right but for one bleed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.plane import plane_axes
from ml.volume import Grid, Volume

AIR_HU, SCALP_HU, BONE_HU, BRAIN_HU, FLUID_HU, BLOOD_HU, HOLDER_HU = -1000, 20, 1000, 35, 8, 70, 90


def axial_grid(
    *,
    num_slices: int = 16,
    size: int = 128,
    pixel_mm: float = 1.8,
    step_mm: float = 8.0,
    heights_mm: NDArray[np.float64] | None = None,
    tilt_deg: float = 0.0,
) -> Grid:
    """Build a supine, head-first axial stack around the origin, stored from feet to head.

    Parameters
    ----------
    num_slices, size, pixel_mm, step_mm
        Size and spacing; `step_mm` is along the table.
    heights_mm
        Positions along the table, in place of `num_slices` and `step_mm`.
    tilt_deg
        Tilt of the gantry: the plane turns about the left-right axis, the slices advance along
        the table, so that the stack is sheared.
    """
    even_mm = (np.arange(num_slices, dtype=np.float64) - (num_slices - 1) / 2) * step_mm
    at_mm = even_mm if heights_mm is None else heights_mm
    tilt = np.deg2rad(tilt_deg)
    right = np.array([1.0, 0.0, 0.0])
    down = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    corner = -(size - 1) / 2 * pixel_mm * (right + down)
    origins = corner + at_mm[:, None] * np.array([0.0, 0.0, 1.0])
    return Grid(origins, right, down, (pixel_mm, pixel_mm), size, size)


@dataclass(frozen=True)
class Head:
    """A head in patient space.

    Attributes
    ----------
    turned_deg
        Angle about the foot-head axis; positive if the left side lies further back.
    left_mm, back_mm
        Position of its middle.
    lean
        Millimetres to the left for each millimetre up.
    bleed_left_mm
        Position of the bleed, from the midline to the left.
    holder
        Whether a shell behind the head carries it.
    """

    turned_deg: float = 0.0
    left_mm: float = 0.0
    back_mm: float = 0.0
    lean: float = 0.0
    bleed_left_mm: float = 35.0
    holder: bool = True

    def volume(self, grid: Grid, *, noise_hu: float = 4.0, seed: int = 0) -> Volume:
        """Scan the head on a grid."""
        index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
        position = grid.positions_mm(index.astype(np.float64))
        x, y, z = position[..., 0], position[..., 1], position[..., 2]
        lateral, back = self._in_head(x, y, z)

        def inside(
            a: float, b: float, c: float, at: tuple[float, float, float] = (0, 0, 0)
        ) -> NDArray[np.bool_]:
            inner: NDArray[np.bool_] = (
                ((lateral - at[0]) / a) ** 2 + ((back - at[1]) / b) ** 2 + ((z - at[2]) / c) ** 2
            ) < 1
            return inner

        hu = np.full(grid.shape, float(AIR_HU))
        if self.holder:
            radius = np.hypot(x - self.left_mm - 12, y - self.back_mm)
            hu[(radius > 108) & (radius < 112) & (y > self.back_mm - 10)] = HOLDER_HU
        hu[inside(78, 98, 95)] = SCALP_HU
        hu[inside(12, 16, 20, at=(0, -98, -40))] = SCALP_HU
        hu[inside(73, 92, 90)] = BONE_HU
        hu[inside(66, 85, 83)] = BRAIN_HU
        for side in (-1, 1):
            hu[inside(7, 25, 25, at=(side * 12, -8, 5))] = FLUID_HU
            hu[inside(10, 6, 15, at=(side * 40, 20, 0))] = FLUID_HU
        hu[inside(20, 15, 20, at=(self.bleed_left_mm, 15, 10))] = BLOOD_HU
        noise = np.random.default_rng(seed).normal(0, noise_hu, grid.shape)
        return Volume((hu + noise).astype(np.float32), grid)

    def lateral_mm(self, position_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance of points from the midline plane, positive to the left."""
        return self._in_head(*np.moveaxis(position_mm, -1, 0))[0]

    def rotation_deg(self, grid: Grid) -> float:
        """Angle of the midline within the slices, as `Alignment.rotation_deg` counts it."""
        down, right = plane_axes(grid)
        points = np.stack([np.zeros(3), down, right])
        at_origin, at_down, at_right = self.lateral_mm(points)
        return float(np.rad2deg(np.arctan2(at_down - at_origin, at_right - at_origin)))

    def _in_head(
        self, x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Left and back in the frame of the head."""
        turn = np.deg2rad(self.turned_deg)
        left, back = x - self.left_mm - self.lean * z, y - self.back_mm
        return (
            np.cos(turn) * left + np.sin(turn) * back,
            np.cos(turn) * back - np.sin(turn) * left,
        )


@dataclass(frozen=True)
class Storage:
    """How a scanner might store the same voxels: one of the sixteen ways without resampling."""

    transposed: bool = False
    rows_reversed: bool = False
    columns_reversed: bool = False
    slices_reversed: bool = False

    def grid(self, grid: Grid) -> Grid:
        """Store a grid in this way; every voxel keeps its position."""
        origins, row, column = grid.slice_origins_mm, grid.row_direction, grid.column_direction
        spacing, rows, columns = grid.pixel_spacing_mm, grid.rows, grid.columns
        if self.transposed:
            row, column = column, row
            spacing, rows, columns = (spacing[1], spacing[0]), columns, rows
        if self.rows_reversed:
            origins, column = origins + (rows - 1) * spacing[0] * column, -column
        if self.columns_reversed:
            origins, row = origins + (columns - 1) * spacing[1] * row, -row
        if self.slices_reversed:
            origins = origins[::-1]
        return Grid(origins, row, column, spacing, rows, columns)

    def array(self, array: NDArray[Any]) -> NDArray[Any]:
        """Store (Z, Y, X) values in this way."""
        if self.transposed:
            array = array.transpose(0, 2, 1)
        if self.rows_reversed:
            array = array[:, ::-1]
        if self.columns_reversed:
            array = array[:, :, ::-1]
        if self.slices_reversed:
            array = array[::-1]
        return np.ascontiguousarray(array)

    def volume(self, volume: Volume) -> Volume:
        """Store a volume in this way."""
        return Volume(self.array(volume.hu), self.grid(volume.grid))
