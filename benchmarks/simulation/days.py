"""A day of a network, simulated: hospitals, listeners, queue, workers, deliverers, PACS."""

import itertools
import random
from collections.abc import Sequence

from benchmarks.simulation.capacity import Assumptions, Carried
from benchmarks.simulation.events import Arrival, Journey, Stage, simulate
from benchmarks.simulation.fit import Lognormal

HOURS: tuple[float, ...] = (
    *(0.020, 0.016, 0.014, 0.012, 0.012, 0.014, 0.022, 0.036),
    *(0.056, 0.070, 0.080, 0.084, 0.076, 0.072, 0.074, 0.070),
    *(0.060, 0.048, 0.040, 0.034, 0.028, 0.024, 0.020, 0.018),
)
"""Share of a day's studies by hour, assumed; stretched to the busiest hour that is wanted."""
STAT_SHARE = 0.3
"""Share of studies that go before others, assumed."""
COMPLETION_SECONDS = 0.5
"""From the last image to the job, of a known sender."""
SLOTS_OF_A_DELIVERER = 8
PACS_SECONDS = 0.1
"""That a PACS takes to store, assumed."""
ANALYSIS = 2
"""Number of the stage of the workers."""


def day(studies: int, assumed: Assumptions, *, seed: int | str) -> list[Arrival]:
    """Draw the arrivals of a day; the busiest hour has the share that is assumed."""
    chance = random.Random(seed)  # noqa: S311 - a model's chance
    shares = _shares(assumed.busiest_hour)
    arrivals = []
    for hour, share in enumerate(shares):
        rate = studies * share / 3600
        at = 3600.0 * hour
        while (at := at + chance.expovariate(rate)) < 3600.0 * (hour + 1):
            arrivals.append(Arrival(at, priority=int(chance.random() >= STAT_SHARE)))
    return arrivals


def _shares(busiest: float) -> list[float]:
    """Stretch the hours about their mean until the busiest one has its share."""
    mean = 1 / len(HOURS)
    stretch = (busiest - mean) / (max(HOURS) / sum(HOURS) - mean)
    return [max(mean + stretch * (hour / sum(HOURS) - mean), mean / 20) for hour in HOURS]


def way(
    carried: Carried, assumed: Assumptions, *, listeners: int, workers: int, seconds: float
) -> list[Stage]:
    """Describe the way of a study.

    Parameters
    ----------
    listeners, workers
        How many.
    seconds
        Mean of one analysis.
    """
    transfer = assumed.images_each / carried.images_per_second
    return [
        # a listener takes all that come, and shares what it can among them
        Stage("listener", Lognormal(transfer, 0.3), speed=lambda busy: min(1.0, listeners / busy)),
        Stage("completion", Lognormal(COMPLETION_SECONDS, 0.2)),
        Stage("worker", Lognormal(seconds, carried.analysis_variation), servers=workers),
        Stage(
            "deliverer",
            Lognormal(carried.delivery_seconds + PACS_SECONDS, 0.3),
            servers=SLOTS_OF_A_DELIVERER,
        ),
    ]


def waits_by_hour(journeys: Sequence[Journey], share: float) -> list[float]:
    """Wait for a worker that such a share does not exceed, by hour of arrival, in seconds."""
    by_hour: list[list[float]] = [[] for _ in HOURS]
    for journey in journeys:
        hour = min(int(journey.arrival.at // 3600), len(HOURS) - 1)
        by_hour[hour].append(journey.waited(ANALYSIS))
    return [_share_of(waits, share) for waits in by_hour]


def busiest(journeys: Sequence[Journey]) -> list[Journey]:
    """Those that come in the busiest hour."""
    hour = max(range(len(HOURS)), key=HOURS.__getitem__)
    return [each for each in journeys if 3600 * hour <= each.arrival.at < 3600 * (hour + 1)]


def partitioned(
    arrivals: Sequence[Arrival], stages: Sequence[Stage], parts: int, *, seed: int
) -> list[Journey]:
    """Deal studies out to regions at random, each with stages of its own, and put them together."""
    chance = random.Random(seed)  # noqa: S311 - a model's chance
    shares: list[list[Arrival]] = [[] for _ in range(parts)]
    for arrival in arrivals:
        shares[chance.randrange(parts)].append(arrival)
    simulated = (
        simulate(share, stages, seed=f"{seed} {number}") for number, share in enumerate(shares)
    )
    return list(itertools.chain.from_iterable(simulated))


def _share_of(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def wait_of(journeys: Sequence[Journey], share: float) -> float:
    """Wait for a worker that such a share does not exceed, in seconds."""
    return _share_of([journey.waited(ANALYSIS) for journey in journeys], share)
