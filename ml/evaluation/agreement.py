"""Do the volumes agree? Bland and Altman's limits, Lin's concordance, and the usual error."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml.evaluation.cases import KINDS, CaseResult
from ml.evaluation.statistics import (
    LEVEL,
    Interval,
    Statistic,
    bootstrap,
    divide,
    floats,
)

# Axes: B resamples, N studies

LIMITS = 1.96
"""Standard deviations between the bias and each limit of agreement."""


@dataclass(frozen=True)
class Agreement:
    """Claimed against true volume of one kind of haemorrhage.

    Attributes
    ----------
    kind
        Name of `ml.evaluation.cases.KINDS`.
    num_studies
        Those that have it in truth or in the mask; where neither has, agreement is no merit.
    bias_ml
        Mean of claimed less true volume, ml, with its interval by Student's t.
    lower_limit_ml, upper_limit_ml
        Limits of agreement, ml: between them lie 95 % of the differences if these are normal. The
        intervals are Bland and Altman's (1999, section 2): standard error s sqrt(1/n + 1.96^2 /
        2(n - 1)).
    concordance
        Lin's concordance correlation coefficient (1989), with its bootstrap interval over
        patients; None if neither volume varies.
    median_error_ml
        Median of the absolute difference, ml.
    """

    kind: str
    num_studies: int
    bias_ml: Interval
    lower_limit_ml: Interval
    upper_limit_ml: Interval
    concordance: Interval | None
    median_error_ml: float


def volumes_ml(
    results: Sequence[CaseResult], kind: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[str]]:
    """Collect true and claimed volumes, ml, of the studies that have one, and whose they are."""
    held = [
        (each.of[kind], each.patient_id)
        for each in results
        if kind in each.of and (each.of[kind].present or each.of[kind].claimed)
    ]
    true = floats([overlap.truth_ml for overlap, _ in held])
    said = floats([overlap.said_ml for overlap, _ in held])
    return true, said, [patient for _, patient in held]


def agreements(results: Sequence[CaseResult], *, seed: int) -> tuple[Agreement, ...]:
    """Compare volumes, for each kind of haemorrhage that at least two studies have."""
    found = []
    for kind in KINDS:
        true, said, patients = volumes_ml(results, kind)
        if true.size >= 2:
            found.append(agreement(kind, true, said, patients, seed=seed))
    return tuple(found)


def agreement(
    kind: str,
    true_ml: NDArray[np.float64],
    said_ml: NDArray[np.float64],
    patients: Sequence[str],
    *,
    seed: int,
) -> Agreement:
    """Compare volumes of at least two studies.

    Parameters
    ----------
    kind
        What the volumes are of.
    true_ml, said_ml
        Shape (N,), ml.
    patients
        Whose study each is.
    seed
        Of the bootstrap.
    """
    difference = said_ml - true_ml
    num, bias, spread = difference.size, float(difference.mean()), float(difference.std(ddof=1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, num - 1))
    of_bias = reach * spread / num**0.5
    of_limit = reach * spread * (1 / num + LIMITS**2 / (2 * (num - 1))) ** 0.5

    def around(estimate: float, half: float) -> Interval:
        return Interval(estimate, estimate - half, estimate + half)

    return Agreement(
        kind=kind,
        num_studies=num,
        bias_ml=around(bias, of_bias),
        lower_limit_ml=around(bias - LIMITS * spread, of_limit),
        upper_limit_ml=around(bias + LIMITS * spread, of_limit),
        concordance=bootstrap(concordance(true_ml, said_ml), patients, seed=seed),
        median_error_ml=float(np.median(np.abs(difference))),
    )


def concordance(first_N: NDArray[np.float64], second_N: NDArray[np.float64]) -> Statistic:
    """Statistic: 2 s12 / (s1^2 + s2^2 + (m1 - m2)^2), with divisors N (Lin 1989, equation 2)."""

    def compute(weights_BN: NDArray[np.float64]) -> NDArray[np.float64]:
        share_BN = weights_BN / weights_BN.sum(axis=1, keepdims=True)
        mean_first, mean_second = share_BN @ first_N, share_BN @ second_N
        off_first, off_second = first_N - mean_first[:, None], second_N - mean_second[:, None]
        covariance = (share_BN * off_first * off_second).sum(axis=1)
        spread = (share_BN * (off_first**2 + off_second**2)).sum(axis=1)
        return divide(2 * covariance, spread + (mean_first - mean_second) ** 2)

    return compute
