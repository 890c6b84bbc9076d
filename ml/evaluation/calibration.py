"""Do probabilities mean what they say? Reliability, ECE, Brier score, temperature scaling.

Probabilities are counted into bins of equal width as they come, so that no voxels are kept.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

# Axes: N cases or voxels, C classes

NUM_BINS = 10
TEMPERATURES = (0.05, 20.0)
"""Between these a temperature is looked for."""


@dataclass(frozen=True)
class Reliability:
    """Claimed probabilities against what came true, in bins of equal width from 0 to 1.

    Two of them add up to that of both sets.

    Attributes
    ----------
    counts
        For each bin how many probabilities lie in it.
    came_true
        How many of those came true.
    summed
        Sum of the probabilities in it.
    squared_error
        Sum over all of (probability - outcome)^2.
    """

    counts: tuple[int, ...]
    came_true: tuple[int, ...]
    summed: tuple[float, ...]
    squared_error: float

    def __add__(self, other: "Reliability") -> "Reliability":
        """Count two sets together."""
        return Reliability(
            tuple(map(sum, zip(self.counts, other.counts, strict=True))),
            tuple(map(sum, zip(self.came_true, other.came_true, strict=True))),
            tuple(map(sum, zip(self.summed, other.summed, strict=True))),
            self.squared_error + other.squared_error,
        )

    @property
    def total(self) -> int:
        """How many probabilities were counted."""
        return sum(self.counts)

    @property
    def claimed(self) -> tuple[float | None, ...]:
        """Mean probability of each bin; None where it is empty."""
        return tuple(s / n if n else None for s, n in zip(self.summed, self.counts, strict=True))

    @property
    def observed(self) -> tuple[float | None, ...]:
        """Share of each bin that came true; None where it is empty."""
        return tuple(s / n if n else None for s, n in zip(self.came_true, self.counts, strict=True))

    @property
    def expected_error(self) -> float | None:
        """ECE: mean distance of claimed and observed, weighted by count (Guo et al. 2017)."""
        if not self.total:
            return None
        pairs = zip(self.summed, self.came_true, strict=True)
        return sum(abs(claimed - true) for claimed, true in pairs) / self.total

    @property
    def brier(self) -> float | None:
        """Mean squared error of the probabilities (Brier 1950)."""
        return self.squared_error / self.total if self.total else None


EMPTY = Reliability((0,) * NUM_BINS, (0,) * NUM_BINS, (0.0,) * NUM_BINS, 0.0)
"""Nothing counted yet."""


def reliability(probability: NDArray[np.float64], outcome: NDArray[np.bool_]) -> Reliability:
    """Count probabilities and what came true.

    Parameters
    ----------
    probability
        Shape (N,), 0 to 1.
    outcome
        Shape (N,).
    """
    place = np.minimum((probability * NUM_BINS).astype(np.intp), NUM_BINS - 1)
    return Reliability(
        counts=tuple(np.bincount(place, minlength=NUM_BINS).tolist()),
        came_true=tuple(np.bincount(place[outcome], minlength=NUM_BINS).tolist()),
        summed=tuple(np.bincount(place, probability, NUM_BINS).tolist()),
        squared_error=float(((probability - outcome) ** 2).sum()),
    )


def add_up(parts: Iterable[Reliability]) -> Reliability:
    """Count several sets together."""
    return reduce(Reliability.__add__, parts, EMPTY)


@dataclass(frozen=True, eq=False)
class VoxelSample:
    """What a network says of some voxels, and what they are.

    Attributes
    ----------
    logits
        Shape (N, C), before temperature and softmax.
    labels
        Shape (N,), true classes.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Refuse numbers that do not belong together."""
        if self.labels.shape != self.logits.shape[:1]:
            raise ValueError(
                f"{len(self.labels)} labels do not belong to {len(self.logits)} voxels"
            )


def join(samples: Iterable[VoxelSample]) -> VoxelSample:
    """Put at least one sample together."""
    held = list(samples)
    return VoxelSample(
        np.concatenate([each.logits for each in held]),
        np.concatenate([each.labels for each in held]),
    )


def voxel_reliability(sample: VoxelSample, temperature: float) -> Reliability:
    """Count how often the most probable class of a voxel is the true one.

    Parameters
    ----------
    sample
        Some voxels.
    temperature
        The logits are divided by it.
    """
    probability_NC = softmax(sample.logits.astype(np.float64) / temperature, axis=1)
    said_N = probability_NC.argmax(axis=1)
    return reliability(probability_NC.max(axis=1, initial=0), said_N == sample.labels)


def negative_log_likelihood(sample: VoxelSample, temperature: float) -> float:
    """Mean negative logarithm of the probability of the true class."""
    scaled_NC = sample.logits.astype(np.float64) / temperature
    true_N = scaled_NC[np.arange(len(scaled_NC)), sample.labels]
    return float((logsumexp(scaled_NC, axis=1) - true_N).mean())


def fit_temperature(sample: VoxelSample) -> float:
    """Temperature that makes validation voxels most probable (Guo et al. 2017, section 4.2).

    Parameters
    ----------
    sample
        From validation patients alone, `ml.evaluation.voxels.sample_voxels`.

    Returns
    -------
    float
        Within `TEMPERATURES`, to four digits; 1 if there are no voxels. The likelihood has one
        maximum over the inverse temperature, and the search has no chance in it: the same voxels
        give the same temperature.
    """
    if not sample.labels.size:
        return 1.0
    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(
        lambda log_temperature: negative_log_likelihood(sample, float(np.exp(log_temperature))),
        bounds=(float(low), float(high)),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return round(float(np.exp(found.x)), 4)
