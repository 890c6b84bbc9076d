"""Uncertainty and differences: intervals, tests, effect sizes; nothing here knows of heads.

What cannot be estimated (nothing to count, one kind of case only) is None, never a number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

# Axes: B resamples, N studies

LEVEL = 0.95
"""Confidence level of every interval."""
NUM_RESAMPLES = 2000

_MOST_NUMBERS = 4_000_000
"""So many weights are held at the same time."""

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From weights of the studies, shape (B, N), to the statistic of each resample, shape (B,)."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its confidence interval of `LEVEL`."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Proportion:
    """A share of cases, with Wilson's interval.

    Attributes
    ----------
    count, total
        So many of so many.
    interval
        The share; None if there are none to count.
    """

    count: int
    total: int
    interval: Interval | None


def proportion(chosen: ArrayLike) -> Proportion:
    """Share of True, with Wilson's score interval (Wilson 1927).

    Parameters
    ----------
    chosen
        Shape (N,), truth values.
    """
    held = np.asarray(chosen, bool)
    count, total = int(held.sum()), held.size
    if not total:
        return Proportion(0, 0, None)
    found = stats.binomtest(count, total).proportion_ci(LEVEL, method="wilson")
    return Proportion(count, total, Interval(count / total, float(found.low), float(found.high)))


def bootstrap(
    statistic: Statistic,
    patients: Sequence[str],
    *,
    seed: int,
    num_resamples: int = NUM_RESAMPLES,
) -> Interval | None:
    """Percentile interval by drawing patients with replacement (Efron 1979).

    Parameters
    ----------
    statistic
        Computes many resamples at the same time; not a number where it cannot be computed. Such
        resamples are left out.
    patients
        Length N, whose study each is; all studies of a patient are drawn together.
    seed
        Of the draws.
    num_resamples
        Number of draws.

    Returns
    -------
    Interval or None
        None if the statistic cannot be computed from all studies.
    """
    num_studies = len(patients)
    if not num_studies:
        return None
    estimate = float(statistic(np.ones((1, num_studies)))[0])
    if np.isnan(estimate):
        return None
    names, whose = np.unique(np.asarray(patients), return_inverse=True)
    rng = np.random.default_rng(seed)
    at_once = max(1, _MOST_NUMBERS // num_studies)
    drawn = []
    for first in range(0, num_resamples, at_once):
        size = min(at_once, num_resamples - first)
        counts_BP = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=size)
        drawn.append(statistic(counts_BP[:, whose].astype(np.float64)))
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(np.concatenate(drawn), [tail, 1 - tail])
    return Interval(estimate, float(low), float(high))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Statistic:
    """Statistic: weighted sum of one quantity over that of another."""
    above_N, below_N = floats(numerator), floats(denominator)

    def compute(weights_BN: NDArray[np.float64]) -> NDArray[np.float64]:
        return divide(weights_BN @ above_N, weights_BN @ below_N)

    return compute


def mean(values: Sequence[float | None]) -> Statistic:
    """Statistic: mean of the values that there are."""
    present = [value is not None for value in values]
    return ratio([value or 0.0 for value in values], present)


def mean_interval(
    values: Sequence[float | None], patients: Sequence[str], *, seed: int
) -> Interval | None:
    """Mean of the values that there are, with its bootstrap interval over patients."""
    return bootstrap(mean(values), patients, seed=seed)


def divide(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; not a number where the divisor is 0."""
    share = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    np.divide(above, below, out=share, where=below != 0)
    return share


def floats(values: ArrayLike) -> NDArray[np.float64]:
    """Take values as an array of floating point numbers."""
    return np.asarray(values, np.float64)


def rank_sum(first: ArrayLike, second: ArrayLike) -> float:
    """P value of Wilcoxon's rank-sum test (Mann and Whitney's U), two-sided.

    This is the paper's test. It takes the groups for independent, which two methods on the same
    patients are not; `signed_rank` is the test for those.
    """
    return float(stats.mannwhitneyu(floats(first), floats(second)).pvalue)


def signed_rank(first: ArrayLike, second: ArrayLike) -> float:
    """P value of Wilcoxon's signed-rank test on pairs, two-sided; 1 if all pairs are equal."""
    difference = floats(first) - floats(second)
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference).pvalue)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """P values corrected for their number (Holm 1979), in the order given."""
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    stepped = np.minimum(1, np.maximum.accumulate(floats(p_values)[order] * factors))
    corrected = np.empty(len(p_values))
    corrected[order] = stepped
    return tuple(corrected.tolist())


def cliffs_delta(first: ArrayLike, second: ArrayLike) -> float:
    """Share of pairs in which the first is larger, less that in which it is smaller; -1 to 1.

    Effect size of two independent groups (Cliff 1993).
    """
    a, b = floats(first), floats(second)
    u_statistic = float(stats.mannwhitneyu(a, b, method="asymptotic").statistic)
    return 2 * u_statistic / (a.size * b.size) - 1


def rank_biserial(first: ArrayLike, second: ArrayLike) -> float:
    """Ranks of the pairs in which the first is larger, less the others, as a share; -1 to 1.

    Effect size of pairs (Kerby 2014); 0 if all pairs are equal.
    """
    difference = floats(first) - floats(second)
    difference = difference[difference != 0]
    if not difference.size:
        return 0.0
    ranks = stats.rankdata(np.abs(difference))
    return float((ranks @ np.sign(difference)) / ranks.sum())


@dataclass(frozen=True)
class Comparison:
    """One method against another on the same patients.

    Attributes
    ----------
    method
        The other one; differences are the reference less this one.
    num_pairs
        Studies for which both have a value.
    mean_difference
        With its bootstrap interval over patients.
    rank_biserial, cliffs_delta
        Effect sizes, of pairs and of groups; positive if the reference is larger.
    p_rank_sum
        The paper's test: groups, not corrected.
    p_signed_rank, p_holm
        The test on pairs, and corrected for the number of methods.
    """

    method: str
    num_pairs: int
    mean_difference: Interval
    rank_biserial: float
    cliffs_delta: float
    p_rank_sum: float
    p_signed_rank: float
    p_holm: float


def compare(
    values: Mapping[str, Sequence[float | None]],
    *,
    reference: str,
    patients: Sequence[str],
    seed: int,
) -> tuple[Comparison, ...]:
    """Compare a reference with every other method.

    Parameters
    ----------
    values
        For each method one value for each study, in the same order; None where there is none.
    reference
        One of the methods.
    patients
        Whose study each is.
    seed
        Of the bootstrap.

    Returns
    -------
    tuple of Comparison
        In the order of the methods; those that share no study with the reference are left out.
    """
    found = []
    for method, others in values.items():
        triples = zip(values[reference], others, patients, strict=True)
        pairs = [(a, b, who) for a, b, who in triples if a is not None and b is not None]
        if method == reference or not pairs:
            continue
        first, second = np.array([a for a, _, _ in pairs]), np.array([b for _, b, _ in pairs])
        difference = mean_interval(
            (first - second).tolist(), [who for _, _, who in pairs], seed=seed
        )
        if difference is not None:
            found.append((method, first, second, difference, signed_rank(first, second)))
    corrected = holm([p_value for *_, p_value in found])
    return tuple(
        Comparison(
            method=method,
            num_pairs=first.size,
            mean_difference=difference,
            rank_biserial=rank_biserial(first, second),
            cliffs_delta=cliffs_delta(first, second),
            p_rank_sum=rank_sum(first, second),
            p_signed_rank=p_value,
            p_holm=p_holm,
        )
        for (method, first, second, difference, p_value), p_holm in zip(
            found, corrected, strict=True
        )
    )
