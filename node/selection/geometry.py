"""Do the slices of a series image a head without a gap? Gates on positions, not on numbers.

A slice is missing where the distance to the next one is out of line with the distances among slices
of the same thickness. A change of spacing within a series is legitimate (sequential scans take the
posterior fossa thinner than the rest) as long as slices still touch: volumes stay right, because
every position is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ml.readers.frames import (
    SAME_POSITION_MM,
    FrameHeader,
    difference,
    geometry_fault,
    heights_mm,
)
from node.selection.rejections import Caution, Criteria, Fault, Rejection

LARGEST_STEP = 1.4
"""Times the usual distance; a lost slice doubles it, or nearly where the thickness changes."""
TOUCHING = 1.25
"""Times the thickness; up to this distance slices count as touching."""
SPARSE = 1.9
"""Times the thickness; from this distance on, half of the head was not imaged, or every second
slice is lost."""
SHEAR_MM = 1.0


@dataclass(frozen=True, eq=False)
class Spacing:
    """Slices along their normal, from the feet to the head.

    Attributes
    ----------
    steps_mm
        Shape (Z - 1,): distance to the next slice.
    thickness_mm
        Shape (Z,): nominal thickness; NaN where it is not known.
    shear_mm
        Shape (Z - 1,): shift against the next slice within the plane.
    """

    steps_mm: NDArray[np.float64]
    thickness_mm: NDArray[np.float64]
    shear_mm: NDArray[np.float64]

    @classmethod
    def of(cls, frames: Sequence[FrameHeader]) -> "Spacing":
        """Arrange frames that have geometry and are parallel."""
        heights = heights_mm(frames)
        order = np.argsort(heights, kind="stable")
        positions = np.stack([np.asarray(frames[index].position_mm) for index in order])
        steps = np.diff(heights[order])
        moves = np.linalg.norm(np.diff(positions, axis=0), axis=1)
        thickness = [frames[index].slice_thickness_mm for index in order]
        return cls(
            steps_mm=steps,
            thickness_mm=np.array([np.nan if one is None else one for one in thickness]),
            shear_mm=np.sqrt(np.maximum(moves**2 - steps**2, 0)),
        )

    @property
    def median_mm(self) -> float:
        """The usual distance between slices."""
        return float(np.median(self.steps_mm))

    @property
    def extent_mm(self) -> float:
        """What the slices cover: the last one reaches as far as the others do."""
        return float(self.steps_mm.sum()) + self.median_mm

    @property
    def between_mm(self) -> NDArray[np.float64]:
        """Distance at which each slice would just touch the next, shape (Z - 1,), mm."""
        between: NDArray[np.float64] = (self.thickness_mm[:-1] + self.thickness_mm[1:]) / 2
        return between

    def usual_mm(self) -> NDArray[np.float64]:
        """Median distance among slices as thick as these, shape (Z - 1,), mm.

        Between slices of different thickness, the mean of both medians.
        """
        kinds = np.where(np.isnan(self.thickness_mm), -1, np.round(self.thickness_mm, 2))
        medians = {}
        for kind in np.unique(kinds):
            inside = (kinds[:-1] == kind) & (kinds[1:] == kind)
            medians[kind] = float(np.median(self.steps_mm[inside])) if inside.any() else np.nan
        usual = np.array([(medians[a] + medians[b]) / 2 for a, b in pairwise(kinds)])
        return np.where(np.isnan(usual), self.median_mm, usual)

    def missing(self) -> NDArray[np.bool_]:
        """Between which slices at least one is missing, shape (Z - 1,)."""
        steps, usual = self.steps_mm, self.usual_mm()
        touching = steps <= TOUCHING * self.between_mm  # False where thickness is not known
        beside = np.maximum(np.append(steps[1:], 0), np.insert(steps[:-1], 0, 0))
        changed_for_good = touching & (beside >= steps / TOUCHING)
        # half of a head that was never imaged is as absent as half of one that was lost
        sparse = (usual > SPARSE * self.between_mm) & (steps > SPARSE * self.between_mm)
        # one wide step between narrow ones is no change of spacing, even if slices still touch
        isolated = np.zeros(len(steps), bool)
        isolated[1:-1] = steps[1:-1] > LARGEST_STEP * np.maximum(steps[:-2], steps[2:])
        wide: NDArray[np.bool_] = (steps > LARGEST_STEP * usual) & ~changed_for_good
        return wide | isolated | sparse


def stack_fault(frames: Sequence[FrameHeader], criteria: Criteria) -> Fault | None:
    """Find the first gate of geometry that the frames of a series fail."""
    first = frames[0]
    for frame in frames:
        missing = geometry_fault(frame)
        if missing:
            return Fault(Rejection.NO_GEOMETRY, missing)
    for frame in frames:
        mixed = difference(first, frame)
        if mixed:
            return Fault(Rejection.MIXED, mixed)
    tilt_deg = _tilt_deg(first)
    if tilt_deg > criteria.max_tilt_deg:
        detail = f"the normal is {tilt_deg:.0f} degrees from axial, limit {criteria.max_tilt_deg:g}"
        return Fault(Rejection.NOT_AXIAL, detail)
    if len(frames) < 2:
        return Fault(Rejection.TOO_FEW_SLICES, "1 slice")
    spacing = Spacing.of(frames)
    return _gap_fault(spacing, criteria) or _coverage_fault(spacing, criteria)


def stack_cautions(frames: Sequence[FrameHeader], criteria: Criteria) -> list[Caution]:
    """Find what to know about the geometry of a series that passed the gates."""
    spacing = Spacing.of(frames)
    cautions = []
    if (spacing.shear_mm > SHEAR_MM).any():
        cautions.append(Caution.GANTRY_TILT)
    if _is_uneven(spacing, criteria):
        cautions.append(Caution.VARYING_SPACING)
    if (spacing.steps_mm > TOUCHING * spacing.between_mm).any():
        cautions.append(Caution.SLICE_GAPS)
    return cautions


def _gap_fault(spacing: Spacing, criteria: Criteria) -> Fault | None:
    steps = spacing.steps_mm
    repeated = int((steps < SAME_POSITION_MM).sum())
    if repeated:
        return Fault(Rejection.DUPLICATE_POSITIONS, f"{repeated} of {len(steps) + 1} slices")
    missing = np.flatnonzero(spacing.missing())
    if missing.size:
        worst = missing[steps[missing].argmax()]
        usual_mm = spacing.usual_mm()[worst]
        detail = f"{missing.size} gaps, the widest {steps[worst]:.2f} mm, usual {usual_mm:.2f} mm"
        return Fault(Rejection.MISSING_SLICES, detail)
    if _is_uneven(spacing, criteria) and not criteria.accept_uneven_spacing:
        return Fault(
            Rejection.UNEVEN_SPACING, f"distances from {steps.min():.2f} to {steps.max():.2f} mm"
        )
    return None


def _coverage_fault(spacing: Spacing, criteria: Criteria) -> Fault | None:
    num_slices, median = len(spacing.steps_mm) + 1, spacing.median_mm
    if num_slices < criteria.min_slices:
        detail = f"{num_slices} slices, at least {criteria.min_slices}"
        return Fault(Rejection.TOO_FEW_SLICES, detail)
    least, most = criteria.spacing_mm
    if not least <= median <= most:
        detail = f"slices are {median:.2f} mm apart, not {least:g} to {most:g}"
        return Fault(Rejection.SPACING, detail)
    shortest, longest = criteria.extent_mm
    extent = spacing.extent_mm
    detail = f"{extent:.0f} mm are covered, not {shortest:g} to {longest:g}"
    if extent < shortest:
        return Fault(Rejection.TOO_SHORT, detail)
    return Fault(Rejection.TOO_LONG, detail) if extent > longest else None


def _is_uneven(spacing: Spacing, criteria: Criteria) -> bool:
    steps = spacing.steps_mm
    return bool(steps.max() - steps.min() > criteria.spacing_tolerance * spacing.median_mm)


def _tilt_deg(frame: FrameHeader) -> float:
    """Angle between the normal and the axis from feet to head, degrees."""
    normal = frame.normal
    if normal is None:  # refused before
        return 90.0
    return float(np.rad2deg(np.arccos(min(abs(float(normal[2])), 1.0))))
