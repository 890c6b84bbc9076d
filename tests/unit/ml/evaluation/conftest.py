"""Results of studies without the studies."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from ml.checkpoint import Thresholds
from ml.evaluation.cases import ANY, KINDS, CaseResult, Overlap
from ml.volume import Subtype

NO_BLEED = Overlap(0.0, 0.0, 0.0)
THRESHOLDS = Thresholds(0.3, 0.6, {subtype.name: 0.5 for subtype in Subtype})
MakeResult = Callable[..., CaseResult]


def make_result(
    number: int,
    score: float,
    *,
    subtype: str = "SDH",
    overlap: Overlap = NO_BLEED,
    largest_ml: Mapping[str, float] | None = None,
    patient: str = "",
    thickness_mm: float = 5.0,
    knows_subtypes: bool = True,
) -> CaseResult:
    """A study with one kind of haemorrhage, or with none."""
    of = {ANY: overlap}
    if knows_subtypes:
        of |= {name: overlap if name == subtype else NO_BLEED for name in KINDS[1:]}
    largest = dict.fromkeys(KINDS[1:], 0.0) | {subtype: overlap.said_ml}
    return CaseResult(
        study_id=f"s{number:03d}",
        patient_id=patient or f"p{number:03d}",
        slice_thickness_mm=thickness_mm,
        score=score,
        any_voxel=overlap.claimed,
        of=of,
        largest_ml=largest | dict(largest_ml or {}),
        seconds=1.0,
    )


def make_results(num_bleeding: int, num_others: int, *, seed: int = 0) -> list[CaseResult]:
    """Studies of all subtypes, volumes and thicknesses, with scores that overlap."""
    rng = np.random.default_rng(seed)
    results = []
    for number in range(num_bleeding + num_others):
        bleeds = number < num_bleeding
        truth_ml = float(rng.lognormal(1.5, 1.5)) if bleeds else 0.0
        said_ml = truth_ml * float(rng.uniform(0.6, 1.3))
        both_ml = min(truth_ml, said_ml) * float(rng.uniform(0.7, 1.0))
        results.append(
            make_result(
                number,
                float(rng.beta(5, 2) if bleeds else rng.beta(1, 8)),
                subtype=KINDS[1 + number % 5],
                overlap=Overlap(truth_ml, said_ml, both_ml),
                thickness_mm=float(rng.choice([1.0, 3.0, 5.0])),
            )
        )
    return results


@pytest.fixture(scope="session")
def results() -> list[CaseResult]:
    return make_results(60, 40)
