"""Figures and thresholds from what was said and what is true."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ml.checkpoint import Thresholds
from ml.training.datasets import Case
from ml.training.evaluate import Outcome, assess, dice, mean_dice, measure
from ml.volume import Mask, Subtype

from .conftest import MakeCase

CPU = torch.device("cpu")
LENIENT = Thresholds(0.3, 0.6, {subtype.name: 0.0 for subtype in Subtype})


class BrightIsBlood(nn.Module):
    """Calls IPH whatever is brighter than 50 HU in the middle slice, and is sure of it."""

    def forward(self, image_BCYX: Tensor) -> Tensor:
        bright_BYX = image_BCYX[:, 1] > (50 / 100 - 0.3) / 0.3
        logits_BCYX = torch.zeros(len(image_BCYX), 6, *image_BCYX.shape[2:])
        logits_BCYX[:, 0] = torch.where(bright_BYX, 0.0, 20.0)
        logits_BCYX[:, 1] = torch.where(bright_BYX, 20.0, 0.0)
        return logits_BCYX


def outcome(case: Case, score: float, said: Subtype | None = None) -> Outcome:
    """An outcome that gets the place of the bleed right, if it says anything."""
    labels = np.where(case.labels > 0, said or 0, 0).astype(np.uint8)
    grid = case.aligned_grid
    return Outcome(Mask(case.labels, grid), Mask(labels, grid), score)


def test_what_is_said_lies_where_the_truth_lies(make_case: MakeCase) -> None:
    found = assess(BrightIsBlood(), make_case(0, Subtype.IPH), CPU)
    assert dice(found.truth, found.said, Subtype.IPH) == pytest.approx(1, abs=0.02)
    assert found.score == pytest.approx(1, abs=1e-3)
    healthy = assess(BrightIsBlood(), make_case(1), CPU)
    assert healthy.score < 0.01
    assert not healthy.has_bleed


def test_dice_of_half_the_volume_is_two_thirds(make_case: MakeCase) -> None:
    found = outcome(make_case(0, Subtype.SDH), 1.0, Subtype.SDH)
    found.said.labels[2] = 0
    assert dice(found.truth, found.said, Subtype.SDH) == pytest.approx(2 / 3)
    assert dice(found.truth, found.said, None) == pytest.approx(2 / 3)


def test_a_subtype_that_is_absent_in_truth_has_no_dice(make_case: MakeCase) -> None:
    found = outcome(make_case(0, Subtype.SDH), 1.0, Subtype.EDH)
    assert dice(found.truth, found.said, Subtype.EDH) is None
    assert dice(found.truth, found.said, Subtype.SDH) == 0
    assert dice(found.truth, found.said, None) == pytest.approx(1)


def test_patients_without_a_subtype_are_left_out_of_its_mean(make_case: MakeCase) -> None:
    cases = [make_case(0, Subtype.SDH), make_case(1, Subtype.IPH), make_case(2)]
    outcomes = [outcome(case, 1.0, Subtype.SDH) for case in cases]
    pairs = [(each.truth, each.said) for each in outcomes]
    of_subtype, num_patients = mean_dice(pairs, Subtype.SDH)
    assert of_subtype == pytest.approx(1)
    assert num_patients == 1
    of_any, num_patients = mean_dice(pairs, None)
    assert of_any == pytest.approx(1)
    assert num_patients == 2
    assert mean_dice(pairs, Subtype.EDH)[1] == 0


def test_figures_count_patients(make_case: MakeCase) -> None:
    outcomes = [
        outcome(make_case(0, Subtype.IPH), 0.9, Subtype.IPH),
        outcome(make_case(1, Subtype.IPH), 0.5, Subtype.SDH),
        outcome(make_case(2, Subtype.SDH), 0.1),
        outcome(make_case(3), 0.1),
        outcome(make_case(4), 0.7),
    ]
    figures = measure(outcomes, LENIENT, prefix="test")
    assert figures["test/patients"] == 5
    assert figures["test/patients_ICH"] == 3
    assert figures["test/dice_ICH"] == pytest.approx(2 / 3, abs=1e-4)
    assert figures["test/dice_IPH"] == pytest.approx(1 / 2)
    assert figures["test/sensitivity"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["test/missed"] == pytest.approx(1 / 3, abs=1e-4)
    # the other healthy head scores high, but nothing in it is large enough to be reported
    assert figures["test/specificity"] == 0.5
    assert figures["test/false_alarms"] == 0
    assert figures["test/auc"] == pytest.approx((2 + 1 + 0.5) / 6, abs=1e-4)
    assert figures["test/found_IPH"] == 0.5
    assert figures["test/false_SDH"] == 0.25
    assert "test/dice_EDH" not in figures


def test_lesions_below_the_minimum_are_not_reported(make_case: MakeCase) -> None:
    found = outcome(make_case(0, Subtype.IPH), 0.9, Subtype.IPH)
    strict = Thresholds(0.3, 0.6, {subtype.name: 60.0 for subtype in Subtype})
    dropped = measure([found], strict, prefix="test")
    assert dropped["test/found_IPH"] == dropped["test/sensitivity"] == 0
    kept = measure([found], LENIENT, prefix="test")
    assert kept["test/found_IPH"] == kept["test/sensitivity"] == 1
