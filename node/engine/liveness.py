"""Signs of life of the workers, and what becomes of the work of the dead.

DBOS recovers an executor's work only when that same executor starts again. Here every worker beats
in its own thread, by the database's clock, and every worker looks for those that stopped: their
work goes back to its queue. A worker of the same host whose process is gone is dead at once; one of
another host after a settable silence.
"""

import logging
import os
import socket
import threading
from datetime import timedelta

from dbos import DBOS

from config.errors import MidlineError, Reason
from config.settings import LivenessSettings
from node.engine.queues import Queues
from storage.database import Database
from storage.records import JobState, NewWorker, WorkerRecord

logger = logging.getLogger(__name__)

OPEN = (JobState.QUEUED, JobState.RUNNING)


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
    ) -> None:
        self._database, self._queues, self._settings = database, queues, settings
        self._self = NewWorker(
            executor_id=executor_id,
            role=role,
            host=socket.gethostname(),
            pid=os.getpid(),
            device=device,
        )
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="liveness", daemon=True)

    def start(self) -> None:
        """Give the first sign of life, then go on in a thread of its own."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye: this executor has no work left."""
        self._ended.set()
        self._thread.join()
        with self._database.begin() as transaction:
            transaction.workers.remove(self._self.executor_id)

    def _beat(self) -> None:
        with self._database.begin() as transaction:
            transaction.workers.beat(self._self, now=transaction.now())

    def _beat_on(self) -> None:
        while not self._ended.wait(self._settings.beat_seconds):
            try:
                self._beat()
            except MidlineError as error:
                # a missed beat is made up for by the next one
                logger.warning("no sign of life: %s", error)

    def reap(self) -> None:
        """Put back the work of dead workers; have given-up analyses reported."""
        timeout = timedelta(seconds=self._settings.dead_after_seconds)
        # first who is at work, then who lives: whoever begins in between is not looked at
        at_work = self._queues.executors_at_work()
        with self._database.begin() as transaction:
            now = transaction.now()
            silent = transaction.workers.dead(now=now, timeout=timeout)
            beating = transaction.workers.alive(now=now, timeout=timeout)
        known = {worker.executor_id for worker in (*silent, *filter(self._is_gone, beating))}
        # a worker that was taken for dead, and died before it could beat again, has work but no row
        stray = at_work - {worker.executor_id for worker in beating}
        for executor_id in sorted((known | stray) - {self._self.executor_id}):
            # The public resume_workflow() takes work also from the living, and forgets how often it
            # was recovered; this one asks for the executor, and so is safe from several reapers.
            recovered = DBOS._recover_pending_workflows([executor_id])
            logger.warning("a worker died; %d of its tasks go back to the queue", len(recovered))
            with self._database.begin() as transaction:
                transaction.workers.remove(executor_id)
        self._report_given_up()

    def _is_gone(self, worker: WorkerRecord) -> bool:
        """Whether a worker of this host has no process any more."""
        if worker.host != self._self.host:
            return False
        try:
            os.kill(worker.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False

    def _report_given_up(self) -> None:
        """Silence is never an outcome: a study that killed its workers gets a report too."""
        for job_id, run in self._queues.given_up():
            with self._database.begin() as transaction:
                job = transaction.jobs.get(job_id)
                if job is not None and job.run == run and job.state in OPEN:
                    self._queues.report_failure(
                        transaction.session, job_id, Reason.EQUIPMENT, run=run
                    )
