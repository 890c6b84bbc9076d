from typing import Any

import pytest

from benchmarks.loads import Model, compare, model_of
from benchmarks.simulation.events import Stage, poisson, simulate
from benchmarks.simulation.fit import Lognormal

MODEL = Model(Lognormal(0.6, 0.1), Lognormal(0.05, 0.3), {1: 1.0, 2: 0.8})


def load_of(model: Model, *, workers: int, rate: float) -> dict[str, Any]:
    """Draw a load as if it had been measured on a node that is just like the model."""
    arrivals = poisson(rate, 100, seed="arrivals")
    stage = Stage(
        "analysis", model.work, servers=workers, dispatch=model.dispatch, speed=model.speed
    )
    journeys = simulate(arrivals, [stage], seed="truth")
    first = arrivals[0].at
    return {
        "workers": workers,
        "queued": [arrival.at - first for arrival in arrivals],
        "starts": [journey.begun[0] - first for journey in journeys],
        "waits": [journey.waited(0) for journey in journeys],
        "services": [journey.ended[0] - journey.begun[0] for journey in journeys],
    }


def test_a_node_that_is_like_the_model_is_predicted() -> None:
    load = load_of(MODEL, workers=2, rate=1.7)
    found = compare(load, MODEL, is_learned=False, replications=40)
    for what in ("rate", "mean_wait"):
        each = found[what]
        assert isinstance(each, dict)
        assert each["deviation"] == pytest.approx(0, abs=0.15)
        assert each["low"] <= each["simulated"] <= each["high"]


def test_a_node_that_is_slower_than_the_model_is_noticed() -> None:
    slower = Model(Lognormal(0.9, 0.1), MODEL.dispatch, MODEL.speeds)
    load = load_of(slower, workers=1, rate=0.8)
    found = compare(load, MODEL, is_learned=False, replications=40)["mean_wait"]
    assert isinstance(found, dict)
    assert not found["is_within"]
    assert found["deviation"] > 0.5


def test_workers_slow_each_other_down_as_much_as_was_measured_and_then_share_the_cores() -> None:
    full = {
        1: {"work_seconds": 0.5, "dispatch_seconds": 0.06, "dispatch_variation": 0.3},
        2: {"work_seconds": 1.0, "dispatch_seconds": 0.06, "dispatch_variation": 0.3},
    }
    model = model_of(full, {"services": [0.6, 0.6]})
    assert model.work.mean == pytest.approx(0.6)
    assert (model.speed(1), model.speed(2), model.speed(4)) == (1.0, 0.5, 0.25)
