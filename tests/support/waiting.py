"""Waiting for what another thread or process does: a condition with a deadline, never a sleep."""

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
