"""Intervals and tests against numbers worked out by hand or by other formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.evaluation.statistics import (
    bootstrap,
    cliffs_delta,
    compare,
    holm,
    mean_interval,
    proportion,
    rank_biserial,
    rank_sum,
    ratio,
    signed_rank,
)

FRACTION = st.floats(0, 1)


def patients(count: int) -> list[str]:
    return [f"p{number}" for number in range(count)]


def test_wilsons_interval_of_a_half() -> None:
    held = proportion([True] * 5 + [False] * 5)
    # (p + z2/2n +- z sqrt(p q / n + z2/4n2)) / (1 + z2/n) with z = 1.959964, n = 10
    assert held.interval is not None
    assert (held.count, held.total, held.interval.estimate) == (5, 10, 0.5)
    assert held.interval.low == pytest.approx(0.236593, abs=1e-6)
    assert held.interval.high == pytest.approx(0.763407, abs=1e-6)


def test_wilsons_interval_of_all_ends_at_one_but_does_not_start_there() -> None:
    interval = proportion([True] * 20).interval
    assert interval is not None
    assert interval.high == pytest.approx(1)
    # n / (n + z2)
    assert interval.low == pytest.approx(20 / (20 + 1.959964**2), abs=1e-6)


def test_a_share_of_nothing_is_unknown() -> None:
    assert proportion([]).interval is None


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_wilsons_interval_holds_the_share(chosen: list[bool]) -> None:
    interval = proportion(chosen).interval
    assert interval is not None
    assert 0 <= interval.low <= interval.estimate + 1e-12
    assert interval.estimate - 1e-12 <= interval.high <= 1


def test_the_bootstrap_of_a_mean_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    interval = mean_interval(values.tolist(), patients(400), seed=0)
    assert interval is not None
    assert interval.estimate == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half, abs=0.03)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.03)


def test_studies_of_one_patient_are_no_independent_evidence() -> None:
    values = np.random.default_rng(2).normal(0, 1, 50)
    repeated = np.repeat(values, 8)
    whose = [f"p{number}" for number in np.repeat(np.arange(50), 8)]
    together = mean_interval(repeated.tolist(), whose, seed=0)
    single = mean_interval(values.tolist(), patients(50), seed=0)
    apart = mean_interval(repeated.tolist(), patients(400), seed=0)
    assert together is not None
    assert single is not None
    assert apart is not None
    width = together.high - together.low
    assert width == pytest.approx(single.high - single.low, rel=0.1)
    assert width > 2 * (apart.high - apart.low)


@given(st.lists(FRACTION, min_size=5, max_size=30), st.integers(0, 5))
def test_the_interval_holds_the_mean(values: list[float], seed: int) -> None:
    interval = mean_interval(values, patients(len(values)), seed=seed)
    assert interval is not None
    assert interval.low - 1e-9 <= interval.high
    # by chance a skewed sample may be off by the error of the draws
    slack = 1e-9 + 0.1 * float(np.std(values))
    assert interval.low - slack <= interval.estimate <= interval.high + slack


def test_the_same_seed_draws_the_same_interval_and_another_one_does_not() -> None:
    values = np.random.default_rng(3).normal(size=30).tolist()
    first, again, other = (mean_interval(values, patients(30), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_many_studies_are_drawn_in_parts_that_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = np.random.default_rng(4).normal(size=40).tolist()
    whole = mean_interval(values, patients(40), seed=1)
    monkeypatch.setattr("ml.evaluation.statistics._MOST_NUMBERS", 40 * 7)
    assert mean_interval(values, patients(40), seed=1) == whole


def test_values_that_are_missing_are_left_out() -> None:
    interval = mean_interval([0.2, None, 0.4], patients(3), seed=0)
    assert interval is not None
    assert interval.estimate == pytest.approx(0.3)
    assert [interval.low, interval.high] == pytest.approx([0.2, 0.4])
    assert mean_interval([None], patients(1), seed=0) is None
    assert mean_interval([], [], seed=0) is None


def test_a_ratio_weighs_studies_by_their_size() -> None:
    interval = bootstrap(ratio([1.0, 9.0], [10.0, 10.0]), patients(2), seed=0)
    assert interval is not None
    assert interval.estimate == pytest.approx(0.5)
    assert [interval.low, interval.high] == pytest.approx([0.1, 0.9])


def test_the_rank_sum_test_of_two_groups_without_overlap() -> None:
    # of the 20 ways to choose three ranks of six, two are as extreme
    assert rank_sum([1, 2, 3], [4, 5, 6]) == pytest.approx(2 / 20)


def test_the_signed_rank_test_of_five_rises() -> None:
    # all five signs equal: 2 of 32
    assert signed_rank([2, 4, 6, 8, 10], [1, 2, 3, 4, 5]) == pytest.approx(2 / 32)
    assert signed_rank([1, 2, 3], [1, 2, 3]) == 1


def test_holm_corrects_the_smallest_most() -> None:
    # 0.01 x 3, 0.03 x 2, and 0.04 x 1, which may not be less than the one before
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([0.9, 0.8]) == (1, 1)
    assert holm([]) == ()


@given(st.lists(FRACTION, min_size=1, max_size=20))
def test_holm_keeps_the_order_and_never_lowers(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(before <= after <= 1 for before, after in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_cliffs_delta_counts_pairs() -> None:
    assert cliffs_delta([4, 5, 6], [1, 2, 3]) == 1
    assert cliffs_delta([1, 2, 3], [1, 2, 3]) == pytest.approx(0)
    # of 6 pairs 4 are larger, 1 smaller, 1 equal
    assert cliffs_delta([2, 4], [1, 2, 3]) == pytest.approx((4 - 1) / 6)


def test_the_rank_biserial_correlation_weighs_signs_by_ranks() -> None:
    # differences 1, -2, 3, 0: ranks 1, 2, 3
    assert rank_biserial([2, 0, 3, 5], [1, 2, 0, 5]) == pytest.approx((1 - 2 + 3) / 6)
    assert rank_biserial([1.0], [1.0]) == 0


def test_methods_are_compared_on_the_studies_that_both_have() -> None:
    rng = np.random.default_rng(5)
    base = rng.uniform(0.4, 0.8, 40)
    values: dict[str, list[float | None]] = {
        "ours": [None, *(base + 0.05).tolist()],
        "worse": [0.5, *(base + rng.normal(0, 0.01, 40)).tolist()],
        "same": [None, *(base + 0.05 + rng.normal(0, 0.05, 40)).tolist()],
        "none": [0.5, *[None] * 40],
    }
    worse, same = compare(values, reference="ours", patients=patients(41), seed=0)
    assert (worse.method, worse.num_pairs) == ("worse", 40)
    assert worse.mean_difference.estimate == pytest.approx(0.05, abs=0.005)
    assert worse.mean_difference.low > 0.04
    assert worse.rank_biserial == pytest.approx(1)
    assert worse.p_holm == pytest.approx(2 * worse.p_signed_rank)
    assert worse.p_holm < 1e-6
    # the unpaired test does not see what all pairs show
    assert worse.p_rank_sum > 0.01
    assert same.mean_difference.low < 0 < same.mean_difference.high
    assert same.p_holm == same.p_signed_rank > 0.01
    assert not math.isnan(same.cliffs_delta)
