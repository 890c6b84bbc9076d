"""Sampling the slices that show a head, everything else removed."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ml.plane import Alignment, image_centres_mm, plane_axes, sample_hu, superior_normal
from ml.volume import Grid, Volume

# Axes: Z slice of the source, N sampled slices, S row or column of the sampled slice

_MOST_SLICES = 40
_FEW_SLICES = 14
"""So many show where the middle of the head lies."""
_SIZE = 128
_HEAD_MM = 270.0
"""Field of view of the search; holds a head of any size."""
_SOURCE_MM = 1.0
"""Finer source pixels are averaged to about this size first."""

_TISSUE_HU = 0.0
_BONE_HU = 150.0
_WINDOW_HU = (-30.0, 120.0)
_SMALLEST_HEAD_MM2 = 3000.0
_SMALLEST_BONE_MM2 = 200.0
_OPENING_MM = 5.0
"""What is thinner and touches the head is cut off: shells of head holders."""


@dataclass(frozen=True, eq=False)
class HeadSlices:
    """Sampled slices that show a head, everything else removed.

    Attributes
    ----------
    images
        Shape (N, S, S): 0 to 1 within the window -30 to 120 HU, 0 outside the head.
    pixel_mm
        Their pixel spacing.
    slices
        Shape (N,), index of each into the stack.
    area
        Shape (N,), pixels of the head in each.
    grid
        The source grid.
    centre_mm
        Shape (Z, 3), LPS mm: for each slice of the source the middle of its image, on a straight
        line through the middle of the head.
    """

    images: Tensor
    pixel_mm: float
    slices: NDArray[np.intp]
    area: NDArray[np.float64]
    grid: Grid
    centre_mm: NDArray[np.float64]

    @property
    def height_mm(self) -> NDArray[np.float64]:
        """Shape (Z,), position of each slice of the source along the normal, from their middle."""
        along_mm = self.grid.slice_origins_mm @ superior_normal(self.grid)
        height_mm: NDArray[np.float64] = along_mm - along_mm.mean()
        return height_mm

    def every(self, step: int) -> "HeadSlices":
        """Leave only every so many slices."""
        taken = slice(step // 2, None, step)
        return replace(
            self,
            images=self.images[taken],
            slices=self.slices[taken],
            area=self.area[taken],
        )


def head_slices(volume: Volume) -> HeadSlices | None:
    """Sample the slices that show a head, about its middle; None if no slice shows one."""
    source = volume.grid
    count = min(_MOST_SLICES, source.shape[0])
    chosen = np.linspace(0, source.shape[0] - 1, count).round().astype(np.intp)
    volume = _averaged(volume, chosen)
    grid = volume.grid
    few = chosen[:: 1 + count // _FEW_SLICES]
    unturned = Alignment(0.0, np.zeros(grid.shape[0]), _centre_line_mm(grid))
    extent_mm = max(grid.rows * grid.pixel_spacing_mm[0], grid.columns * grid.pixel_spacing_mm[1])
    pixel_mm = extent_mm / _SIZE
    hu = sample_hu(volume.hu, grid, unturned, size=_SIZE, pixel_mm=pixel_mm, slices=few)
    middles_mm = _head_middle_mm(np.stack([_head(each, pixel_mm) for each in hu]), pixel_mm)
    if middles_mm is None:
        return None

    down, right = plane_axes(grid)
    centre_mm = unturned.centre_mm + middles_mm[0] * down + middles_mm[1] * right
    centred = Alignment(0.0, np.zeros(grid.shape[0]), centre_mm)
    pixel_mm = _HEAD_MM / _SIZE
    hu = sample_hu(volume.hu, grid, centred, size=_SIZE, pixel_mm=pixel_mm, slices=chosen)
    heads = np.stack([_head(each, pixel_mm) for each in hu])
    shown = heads.any(axis=(1, 2))
    if not shown.any():
        return None
    low, high = _WINDOW_HU
    windowed = np.clip((hu[shown] - low) / (high - low), 0, 1) * heads[shown]
    return HeadSlices(
        images=torch.from_numpy(windowed.astype(np.float32)),
        pixel_mm=pixel_mm,
        slices=chosen[shown],
        area=heads[shown].sum(axis=(1, 2)).astype(np.float64),
        grid=source,
        centre_mm=centre_mm,
    )


def _averaged(volume: Volume, slices: NDArray[np.intp]) -> Volume:
    """Average source pixels to about 1 mm, in some slices; the others are left empty."""
    grid = volume.grid
    factor = int(_SOURCE_MM / max(grid.pixel_spacing_mm))
    if factor < 2:
        return volume
    rows, columns = grid.rows // factor, grid.columns // factor
    hu = np.zeros((grid.shape[0], rows, columns), np.float32)
    for index in slices:
        whole = volume.hu[index, : rows * factor, : columns * factor]
        hu[index] = whole.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    between_rows, between_columns = grid.pixel_spacing_mm
    corner = grid.column_direction * between_rows + grid.row_direction * between_columns
    averaged = Grid(
        slice_origins_mm=grid.slice_origins_mm + (factor - 1) / 2 * corner,
        row_direction=grid.row_direction,
        column_direction=grid.column_direction,
        pixel_spacing_mm=(between_rows * factor, between_columns * factor),
        rows=rows,
        columns=columns,
    )
    return Volume(hu, averaged)


def _centre_line_mm(grid: Grid) -> NDArray[np.float64]:
    """Middles of the fields of view, smoothed to a straight line, shape (Z, 3), LPS mm.

    In a stack sheared by the tilt of the gantry the line runs along the table, as the head does.
    """
    centres_mm = image_centres_mm(grid)
    if len(centres_mm) < 2:
        return centres_mm
    heights_mm = grid.slice_origins_mm @ superior_normal(grid)
    heights_mm = heights_mm - heights_mm.mean()
    line: NDArray[np.float64] = np.polyfit(heights_mm, centres_mm, 1)
    smooth_mm: NDArray[np.float64] = line[1] + heights_mm[:, None] * line[0]
    return smooth_mm


def _head(hu: NDArray[np.float32], pixel_mm: float) -> NDArray[np.bool_]:
    """Mask of the head in one sampled slice, without the head holder; empty if there is none."""
    opening = max(1, round(_OPENING_MM / 2 / pixel_mm))
    tissue = ndimage.binary_opening(hu > _TISSUE_HU, iterations=opening)
    regions, count = ndimage.label(tissue)
    nothing = np.zeros(hu.shape, bool)
    if count == 0:
        return nothing
    sizes = np.bincount(regions.ravel())
    sizes[0] = 0
    head = ndimage.binary_fill_holes(regions == sizes.argmax())
    head = ndimage.binary_dilation(head, iterations=opening)
    large = head.sum() * pixel_mm**2 >= _SMALLEST_HEAD_MM2
    bony = (hu[head] > _BONE_HU).sum() * pixel_mm**2 >= _SMALLEST_BONE_MM2
    return head if large and bony else nothing


def _head_middle_mm(heads: NDArray[np.bool_], pixel_mm: float) -> tuple[float, float] | None:
    """Middle of the head relative to that of the images (down, right), from its largest slices."""
    areas = heads.sum(axis=(1, 2))
    if not areas.any():
        return None
    middles = []
    for head in heads[areas >= 0.7 * areas.max()]:
        rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
        middles.append([(rows[0] + rows[-1]) / 2, (columns[0] + columns[-1]) / 2])
    down, right = (np.median(middles, axis=0) - (heads.shape[1] - 1) / 2) * pixel_mm
    return float(down), float(right)
