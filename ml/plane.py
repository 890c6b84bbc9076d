"""The canonical plane of a slice: how the network's pixels lie on those of the source.

Whatever the directions of a source image, the network sees it in one orientation: image right is
the patient's left (LPS +x), image down is the patient's back (LPS +y), each as nearly as the plane
of the slice allows. Slices stay slices: a tilted gantry stays tilted, nothing is interpolated
between slices. Within the plane an `Alignment` turns and shifts the image until the midline of the
head is its vertical centre line.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ml.volume import Grid

# Axes: Z slice, Y row, X column, C channel

AIR_HU = -1000.0
"""What lies outside the field of view."""

_PLANE_IS_SAGITTAL = 0.1
"""Below this length of +x within the plane, +y says which way the image is turned."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where the midline of the head runs through each slice.

    Attributes
    ----------
    rotation_deg
        Angle by which the head is turned within the plane of the slices, degrees; positive if its
        left side lies further back (the face looks to the patient's left; clockwise in the
        canonical image).
    shift_mm
        Shape (Z,), mm: distance from `centre_mm` to the midline of each slice, along the turned
        left-right axis; positive towards the patient's left.
    centre_mm
        Shape (Z, 3), LPS mm: the point of each slice about which the image is turned; before the
        shift, this is the middle of the canonical image.
    """

    rotation_deg: float
    shift_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]

    def __post_init__(self) -> None:
        """Refuse shapes that do not belong together."""
        if self.centre_mm.shape != (len(self.shift_mm), 3):
            raise ValueError(
                f"centres have shape {self.centre_mm.shape}, not ({len(self.shift_mm)}, 3)"
            )

    @classmethod
    def identity(cls, grid: Grid) -> "Alignment":
        """Alignment that neither turns nor shifts: each image keeps its own middle."""
        return cls(0.0, np.zeros(grid.shape[0]), image_centres_mm(grid))

    def axes(self, grid: Grid) -> NDArray[np.float64]:
        """Directions of the aligned image, shape (2, 3), LPS unit vectors: down, then right."""
        down, right = plane_axes(grid)
        turn = np.deg2rad(self.rotation_deg)
        return np.stack(
            [np.cos(turn) * down - np.sin(turn) * right, np.cos(turn) * right + np.sin(turn) * down]
        )

    def lateral_mm(self, grid: Grid, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """Signed distance of voxels from the midline.

        Parameters
        ----------
        grid
            The grid for which this alignment was made.
        index
            Shape (..., 3): slice (whole), row and column.

        Returns
        -------
        NDArray
            Shape (...), mm; positive on the patient's left.
        """
        right = self.axes(grid)[1]
        slices = index[..., 0].astype(np.intp)
        from_centre = grid.positions_mm(index) - self.centre_mm[slices]
        lateral: NDArray[np.float64] = from_centre @ right - self.shift_mm[slices]
        return lateral


def superior_normal(grid: Grid) -> NDArray[np.float64]:
    """Return the unit normal of the slices that points to the head, shape (3,), LPS."""
    return grid.normal if grid.normal[2] >= 0 else -grid.normal


def plane_axes(grid: Grid) -> NDArray[np.float64]:
    """Directions of the canonical image, shape (2, 3), LPS unit vectors: down, then right.

    Right is +x projected on the plane, down completes it with the normal that points to the head.
    They depend on the plane alone, not on the directions in which the source stores its pixels.
    """
    normal = superior_normal(grid)
    right = np.array([1.0, 0.0, 0.0]) - normal[0] * normal
    if np.linalg.norm(right) < _PLANE_IS_SAGITTAL:
        right = np.array([0.0, 1.0, 0.0]) - normal[1] * normal
    right /= np.linalg.norm(right)
    return np.stack([np.cross(normal, right), right])


def image_centres_mm(grid: Grid) -> NDArray[np.float64]:
    """Middle of the field of view of each slice, shape (Z, 3), LPS mm."""
    middle = np.array([0.0, (grid.rows - 1) / 2, (grid.columns - 1) / 2])
    index = np.tile(middle, (grid.shape[0], 1))
    index[:, 0] = np.arange(grid.shape[0])
    return grid.positions_mm(index)


def source_to_plane(
    grid: Grid, alignment: Alignment, *, size: int, pixel_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Affine maps from source pixels to pixels of the aligned image.

    Parameters
    ----------
    grid
        The source grid.
    alignment
        Made for that grid.
    size
        Rows and columns of the aligned image.
    pixel_mm
        Its pixel spacing, mm.

    Returns
    -------
    matrix : NDArray
        Shape (2, 2).
    offsets : NDArray
        Shape (Z, 2). Aligned (row, column) of slice z = matrix @ source (row, column) + offsets[z].

    Raises
    ------
    ValueError
        If the alignment is for another number of slices.
    """
    if len(alignment.shift_mm) != grid.shape[0]:
        raise ValueError(
            f"the alignment has {len(alignment.shift_mm)} slices, the grid {grid.shape[0]}"
        )
    axes = alignment.axes(grid)
    between_rows, between_columns = grid.pixel_spacing_mm
    steps = np.stack([grid.column_direction * between_rows, grid.row_direction * between_columns])
    middles = alignment.centre_mm + alignment.shift_mm[:, None] * axes[1]
    offsets = (grid.slice_origins_mm - middles) @ axes.T / pixel_mm + (size - 1) / 2
    return axes @ steps.T / pixel_mm, offsets


