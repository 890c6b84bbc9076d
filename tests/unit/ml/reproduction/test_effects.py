"""Effects on numbers that are known beforehand."""

import numpy as np
import pytest
from scipy import stats

from ml.reproduction.effects import (
    areas,
    difference_of_effects,
    effect_on_auc,
    effect_on_mean,
    over_seeds,
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_the_interval_over_seeds_is_students() -> None:
    differences = np.array([0.1, 0.2, 0.3])
    interval, p_value = over_seeds(differences)
    # t of 0.975 with two degrees of freedom is 4.3027
    reach = 4.302653 * 0.1 / np.sqrt(3)
    assert interval.estimate == pytest.approx(0.2)
    assert (interval.low, interval.high) == pytest.approx((0.2 - reach, 0.2 + reach))
    assert p_value == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


def test_equal_differences_have_no_spread_to_test_by() -> None:
    interval, p_value = over_seeds(np.array([0.25, 0.25, 0.25]))
    assert (interval.low, interval.high) == (0.25, 0.25)
    assert p_value is None


def test_an_effect_is_the_mean_of_pairs() -> None:
    first = np.array([[0.1, 0.3], [0.2, 0.4]])
    effect = effect_on_mean(first, first + np.array([[0.1, 0.1], [0.3, 0.3]]), rng())
    assert effect.differences == pytest.approx((0.1, 0.3))
    assert effect.over_seeds.estimate == effect.over_both.estimate == pytest.approx(0.2)
    assert effect.deviation == pytest.approx(np.sqrt(0.02))
    assert effect.standardised == pytest.approx(0.2 / np.sqrt(0.02))
    assert effect.num_patients == 2


def test_the_same_gain_everywhere_is_clear() -> None:
    first = rng().uniform(size=(5, 20))
    effect = effect_on_mean(first, first + 0.125, rng())
    for interval in (effect.over_seeds, effect.over_both):
        assert (interval.low, interval.high) == pytest.approx((0.125, 0.125))
    assert effect.is_clear


def test_luck_of_one_seed_is_no_effect() -> None:
    first = np.zeros((5, 200))
    second = first.copy()
    second[0] = 0.3
    effect = effect_on_mean(first, second, rng())
    assert effect.over_seeds.low < 0 < effect.over_seeds.high
    # drawing seeds, the lucky one is missing in a third of the resamples
    assert effect.over_both.low == 0
    assert not effect.is_clear


def test_patients_widen_the_interval_over_both_alone() -> None:
    first = np.zeros((5, 10))
    gains = np.linspace(-1, 1.4, 10)
    effect = effect_on_mean(first, first + gains, rng())
    assert effect.over_seeds.high - effect.over_seeds.low == pytest.approx(0)
    expected = 2 * 1.96 * gains.std() / np.sqrt(10)
    assert effect.over_both.high - effect.over_both.low == pytest.approx(expected, rel=0.1)


def test_the_area_counts_ordered_pairs() -> None:
    bleeds = np.array([True, True, False, False])
    scores = np.array([[0.9, 0.4, 0.1, 0.4], [0.9, 0.8, 0.1, 0.2]])
    assert areas(scores, bleeds) == pytest.approx([(2 + 1 + 0.5) / 4, 1.0])


def test_an_effect_on_the_area_is_the_difference_of_areas() -> None:
    draw = rng()
    bleeds = np.arange(30) < 12
    first, second = draw.uniform(size=(2, 4, 30))
    second[:, bleeds] += 0.5
    effect = effect_on_auc(first, second, bleeds, rng())
    assert effect.differences == pytest.approx(areas(second, bleeds) - areas(first, bleeds))
    assert effect.over_both.low < effect.over_both.estimate < effect.over_both.high
    assert effect.num_patients == 30


def test_effects_of_two_conditions_are_compared_seed_by_seed() -> None:
    zeros = np.zeros((3, 4))
    one = effect_on_mean(zeros, zeros + np.array([[0.1], [0.2], [0.3]]), rng())
    other = effect_on_mean(zeros, zeros + np.array([[0.3], [0.3], [0.6]]), rng())
    interval, p_value = difference_of_effects(one, other)
    assert interval.estimate == pytest.approx(0.2)
    assert p_value == pytest.approx(stats.ttest_rel([0.3, 0.3, 0.6], [0.1, 0.2, 0.3]).pvalue)
