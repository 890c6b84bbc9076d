import random
import statistics

import pytest

from benchmarks.simulation.events import Arrival, Stage, poisson, simulate
from benchmarks.simulation.fit import Lognormal, fitted
from benchmarks.simulation.theory import Queue, servers_for

NUM, WARM_UP = 20_000, 1_000


def exponential(chance: random.Random) -> float:
    return chance.expovariate(1.0)


def constant(_: random.Random) -> float:
    return 1.0


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (2, 0.7), (8, 0.7)])
def test_waits_are_those_of_erlang(servers: int, load: float) -> None:
    queue = Queue(rate=load * servers, service_seconds=1.0, servers=servers)
    arrivals = poisson(queue.rate, NUM, seed=1)
    journeys = simulate(arrivals, [Stage("server", exponential, servers=servers)], seed=2)
    waits = [journey.waited(0) for journey in journeys[WARM_UP:]]
    assert statistics.fmean(waits) == pytest.approx(queue.mean_wait, rel=0.15)
    assert statistics.fmean(wait > 0 for wait in waits) == pytest.approx(queue.waits, rel=0.05)
    ordered = sorted(waits)
    assert ordered[int(0.95 * len(waits))] == pytest.approx(queue.wait_at(0.95), rel=0.15)


def test_servers_that_share_one_core_are_processor_sharing() -> None:
    arrivals = poisson(0.6, NUM, seed=3)
    stage = Stage("core", exponential, speed=lambda busy: 1 / busy)
    journeys = simulate(arrivals, [stage], seed=4)
    mean = statistics.fmean(journey.seconds for journey in journeys[WARM_UP:])
    assert mean == pytest.approx(1 / (1 - 0.6), rel=0.05)


def test_constant_service_waits_half_as_long() -> None:
    queue = Queue(rate=0.8, service_seconds=1.0, servers=1, variation=0.0)
    journeys = simulate(poisson(0.8, NUM, seed=5), [Stage("server", constant, servers=1)], seed=6)
    waits = [journey.waited(0) for journey in journeys[WARM_UP:]]
    assert queue.mean_wait == pytest.approx(2.0)
    assert statistics.fmean(waits) == pytest.approx(queue.mean_wait, rel=0.15)


def test_urgent_studies_go_first_and_nobody_is_interrupted() -> None:
    arrivals = [Arrival(0.0, 1), Arrival(0.1, 1), Arrival(0.2, 0)]
    routine, other, urgent = simulate(arrivals, [Stage("server", constant, servers=1)], seed=1)
    assert (routine.ended, urgent.ended, other.ended) == ([1.0], [2.0], [3.0])


def test_dispatch_keeps_the_server_and_counts_as_waiting() -> None:
    stage = Stage("server", constant, servers=1, dispatch=lambda _: 0.25)
    first, second = simulate([Arrival(0.0), Arrival(0.0)], [stage], seed=1)
    assert (first.waited(0), second.waited(0)) == (0.25, 1.5)


def test_stages_follow_each_other() -> None:
    stages = [Stage("delay", constant), Stage("server", constant, servers=1)]
    journeys = simulate([Arrival(0.0), Arrival(0.0)], stages, seed=1)
    assert [journey.seconds for journey in journeys] == [2.0, 3.0]


def test_a_queue_with_too_much_load_grows_without_end() -> None:
    assert Queue(rate=2.0, service_seconds=1.0, servers=2).mean_wait == float("inf")


@pytest.mark.parametrize("rate", [0.01, 0.3, 2.0, 30.0])
def test_servers_are_the_fewest_that_suffice(rate: float) -> None:
    servers = servers_for(rate, 2.0, wait_seconds=5.0, share=0.95)
    assert Queue(rate, 2.0, servers).wait_at(0.95) <= 5.0
    assert servers == 1 or Queue(rate, 2.0, servers - 1).wait_at(0.95) > 5.0


def test_a_fit_finds_what_was_drawn() -> None:
    chance = random.Random(7)
    drawn = [Lognormal(3.0, 0.4)(chance) for _ in range(20_000)]
    found = fitted(drawn)
    assert found.mean == pytest.approx(3.0, rel=0.02)
    assert found.variation == pytest.approx(0.4, rel=0.05)


def test_nothing_is_fitted_to_nothing() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        fitted([])
