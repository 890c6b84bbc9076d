"""Curves of scores that can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.evaluation.curves import auc, average_precision, curves, operating_point

PATIENTS = ["a", "b", "c", "d", "e"]
SCORES = [0.9, 0.8, 0.8, 0.4, 0.1]
TRUTHS = [True, True, False, True, False]


def test_points_and_areas_of_five_cases() -> None:
    found = curves(SCORES, TRUTHS, PATIENTS, seed=0)
    assert found is not None
    assert found.thresholds == (0.9, 0.8, 0.4, 0.1)
    assert found.sensitivity == pytest.approx((1 / 3, 2 / 3, 1, 1))
    assert found.false_positive_rate == pytest.approx((0, 1 / 2, 1 / 2, 1))
    assert found.precision == pytest.approx((1, 2 / 3, 3 / 4, 3 / 5))
    # of 6 pairs 4 are in order and one is level
    assert found.auc.estimate == pytest.approx(4.5 / 6)
    assert found.average_precision.estimate == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_one_kind_of_case_alone_has_no_curve() -> None:
    assert curves([0.1, 0.2], [True, True], ["a", "b"], seed=0) is None
    assert curves([0.1, 0.2], [False, False], ["a", "b"], seed=0) is None


def test_a_perfect_score_has_no_doubt() -> None:
    found = curves([0.9, 0.8, 0.2, 0.1], [True, True, False, False], list("abcd"), seed=0)
    assert found is not None
    for area in (found.auc, found.average_precision):
        assert (area.estimate, area.low, area.high) == (1, 1, 1)


def test_weights_count_as_repeated_cases() -> None:
    weights = np.array([2.0, 0, 1, 3, 1])
    times = weights.astype(int)
    score, truth = np.array(SCORES), np.array(TRUTHS)
    for statistic in (auc, average_precision):
        weighted = statistic(score, truth)(weights[None])
        repeated = statistic(score.repeat(times), truth.repeat(times))(np.ones((1, times.sum())))
        assert weighted[0] == pytest.approx(repeated[0])


CASES = st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=2, max_size=25).filter(
    lambda cases: len({truth for _, truth in cases}) == 2
)


@given(CASES)
def test_only_the_order_of_scores_matters(cases: list[tuple[int, bool]]) -> None:
    score = np.array([score / 50 for score, _ in cases])
    truth = np.array([truth for _, truth in cases])
    once = np.ones((1, score.size))
    for statistic in (auc, average_precision):
        stretched = statistic(score**3 / 2, truth)(once)
        assert statistic(score, truth)(once) == pytest.approx(stretched)


@given(CASES)
def test_the_area_counts_pairs_in_order(cases: list[tuple[int, bool]]) -> None:
    score = np.array([score for score, _ in cases], float)
    truth = np.array([truth for _, truth in cases])
    pairs = score[truth][:, None] - score[~truth]
    expected = ((pairs > 0) + (pairs == 0) / 2).mean()
    assert auc(score, truth)(np.ones((1, score.size)))[0] == pytest.approx(expected)


def test_a_threshold_calls_from_itself_on() -> None:
    point = operating_point(SCORES, TRUTHS, 0.8)
    assert (point.sensitivity.count, point.sensitivity.total) == (2, 3)
    assert (point.specificity.count, point.specificity.total) == (1, 2)
