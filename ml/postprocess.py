"""From the raw label map to lesions: what is connected, and what is large enough to be reported."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ml.volume import Mask, Subtype

# Axes: Z slice, Y row, X column

_TOUCHING = np.ones((3, 3, 3), bool)
"""Voxels that share a face, an edge or a corner belong together."""

Box = tuple[slice, slice, slice]
"""Part of a (Z, Y, X) array."""


@dataclass(frozen=True, eq=False)
class Lesion:
    """One connected lesion of one subtype.

    Attributes
    ----------
    box
        The smallest part of the label map that holds it.
    inside
        Its voxels, of the shape of the box.
    volume_ml
        Volume, ml.
    """

    box: Box
    inside: NDArray[np.bool_]
    volume_ml: float


def lesions(mask: Mask, subtype: Subtype) -> tuple[Lesion, ...]:
    """Take a subtype apart into connected lesions.

    Parameters
    ----------
    mask
        At least two slices.
    subtype
        The subtype; voxels that share a face, an edge or a corner belong together.

    Returns
    -------
    tuple of Lesion
        The largest first.
    """
    whole = _bounding_box(mask.labels == subtype)
    if whole is None:
        return ()
    numbered, _ = ndimage.label(mask.labels[whole] == subtype, structure=_TOUCHING)
    voxel_ml = mask.grid.voxel_ml
    found = []
    for number, (z, y, x) in enumerate(ndimage.find_objects(numbered), 1):
        box = _within(whole, (z, y, x))
        inside = numbered[z, y, x] == number
        found.append(Lesion(box, inside, float(inside.sum(axis=(1, 2)) @ voxel_ml[box[0]])))
    return tuple(sorted(found, key=lambda lesion: -lesion.volume_ml))


def clean(mask: Mask, *, minimum_ml: Mapping[Subtype, float]) -> Mask:
    """Drop what is too small to be reported.

    Parameters
    ----------
    mask
        The raw label map, of at least two slices.
    minimum_ml
        Least volume of a lesion, ml; a subtype that is not named has none.

    Returns
    -------
    Mask
        A lesion below the minimum of its subtype is background if it lies apart. If it touches
        lesions of other subtypes that are kept, it is a part of their bleed: it becomes the
        subtype that it touches most.
    """
    kept = np.zeros_like(mask.labels)
    small: list[Lesion] = []
    for subtype in Subtype:
        for lesion in lesions(mask, subtype):
            if lesion.volume_ml >= minimum_ml.get(subtype, 0.0):
                kept[lesion.box][lesion.inside] = subtype
            else:
                small.append(lesion)
    cleaned = kept.copy()
    for lesion in small:
        cleaned[lesion.box][lesion.inside] = _subtype_around(kept, lesion)
    return Mask(cleaned, mask.grid)


def _subtype_around(kept: NDArray[np.uint8], lesion: Lesion) -> int:
    """Label that most voxels around a lesion have, background aside; 0 if there is none."""
    wider = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in lesion.box)
    around = kept[wider]
    padded = np.zeros(around.shape, bool)
    starts = [part.start - big.start for part, big in zip(lesion.box, wider, strict=True)]
    place = tuple(
        slice(start, start + size) for start, size in zip(starts, lesion.inside.shape, strict=True)
    )
    padded[place] = lesion.inside
    rim = ndimage.binary_dilation(padded, structure=_TOUCHING) & ~padded
    counts = np.bincount(around[rim], minlength=1)
    counts[0] = 0
    return int(counts.argmax())


def _bounding_box(inside: NDArray[np.bool_]) -> Box | None:
    """Find the smallest box that holds all True; None if there is none."""
    bounds = []
    for others in ((1, 2), (0, 2), (0, 1)):
        hit = np.flatnonzero(inside.any(axis=others))
        if not hit.size:
            return None
        bounds.append(slice(int(hit[0]), int(hit[-1]) + 1))
    return bounds[0], bounds[1], bounds[2]


def _within(whole: Box, part: Box) -> Box:
    """Bring a box inside another box to the array of that one."""
    z, y, x = (
        slice(outer.start + inner.start, outer.start + inner.stop)
        for outer, inner in zip(whole, part, strict=True)
    )
    return z, y, x
