"""The one convention of space: arrays are (Z, Y, X), positions are patient LPS millimetres.

Axis Z counts slices, Y image rows, X image columns, exactly as the source images store them; no
axis is ever flipped. LPS is the coordinate system of DICOM (PS3.3 C.7.6.2.1.1): +x to the patient's
left, +y to the back, +z to the head. The centre of the first pixel of a slice lies at its origin
(Image Position (Patient)).

Slices of one stack are parallel, but they may be sheared (gantry tilt) and unevenly spaced: a
`Grid` therefore keeps the origin of each slice instead of one spacing.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

# Axes: Z slice, Y row, X column


class Subtype(IntEnum):
    """Subtype of intracranial haemorrhage; the value is the one in every label map, 0 is none."""

    IPH = 1
    """Intraparenchymal."""
    IVH = 2
    """Intraventricular."""
    EDH = 3
    """Epidural."""
    SDH = 4
    """Subdural."""
    SAH = 5
    """Subarachnoid."""


NUM_CLASSES = 1 + len(Subtype)
"""Background and the five subtypes."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of a stack of parallel slices lie.

    Attributes
    ----------
    slice_origins_mm
        Shape (Z, 3), LPS mm: centre of the first pixel of each slice, along `normal` in strictly
        rising or strictly falling order.
    row_direction
        Shape (3,), unit vector in which the column index rises (first half of Image Orientation).
    column_direction
        Shape (3,), unit vector in which the row index rises (second half of Image Orientation).
    pixel_spacing_mm
        (between rows, between columns), mm, in the order of DICOM's Pixel Spacing.
    rows, columns
        Size of a slice in pixels.
    """

    slice_origins_mm: NDArray[np.float64]
    row_direction: NDArray[np.float64]
    column_direction: NDArray[np.float64]
    pixel_spacing_mm: tuple[float, float]
    rows: int
    columns: int

    def __post_init__(self) -> None:
        """Refuse a grid that is none: the last gate before geometry is trusted."""
        if self.slice_origins_mm.ndim != 2 or self.slice_origins_mm.shape[1] != 3:
            raise ValueError(f"slice origins have shape {self.slice_origins_mm.shape}, not (Z, 3)")
        if abs(float(self.row_direction @ self.column_direction)) > 1e-3:
            raise ValueError("row and column direction are not perpendicular")
        if min(self.pixel_spacing_mm) <= 0:
            raise ValueError(f"pixel spacing {self.pixel_spacing_mm} is not positive")
        steps = np.diff(self.slice_origins_mm @ self.normal)
        if steps.size and not ((steps > 0).all() or (steps < 0).all()):
            raise ValueError("slices are not in order along their normal")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(Z, Y, X)."""
        return len(self.slice_origins_mm), self.rows, self.columns

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit normal of the slices, shape (3,), LPS; row direction x column direction."""
        normal: NDArray[np.float64] = np.cross(self.row_direction, self.column_direction)
        return normal

    @property
    def slice_steps_mm(self) -> NDArray[np.float64]:
        """Extent along the normal for which each slice stands, shape (Z,), mm.

        Half the distance to each neighbour; an end slice counts the whole distance to its only
        neighbour. Right for tilted gantries and for changing spacing. A single slice has none.

        Raises
        ------
        ValueError
            If there is only one slice.
        """
        positions = self.slice_origins_mm @ self.normal
        if len(positions) < 2:
            raise ValueError("one slice has no extent along its normal")
        gaps = np.abs(np.diff(positions))
        steps_mm: NDArray[np.float64] = np.append(gaps, gaps[-1]) + np.insert(gaps, 0, gaps[0])
        return steps_mm / 2

    @property
    def voxel_ml(self) -> NDArray[np.float64]:
        """Volume of one voxel of each slice, shape (Z,), ml."""
        between_rows, between_columns = self.pixel_spacing_mm
        return self.slice_steps_mm * (between_rows * between_columns / 1000)

    def positions_mm(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions of voxels.

        Parameters
        ----------
        index
            Shape (..., 3): slice (whole), row and column (may be fractional).

        Returns
        -------
        NDArray
            Shape (..., 3), LPS mm (PS3.3 equation C.7.6.2.1-1).
        """
        between_rows, between_columns = self.pixel_spacing_mm
        origins = self.slice_origins_mm[index[..., 0].astype(np.intp)]
        down = index[..., 1:2] * (self.column_direction * between_rows)
        across = index[..., 2:3] * (self.row_direction * between_columns)
        position: NDArray[np.float64] = origins + down + across
        return position


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT stack in Hounsfield units.

    Attributes
    ----------
    hu
        Shape (Z, Y, X), float32, HU.
    grid
        Where the voxels lie; of the same shape.
    """

    hu: NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        """Refuse voxels that are not on the grid."""
        if self.hu.shape != self.grid.shape:
            raise ValueError(f"voxels have shape {self.hu.shape}, the grid {self.grid.shape}")


@dataclass(frozen=True, eq=False)
class Mask:
    """A label map on the grid of its source volume.

    Attributes
    ----------
    labels
        Shape (Z, Y, X), uint8: 0 or the value of a `Subtype`.
    grid
        The grid of the source volume, unchanged.
    """

    labels: NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        """Refuse labels that are not on the grid, or that name no subtype."""
        if self.labels.shape != self.grid.shape:
            raise ValueError(f"labels have shape {self.labels.shape}, the grid {self.grid.shape}")
        if self.labels.size and int(self.labels.max()) > max(Subtype):
            raise ValueError(f"label {int(self.labels.max())} names no subtype")

    def volume_ml(self, subtype: Subtype) -> float:
        """Volume of a subtype, ml, from the true voxel geometry."""
        return float((self.labels == subtype).sum(axis=(1, 2)) @ self.grid.voxel_ml)
