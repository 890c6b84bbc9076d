"""How far the figures of a volume are from those of the heads that a model was trained on.

The distance is that of Mahalanobis, with a correlation that is shrunken towards none (Ledoit and
Wolf 2004, J. Multivariate Analysis 88:365-411).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.familiarity.figures import FIGURES, Description

FARTHEST = 99.0
"""Distance of a volume of which too little can be measured; no distance is larger."""
LEAST_VOLUMES = 20
"""From fewer volumes nothing is fitted."""

_LIMIT_QUANTILE = 0.995
_LEAST_LIMIT = 1.0
"""A head that is one deviation off in each figure is never strange, however alike the training."""
_RANGE = (0.005, 0.995)
_NUM_QUANTILES = 21
_FOLDS = 5
_LEAST_SHRINKAGE = 0.05
_NUM_UNUSUAL = 3


@dataclass(frozen=True)
class Unusual:
    """A figure of a volume beside those of the training.

    Attributes
    ----------
    name
        Key of `FIGURES`.
    value
        In its unit.
    lowest, highest
        The middle 99 % of the heads of the training lie between.
    deviations
        Distance from their mean in standard deviations, on the figure's scale.
    """

    name: str
    value: float
    lowest: float
    highest: float
    deviations: float

    @property
    def is_out_of_range(self) -> bool:
        """Whether it lies outside the usual range, as far as its digits show."""
        digits = FIGURES[self.name].digits
        return (
            not round(self.lowest, digits)
            <= round(self.value, digits)
            <= round(self.highest, digits)
        )

    @property
    def sentence(self) -> str:
        """For example ``noise 9.1 HU, usual 1.5 to 6.0``."""
        figure = FIGURES[self.name]
        value, low, high = (
            f"{number:.{figure.digits}f}" for number in (self.value, self.lowest, self.highest)
        )
        return (
            f"{figure.words} {value}{' ' * bool(figure.unit)}{figure.unit}, usual {low} to {high}"
        )


@dataclass(frozen=True)
class Familiarity:
    """How like those of the training a volume is.

    Attributes
    ----------
    distance
        Root mean square of its deviations from the mean head, correlations taken into account:
        1 or less for most heads of the training, at most `FARTHEST`.
    limit
        From here on it is too far.
    nearer_percent
        Share of the heads of the training that are nearer.
    unusual
        The figures that deviate most, most unusual first; none at `FARTHEST`.
    """

    distance: float
    limit: float
    nearer_percent: float
    unusual: tuple[Unusual, ...] = ()

    @property
    def is_familiar(self) -> bool:
        """Whether the model may be trusted as far as its figures of merit go."""
        return self.distance <= self.limit


@dataclass(frozen=True)
class FamiliarityModel:
    """How the heads of a training look; plain numbers, part of the model card.

    Attributes
    ----------
    names
        Of the figures, in the order of everything below.
    means, deviations
        On the figure's scale.
    correlations
        Below the diagonal, row by row.
    lowest, highest
        Usual range of each, in its unit.
    distances
        Equally spaced quantiles of the distances of heads that were held out, the least and the
        largest included.
    limit
        The distance that 99.5 % of those do not exceed, at least 1.
    num_volumes
        Heads that were described.
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    correlations: tuple[float, ...]
    lowest: tuple[float, ...]
    highest: tuple[float, ...]
    distances: tuple[float, ...]
    limit: float
    num_volumes: int

    def __post_init__(self) -> None:
        """Refuse numbers that do not belong together."""
        count = len(self.names)
        each = (self.means, self.deviations, self.lowest, self.highest)
        if any(len(numbers) != count for numbers in each):
            raise ValueError("each figure has one mean, deviation and range")
        if len(self.correlations) != count * (count - 1) // 2:
            raise ValueError("each pair of figures has one correlation")
        if not all(deviation > 0 for deviation in self.deviations) or self.limit <= 0:
            raise ValueError("deviations and limit are positive")

    def score(self, description: Description) -> Familiarity:
        """Compare a volume with the heads of the training.

        Parameters
        ----------
        description
            As `describe` gives it. Figures that are missing are left out; if more than half are,
            nothing is familiar.
        """
        values = [description.get(name, math.nan) for name in self.names]
        deviations = self._deviations(description)
        distance = _distance(deviations, self._correlation())
        measured = np.flatnonzero(np.isfinite(deviations))
        if distance == FARTHEST:
            measured = measured[:0]
        order = measured[np.argsort(-np.abs(deviations[measured]), kind="stable")]
        quantiles = np.linspace(0, 100, len(self.distances))
        return Familiarity(
            distance=round(distance, 3),
            limit=self.limit,
            nearer_percent=round(float(np.interp(distance, self.distances, quantiles)), 1),
            unusual=tuple(
                Unusual(
                    self.names[index],
                    float(values[index]),
                    self.lowest[index],
                    self.highest[index],
                    round(float(deviations[index]), 2),
                )
                for index in order[:_NUM_UNUSUAL]
            ),
        )

    def _deviations(self, description: Description) -> NDArray[np.float64]:
        return np.array(
            [
                (_scaled(description, name) - mean) / deviation
                for name, mean, deviation in zip(
                    self.names, self.means, self.deviations, strict=True
                )
            ]
        )

    def _correlation(self) -> NDArray[np.float64]:
        count = len(self.names)
        lower = np.zeros((count, count))
        lower[np.tril_indices(count, -1)] = self.correlations
        correlation: NDArray[np.float64] = lower + lower.T + np.eye(count)
        return correlation


