"""Effects of one variant against another, when both were trained with several seeds.

Two things vary: the seed of a training, and the patients on whom it is measured. An interval over
patients alone calls the luck of one training an effect; so effects carry two intervals, one over
seeds (Student's t on the differences of pairs), and one over seeds and patients (a bootstrap that
draws both, Owen 2007). Seeds are pairs: the same seed draws the same batches for each variant.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ml.evaluation.statistics import LEVEL, NUM_RESAMPLES, Interval

# Axes: S seed, N patient, B resample, P patient with a bleed, H patient without one


@dataclass(frozen=True)
class Effect:
    """A difference of means over seeds, the second variant less the first.

    Attributes
    ----------
    over_seeds
        Mean with Student's t interval over the pairs of seeds.
    over_both
        The same mean with the bootstrap's percentile interval over seeds and patients.
    differences
        One for each seed.
    deviation
        Their standard deviation.
    standardised
        Mean over deviation (Cohen's d of pairs); None if all differences are equal.
    p_value
        Of the t-test on pairs, two-sided, not corrected; None if all differences are equal.
    num_patients
        On whom each difference is measured.
    """

    over_seeds: Interval
    over_both: Interval
    differences: tuple[float, ...]
    deviation: float
    standardised: float | None
    p_value: float | None
    num_patients: int

    @property
    def is_clear(self) -> bool:
        """Whether both intervals leave out zero."""
        return all(each.low * each.high > 0 for each in (self.over_seeds, self.over_both))


def over_seeds(differences: NDArray[np.float64]) -> tuple[Interval, float | None]:
    """Mean of differences with Student's t interval, and the p value of the t-test.

    Parameters
    ----------
    differences
        Shape (S,), at least two.

    Returns
    -------
    interval : Interval
    p_value : float or None
        None if all differences are equal: the test then has no spread to measure by.
    """
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    if error == 0:
        return Interval(mean, mean, mean), None
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(differences) - 1)) * error
    p_value = 2 * float(stats.t.sf(abs(mean / error), len(differences) - 1))
    return Interval(mean, mean - reach, mean + reach), p_value


def effect_on_mean(
    first_SN: NDArray[np.float64],
    second_SN: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    num_resamples: int = NUM_RESAMPLES,
) -> Effect:
    """Effect on the mean over patients of something like Dice.

    Parameters
    ----------
    first_SN, second_SN
        Shape (S, N), no gaps: the same patients and the same seeds for both.
    rng
        Of the bootstrap.
    num_resamples
        Number of draws.
    """
    difference_SN = second_SN - first_SN
    num_seeds, num_patients = difference_SN.shape
    weights_BS = _draws(rng, num_resamples, num_seeds)
    weights_BN = _draws(rng, num_resamples, num_patients)
    drawn_B = np.einsum("bs,bn,sn->b", weights_BS, weights_BN, difference_SN, optimize=True)
    return _effect(difference_SN.mean(axis=1), drawn_B, num_patients)


def effect_on_auc(
    first_SN: NDArray[np.float64],
    second_SN: NDArray[np.float64],
    bleeds_N: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    num_resamples: int = NUM_RESAMPLES,
) -> Effect:
    """Effect on the area under the ROC curve of a score.

    Parameters
    ----------
    first_SN, second_SN
        Shape (S, N), scores.
    bleeds_N
        Shape (N,), who bleeds; patients of both kinds are needed. The bootstrap draws each kind
        among itself.
    rng, num_resamples
        As in `effect_on_mean`.
    """
    difference_SPH = _order(second_SN, bleeds_N) - _order(first_SN, bleeds_N)
    num_seeds, num_bleeding, num_healthy = difference_SPH.shape
    weights_BS = _draws(rng, num_resamples, num_seeds)
    weights_BP = _draws(rng, num_resamples, num_bleeding)
    weights_BH = _draws(rng, num_resamples, num_healthy)
    drawn_B = np.einsum(
        "bs,bp,bh,sph->b", weights_BS, weights_BP, weights_BH, difference_SPH, optimize=True
    )
    return _effect(difference_SPH.mean(axis=(1, 2)), drawn_B, num_bleeding + num_healthy)


def areas(scores_SN: NDArray[np.float64], bleeds_N: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area under the ROC curve for each seed, shape (S,); equal scores count half."""
    area_S: NDArray[np.float64] = _order(scores_SN, bleeds_N).mean(axis=(1, 2))
    return area_S


def difference_of_effects(first: Effect, second: Effect) -> tuple[Interval, float | None]:
    """Second effect less the first, with its interval over the same seeds.

    Parameters
    ----------
    first, second
        Measured under two conditions, with the same seeds in the same order.
    """
    return over_seeds(np.array(second.differences) - np.array(first.differences))


def _order(score_SN: NDArray[np.float64], bleeds_N: NDArray[np.bool_]) -> NDArray[np.float64]:
    """For each pair of a bleeding and a healthy patient whether the first scores higher."""
    bleeding_SP1, healthy_S1H = score_SN[:, bleeds_N, None], score_SN[:, None, ~bleeds_N]
    order: NDArray[np.float64] = (bleeding_SP1 > healthy_S1H) + 0.5 * (bleeding_SP1 == healthy_S1H)
    return order


def _draws(rng: np.random.Generator, num_resamples: int, count: int) -> NDArray[np.float64]:
    """Weights that sum to 1 in each resample, shape (B, count)."""
    return rng.multinomial(count, np.full(count, 1 / count), size=num_resamples) / count


def _effect(
    differences: NDArray[np.float64], drawn_B: NDArray[np.float64], num_patients: int
) -> Effect:
    interval, p_value = over_seeds(differences)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn_B, [tail, 1 - tail])
    deviation = float(differences.std(ddof=1))
    return Effect(
        over_seeds=interval,
        over_both=Interval(interval.estimate, float(low), float(high)),
        differences=tuple(differences.tolist()),
        deviation=deviation,
        standardised=interval.estimate / deviation if deviation > 0 else None,
        p_value=p_value,
        num_patients=num_patients,
    )
