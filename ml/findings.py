"""What is measured on a mask: volumes from true positions, outlines along pixel edges."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from ml.outlines import largest_region, trace
from ml.plane import Alignment
from ml.postprocess import Lesion, lesions
from ml.volume import Grid, Mask, Subtype, Volume

# Axes: Z slice, Y row, X column

MOST_LESIONS = 4
"""Lesions of one subtype that get an outline, the largest included."""
SMALLEST_FURTHER_ML = 0.5
"""From this volume on, a lesion that is not the largest gets an outline, ml."""
ONE_SIDED = 0.9
"""Share of the volume on one side of the midline from which a finding has that side."""

_FEW_POINTS = 1000
"""Up to so many points, all distances are compared directly."""


class Side(StrEnum):
    """Side of the patient on which a finding lies."""

    LEFT = "LEFT"
    RIGHT = "RIGHT"
    BOTH = "BOTH"


@dataclass(frozen=True, eq=False)
class Outline:
    """One closed outline on one source slice.

    Attributes
    ----------
    label
        Tracking identifier: ``ICH-SDH`` for the key outline of a subtype, ``ICH-SDH-2`` and so on
        for its further lesions.
    slice_index
        Index of the slice in the analysed volume.
    points
        Shape (M, 2), float64: (column, row) in pixels with the outer corner of the first pixel at
        (0, 0), as DICOM's SCOORD has it (PS3.3 C.18.6); the last point equals the first.
    area_mm2
        Area of the lesion inside the outline, mm2.
    """

    label: str
    slice_index: int
    points: NDArray[np.float64]
    area_mm2: float


@dataclass(frozen=True, eq=False)
class Finding:
    """What was measured for one subtype that is present.

    Attributes
    ----------
    subtype
        The subtype.
    volume_ml
        Volume of all its voxels, ml.
    outlines
        The first is the key outline of the subtype (largest cross-section of its largest lesion),
        the others belong to further lesions.
    mean_hu
        Mean attenuation, HU.
    max_diameter_mm
        Largest distance between two voxel centres of its largest lesion, mm.
    side
        Side of the patient, or None if that cannot be said.
    certainty_percent
        The model's score, 0 to 100; not a probability.
    """

    subtype: Subtype
    volume_ml: float
    outlines: tuple[Outline, ...]
    mean_hu: float
    max_diameter_mm: float
    side: Side | None
    certainty_percent: float


def measure(
    volume: Volume,
    mask: Mask,
    *,
    certainty_percent: Mapping[Subtype, float],
    alignment: Alignment | None,
) -> tuple[Finding, ...]:
    """Measure every subtype that a mask shows.

    Parameters
    ----------
    volume
        The source, at least two slices.
    mask
        Its lesions, on the same grid.
    certainty_percent
        The model's score of each subtype present, 0 to 100.
    alignment
        Says where the midline runs; without it no finding has a side.

    Returns
    -------
    tuple of Finding
        The largest volume first. Lesions below 0.5 ml and beyond the four largest of a subtype
        count in its volume but get no outline of their own.

    Raises
    ------
    ValueError
        If mask and volume have different shapes, or if a subtype present has no score.
    """
    if mask.grid.shape != volume.grid.shape:
        raise ValueError(f"the mask has shape {mask.grid.shape}, the volume {volume.grid.shape}")
    findings = []
    for subtype in Subtype:
        parts = lesions(mask, subtype)
        if not parts:
            continue
        if subtype not in certainty_percent:
            raise ValueError(f"{subtype.name} is present but has no score")
        findings.append(
            Finding(
                subtype=subtype,
                volume_ml=sum(part.volume_ml for part in parts),
                outlines=_outlines(subtype, parts, mask.grid),
                mean_hu=_mean_hu(volume, parts),
                max_diameter_mm=_max_diameter_mm(parts[0], mask.grid),
                side=None if alignment is None else _side(parts, mask.grid, alignment),
                certainty_percent=certainty_percent[subtype],
            )
        )
    return tuple(sorted(findings, key=lambda finding: -finding.volume_ml))


def _outlines(subtype: Subtype, parts: tuple[Lesion, ...], grid: Grid) -> tuple[Outline, ...]:
    further = [part for part in parts[1:MOST_LESIONS] if part.volume_ml >= SMALLEST_FURTHER_ML]
    return tuple(
        _key_outline(f"ICH-{subtype.name}" + (f"-{number}" if number > 1 else ""), part, grid)
        for number, part in enumerate([parts[0], *further], 1)
    )


def _key_outline(label: str, lesion: Lesion, grid: Grid) -> Outline:
    """Outline the largest cross-section of a lesion."""
    regions = [largest_region(section) for section in lesion.inside]
    areas = [int(region.sum()) for region in regions]
    place = int(np.argmax(areas))
    first_slice, first_row, first_column = (part.start for part in lesion.box)
    between_rows, between_columns = grid.pixel_spacing_mm
    return Outline(
        label=label,
        slice_index=first_slice + place,
        points=trace(regions[place]) + np.array([first_column, first_row]),
        area_mm2=areas[place] * between_rows * between_columns,
    )


def _mean_hu(volume: Volume, parts: tuple[Lesion, ...]) -> float:
    values = np.concatenate([volume.hu[part.box][part.inside] for part in parts])
    return float(values.mean(dtype=np.float64))


def _index(lesion: Lesion, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Slice, row and column of voxels of a lesion, shape (N, 3)."""
    corner = np.array([part.start for part in lesion.box])
    index: NDArray[np.float64] = (np.argwhere(inside) + corner).astype(np.float64)
    return index


def _max_diameter_mm(lesion: Lesion, grid: Grid) -> float:
    """Largest distance between two voxel centres of a lesion, mm."""
    # of each row only the first and the last voxel can be the end of a diameter
    inside = lesion.inside
    before = np.logical_or.accumulate(inside, axis=2)
    after = np.logical_or.accumulate(inside[..., ::-1], axis=2)[..., ::-1]
    ends = inside.copy()
    ends[..., 1:-1] &= ~(before[..., :-2] & after[..., 2:])
    points = grid.positions_mm(_index(lesion, ends))
    if len(points) < 2:
        return 0.0
    if len(points) > _FEW_POINTS:
        # joggled (QJ), so that points in one plane have a hull too
        points = points[ConvexHull(points, qhull_options="QJ").vertices]
    return float(pdist(points).max())


def _side(parts: tuple[Lesion, ...], grid: Grid, alignment: Alignment) -> Side:
    left_ml = all_ml = 0.0
    for part in parts:
        index = _index(part, part.inside)
        voxels_ml = grid.voxel_ml[index[:, 0].astype(np.intp)]
        left_ml += float(voxels_ml[alignment.lateral_mm(grid, index) > 0].sum())
        all_ml += float(voxels_ml.sum())
    if left_ml >= ONE_SIDED * all_ml:
        return Side.LEFT
    if left_ml <= (1 - ONE_SIDED) * all_ml:
        return Side.RIGHT
    return Side.BOTH
