"""A discrete-event simulation of studies that pass one stage after the other.

A stage has servers and one queue, urgent studies first and then in the order of arrival; or it has
none, and is a delay that nobody waits for. Servers may share something, such as the cores of a
machine: then each one is the slower the more of them work. The future is a heap of moments.

Own rather than SimPy: the whole is a heap and a queue, and servers whose speed depends on how many
of them work, such as eight workers on two cores, are not among what SimPy offers.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

Draw = Callable[[random.Random], float]
"""Draws a duration in seconds."""
Speed = Callable[[int], float]
"""How fast each server works while so many do; 1 is the speed that durations are measured at."""


@dataclass(frozen=True)
class Stage:
    """One stage of the way.

    Attributes
    ----------
    name
        For people.
    work
        Time of one study at speed 1.
    servers
        How many; None for a delay without a queue.
    dispatch
        Time from a server's being free to its beginning, such as the pause of a queue that is
        polled; it keeps the server, and counts as waiting.
    speed
        Of each server; None if they do not disturb each other.
    """

    name: str
    work: Draw
    servers: int | None = None
    dispatch: Draw | None = None
    speed: Speed | None = None


@dataclass(frozen=True)
class Arrival:
    """A study that comes: when, in seconds, and whether it goes before others (a small number)."""

    at: float
    priority: int = 0


@dataclass
class Journey:
    """What became of a study.

    Attributes
    ----------
    entered, begun, ended
        When it came to each stage, was taken up and left it, in seconds.
    """

    arrival: Arrival
    entered: list[float] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    ended: list[float] = field(default_factory=list)

    def waited(self, stage: int) -> float:
        """Seconds in the queue of a stage."""
        return self.begun[stage] - self.entered[stage]

    @property
    def seconds(self) -> float:
        """From its arrival to the end of the last stage."""
        return self.ended[-1] - self.arrival.at


class Simulation:
    """The clock and the future."""

    def __init__(self) -> None:
        self.now = 0.0
        self._future: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Have something done at a moment that is not past."""
        heapq.heappush(self._future, (max(moment, self.now), next(self._order), act))

    def run(self) -> None:
        """Go on until nothing is left to be done."""
        while self._future:
            self.now, _, act = heapq.heappop(self._future)
            act()


@dataclass
class _Served:
    """A study with a server: what is left of its work, and which of its foreseen ends counts."""

    left: float
    then: Callable[[], None]
    plan: int = 0


class _Station:
    """A stage with its queue, while it is simulated."""

    def __init__(self, stage: Stage, simulation: Simulation, chance: random.Random) -> None:
        self._stage, self._simulation, self._chance = stage, simulation, chance
        self._queue: list[tuple[int, int, Journey, Callable[[], None]]] = []
        self._order = itertools.count()
        self._taken = 0
        self._working: list[_Served] = []
        self._since = 0.0

    def enter(self, journey: Journey, then: Callable[[], None]) -> None:
        """Take a study; go on with `then` when it leaves."""
        journey.entered.append(self._simulation.now)
        entry = (journey.arrival.priority, next(self._order), journey, then)
        heapq.heappush(self._queue, entry)
        self._take()

    def _take(self) -> None:
        servers, dispatch = self._stage.servers, self._stage.dispatch
        while self._queue and (servers is None or self._taken < servers):
            _, _, journey, then = heapq.heappop(self._queue)
            self._taken += 1
            pause = 0.0 if dispatch is None else dispatch(self._chance)
            self._simulation.at(self._simulation.now + pause, partial(self._begin, journey, then))

    def _begin(self, journey: Journey, then: Callable[[], None]) -> None:
        journey.begun.append(self._simulation.now)
        served = _Served(self._stage.work(self._chance), partial(self._leave, journey, then))
        self._advance()
        self._working.append(served)
        self._foresee(served)

    def _end(self, served: _Served, plan: int) -> None:
        if served.plan != plan:
            return
        self._advance()
        self._working.remove(served)
        self._foresee(None)
        served.then()

    def _leave(self, journey: Journey, then: Callable[[], None]) -> None:
        journey.ended.append(self._simulation.now)
        self._taken -= 1
        self._take()
        then()

    def _advance(self) -> None:
        """Count what was done since the last change, if that depends on how many worked."""
        if self._stage.speed is not None and self._working:
            done = (self._simulation.now - self._since) * self._stage.speed(len(self._working))
            for served in self._working:
                served.left -= done
        self._since = self._simulation.now

    def _foresee(self, newest: _Served | None) -> None:
        """Foresee the end of the newest, or all ends anew if its coming or going moves them."""
        speed = self._stage.speed
        moved = self._working if speed is not None else [newest] if newest is not None else []
        for served in moved:
            served.plan += 1
            seconds = max(served.left, 0.0) / (1.0 if speed is None else speed(len(self._working)))
            self._simulation.at(
                self._simulation.now + seconds, partial(self._end, served, served.plan)
            )


def simulate(
    arrivals: Sequence[Arrival], stages: Sequence[Stage], *, seed: int | str
) -> list[Journey]:
    """Send studies through stages.

    Parameters
    ----------
    arrivals
        In any order.
    stages
        In the order of the way.
    seed
        Of all durations.

    Returns
    -------
    list of Journey
        In the order of `arrivals`.
    """
    simulation, chance = Simulation(), random.Random(seed)  # noqa: S311 - a model's chance
    stations = [_Station(stage, simulation, chance) for stage in stages]
    journeys = [Journey(arrival) for arrival in arrivals]

    def go(journey: Journey, number: int) -> None:
        if number < len(stations):
            stations[number].enter(journey, partial(go, journey, number + 1))

    for journey in journeys:
        simulation.at(journey.arrival.at, partial(go, journey, 0))
    simulation.run()
    return journeys


def poisson(rate: float, num: int, *, seed: int | str) -> list[Arrival]:
    """Draw arrivals that know nothing of each other, `rate` a second on average."""
    chance = random.Random(seed)  # noqa: S311 - a model's chance
    return [
        Arrival(at) for at in itertools.accumulate(chance.expovariate(rate) for _ in range(num))
    ]
