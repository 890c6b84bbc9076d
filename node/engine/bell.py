"""What wakes a worker: work that waits for it, soon, and without asking all the time.

DBOS looks for work at fixed intervals: either often, which costs a part of a core for each idle
worker, or late. But its loop over a queue waits on the event that ends it and on nothing else. Here
is such an event, whose wait also ends when something waits in the queue and a slot is free for it.
On PostgreSQL whoever enqueues rings, by NOTIFY in the same transaction; on SQLite, where all
processes share one machine, a look at the queue's index costs less than any message.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.orm import Session

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.01
"""Between two looks: into the queue on SQLite, and whether a slot is free."""
UNRUNG_SECONDS = 0.25
"""Between two looks on PostgreSQL: nobody rings when a delay is over, or when the work of a dead
worker is put back."""
OFFERED_SECONDS = 0.05
"""Between two times that the loop goes round because of work."""
LONGEST_SECONDS = 5.0
"""After so long the loop goes round in any case."""

# SQLite takes the index of what is in flight only where that index' condition stands word by word
WAITING_ON_SQLITE = (
    "SELECT 1 FROM workflow_status WHERE queue_name = ? AND status = 'ENQUEUED' "
    "AND status IN ('ENQUEUED', 'PENDING') AND application_version = ? LIMIT 1"
)
WAITING_ON_POSTGRESQL = (
    "SELECT 1 FROM dbos.workflow_status "
    "WHERE queue_name = %s AND status = 'ENQUEUED' AND application_version = %s LIMIT 1"
)
HELD_ON_SQLITE = "SELECT 1 FROM drain WHERE role = ?"
HELD_ON_POSTGRESQL = "SELECT 1 FROM drain WHERE role = %s"
FAULTS = (sa.exc.SQLAlchemyError, sqlite3.Error, psycopg.Error)


def ring(session: Session, queue: str) -> None:
    """Wake the workers of a queue when the transaction is committed, where that needs telling."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.select(sa.func.pg_notify(_channel(queue), "")))


class Watch:
    """Looks whether anything waits in a queue, over a connection of its own.

    Parameters
    ----------
    engine
        Of the database.
    queue
        Name of the queue.
    version
        Of the workflows that this worker knows.
    """

    def __init__(self, engine: sa.Engine, queue: str, version: str) -> None:
        self._engine, self._queue, self._version = engine, queue, version
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._driver: Any = None

    def is_waiting(self) -> bool:
        """Look into the queue: one seek in the index of what is in flight."""
        query = WAITING_ON_SQLITE if self._is_sqlite else WAITING_ON_POSTGRESQL
        return self._finds(query, self._queue, self._version)

    def is_held(self) -> bool:
        """Whether an operator wants nothing to be taken from the queue (`storage.drains`)."""
        return self._finds(HELD_ON_SQLITE if self._is_sqlite else HELD_ON_POSTGRESQL, self._queue)

    def _finds(self, query: str, *values: str) -> bool:
        cursor = self._connected().cursor()
        try:
            cursor.execute(query, values)
            return bool(cursor.fetchall())
        finally:
            cursor.close()

    def pause(self, ended: threading.Event) -> None:
        """Wait until it is worth another look."""
        if self._is_sqlite:
            threading.Event.wait(ended, LOOK_SECONDS)
            return
        next(self._connected().notifies(timeout=UNRUNG_SECONDS, stop_after=1), None)

    def close(self) -> None:
        """Let go of the database; the next look connects anew."""
        if self._driver is not None:
            with suppress(*FAULTS):
                self._driver.close()
            self._driver = None

    def _connected(self) -> Any:
        """Take a connection of the driver out of the pool for good: it listens, and never waits."""
        if self._driver is None:
            pooled = self._engine.raw_connection()
            self._driver = pooled.driver_connection
            pooled.detach()
            if not self._is_sqlite:
                self._driver.autocommit = True
                self._driver.execute(f"LISTEN {_channel(self._queue)}")
        return self._driver


class Bell(threading.Event):
    """Ends the loop over a queue when it is set; before that, its wait ends when there is work.

    Parameters
    ----------
    watch
        Looks into the queue.
    is_full
        Whether the worker has no slot free.
    """

    def __init__(self, watch: Watch, is_full: Callable[[], bool]) -> None:
        super().__init__()
        self._watch, self._is_full = watch, is_full
        self._has_offered = self._is_held = False

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002 - the loop's own rhythm
        """Wait for work, and not for ever unless the queue is held; True when the loop is to end.

        The loop takes work after each wait and never without one, so that a queue is held here.
        """
        is_over = False
        while not (is_over or self.is_set()):
            try:
                self._wait()
                is_over = True
            except FAULTS as error:
                # the loop asks by itself now, and says what is wrong
                logger.debug("the queue was not looked into: %s", type(error).__name__)
                self._watch.close()
                super().wait(UNRUNG_SECONDS)
                is_over = not self._is_held
        return self.is_set()

    def _wait(self) -> None:
        until = time.monotonic() + LONGEST_SECONDS
        if self._has_offered:
            # what was offered is being taken; or it is not: somebody was faster
            super().wait(OFFERED_SECONDS)
            self._has_offered = False
        while not self.is_set():
            is_late = time.monotonic() >= until
            if self._is_full() and not is_late:
                super().wait(LOOK_SECONDS)
            elif is_late or self._watch.is_waiting():
                self._is_held = self._watch.is_held()
                if not self._is_held:
                    self._has_offered = not is_late
                    return
                super().wait(UNRUNG_SECONDS)
            else:
                self._watch.pause(self)


def _channel(queue: str) -> str:
    """Name PostgreSQL's channel on which is told that something was enqueued."""
    return f"midline_{queue}"
