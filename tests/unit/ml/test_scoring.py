"""The score of a case: a mean over a fixed volume, whatever the size of voxels and stack."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ml.scoring import case_score

SHAPE = (20, 20)


def slice_with(*values: float) -> NDArray[np.float32]:
    probability = np.zeros(SHAPE, np.float32)
    probability.flat[: len(values)] = values
    return probability


def test_no_suspicion_at_all_scores_0() -> None:
    assert case_score([(slice_with(), 0.01)] * 3) == 0


def test_no_slice_at_all_scores_0() -> None:
    assert case_score([]) == 0


def test_one_certain_millilitre_scores_1() -> None:
    assert case_score([(slice_with(*[1.0] * 100), 0.01)]) == pytest.approx(1)


def test_half_a_millilitre_can_score_half_at_most() -> None:
    assert case_score([(slice_with(*[1.0] * 50), 0.01)]) == pytest.approx(0.5)


def test_only_the_most_probable_millilitre_counts() -> None:
    slices = [(slice_with(*[0.9] * 100), 0.01), (slice_with(*[0.4] * 300), 0.01)]
    assert case_score(slices) == pytest.approx(0.9)


def test_voxels_of_thick_slices_weigh_more() -> None:
    slices = [(slice_with(*[1.0] * 10), 0.02), (slice_with(*[0.5] * 100), 0.01)]
    assert case_score(slices) == pytest.approx(0.2 * 1.0 + 0.8 * 0.5)


def test_the_voxel_on_the_edge_counts_in_part() -> None:
    assert case_score([(slice_with(1.0, 0.5), 0.6)]) == pytest.approx(0.6 + 0.4 * 0.5)


@given(
    values=st.lists(st.floats(0.03125, 1.0, width=32), min_size=1, max_size=200),
    voxel_ml=st.floats(0.001, 2.0),
)
def test_slices_may_come_in_any_order_and_grouping(values: list[float], voxel_ml: float) -> None:
    together = case_score([(slice_with(*values), voxel_ml)])
    apart = case_score([(slice_with(value), voxel_ml) for value in reversed(values)])
    assert 0 <= together <= 1 + 1e-9
    assert apart == pytest.approx(together)
