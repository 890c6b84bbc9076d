"""How well a score tells cases apart: ROC and precision-recall, and points on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ml.evaluation.statistics import (
    Interval,
    Proportion,
    Statistic,
    bootstrap,
    divide,
    floats,
    proportion,
)

# Axes: B resamples, N studies, K different scores from the highest to the lowest


@dataclass(frozen=True)
class Curves:
    """Both curves of a score, from the strictest threshold to the laxest.

    Attributes
    ----------
    thresholds
        Every score that occurs, falling; a case is called positive from it on.
    sensitivity, false_positive_rate, precision
        At each threshold. Sensitivity is also called recall.
    auc, average_precision
        Area under the ROC curve by trapezoids, and the mean precision over the steps of recall,
        each with its bootstrap interval over patients.
    """

    thresholds: tuple[float, ...]
    sensitivity: tuple[float, ...]
    false_positive_rate: tuple[float, ...]
    precision: tuple[float, ...]
    auc: Interval
    average_precision: Interval


@dataclass(frozen=True)
class OperatingPoint:
    """What one threshold means.

    Attributes
    ----------
    threshold
        A case is called positive from it on.
    sensitivity, specificity
        Of cases with and without a bleed those that are called right.
    """

    threshold: float
    sensitivity: Proportion
    specificity: Proportion


def curves(
    scores: ArrayLike, truths: ArrayLike, patients: Sequence[str], *, seed: int
) -> Curves | None:
    """Compute ROC and precision-recall.

    Parameters
    ----------
    scores, truths
        Shape (N,): how suspicious each case is, and whether it bleeds.
    patients
        Whose study each is.
    seed
        Of the bootstrap.

    Returns
    -------
    Curves or None
        None unless there are cases of both kinds.
    """
    score_N, truth_N = floats(scores), np.asarray(truths, bool)
    area = bootstrap(auc(score_N, truth_N), patients, seed=seed)
    precision = bootstrap(average_precision(score_N, truth_N), patients, seed=seed)
    if area is None or precision is None:
        return None
    hits_BK, false_BK = _called(score_N, truth_N, np.ones((1, score_N.size)))
    hits, false = hits_BK[0], false_BK[0]
    return Curves(
        thresholds=tuple(np.unique(score_N)[::-1].tolist()),
        sensitivity=tuple((hits / hits[-1]).tolist()),
        false_positive_rate=tuple((false / false[-1]).tolist()),
        precision=tuple((hits / (hits + false)).tolist()),
        auc=area,
        average_precision=precision,
    )


def operating_point(scores: ArrayLike, truths: ArrayLike, threshold: float) -> OperatingPoint:
    """Say what a threshold means for cases."""
    called, truth_N = floats(scores) >= threshold, np.asarray(truths, bool)
    return OperatingPoint(
        threshold=threshold,
        sensitivity=proportion(called[truth_N]),
        specificity=proportion(~called[~truth_N]),
    )


def auc(score_N: NDArray[np.float64], truth_N: NDArray[np.bool_]) -> Statistic:
    """Statistic: area under the ROC curve; equal scores count half."""

    def compute(weights_BN: NDArray[np.float64]) -> NDArray[np.float64]:
        hits_BK, false_BK = _called(score_N, truth_N, weights_BN)
        before_BK = np.pad(hits_BK, ((0, 0), (1, 0)))[:, :-1]
        steps_BK = np.diff(false_BK, prepend=0)
        area_B = (steps_BK * (before_BK + hits_BK)).sum(axis=1) / 2
        return divide(area_B, hits_BK[:, -1] * false_BK[:, -1])

    return compute


def average_precision(score_N: NDArray[np.float64], truth_N: NDArray[np.bool_]) -> Statistic:
    """Statistic: sum of precision times the step of recall, over all thresholds."""

    def compute(weights_BN: NDArray[np.float64]) -> NDArray[np.float64]:
        hits_BK, false_BK = _called(score_N, truth_N, weights_BN)
        precision_BK = np.nan_to_num(divide(hits_BK, hits_BK + false_BK))
        steps_BK = np.diff(hits_BK, prepend=0)
        summed_B = divide((steps_BK * precision_BK).sum(axis=1), hits_BK[:, -1])
        # without a negative case, precision says nothing
        return np.where(false_BK[:, -1] > 0, summed_B, np.nan)

    return compute


def _called(
    score_N: NDArray[np.float64], truth_N: NDArray[np.bool_], weights_BN: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of true and of false positives at each different score, falling; shape (B, K)."""
    order = np.argsort(-score_N, kind="stable")
    falling = score_N[order]
    # equal scores are called together: the last of each group holds its sum
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], np.True_))
    sorted_BN = weights_BN[:, order]
    hits_BK = np.cumsum(sorted_BN * truth_N[order], axis=1)[:, last]
    false_BK = np.cumsum(sorted_BN * ~truth_N[order], axis=1)[:, last]
    return hits_BK, false_BK
