"""What is kept of a study, measured on masks of known volumes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from config.errors import UsageError
from ml.checkpoint import Thresholds
from ml.evaluation.cases import (
    ANY,
    CaseResult,
    Decision,
    Overlap,
    assess,
    decide,
    from_plain,
    has_findings,
    to_plain,
)
from ml.inference import Prediction
from ml.plane import Alignment
from ml.postprocess import clean
from ml.volume import Grid, Mask, Subtype
from tests.support.heads import axial_grid

from .conftest import THRESHOLDS, make_result

# voxels of 10 x 10 x 10 mm: 1 ml each
GRID = axial_grid(num_slices=6, size=12, pixel_mm=10.0, step_mm=10.0)
MINIMUM_ML = dict.fromkeys(Subtype, 2.0)


def mask(*blocks: tuple[Subtype, tuple[slice, slice, slice]], grid: Grid = GRID) -> Mask:
    labels = np.zeros(grid.shape, np.uint8)
    for subtype, where in blocks:
        labels[where] = subtype
    return Mask(labels, grid)


def block(z: int, y: int, x: int) -> tuple[slice, slice, slice]:
    """Two by two by two voxels."""
    return slice(z, z + 2), slice(y, y + 2), slice(x, x + 2)


ONE_VOXEL = (slice(5, 6), slice(0, 1), slice(0, 1))


def measured(said: Mask, truth: Mask, *, knows_subtypes: bool = True) -> CaseResult:
    prediction = Prediction(said, {}, 0.7, Alignment.identity(said.grid))
    return assess(
        prediction,
        truth,
        study_id="s",
        patient_id="p",
        minimum_ml=MINIMUM_ML,
        seconds=2.5,
        knows_subtypes=knows_subtypes,
    )


def test_volumes_and_dice_of_a_shifted_bleed() -> None:
    found = measured(
        mask((Subtype.SDH, block(0, 1, 1)), (Subtype.SAH, ONE_VOXEL)),
        mask((Subtype.SDH, block(0, 1, 2))),
    )
    assert found.of["SDH"] == Overlap(8, 8, 4)
    assert found.of["SDH"].dice == pytest.approx(0.5)
    assert found.of[ANY].dice == pytest.approx(0.5)
    # the single voxel was dropped as in the node, and is still what the model said
    assert found.of["SAH"] == Overlap(0, 0, 0)
    assert found.largest_ml == {"IPH": 0, "IVH": 0, "EDH": 0, "SDH": 8, "SAH": 1}
    assert (found.score, found.seconds, found.slice_thickness_mm) == (0.7, 2.5, 10)
    assert found.has_bleed


def test_the_wrong_subtype_is_the_right_haemorrhage() -> None:
    found = measured(mask((Subtype.EDH, block(0, 1, 1))), mask((Subtype.SDH, block(0, 1, 1))))
    assert found.of[ANY].dice == 1
    assert found.of["SDH"].dice == 0
    assert found.of["EDH"].dice is None
    assert found.of["EDH"].claimed
    assert not found.of["EDH"].present


def test_a_truth_without_subtypes_is_measured_for_haemorrhage_alone() -> None:
    said, truth = mask((Subtype.EDH, block(0, 1, 1))), mask((Subtype.IPH, block(0, 1, 1)))
    found = measured(said, truth, knows_subtypes=False)
    assert set(found.of) == {ANY}
    assert found.of[ANY].dice == 1
    assert not found.knows_subtypes


def test_volumes_follow_uneven_slices() -> None:
    grid = axial_grid(size=12, pixel_mm=10.0, heights_mm=np.array([0.0, 10, 20, 40, 60, 80]))
    truth = mask((Subtype.IPH, block(1, 1, 1)), grid=grid)
    found = measured(truth, truth)
    # slices of 10 and of 15 mm
    assert found.of["IPH"].truth_ml == pytest.approx(4 * 1.0 + 4 * 1.5)


def test_any_voxel_is_looked_for_before_lesions_are_dropped() -> None:
    found = measured(mask((Subtype.SAH, ONE_VOXEL)), mask())
    assert found.any_voxel
    assert found.of[ANY] == Overlap(0, 0, 0)
    assert not measured(mask(), mask()).any_voxel


def test_another_shape_is_a_mistake() -> None:
    other = axial_grid(num_slices=5, size=12, pixel_mm=10.0, step_mm=10.0)
    with pytest.raises(ValueError, match="the prediction has shape"):
        measured(mask(), mask(grid=other))


def test_a_result_survives_json() -> None:
    found = measured(mask((Subtype.SDH, block(0, 1, 1))), mask((Subtype.SDH, block(0, 1, 2))))
    assert from_plain(json.loads(json.dumps(to_plain(found)))) == found


def test_what_is_no_result_is_named() -> None:
    held = to_plain(make_result(1, 0.5))
    del held["score"]
    with pytest.raises(UsageError, match="score"):
        from_plain(held)
    with pytest.raises(ValueError, match="volumes are of"):
        replace(make_result(1, 0.5), of={"SDH": Overlap(0, 0, 0)})
    with pytest.raises(ValueError, match="each subtype once"):
        replace(make_result(1, 0.5), largest_ml={"SDH": 0.0})
    with pytest.raises(ValueError, match="larger than what overlaps"):
        Overlap(1, 2, 1.5)


@pytest.mark.parametrize(
    ("score", "largest_ml", "decision"),
    [
        (0.9, 0.5, Decision.POSITIVE),
        (0.6, 0.5, Decision.POSITIVE),
        (0.9, 0.4, Decision.BORDERLINE),
        (0.5, 9.0, Decision.BORDERLINE),
        (0.3, 0.0, Decision.BORDERLINE),
        (0.29, 9.0, Decision.NEGATIVE),
    ],
)
def test_a_decision_needs_a_score_and_a_lesion(
    score: float, largest_ml: float, decision: Decision
) -> None:
    assert decide(make_result(1, score, largest_ml={"IVH": largest_ml}), THRESHOLDS) is decision


@pytest.mark.parametrize("least_ml", [0.0, 1.0, 1.5, 8.0, 9.0])
def test_the_largest_lesion_tells_whether_something_is_left_after_cleaning(
    least_ml: float,
) -> None:
    said = mask((Subtype.SDH, block(0, 1, 1)), (Subtype.SAH, ONE_VOXEL))
    thresholds = Thresholds(0.1, 0.2, {subtype.name: least_ml for subtype in Subtype})
    left = clean(said, minimum_ml=dict.fromkeys(Subtype, least_ml)).labels.any()
    assert has_findings(measured(said, mask()), thresholds) == left
    assert not has_findings(measured(mask(), mask()), thresholds)
