"""Waiting for a connection and for other threads at once."""

import socket
import threading
from collections.abc import Iterator

import pytest

from node.hardening.doorbell import Doorbell, RingingQueue

LONG_SECONDS = 200.0
"""Longer than a test may take: whoever waits so long was not woken."""


@pytest.fixture
def bell() -> Iterator[Doorbell]:
    bell = Doorbell()
    yield bell
    bell.close()


def test_a_ring_wakes(bell: Doorbell) -> None:
    threading.Timer(0.05, bell.ring).start()
    bell.wait(None, seconds=LONG_SECONDS)


def test_a_ring_before_is_not_lost(bell: Doorbell) -> None:
    bell.ring()
    bell.wait(None, seconds=LONG_SECONDS)


def test_rings_do_not_pile_up(bell: Doorbell) -> None:
    for _ in range(5000):
        bell.ring()
    bell.wait(None, seconds=LONG_SECONDS)
    threading.Timer(0.05, bell.ring).start()
    bell.wait(None, seconds=LONG_SECONDS)


def test_something_to_read_wakes(bell: Doorbell) -> None:
    here, there = socket.socketpair()
    with here, there:
        there.send(b"x")
        bell.wait(here, seconds=LONG_SECONDS)


def test_the_end_of_a_connection_wakes(bell: Doorbell) -> None:
    here, there = socket.socketpair()
    with here:
        there.close()
        bell.wait(here, seconds=LONG_SECONDS)


def test_a_closed_connection_is_not_waited_for(bell: Doorbell) -> None:
    here, there = socket.socketpair()
    here.close()
    there.close()
    bell.wait(here, seconds=LONG_SECONDS)


def test_nobody_minds_a_ring_after_the_end() -> None:
    bell = Doorbell()
    bell.close()
    bell.ring()
    bell.wait(None, seconds=LONG_SECONDS)


def test_a_queue_tells_what_it_got() -> None:
    told: list[object] = []
    tells = RingingQueue(told.append)
    tells.put("one")
    assert (told, tells.get()) == (["one"], "one")
