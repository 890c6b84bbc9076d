"""Patients are divided by seed and hash, each group of bleeds by itself."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import UsageError
from ml.data.splits import Shares, Split, assign

PATIENTS: dict[str, bool | None] = {
    f"{number:016x}": (True, False, None)[number % 3] for number in range(150)
}


def test_every_group_is_divided_by_the_shares() -> None:
    splits = assign(PATIENTS, Shares(0.6, 0.2, 0.2), seed=1)
    for group in (True, False, None):
        counts = Counter(splits[p] for p, bleeds in PATIENTS.items() if bleeds is group)
        assert counts == {Split.TRAIN: 30, Split.VALIDATION: 10, Split.TEST: 10}


def test_the_order_of_patients_does_not_matter_but_the_seed_does() -> None:
    first = assign(PATIENTS, Shares(), seed=1)
    assert assign(dict(reversed(PATIENTS.items())), Shares(), seed=1) == first
    assert assign(PATIENTS, Shares(), seed=2) != first


@given(
    st.dictionaries(st.text("0123456789abcdef", min_size=4), st.sampled_from((True, False, None)))
)
def test_every_patient_has_exactly_one_place(patients: dict[str, bool | None]) -> None:
    splits = assign(patients, Shares(0.5, 0.25, 0.25), seed=0)
    assert set(splits) == set(patients)
    for group in (True, False, None):
        total = sum(bleeds is group for bleeds in patients.values())
        counts = Counter(splits[p] for p, bleeds in patients.items() if bleeds is group)
        assert abs(counts[Split.TRAIN] - 0.5 * total) < 1


def test_one_share_may_be_everything() -> None:
    assert set(assign(PATIENTS, Shares(0, 0, 1), seed=0).values()) == {Split.TEST}


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.2, 0.0), (0, 0, 0)])
def test_shares_that_make_no_whole_are_a_mistake(shares: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="together 1"):
        Shares(*shares)
