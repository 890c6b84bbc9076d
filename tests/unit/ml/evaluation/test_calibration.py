"""Calibration of probabilities that are known to be right, and known to be wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from ml.evaluation.calibration import (
    EMPTY,
    NUM_BINS,
    VoxelSample,
    add_up,
    fit_temperature,
    join,
    negative_log_likelihood,
    reliability,
    voxel_reliability,
)


def sample(temperature: float, *, count: int = 20_000, seed: int = 0) -> VoxelSample:
    """Voxels whose true classes are drawn from the probabilities at a temperature."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (count, 6)).astype(np.float32)
    cumulated = softmax(logits / temperature, axis=1).cumsum(axis=1)
    labels = (rng.uniform(size=(count, 1)) > cumulated[:, :-1]).sum(axis=1)
    return VoxelSample(logits, labels.astype(np.uint8))


def test_four_probabilities_by_hand() -> None:
    found = reliability(np.array([0.95, 0.85, 0.15, 1.0]), np.array([True, False, False, True]))
    assert found.counts == (0, 1, 0, 0, 0, 0, 0, 0, 1, 2)
    assert found.came_true == (0, 0, 0, 0, 0, 0, 0, 0, 0, 2)
    assert found.claimed[9] == pytest.approx(0.975)
    assert found.observed[9] == 1
    assert found.observed[0] is None
    assert found.expected_error == pytest.approx((0.15 + 0.85 + 2 * 0.025) / 4)
    assert found.brier == pytest.approx((0.05**2 + 0.85**2 + 0.15**2) / 4)


def test_nothing_counted_has_no_error() -> None:
    assert EMPTY.expected_error is None
    assert EMPTY.brier is None
    assert add_up([]) == EMPTY
    assert len(EMPTY.counts) == NUM_BINS


def test_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    probability, outcome = rng.uniform(size=100), rng.uniform(size=100) > 0.5
    parts = [reliability(probability[part], outcome[part]) for part in np.split(np.arange(100), 4)]
    whole, added = reliability(probability, outcome), add_up(parts)
    assert added.counts == whole.counts
    assert added.came_true == whole.came_true
    assert added.summed == pytest.approx(whole.summed)
    assert added.brier == pytest.approx(whole.brier)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_found_again(temperature: float) -> None:
    assert fit_temperature(sample(temperature)) == pytest.approx(temperature, rel=0.03)


def test_the_right_temperature_calibrates_an_overconfident_network() -> None:
    voxels = sample(2.5)
    before = voxel_reliability(voxels, 1.0).expected_error
    after = voxel_reliability(voxels, fit_temperature(voxels)).expected_error
    assert before is not None
    assert after is not None
    assert before > 0.15
    assert after < 0.01


def test_the_same_voxels_always_give_the_same_temperature() -> None:
    assert fit_temperature(sample(1.7)) == fit_temperature(sample(1.7))
    nothing = VoxelSample(np.empty((0, 6), np.float32), np.empty(0, np.uint8))
    assert fit_temperature(nothing) == 1


def test_the_likelihood_of_a_coin_is_its_logarithm() -> None:
    coin = VoxelSample(np.zeros((3, 2), np.float32), np.array([0, 1, 1], np.uint8))
    assert negative_log_likelihood(coin, 5.0) == pytest.approx(np.log(2))


@given(st.floats(0.1, 10), st.floats(0.1, 10))
def test_the_temperature_found_is_the_best_and_changes_no_class(low: float, high: float) -> None:
    voxels = sample(1.3, count=500)
    best = negative_log_likelihood(voxels, fit_temperature(voxels))
    assert best <= negative_log_likelihood(voxels, low) + 1e-6
    first, second = voxel_reliability(voxels, low), voxel_reliability(voxels, high)
    assert sum(first.came_true) == sum(second.came_true)


def test_samples_are_put_together_in_order() -> None:
    both = join([sample(1.0, count=3), sample(1.0, count=2, seed=1)])
    assert both.logits.shape == (5, 6)
    with pytest.raises(ValueError, match="2 labels do not belong to 5 voxels"):
        VoxelSample(both.logits, both.labels[:2])
