"""Who is trained on, who chooses, who tests: whole patients, decided by a seed and their hash.

A split by study or by slice would test on patients that were trained on. Here a patient's place
depends on the seed, on the patient's hash and on nothing else but who else is there, so the order
of files, the machine and the date do not matter.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from config.errors import UsageError


class Split(StrEnum):
    """What a patient is for."""

    TRAIN = "train"
    """Weights are fitted to them."""
    VALIDATION = "validation"
    """Everything else is chosen by them: thresholds, temperature, when to stop."""
    TEST = "test"
    """They are looked at last, and nothing is chosen by them."""


@dataclass(frozen=True)
class Shares:
    """Which share of the patients goes into each split; together 1."""

    train: float = 0.7
    validation: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        """Refuse shares of nothing."""
        values = (self.train, self.validation, self.test)
        if not all(0 <= share <= 1 for share in values) or not math.isclose(sum(values), 1):
            raise UsageError(f"the shares of the splits are {values}, not 0 to 1 and together 1")


def assign(patients: Mapping[str, bool | None], shares: Shares, *, seed: int) -> dict[str, Split]:
    """Divide patients among the splits.

    Parameters
    ----------
    patients
        For the hash of each patient, whether the patient bleeds; None if nobody knows. Each of the
        three groups is divided by itself, so that every split has its share of bleeds.
    shares
        Of the patients of each group, rounded by the largest remainder.
    seed
        Another seed, another division.

    Returns
    -------
    dict
        The split of each patient.
    """
    splits: dict[str, Split] = {}
    for group in (True, False, None):
        members = [patient for patient, bleeds in patients.items() if bleeds is group]
        members.sort(key=lambda patient: hashlib.sha256(f"{seed}/{patient}".encode()).digest())
        first = 0
        for split, count in _counts(len(members), shares).items():
            splits.update(dict.fromkeys(members[first : first + count], split))
            first += count
    return splits


def _counts(total: int, shares: Shares) -> dict[Split, int]:
    exact = {
        Split.TRAIN: total * shares.train,
        Split.VALIDATION: total * shares.validation,
        Split.TEST: total * shares.test,
    }
    # a sum that is off in the last digit must not cost a patient
    counts = {split: math.floor(value + 1e-9) for split, value in exact.items()}
    by_remainder = sorted(exact, key=lambda split: counts[split] - exact[split])
    for split in by_remainder[: total - sum(counts.values())]:
        counts[split] += 1
    return counts
