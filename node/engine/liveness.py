"""Signs of life of the workers, and what becomes of the work of the dead.

DBOS recovers an executor's work only when that same executor starts again. Here every worker beats
in its own thread, by the database's clock, and every worker looks for those that stopped: their
work goes back to its queue. A worker of the same host whose process is gone is dead at once; one of
another host after a settable silence.

A worker whose own signs of life do not get through knows that others take its work over, and when:
a little earlier its lease is lost, and it is told to end. So nobody works on what another one has.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from dbos import DBOS
from dbos._dbos import _get_dbos_instance

from config.errors import MidlineError, Reason
from config.settings import LivenessSettings
from node.engine.presence import is_gone
from node.engine.queues import Queues
from storage.database import Database, mapped_errors
from storage.records import JobState, NewWorker

logger = logging.getLogger(__name__)

OPEN = (JobState.QUEUED, JobState.RUNNING)
AWAY_SECONDS = 1.0
"""Between two tries to reach a database that is away at the start."""
LOOK_SECONDS = 0.1
"""Between two looks whether the lease is lost."""


class Liveness:
    """The sign of life of this process, and the reaping of others.

    Parameters
    ----------
    database
        Where the workers' rows are.
    queues
        To ask for analyses that were given up, and to have them reported.
    executor_id
        Name of this run of this process.
    role, device
        Shown to the administrator.
    settings
        How often to beat, and when a silent worker counts as dead.
    on_lost_lease
        Is called, once, when no beat got through for so long that others may soon take the work.
    """

    def __init__(
        self,
        database: Database,
        queues: Queues,
        executor_id: str,
        *,
        role: str,
        device: str,
        settings: LivenessSettings,
        on_lost_lease: Callable[[], None] | None = None,
    ) -> None:
        self._database, self._queues, self._settings = database, queues, settings
        self._on_lost_lease = on_lost_lease
        # others count from the beat's arrival, which is later, and to the whole time
        self._lease_seconds = settings.dead_after_seconds - settings.beat_seconds
        self._beaten_at = time.monotonic()
        self._stranded: frozenset[str] = frozenset()
        self._self = NewWorker(
            executor_id=executor_id,
            role=role,
            host=socket.gethostname(),
            pid=os.getpid(),
            device=device,
        )
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=loop, name="liveness", daemon=True)
            for loop in (self._beat_on, self._watch)
        ]

    def start(self, stop: threading.Event) -> bool:
        """Give the first sign of life, as soon as the database is there; then go on in threads.

        Returns
        -------
        bool
            False if it was told to stop before.
        """
        while not self._beat():
            if stop.wait(AWAY_SECONDS):
                return False
        for thread in self._threads:
            thread.start()
        return True

    def stop(self) -> None:
        """Say goodbye: this executor has no work left."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        try:
            with self._database.begin() as transaction:
                transaction.workers.remove(self._self.executor_id)
        except MidlineError as error:
            # it will be missed in time
            logger.warning("no goodbye: %s", error)

    def _beat(self) -> bool:
        """Give a sign of life; a missed one is made up for by the next."""
        began = time.monotonic()
        try:
            with self._database.begin() as transaction:
                transaction.workers.beat(self._self, now=transaction.now())
        except MidlineError as error:
            logger.warning("no sign of life: %s", error)
            return False
        self._beaten_at = began
        return True

    def _beat_on(self) -> None:
        while not self._ended.wait(self._settings.beat_seconds):
            self._beat()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            if time.monotonic() - self._beaten_at < self._lease_seconds:
                continue
            logger.critical("no sign of life got through: others take the work of this process")
            if self._on_lost_lease is not None:
                self._on_lost_lease()
            return

    def reap(self) -> None:
        """Put back the work of dead workers; have given-up analyses reported."""
        try:
            with mapped_errors():
                self._reap()
        except MidlineError as error:
            logger.warning("dead workers were not looked for: %s", error)

    def _reap(self) -> None:
        timeout = timedelta(seconds=self._settings.dead_after_seconds)
        # first who is at work, then who lives: whoever begins in between is not looked at
        at_work = self._queues.executors_at_work()
        with self._database.begin() as transaction:
            now = transaction.now()
            silent = transaction.workers.dead(now=now, timeout=timeout)
            beating = transaction.workers.alive(now=now, timeout=timeout)
        known = {worker.executor_id for worker in (*silent, *filter(is_gone, beating))}
        # a worker that was taken for dead, and died before it could beat again, has work but no row
        stray = at_work - {worker.executor_id for worker in beating}
        for executor_id in sorted((known | stray) - {self._self.executor_id}):
            # The public resume_workflow() takes work also from the living, and forgets how often it
            # was recovered; this one asks for the executor, and so is safe from several reapers.
            recovered = DBOS._recover_pending_workflows([executor_id])
            logger.warning("a worker died; %d of its tasks go back to the queue", len(recovered))
            with self._database.begin() as transaction:
                transaction.workers.remove(executor_id)
        self._put_back_stranded()
        self._report_given_up()

    def _put_back_stranded(self) -> None:
        """Put back what this process took and never began: it was not told that it had it.

        A database that stops at the wrong moment has given work away, and nobody knows. Between
        the taking and the beginning is a moment, so only what was found twice is meant.
        """
        executor_id = self._self.executor_id
        held = self._queues.work_of(executor_id)
        stranded = held - frozenset(_get_dbos_instance()._active_workflows_set.activeList())
        for workflow_id in sorted(stranded & self._stranded):
            if self._queues.put_back(workflow_id, executor_id):
                logger.warning("a task that was taken and never begun goes back to the queue")
        self._stranded = stranded

    def _report_given_up(self) -> None:
        """Silence is never an outcome: a study that killed its workers gets a report too."""
        for job_id, run in self._queues.given_up():
            with self._database.begin() as transaction:
                job = transaction.jobs.get(job_id)
                if job is not None and job.run == run and job.state in OPEN:
                    self._queues.report_failure(
                        transaction.session, job_id, Reason.EQUIPMENT, run=run
                    )
