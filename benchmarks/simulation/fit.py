"""Durations as they were measured, as a distribution to draw from."""

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lognormal:
    """A duration that is never negative, with a longer tail above than below.

    Attributes
    ----------
    mean
        In seconds.
    variation
        Standard deviation as a share of the mean.
    """

    mean: float
    variation: float

    def __call__(self, chance: random.Random) -> float:
        """Draw one."""
        if self.mean <= 0 or self.variation == 0:
            return max(self.mean, 0.0)
        spread = math.sqrt(math.log1p(self.variation**2))
        return chance.lognormvariate(math.log(self.mean) - spread**2 / 2, spread)


def fitted(seconds: Sequence[float]) -> Lognormal:
    """Fit mean and variation to measured durations.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not seconds:
        raise ValueError("nothing was measured")
    mean = statistics.fmean(seconds)
    return Lognormal(mean, statistics.pstdev(seconds) / mean if mean > 0 else 0.0)
