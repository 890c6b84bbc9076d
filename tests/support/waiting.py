"""Waiting for what another thread or process does: a condition with a deadline, never a sleep."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LOOK_SECONDS = 0.02


def eventually(condition: Callable[[], T], *, seconds: float = 30.0) -> T:
    """Give back the first true answer of a condition.

    Raises
    ------
    AssertionError
        If there is none in time.
    """
    until = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < until, f"not within {seconds} s: {condition}"
        time.sleep(LOOK_SECONDS)


def port_is_open(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
