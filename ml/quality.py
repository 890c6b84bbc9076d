"""Does a volume show a whole head that was scanned without contrast medium? Checks on voxels.

Headers say what was meant; voxels say what was imaged. A head is a soft tissue of 0 to 60 HU that
fills hundreds of millilitres within bone, fades out towards the vertex, and is surrounded by air.
All is measured on voxels averaged to about 2 mm, where noise no longer matters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from config.errors import QualityError
from ml.volume import Volume

VOXEL_MM = 2.0
AIR_HU = -850.0
BONE_HU = 250.0
BRAIN_HU = (0.0, 60.0)
CAVITY_HU = (-10.0, 100.0)
"""Brain, fluid, clotted blood, and their mixture with noise."""
LEAST_AIR = 0.005
"""Share of a volume; without air its values are no Hounsfield units."""
BRAIN_ML = (400.0, 2500.0)
LARGEST_TOP = 1 / 3
"""Cross-section of the uppermost slice, as a share of the largest; more, and the vertex is cut."""
LARGEST_BOTTOM = 0.6
"""Likewise of the lowest slice; more, and the posterior fossa is cut."""
ENHANCED_HU = (110.0, 350.0)
"""Above clotted blood, below compact bone."""
DENSE_BONE_HU = 350.0
NEAR_BONE_MM = 4.0
"""Nearer voxels may be mixed with bone."""
LARGEST_ENHANCED_ML = 5.0
"""Calcified plexus, pineal gland and falx make up to 2.4 ml in heads without contrast medium; the
arteries and sinuses of an angiography about twice as much. A coarse gate: it sees strong
enhancement only, the header has to tell the rest."""


@dataclass(frozen=True, eq=False)
class _Coarse:
    """A volume averaged to voxels of about 2 mm, slices from the feet to the head.

    Attributes
    ----------
    hu
        Shape (Z, Y, X).
    voxel_ml
        Shape (Z, 1, 1).
    voxel_mm
        Distance between slices, rows and columns.
    """

    hu: NDArray[np.float32]
    voxel_ml: NDArray[np.float64]
    voxel_mm: tuple[float, float, float]

    def ml(self, mask: NDArray[np.bool_]) -> float:
        """Volume of a mask."""
        return float((mask * self.voxel_ml).sum())


def check_head(volume: Volume) -> None:
    """Make sure that a volume shows a whole head, as far as voxels can tell.

    Parameters
    ----------
    volume
        In Hounsfield units.

    Raises
    ------
    QualityError
        If there is no air around; if bone surrounds less brain than a head has, or more; if the
        vertex or the posterior fossa is cut off; or if vessels are enhanced by contrast medium.
    """
    if len(volume.hu) < 2 or not np.isfinite(volume.hu).all():
        raise QualityError("The volume has fewer than two slices, or voxels without a value.")
    air = float((volume.hu < AIR_HU).mean())
    if air < LEAST_AIR:
        raise QualityError(
            f"Air fills {100 * air:.1f} % of the volume, at least {100 * LEAST_AIR:g} % is usual:"
            " values are not in Hounsfield units."
        )
    coarse = _coarse(volume)
    cavity = _cavity(coarse)
    _check_brain(coarse, cavity)
    _check_coverage(cavity)
    _check_enhancement(coarse, cavity)


def _check_brain(coarse: _Coarse, cavity: NDArray[np.bool_]) -> None:
    low, high = BRAIN_HU
    brain_ml = coarse.ml(cavity & (coarse.hu > low) & (coarse.hu < high))
    least, most = BRAIN_ML
    if brain_ml < least:
        raise QualityError(
            f"Bone surrounds {brain_ml:.0f} ml of {low:g} to {high:g} HU, a brain has at least"
            f" {least:g} ml."
        )
    if brain_ml > most:
        raise QualityError(
            f"Bone surrounds {brain_ml:.0f} ml of {low:g} to {high:g} HU, a head at most"
            f" {most:g} ml."
        )


def _check_coverage(cavity: NDArray[np.bool_]) -> None:
    areas = cavity.sum(axis=(1, 2))
    top, bottom = areas[-1] / areas.max(), areas[0] / areas.max()
    if top > LARGEST_TOP:
        raise QualityError(
            f"The uppermost slice still shows {100 * top:.0f} % of the largest cross-section of"
            f" the brain, limit {100 * LARGEST_TOP:.0f} %: the vertex is cut off."
        )
    if bottom > LARGEST_BOTTOM:
        raise QualityError(
            f"The lowest slice shows {100 * bottom:.0f} % of the largest cross-section of the"
            f" brain, limit {100 * LARGEST_BOTTOM:.0f} %: the posterior fossa is cut off."
        )


def _check_enhancement(coarse: _Coarse, cavity: NDArray[np.bool_]) -> None:
    # vessels are holes in the cavity, since they are too bright for it
    filled = np.stack(
        [ndimage.binary_fill_holes(ndimage.binary_closing(plane, iterations=2)) for plane in cavity]
    )
    from_bone_mm = ndimage.distance_transform_edt(
        coarse.hu <= DENSE_BONE_HU, sampling=coarse.voxel_mm
    )
    low, high = ENHANCED_HU
    enhanced = filled & (coarse.hu > low) & (coarse.hu < high) & (from_bone_mm > NEAR_BONE_MM)
    enhanced_ml = coarse.ml(enhanced)
    if enhanced_ml > LARGEST_ENHANCED_ML:
        raise QualityError(
            f"{enhanced_ml:.1f} ml within the brain have {low:g} to {high:g} HU, limit"
            f" {LARGEST_ENHANCED_ML:g} ml: vessels seem enhanced by contrast medium."
        )


def _coarse(volume: Volume) -> _Coarse:
    """Average voxels in blocks; what is left over at the far edges is cut off."""
    grid = volume.grid
    spacing = (float(np.median(grid.slice_steps_mm)), *grid.pixel_spacing_mm)
    z, y, x = (
        max(1, min(round(VOXEL_MM / mm), size // 2))
        for mm, size in zip(spacing, grid.shape, strict=True)
    )
    num_z, num_y, num_x = grid.shape[0] // z, grid.shape[1] // y, grid.shape[2] // x
    hu = volume.hu[: num_z * z, : num_y * y, : num_x * x]
    hu = hu.reshape(num_z, z, num_y, y, num_x, x).mean(axis=(1, 3, 5), dtype=np.float32)
    voxel_ml = grid.voxel_ml[: num_z * z].reshape(num_z, z).sum(axis=1) * (y * x)
    if grid.slice_origins_mm[-1, 2] < grid.slice_origins_mm[0, 2]:
        hu, voxel_ml = hu[::-1], voxel_ml[::-1]
    return _Coarse(
        hu=hu,
        voxel_ml=voxel_ml[:, None, None],
        voxel_mm=(spacing[0] * z, spacing[1] * y, spacing[2] * x),
    )


def _cavity(coarse: _Coarse) -> NDArray[np.bool_]:
    """Find the largest soft tissue within bone, shape (Z, Y, X).

    A voxel is within bone if there is bone on three of its four sides: the fourth may be missing
    after a craniectomy.
    """
    bone = coarse.hu > BONE_HU
    low, high = CAVITY_HU
    tissue = (sides_with_bone(bone) >= 3) & (coarse.hu > low) & (coarse.hu < high)
    in_plane = np.ones((1, 3, 3), bool)
    # thinned, so that the brain does not hang together with the neck through the skull base
    core, num_parts = ndimage.label(ndimage.binary_erosion(tissue, in_plane))
    if not num_parts:
        return np.zeros(bone.shape, bool)
    parts_ml = ndimage.sum_labels(
        np.broadcast_to(coarse.voxel_ml, bone.shape), core, np.arange(1, num_parts + 1)
    )
    largest = core == 1 + int(np.argmax(parts_ml))
    cavity: NDArray[np.bool_] = ndimage.binary_dilation(largest, in_plane, mask=tissue)
    return cavity


def sides_with_bone(bone: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Count on how many of four sides, along rows and columns, there is bone."""
    sides = np.zeros(bone.shape, np.uint8)
    for axis in (1, 2):
        sides += np.logical_or.accumulate(bone, axis=axis)
        sides += np.flip(np.logical_or.accumulate(np.flip(bone, axis), axis=axis), axis)
    return sides