def inverse(
    matrix: NDArray[np.float64], offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inverse of the affine maps that `source_to_plane` returns, in the same form."""
    back = np.linalg.inv(matrix).astype(np.float64)
    return back, -offsets @ back.T


def sample(
    image_CYX: Tensor,
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    shape: tuple[int, int],
    *,
    nearest: bool = False,
) -> Tensor:
    """Sample an image on the pixels of another one.

    Parameters
    ----------
    image_CYX
        Shape (C, Y, X), floating point.
    matrix
        Shape (2, 2).
    offset
        Shape (2,). Pixel (row, column) of the result is taken at matrix @ (row, column) + offset.
    shape
        Rows and columns of the result.
    nearest
        Take the nearest pixel instead of interpolating between four.

    Returns
    -------
    Tensor
        Shape (C, *shape); what lies outside the image counts as 0.
    """
    rows = np.arange(shape[0])[:, None]
    columns = np.arange(shape[1])[None, :]
    # grid_sample counts from -1 to 1 between the outer edges of the image, x before y
    height, width = image_CYX.shape[1:]
    where = np.empty((*shape, 2), np.float32)
    for axis, (line, extent) in enumerate(((1, width), (0, height))):
        at = matrix[line, 0] * rows + (matrix[line, 1] * columns + (offset[line] + 0.5))
        where[..., axis] = at * (2 / extent) - 1
    return functional.grid_sample(
        image_CYX[None],
        torch.from_numpy(where)[None],
        mode="nearest" if nearest else "bilinear",
        padding_mode="zeros",
        align_corners=False,
    )[0]


def sample_hu(
    hu: NDArray[np.float32],
    grid: Grid,
    alignment: Alignment,
    *,
    size: int,
    pixel_mm: float,
    slices: NDArray[np.intp] | None = None,
) -> NDArray[np.float32]:
    """Sample slices on the aligned image, averaging where the source is finer.

    Parameters
    ----------
    hu
        Shape (Z, Y, X), HU, on `grid`.
    grid, alignment, size, pixel_mm
        As in `source_to_plane`.
    slices
        Shape (N,), indices of the slices to sample; all of them if None.

    Returns
    -------
    NDArray
        Shape (N, size, size), HU; `AIR_HU` outside the field of view.
    """
    # one sample in each source pixel that an aligned pixel covers: less noise, no aliasing
    finer = max(1, round(pixel_mm / max(grid.pixel_spacing_mm)))
    matrix, offsets = inverse(
        *source_to_plane(grid, alignment, size=size * finer, pixel_mm=pixel_mm / finer)
    )
    chosen = np.arange(grid.shape[0]) if slices is None else slices
    aligned = np.empty((len(chosen), size, size), np.float32)
    for place, index in enumerate(chosen):
        # padding outside the scan circle may be stored far below air
        above_air = torch.from_numpy(np.maximum(hu[index] - AIR_HU, 0.0))[None]
        fine = sample(above_air, matrix, offsets[index], (size * finer, size * finer))
        aligned[place] = functional.avg_pool2d(fine, finer)[0].numpy() + AIR_HU
    return aligned
