"""Is there a head in the volume that the model may judge? Asked of pixels, not of words.

A head is a ring of bone with half a litre or more of soft tissue in it. A plastic phantom, a chest
or a stack of noise is none, whatever its header says. The thresholds are engineering values.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from config.errors import QualityError
from ml.volume import Volume

# Axes: Z slice, Y row, X column

BONE_HU = 300.0
SOFT_TISSUE_HU = (-10.0, 90.0)
"""Fluid, brain and fresh blood, noise included."""
SMALLEST_BRAIN_ML = 400.0
AIR_HU = -500.0
"""A CT of a head shows the air around it; stored values that are no Hounsfield units do not."""

_SAMPLE_MM = 2.0
_GAP_MM = 6.0
"""Sutures and partial volume: holes of the ring that are closed before it is filled."""
_RIM_MM = 4.0
"""Left out beside the bone, where partial volume is neither."""


def check_head(volume: Volume) -> None:
    """Make sure that a volume shows a head.

    Raises
    ------
    QualityError
        If there is no air around, or bone does not enclose enough soft tissue.
    """
    if float(volume.hu.min()) > AIR_HU:
        raise QualityError("The images show no air: their values are no Hounsfield units.")
    enclosed_ml = enclosed_tissue_ml(volume)
    if enclosed_ml < SMALLEST_BRAIN_ML:
        raise QualityError(
            f"No brain was found: bone encloses {enclosed_ml:.0f} ml of soft tissue, "
            f"{SMALLEST_BRAIN_ML:.0f} ml are needed."
        )


def enclosed_tissue_ml(volume: Volume) -> float:
    """Volume of soft tissue that bone encloses, slice by slice, ml."""
    grid = volume.grid
    stride = max(1, round(_SAMPLE_MM / max(grid.pixel_spacing_mm)))
    hu = volume.hu[:, ::stride, ::stride]
    pixel_mm = max(grid.pixel_spacing_mm) * stride
    soft = (hu > SOFT_TISSUE_HU[0]) & (hu < SOFT_TISSUE_HU[1])
    counts = [
        int((tissue & _enclosed(bone, pixel_mm)).sum())
        for tissue, bone in zip(soft, hu > BONE_HU, strict=True)
    ]
    return float(np.array(counts) @ grid.voxel_ml) * stride**2


def _enclosed(bone: NDArray[np.bool_], pixel_mm: float) -> NDArray[np.bool_]:
    """Region (Y, X) within a ring of bone, without a rim beside it."""
    closing, rim = max(1, round(_GAP_MM / pixel_mm)), max(1, round(_RIM_MM / pixel_mm))
    padded = np.pad(bone, closing + 1)
    closed = ndimage.binary_closing(padded, iterations=closing)
    inside = ndimage.binary_fill_holes(closed) & ~closed
    inner = ndimage.binary_erosion(inside, iterations=rim)
    cut = closing + 1
    region: NDArray[np.bool_] = inner[cut:-cut, cut:-cut]
    return region
