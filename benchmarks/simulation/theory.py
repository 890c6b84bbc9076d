"""What queueing theory knows: to hold the simulation against, and to plan with."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Queue:
    """Servers and one queue, with Poisson arrivals.

    Attributes
    ----------
    rate
        Arrivals a second.
    service_seconds
        Mean time of one.
    servers
        How many.
    variation
        Coefficient of variation of the service; 1 is exponential (M/M/c), 0 is constant.
    """

    rate: float
    service_seconds: float
    servers: int
    variation: float = 1.0

    @property
    def load(self) -> float:
        """Share of the servers that works; from 1 on the queue grows without end."""
        return self.rate * self.service_seconds / self.servers

    @property
    def waits(self) -> float:
        """Probability that an arrival waits: Erlang's formula C."""
        if self.load >= 1:
            return 1.0
        offered, blocked = self.rate * self.service_seconds, 1.0
        for number in range(1, self.servers + 1):
            # Erlang's formula B by its recursion, which does not overflow
            blocked = offered * blocked / (number + offered * blocked)
        return blocked / (1 - self.load * (1 - blocked))

    @property
    def mean_wait(self) -> float:
        """Mean time in the queue, in seconds; Allen and Cunneen's approximation for M/G/c."""
        if self.load >= 1:
            return math.inf
        drain = self.servers / self.service_seconds - self.rate
        return self.waits / drain * (1 + self.variation**2) / 2

    def wait_at(self, share: float) -> float:
        """Time that so large a share of arrivals does not wait longer than, in seconds.

        The tail is taken for exponential, which it is for M/M/c.
        """
        if self.load >= 1:
            return math.inf
        if 1 - share >= self.waits:
            return 0.0
        return self.mean_wait / self.waits * math.log(self.waits / (1 - share))


def servers_for(
    rate: float,
    service_seconds: float,
    *,
    wait_seconds: float,
    share: float,
    variation: float = 1.0,
) -> int:
    """Find the fewest servers with which such a share of arrivals waits no longer than that."""
    servers = max(1, math.ceil(rate * service_seconds))
    while Queue(rate, service_seconds, servers, variation).wait_at(share) > wait_seconds:
        servers += 1
    return servers
