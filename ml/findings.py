"""What is measured on a mask: volumes from true positions, outlines along pixel edges."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ml.volume import Subtype


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
