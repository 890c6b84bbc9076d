import itertools
import statistics

import pytest

from benchmarks.simulation import days
from benchmarks.simulation.capacity import Assumptions, Carried, bounds, need
from benchmarks.simulation.events import simulate

CARRIED = Carried(
    images_per_second=200.0,
    analysis_seconds=4.0,
    analysis_variation=0.2,
    delivery_seconds=0.2,
    registrations_per_second=1000.0,
    registrations_sqlite=1500.0,
    megabytes_each=0.5,
)
ASSUMED = Assumptions()


def test_a_need_is_simple_arithmetic_in_the_busiest_hour() -> None:
    found = need(36_000, CARRIED, ASSUMED)
    assert found.studies_per_second == pytest.approx(1.0)
    assert found.images_per_second == pytest.approx(100.0)
    assert found.listeners == 1
    assert found.deliverer_slots == 1
    assert found.database_load == pytest.approx(0.12)
    assert found.terabytes_per_day == pytest.approx(1.8)
    assert found.megabits_per_second == pytest.approx(400.0)
    assert found.cpu_workers > 4
    assert found.gpu_workers < found.cpu_workers


def test_more_studies_never_need_less() -> None:
    found = [need(number, CARRIED, ASSUMED) for number in (30, 10_000, 30_000, 300_000)]
    for less, more in itertools.pairwise(found):
        assert less.cpu_workers <= more.cpu_workers
        assert less.listeners <= more.listeners


def test_what_breaks_first_comes_first() -> None:
    found = bounds(CARRIED, ASSUMED)
    assert found[0][0] == "one CPU worker"
    assert [number for _, number in found] == sorted(number for _, number in found)
    # as busy as it may be: then one of it just suffices
    listener = dict(found)["one listener"]
    assert need(listener, CARRIED, ASSUMED).listeners == 1
    assert need(listener + 50, CARRIED, ASSUMED).listeners == 2


def test_a_day_has_its_studies_and_its_busiest_hour() -> None:
    arrivals = days.day(20_000, ASSUMED, seed=1)
    assert len(arrivals) == pytest.approx(20_000, rel=0.05)
    hours = [int(arrival.at // 3600) for arrival in arrivals]
    assert hours.count(statistics.mode(hours)) == pytest.approx(2_000, rel=0.1)
    assert statistics.fmean(a.priority == 0 for a in arrivals) == pytest.approx(0.3, abs=0.02)


def test_planned_workers_keep_the_wait_and_regions_need_more_of_them() -> None:
    planned = need(10_000, CARRIED, ASSUMED)
    arrivals = days.day(10_000, ASSUMED, seed=1)
    stages = days.way(
        CARRIED,
        ASSUMED,
        listeners=planned.listeners,
        workers=planned.cpu_workers,
        seconds=CARRIED.analysis_seconds,
    )
    together = days.busiest(simulate(arrivals, stages, seed=1))
    assert days.wait_of(together, ASSUMED.wait_share) < 1.5 * ASSUMED.wait_seconds
    apart = need(1_000, CARRIED, ASSUMED)
    assert 10 * apart.cpu_workers > planned.cpu_workers
