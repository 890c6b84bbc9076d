"""Counts of decisions by each rule, and every figure together."""

import pytest

from ml.evaluation.cases import CaseResult, Overlap
from ml.evaluation.summary import diagnose, summarise

from .conftest import THRESHOLDS, make_result, make_results

BLEED = Overlap(10.0, 10.0, 9.0)


def test_a_borderline_case_is_wrong_a_warning_or_silence_by_the_rule() -> None:
    results = [
        make_result(0, 0.9, overlap=BLEED),
        make_result(1, 0.5, overlap=BLEED),
        make_result(2, 0.1, overlap=BLEED),
        make_result(3, 0.1),
        make_result(4, 0.5),
        make_result(5, 0.9, largest_ml={"IPH": 3.0}),
        make_result(6, 0.1, overlap=Overlap(0, 0.2, 0)),
    ]
    counts = [
        (each.sensitivity.count, each.specificity.count, each.accuracy.count)
        for each in diagnose(results, THRESHOLDS)
    ]
    # the third is missed, the sixth a false alarm; the seventh has voxels, but a low score
    assert counts == [(1, 2, 3), (2, 2, 4), (1, 3, 4), (3, 3, 6)]
    assert all(each.accuracy.total == 7 for each in diagnose(results, THRESHOLDS))


def test_decisions_add_up_to_the_studies(results: list[CaseResult]) -> None:
    found = summarise(results, THRESHOLDS, seed=0)
    with_bleed, without = zip(*found.decisions.values(), strict=True)
    assert (sum(with_bleed), sum(without)) == (60, 40)
    assert (found.num_studies, found.num_patients, found.num_with_bleed) == (100, 100, 60)
    assert sum(each.num_studies for each in found.by_thickness) == 100
    assert sum(each.num_studies for each in found.by_volume) == 60
    assert found.score_reliability.total == 100
    assert found.curves is not None
    assert found.curves.auc.low < found.curves.auc.estimate < found.curves.auc.high


def test_the_same_results_give_the_same_figures(results: list[CaseResult]) -> None:
    assert summarise(results, THRESHOLDS, seed=3) == summarise(results, THRESHOLDS, seed=3)
    assert summarise(results, THRESHOLDS, seed=3) != summarise(results, THRESHOLDS, seed=4)


@pytest.mark.parametrize(("num_bleeding", "num_others"), [(1, 0), (0, 1), (1, 1)])
def test_a_set_of_one_or_two_studies_has_the_figures_that_it_can_have(
    num_bleeding: int, num_others: int
) -> None:
    found = summarise(make_results(num_bleeding, num_others), THRESHOLDS, seed=0)
    assert (found.curves is None) == (num_bleeding + num_others < 2)
    assert found.agreements == ()


def test_nothing_has_no_figures() -> None:
    with pytest.raises(ValueError, match="nothing to summarise"):
        summarise([], THRESHOLDS, seed=0)
