"""Does a volume show a whole head that was scanned without contrast medium? Checks on voxels.

Headers say what was meant; voxels say what was imaged. A head is a soft tissue of 0 to 60 HU that
fills hundreds of millilitres within bone, fades out towards the vertex, and is surrounded by air.
All is measured on voxels averaged to about 2 mm, where noise no longer matters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from config.errors import QualityError, Reason
from ml.cavity import BONE_HU, CAVITY_HU, VOXEL_MM, sides_with_bone, soft_tissue_within_bone
from ml.volume import Volume

AIR_HU = -850.0
BRAIN_HU = (0.0, 60.0)
LEAST_AIR = 0.005
"""Share of a volume; without air its values are no Hounsfield units."""
BRAIN_ML = (400.0, 2500.0)
MEDIAN_HU = (12.0, 50.0)
"""Of all soft tissue within bone: 29 to 39 in heads as a rule, less where much fluid is, whatever
bleeds; beside it, slope or intercept are wrong."""
LARGEST_TOP = 1 / 3
"""Cross-section of the uppermost slice, as a share of the largest; more, and the vertex is cut."""
LARGEST_BOTTOM = 0.6
"""Likewise of the lowest slice; more, and the posterior fossa is cut."""
LEAST_BETWEEN = 0.2
"""Soft tissue within bone of a slice, as a share of what slices below and above it show; less, and
it shows no image. At the skull base the share falls to 0.6."""
LEAST_AROUND = 0.25
"""Of the most that any slice shows; less below or above, and a slice lies at the end of a head."""
LARGEST_CUT_MM = 20.0
"""So much of the brain may end straight at an edge of the image, or at lines without an image."""
NEAR_CUT_MM = 4.0
"""Skull and scalp are thicker: nearer to an edge, they are not shown."""
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
        If there is no air around, or soft tissue is brighter or darker than it can be; if bone
        surrounds less brain than a head has, or more; if the vertex or the posterior fossa is cut
        off; if part of the brain lies outside the images or some of them show nothing; or if
        vessels are enhanced by contrast medium.
    """
    if len(volume.hu) < 2 or not np.isfinite(volume.hu).all():
        raise QualityError("The volume has fewer than two slices, or voxels without a value.")
    air = float((volume.hu < AIR_HU).mean())
    if air < LEAST_AIR:
        raise QualityError(
            f"Air fills {100 * air:.1f} % of the volume, at least {100 * LEAST_AIR:g} % is usual:"
            " values are not in Hounsfield units.",
            reason=Reason.FORMAT,
        )
    coarse = _coarse(volume)
    cavity = soft_tissue_within_bone(coarse.hu, coarse.voxel_ml[:, 0, 0])
    _check_brain(coarse, cavity)
    _check_units(coarse, cavity)
    _check_coverage(cavity)
    _check_wholeness(coarse, cavity)
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


def _check_units(coarse: _Coarse, cavity: NDArray[np.bool_]) -> None:
    median_hu = float(np.median(coarse.hu[cavity]))
    low, high = MEDIAN_HU
    if not low <= median_hu <= high:
        raise QualityError(
            f"The median within bone is {median_hu:.0f} HU, that of a brain {low:g} to {high:g}:"
            " values are not in Hounsfield units.",
            reason=Reason.FORMAT,
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


def _check_wholeness(coarse: _Coarse, cavity: NDArray[np.bool_]) -> None:
    # not the cavity, which ends where a slice shows nothing: half of the brain would be left out
    low, high = CAVITY_HU
    within_bone = sides_with_bone(coarse.hu > BONE_HU) >= 3
    areas = (within_bone & (coarse.hu > low) & (coarse.hu < high)).sum(axis=(1, 2))
    most = np.maximum.accumulate
    around = np.minimum(most(areas)[:-2], most(areas[::-1])[::-1][2:])
    empty = (areas[1:-1] < LEAST_BETWEEN * around) & (around > LEAST_AROUND * areas.max())
    if empty.any():
        raise QualityError(
            f"{empty.sum()} of {len(areas)} slices show less than {100 * LEAST_BETWEEN:.0f} % of"
            " what slices below and above them show within bone: images are damaged."
        )
    cut_mm = [
        max(
            _cut_mm(plane, hu, coarse.voxel_mm[1:]),
            _cut_mm(plane.T, hu.T, coarse.voxel_mm[:0:-1]),
        )
        for plane, hu in zip(cavity, coarse.hu, strict=True)
    ]
    num_cut = sum(length_mm > LARGEST_CUT_MM for length_mm in cut_mm)
    if num_cut:
        raise QualityError(
            f"In {num_cut} slices the brain ends straight at an edge, over {max(cut_mm):.0f} mm,"
            f" limit {LARGEST_CUT_MM:g} mm: part of the head is not shown."
        )


def _cut_mm(
    brain: NDArray[np.bool_], hu: NDArray[np.float32], voxel_mm: tuple[float, float]
) -> float:
    """Measure along how much of its first or last row the brain of a slice is cut off, mm.

    It is, if at once there is the edge of the image, or a row in which nothing varies: no image is
    so free of noise that the skull beside the brain were one.
    """
    rows = np.flatnonzero(brain.any(axis=1))
    if not len(rows):
        return 0.0
    near = max(1, round(NEAR_CUT_MM / voxel_mm[0]))
    nothing = np.pad(np.ptp(hu, axis=1) == 0, near, constant_values=True)
    first, last = rows[0], rows[-1]
    longest = 0
    # row r of the image is row r + near of the padded ones
    if nothing[first : first + near].any():
        longest = brain[first : first + 2].sum(axis=1).max()
    if nothing[last + near + 1 : last + 2 * near + 1].any():
        longest = max(longest, brain[max(last - 1, 0) : last + 1].sum(axis=1).max())
    return float(longest * voxel_mm[1])


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