def fit(
    descriptions: Sequence[Description], *, quantile: float = _LIMIT_QUANTILE
) -> FamiliarityModel:
    """Learn how the heads of a training look.

    Parameters
    ----------
    descriptions
        Of heads that the model was trained or validated on, with and without blood.
    quantile
        Share of such heads that shall be familiar.

    Returns
    -------
    FamiliarityModel
        Its limit is measured on heads that were held out in turn (five folds), since a head is
        nearer to a mean that it is part of.

    Raises
    ------
    ValueError
        If there are fewer than `LEAST_VOLUMES`.
    """
    if len(descriptions) < LEAST_VOLUMES:
        raise ValueError(f"{len(descriptions)} volumes, at least {LEAST_VOLUMES} are needed")
    names = tuple(name for name in FIGURES if _is_usual(descriptions, name))
    scaled = np.array([[_scaled(each, name) for name in names] for each in descriptions])
    fold = np.arange(len(scaled)) % _FOLDS
    distances = np.concatenate(
        [
            [_distance((row - mean) / deviation, correlation) for row in scaled[fold == held_out]]
            for held_out in range(_FOLDS)
            for mean, deviation, correlation in [_moments(scaled[fold != held_out], names)]
        ]
    )
    mean, deviation, correlation = _moments(scaled, names)
    values = np.array([[each.get(name, math.nan) for name in names] for each in descriptions])
    lowest, highest = _quantiles(values, (0.005, 0.995))
    return FamiliarityModel(
        names=names,
        means=_rounded(mean),
        deviations=_rounded(deviation),
        correlations=_rounded(correlation[np.tril_indices(len(names), -1)]),
        lowest=_rounded(lowest),
        highest=_rounded(highest),
        distances=_rounded(np.quantile(distances, np.linspace(0, 1, 21))),
        limit=round(max(_LEAST_LIMIT, float(np.quantile(distances, quantile))), 4),
        num_volumes=len(descriptions),
    )


def _scaled(description: Description, name: str) -> float:
    """Value of a figure on its scale; NaN if it is missing, or is no longer measured."""
    if name not in FIGURES:
        return math.nan
    return FIGURES[name].scaled(description.get(name, math.nan))


def _is_usual(descriptions: Sequence[Description], name: str) -> bool:
    """Whether a figure can be measured in at least half of the volumes."""
    known = sum(math.isfinite(_scaled(each, name)) for each in descriptions)
    return 2 * known >= len(descriptions)


def _distance(deviations: NDArray[np.float64], correlation: NDArray[np.float64]) -> float:
    """Distance of Mahalanobis over the figures that were measured, divided by their root number."""
    measured = np.isfinite(deviations)
    if 2 * measured.sum() < len(deviations):
        return FARTHEST
    away = deviations[measured]
    square = away @ np.linalg.solve(correlation[np.ix_(measured, measured)], away)
    return min(FARTHEST, math.sqrt(square / len(away)))


def _moments(
    scaled: NDArray[np.float64], names: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Means, deviations and shrunken correlation of figures, shape (volumes, figures)."""
    known = np.isfinite(scaled)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, scaled, 0).sum(axis=0) / count
    # what is missing is put at the mean
    centred = np.where(known, scaled - mean, 0)
    tolerance = np.array([FIGURES[name].tolerance for name in names])
    deviation = np.sqrt((centred**2).sum(axis=0) / count + tolerance**2)
    standard = centred / deviation
    covariance = standard.T @ standard / len(standard)
    # what scanners vary anyway is independent, and brings each variance to 1
    np.fill_diagonal(covariance, 1.0)
    shrinkage = max(_LEAST_SHRINKAGE, _shrinkage(standard))
    correlation = (1 - shrinkage) * covariance + shrinkage * np.eye(len(covariance))
    return mean, deviation, correlation


def _shrinkage(standard: NDArray[np.float64]) -> float:
    """Best weight of the diagonal target (Ledoit and Wolf 2004, section 3.2): b2 / d2."""
    count, size = standard.shape
    sample = standard.T @ standard / count
    mu = np.trace(sample) / size
    d2 = ((sample - mu * np.eye(size)) ** 2).sum() / size
    # sum over k of |x_k x_k' - S|^2 = sum of |x_k|^4 - count |S|^2
    b2 = ((standard**2).sum(axis=1) ** 2).sum() - count * (sample**2).sum()
    b2 /= count**2 * size
    return float(np.clip(b2 / d2, 0, 1)) if d2 > 0 else 1.0


def _quantiles(
    values: NDArray[np.float64], shares: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quantiles of each column without NaN."""
    lowest, highest = np.nanquantile(values, shares, axis=0)
    return lowest, highest


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
