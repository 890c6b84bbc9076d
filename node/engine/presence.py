"""Signs of life of a process that takes no work from the queue, and who of its kind is gone."""

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from config.errors import MidlineError
from config.settings import LivenessSettings
from storage.database import Database
from storage.records import NewWorker, WorkerRecord

logger = logging.getLogger(__name__)


@contextmanager
def present(
    database: Database, executor_id: str, *, role: str, settings: LivenessSettings
) -> Iterator[None]:
    """Give signs of life meanwhile, and forget who of the same role gives none any more.

    The first one is given before this returns; a database that is away gets it later.
    """
    own = NewWorker(executor_id, role, host=socket.gethostname(), pid=os.getpid(), device="")
    timeout = timedelta(seconds=settings.dead_after_seconds)
    ended = threading.Event()

    def beat_on() -> None:
        while not ended.wait(settings.beat_seconds):
            _beat(database, own, timeout)

    _beat(database, own, timeout)
    thread = threading.Thread(target=beat_on, name="presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        try:
            with database.begin() as transaction:
                transaction.workers.remove(executor_id)
        except MidlineError as error:
            # it will be missed in time
            logger.warning("no goodbye: %s", error)


def _beat(database: Database, own: NewWorker, timeout: timedelta) -> None:
    try:
        with database.begin() as transaction:
            now = transaction.now()
            transaction.workers.beat(own, now=now)
            silent = transaction.workers.dead(now=now, timeout=timeout)
            beating = transaction.workers.alive(now=now, timeout=timeout)
        # each by itself: two that take each other for dead would else wait for each other
        for worker in (*silent, *filter(is_gone, beating)):
            if worker.role == own.role:
                with database.begin() as transaction:
                    transaction.workers.remove(worker.executor_id)
    except MidlineError as error:
        logger.warning("no sign of life: %s", error)


def is_gone(worker: WorkerRecord) -> bool:
    """Whether a worker of this host has no process any more."""
    if worker.host != socket.gethostname():
        return False
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
