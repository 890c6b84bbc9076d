"""Thresholds of scores that are drawn up by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.evaluation.cases import CaseResult, Decision, Overlap, decide
from ml.evaluation.thresholds import LEAST_SENSITIVITY, LEAST_SPECIFICITY, choose_thresholds

from .conftest import make_result

BLEED = Overlap(10.0, 9.0, 8.0)


def cases(bleeding: list[float], others: list[float]) -> list[CaseResult]:
    results = [make_result(n, score, overlap=BLEED) for n, score in enumerate(bleeding)]
    return results + [make_result(500 + n, score) for n, score in enumerate(others)]


def test_scores_that_are_well_apart_share_one_threshold_halfway() -> None:
    chosen = choose_thresholds(cases([0.9] * 300, [0.1] * 300))
    assert (chosen.lower_score, chosen.upper_score) == (0.5, 0.5)


def test_without_need_nobody_is_given_away() -> None:
    # 4 of 200 might be missed, but nothing would be gained: nobody else scores so high
    chosen = choose_thresholds(cases([0.6, 0.7] + [0.9] * 198, [0.2] * 200))
    assert chosen.lower_score == pytest.approx(0.4)
    assert chosen.upper_score == pytest.approx(0.4)


def test_few_may_be_missed_if_that_clears_others() -> None:
    # 4 of 200 are 2 %; a fifth is not to be missed
    bleeding = [0.04, 0.05, 0.06, 0.07, 0.3] + [0.9] * 195
    chosen = choose_thresholds(cases(bleeding, [0.1] * 100 + [0.5] * 100))
    assert chosen.lower_score == pytest.approx((0.1 + 0.3) / 2)


def test_few_may_be_alarmed_if_that_finds_others() -> None:
    # 2 of 200 are 1 %; a third is not to be alarmed
    others = [0.95, 0.94, 0.6] + [0.1] * 197
    chosen = choose_thresholds(cases([0.5] * 100 + [0.8] * 100, others))
    assert chosen.upper_score == pytest.approx((0.6 + 0.8) / 2)
    assert chosen.lower_score == pytest.approx((0.1 + 0.5) / 2)


def test_of_a_few_patients_who_bleed_none_may_be_missed() -> None:
    chosen = choose_thresholds(cases([0.2, 0.9, 0.9], [0.1, 0.5]))
    assert chosen.lower_score == pytest.approx(0.15)
    assert chosen.upper_score == pytest.approx(0.7)


def test_who_never_saw_a_bleed_calls_nobody_negative() -> None:
    results = cases([], [0.1, 0.2])
    chosen = choose_thresholds(results)
    assert chosen.lower_score == 0
    assert all(decide(each, chosen) is not Decision.NEGATIVE for each in results)


def test_who_saw_bleeds_only_calls_nobody_positive() -> None:
    chosen = choose_thresholds(cases([0.3, 0.99], []))
    assert chosen.upper_score == 1
    assert chosen.lower_score == pytest.approx(0.15)
    assert choose_thresholds([]).upper_score == 1


SCORE = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1e-8, 0.5, 1 - 1e-8, 0.99]))


@given(st.lists(SCORE, min_size=1, max_size=300), st.lists(SCORE, max_size=300))
def test_whatever_the_scores_both_promises_are_kept(
    bleeding: list[float], others: list[float]
) -> None:
    chosen = choose_thresholds(cases(bleeding, others))
    assert 0 <= chosen.lower_score <= chosen.upper_score <= 1
    assert np.mean(np.array(bleeding) >= chosen.lower_score) >= LEAST_SENSITIVITY - 1e-9
    if others and max(others) < 1:
        assert np.mean(np.array(others) < chosen.upper_score) >= LEAST_SPECIFICITY - 1e-9


def test_the_least_volume_follows_false_lesions_within_bounds() -> None:
    silent = [make_result(n, 0.1) for n in range(100)]
    assert choose_thresholds(silent).minimum_ml["EDH"] == 0.1
    few = [make_result(100 + n, 0.1, largest_ml={"EDH": 0.4}) for n in range(5)]
    assert choose_thresholds(silent + few).minimum_ml["EDH"] == 0.4
    large = [make_result(100 + n, 0.1, largest_ml={"EDH": 40.0}) for n in range(5)]
    assert choose_thresholds(silent + large).minimum_ml["EDH"] == 1.0


def test_lesions_of_patients_who_have_the_subtype_are_not_false() -> None:
    right = [make_result(n, 0.9, subtype="EDH", overlap=BLEED) for n in range(10)]
    assert choose_thresholds(right).minimum_ml["EDH"] == 0.1
    unknown = [
        make_result(n, 0.9, subtype="EDH", overlap=BLEED, knows_subtypes=False) for n in range(10)
    ]
    assert choose_thresholds(unknown).minimum_ml["EDH"] == 0.1
