"""Where the brain lies: the cranial cavity, from bone around soft tissue.

All is measured on voxels averaged to about 2 mm, where noise no longer matters.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ml.preprocess import AlignedVolume

# Axes: Z slice, Y row, X column, S row and column of the aligned image

VOXEL_MM = 2.0
"""About the size of the voxels that `soft_tissue_within_bone` expects, in the plane of a slice."""
BONE_HU = 250.0
CAVITY_HU = (-10.0, 100.0)
"""Brain, fluid, clotted blood, and their mixture with noise."""
LEAST_ML = 400.0
"""A cavity smaller than a brain was not found right."""

_IN_PLANE = np.ones((1, 3, 3), bool)
_CLOSED_GAPS = 2
"""Voxels by which gaps are closed from either side: air in a sulcus, metal, calcified vessels."""


def soft_tissue_within_bone(
    hu_ZYX: NDArray[np.float32], voxel_ml: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Find the largest soft tissue within bone.

    A voxel is within bone if there is bone on three of its four sides: the fourth may be missing
    after a craniectomy.

    Parameters
    ----------
    hu_ZYX
        Slices of voxels of about `VOXEL_MM`.
    voxel_ml
        Volume of a voxel of each slice, shape (Z,).

    Returns
    -------
    NDArray
        Of the shape of `hu_ZYX`; all False if there is none.
    """
    low, high = CAVITY_HU
    tissue = (sides_with_bone(hu_ZYX > BONE_HU) >= 3) & (hu_ZYX > low) & (hu_ZYX < high)
    # thinned, so that the brain does not hang together with the neck through the skull base
    core, num_parts = ndimage.label(ndimage.binary_erosion(tissue, _IN_PLANE))
    if not num_parts:
        return np.zeros(hu_ZYX.shape, bool)
    parts_ml = ndimage.sum_labels(
        np.broadcast_to(voxel_ml[:, None, None], hu_ZYX.shape), core, np.arange(1, num_parts + 1)
    )
    largest = core == 1 + int(np.argmax(parts_ml))
    found: NDArray[np.bool_] = ndimage.binary_dilation(largest, _IN_PLANE, mask=tissue)
    return found


def cranial_cavity(aligned: AlignedVolume) -> NDArray[np.bool_]:
    """Find where blood within the skull can lie: muscle, scalp, orbits and neck are left out.

    Returns
    -------
    NDArray
        Shape (Z, S, S). The soft tissue within bone with whatever it encloses, and about 2 mm
        around it, where voxels are half bone and half blood. All True if no cavity of the size of
        a brain was found: then nothing may be left out.
    """
    spec, steps_mm = aligned.spec, aligned.grid.slice_steps_mm
    block = max(1, round(VOXEL_MM / spec.pixel_mm))
    num = spec.size // block
    hu = aligned.hu[:, : num * block, : num * block]
    hu = hu.reshape(len(hu), num, block, num, block).mean(axis=(2, 4), dtype=np.float32)
    voxel_ml = steps_mm * (block * spec.pixel_mm) ** 2 / 1000
    tissue = soft_tissue_within_bone(hu, voxel_ml)
    if tissue.sum(axis=(1, 2)) @ voxel_ml < LEAST_ML:
        return np.ones(aligned.hu.shape, bool)
    whole = np.stack([_without_gaps(plane) for plane in tissue])
    cavity = np.zeros(aligned.hu.shape, bool)
    fine = ndimage.binary_dilation(whole, _IN_PLANE).repeat(block, axis=1).repeat(block, axis=2)
    cavity[:, : num * block, : num * block] = fine
    return cavity


def disbelieve_outside(probability_CYX: NDArray[np.float32], cavity_YX: NDArray[np.bool_]) -> None:
    """Call everything outside the cavity background, in place, whatever a network says of it.

    Parameters
    ----------
    probability_CYX
        Of each class in one slice, background first.
    cavity_YX
        The same slice of `cranial_cavity`.
    """
    probability_CYX[0, ~cavity_YX] = 1
    probability_CYX[1:, ~cavity_YX] = 0


def sides_with_bone(bone: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Count on how many of four sides, along rows and columns, there is bone."""
    sides = np.zeros(bone.shape, np.uint8)
    for axis in (1, 2):
        sides += np.logical_or.accumulate(bone, axis=axis)
        sides += np.flip(np.logical_or.accumulate(np.flip(bone, axis), axis=axis), axis)
    return sides


def _without_gaps(plane: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # beyond the edge there must be room to grow before shrinking
    wider = np.pad(plane, _CLOSED_GAPS)
    closed = ndimage.binary_closing(wider, iterations=_CLOSED_GAPS)
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(closed)
    return filled[_CLOSED_GAPS:-_CLOSED_GAPS, _CLOSED_GAPS:-_CLOSED_GAPS]
