"""What is kept of one study: a few numbers, from which every figure of a report is computed.

All is measured on the grid of the source with true voxel volumes, on the mask that the node would
report: `ml.postprocess.clean` with the least volumes of the model's card.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from config.errors import UsageError
from ml.checkpoint import Thresholds
from ml.inference import Prediction
from ml.postprocess import clean, lesions
from ml.volume import Mask, Subtype

# Axes: Z slice, Y row, X column

ANY = "ICH"
"""Name of haemorrhage of any subtype."""
KINDS: tuple[str, ...] = (ANY, *(subtype.name for subtype in Subtype))
"""What is measured: haemorrhage of any subtype first, then each subtype."""


class Decision(StrEnum):
    """What the node says of a case, by its score and its lesions."""

    POSITIVE = "POSITIVE"
    BORDERLINE = "BORDERLINE"
    NEGATIVE = "NEGATIVE"


@dataclass(frozen=True)
class Overlap:
    """True and claimed volume of one kind of haemorrhage in one study.

    Attributes
    ----------
    truth_ml, said_ml
        Volume in the truth and in the mask that is reported, ml.
    both_ml
        Volume that is in both, ml.
    """

    truth_ml: float
    said_ml: float
    both_ml: float

    def __post_init__(self) -> None:
        """Refuse volumes that cannot be of two masks and their overlap."""
        if not -1e-9 <= self.both_ml <= min(self.truth_ml, self.said_ml) + 1e-9:
            raise ValueError("the overlap is larger than what overlaps")

    @property
    def present(self) -> bool:
        """Whether the truth has it."""
        return self.truth_ml > 0

    @property
    def claimed(self) -> bool:
        """Whether it is reported."""
        return self.said_ml > 0

    @property
    def dice(self) -> float | None:
        """2 |P and G| / (|P| + |G|); None if the truth has none of it.

        Equation 7 of Nijiati et al. 2022 has the union below, which would be another figure.
        """
        return 2 * self.both_ml / (self.truth_ml + self.said_ml) if self.present else None


@dataclass(frozen=True)
class CaseResult:
    """What was measured of one study.

    Attributes
    ----------
    study_id, patient_id
        As in the manifest of the data set.
    slice_thickness_mm
        Median distance between slices, mm.
    score
        `ml.scoring.case_score`.
    any_voxel
        Whether one voxel was predicted at all, nothing left out: the paper's rule for a diagnosis.
    of
        By name of `KINDS`; `ANY` alone if the truth does not tell subtypes apart.
    largest_ml
        For the name of each subtype the largest predicted lesion, nothing left out, ml. From it
        the decision follows for any thresholds.
    seconds
        From the volume to the prediction.
    unfamiliar
        Whether the volume looks unlike those of the training (`ml.familiarity`): the node then
        reports no more than a partial result.
    """

    study_id: str
    patient_id: str
    slice_thickness_mm: float
    score: float
    any_voxel: bool
    of: Mapping[str, Overlap]
    largest_ml: Mapping[str, float]
    seconds: float
    unfamiliar: bool = False

    def __post_init__(self) -> None:
        """Refuse a result that lacks a figure."""
        if set(self.of) not in ({ANY}, set(KINDS)):
            raise ValueError(f"volumes are of {', '.join(self.of)}")
        if set(self.largest_ml) != set(KINDS[1:]):
            raise ValueError("largest_ml must name each subtype once")

    @property
    def has_bleed(self) -> bool:
        """Whether the patient bleeds in truth."""
        return self.of[ANY].present

    @property
    def knows_subtypes(self) -> bool:
        """Whether the truth tells subtypes apart."""
        return len(self.of) > 1


def assess(
    prediction: Prediction,
    truth: Mask,
    *,
    study_id: str,
    patient_id: str,
    minimum_ml: Mapping[Subtype, float],
    seconds: float,
    knows_subtypes: bool = True,
) -> CaseResult:
    """Compare a prediction with the truth.

    Parameters
    ----------
    prediction
        Of `ml.inference.Segmenter`, on the grid of the source.
    truth
        On the same grid, of at least two slices.
    study_id, patient_id
        Names that tell nobody who the patient is.
    minimum_ml
        Least volume of a lesion that is reported, ml.
    seconds
        What the prediction took.
    knows_subtypes
        False for a truth in which every label only means haemorrhage.

    Raises
    ------
    ValueError
        If truth and prediction have different shapes.
    """
    raw, grid = prediction.mask, truth.grid
    if raw.grid.shape != grid.shape:
        raise ValueError(f"the prediction has shape {raw.grid.shape}, the truth {grid.shape}")
    said = clean(raw, minimum_ml=minimum_ml).labels
    of = {ANY: _overlap(truth.labels > 0, said > 0, grid.voxel_ml)}
    if knows_subtypes:
        for subtype in Subtype:
            of[subtype.name] = _overlap(truth.labels == subtype, said == subtype, grid.voxel_ml)
    return CaseResult(
        study_id=study_id,
        patient_id=patient_id,
        slice_thickness_mm=float(np.median(grid.slice_steps_mm)),
        score=prediction.case_score,
        any_voxel=bool(raw.labels.any()),
        of=of,
        largest_ml={
            subtype.name: max((each.volume_ml for each in lesions(raw, subtype)), default=0.0)
            for subtype in Subtype
        },
        seconds=seconds,
        unfamiliar=prediction.familiarity is not None and not prediction.familiarity.is_familiar,
    )


def _overlap(
    true: NDArray[np.bool_], claimed: NDArray[np.bool_], voxel_ml: NDArray[np.float64]
) -> Overlap:
    truth_ml, said_ml, both_ml = (
        float(inside.sum(axis=(1, 2)) @ voxel_ml) for inside in (true, claimed, true & claimed)
    )
    return Overlap(truth_ml, said_ml, both_ml)


def has_findings(result: CaseResult, thresholds: Thresholds) -> bool:
    """Say whether a predicted lesion is large enough to be reported."""
    return any(
        largest_ml > 0 and largest_ml >= thresholds.minimum_ml[name]
        for name, largest_ml in result.largest_ml.items()
    )


def decide(result: CaseResult, thresholds: Thresholds) -> Decision:
    """Decide on a case as the node does (`node.pipeline.conclude`).

    Positive needs a score and a lesion that is large enough; negative needs a low score. What
    quality, missing images or an unfamiliar look would change is not looked at.
    """
    if result.score >= thresholds.upper_score and has_findings(result, thresholds):
        return Decision.POSITIVE
    return Decision.BORDERLINE if result.score >= thresholds.lower_score else Decision.NEGATIVE


def to_plain(result: CaseResult) -> dict[str, object]:
    """Turn a result into what JSON can hold."""
    return asdict(result)


def from_plain(held: object) -> CaseResult:
    """Make a result of what `to_plain` returned.

    Raises
    ------
    UsageError
        If it is something else.
    """
    try:
        return TypeAdapter(CaseResult).validate_python(held)
    except ValidationError as error:
        places = sorted({".".join(map(str, fault["loc"])) or "all" for fault in error.errors()})
        raise UsageError(f"not a result of a case: {', '.join(places)}") from error
