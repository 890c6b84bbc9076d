"""What one listener, one worker and one database carry, and what larger networks need.

Everything that is measured comes from the JSON files of the benchmarks. What is assumed is named
as such, in `ASSUMPTIONS`, and can be exchanged by whoever knows better.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.simulation.theory import servers_for

SECONDS_OF_A_DAY = 86_400.0


@dataclass(frozen=True)
class Carried:
    """What was measured of one of each, on the machine of the benchmarks.

    Attributes
    ----------
    images_per_second
        That one listener takes from four associations.
    analysis_seconds, analysis_variation
        Of one worker on the CPU of two cores.
    delivery_seconds
        Of the results of one study, on one of the deliverer's slots.
    registrations_per_second
        That one PostgreSQL takes, None if none was there; of SQLite, `registrations_sqlite`.
    megabytes_each
        Of an image.
    """

    images_per_second: float
    analysis_seconds: float
    analysis_variation: float
    delivery_seconds: float
    registrations_per_second: float | None
    registrations_sqlite: float
    megabytes_each: float


@dataclass(frozen=True)
class Assumptions:
    """What nobody measured here.

    Attributes
    ----------
    images_each
        Images of a study: a thin series and a thick one.
    busiest_hour
        Share of a day's studies that come in its busiest hour.
    gpu_seconds
        Of one analysis with a GPU: not measured.
    wait_seconds, wait_share
        So large a share is to wait no longer for a worker in the busiest hour.
    most_load
        Listeners, database and deliverer are planned to be busy no more than that.
    studies_of_a_hospital
        Head CT a day.
    transactions_of_a_study
        Beside those of its images: completion, queue, steps with their checkpoints, results,
        deliveries.
    """

    images_each: int = 100
    busiest_hour: float = 0.1
    gpu_seconds: float = 1.0
    wait_seconds: float = 30.0
    wait_share: float = 0.95
    most_load: float = 0.5
    studies_of_a_hospital: int = 30
    transactions_of_a_study: float = 20.0


@dataclass(frozen=True)
class Need:
    """What a number of studies a day takes.

    Attributes
    ----------
    studies_per_second, images_per_second
        In the busiest hour.
    listeners, cpu_workers, gpu_workers, deliverer_slots
        How many.
    database_load, sqlite_load
        Share of one PostgreSQL and of one SQLite that is busy; above 1 it cannot be. None where
        it was not measured.
    terabytes_per_day
        Images alone.
    megabits_per_second
        In the busiest hour.
    """

    studies_per_day: int
    studies_per_second: float
    images_per_second: float
    listeners: int
    cpu_workers: int
    gpu_workers: int
    deliverer_slots: int
    database_load: float | None
    sqlite_load: float
    terabytes_per_day: float
    megabits_per_second: float


def carried_by(results: Mapping[str, Mapping[str, Any]]) -> Carried:
    """Read what was measured.

    Parameters
    ----------
    results
        What each benchmark found, by its name.

    Raises
    ------
    KeyError
        If one that is needed was not run; its name.
    """
    receive, turnaround = results["receive"], results["turnaround"]
    database, deliver, load = results["database"], results["deliver"], results["load"]
    four = [
        case
        for case in receive["cases"]
        if case["receiver"] == "node" and case["sender_nodelay"] and case["associations"] > 1
    ]
    taken: dict[str, list[float]] = {"sqlite": [], "postgresql": []}
    for case in database["cases"]:
        taken[case["database"]].append(case["rate"])
    sqlite = max(taken["sqlite"])
    results_sent = next(
        case for case in deliver["cases"] if case["kind"] == "results" and case["sender"] == "node"
    )
    return Carried(
        images_per_second=four[0]["median_rate"],
        analysis_seconds=turnaround["cases"]["known sender"]["stages"]["analysis"]["median"],
        analysis_variation=load["model"]["work"]["variation"],
        delivery_seconds=results_sent["median_seconds"],
        registrations_per_second=max(taken["postgresql"], default=None),
        registrations_sqlite=sqlite,
        megabytes_each=receive["megabytes_each"],
    )


def need(studies_per_day: int, carried: Carried, assumed: Assumptions) -> Need:
    """Say what a number of studies a day takes, in its busiest hour."""
    rate = studies_per_day * assumed.busiest_hour / 3600
    images = rate * assumed.images_each
    transactions = images + rate * assumed.transactions_of_a_study
    workers = [
        servers_for(
            rate,
            seconds,
            wait_seconds=assumed.wait_seconds,
            share=assumed.wait_share,
            variation=carried.analysis_variation,
        )
        for seconds in (carried.analysis_seconds, assumed.gpu_seconds)
    ]
    return Need(
        studies_per_day=studies_per_day,
        studies_per_second=rate,
        images_per_second=images,
        listeners=math.ceil(images / (assumed.most_load * carried.images_per_second)),
        cpu_workers=workers[0],
        gpu_workers=workers[1],
        deliverer_slots=math.ceil(rate * carried.delivery_seconds / assumed.most_load),
        database_load=(
            transactions / carried.registrations_per_second
            if carried.registrations_per_second is not None
            else None
        ),
        sqlite_load=transactions / carried.registrations_sqlite,
        terabytes_per_day=studies_per_day * assumed.images_each * carried.megabytes_each / 1e6,
        megabits_per_second=8 * images * carried.megabytes_each,
    )


def bounds(carried: Carried, assumed: Assumptions) -> list[tuple[str, int]]:
    """Say at how many studies a day each part of one machine is as busy as it may be.

    Returns
    -------
    list of (str, int)
        What breaks first comes first.
    """
    per_day = 3600 / assumed.busiest_hour
    transactions = assumed.images_each + assumed.transactions_of_a_study
    rates = {
        "one CPU worker": assumed.most_load / carried.analysis_seconds,
        "one GPU worker (assumed)": assumed.most_load / assumed.gpu_seconds,
        "one listener": assumed.most_load * carried.images_per_second / assumed.images_each,
        "one slot of the deliverer": assumed.most_load / carried.delivery_seconds,
        "one SQLite": assumed.most_load * carried.registrations_sqlite / transactions,
        "a network of 1 Gbit/s": assumed.most_load
        * 1000
        / (8 * assumed.images_each * carried.megabytes_each),
    }
    if carried.registrations_per_second is not None:
        taken = carried.registrations_per_second / transactions
        rates["one PostgreSQL"] = assumed.most_load * taken
    return sorted(((what, int(rate * per_day)) for what, rate in rates.items()), key=lambda x: x[1])
