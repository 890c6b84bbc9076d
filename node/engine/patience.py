"""Waiting for the database: while it is away, work stands still, and nothing of it is lost."""

import functools
import logging
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from config.errors import DatabaseBusyError, TakenOverError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

INTERRUPTIONS = (DatabaseBusyError, TakenOverError)
"""Errors that say nothing of the work: steps let them through, and the engine sees to them."""
AWAY_SECONDS = 1.0
"""Between two tries to reach a database that is away."""


def patiently(act: Callable[P, T]) -> Callable[P, T]:
    """Repeat what the database was away for, until it is back: it says nothing of the work itself.

    Parameters
    ----------
    act
        Something that may be repeated, also when it was done and only the answer was lost.
    """

    @functools.wraps(act)
    def patient(*args: P.args, **kwargs: P.kwargs) -> T:
        is_told = False
        while True:
            try:
                return act(*args, **kwargs)
            except DatabaseBusyError as error:
                if not is_told:
                    logger.warning("work stands still: %s", error)
                is_told = True
                time.sleep(AWAY_SECONDS)

    return patient
