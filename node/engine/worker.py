"""A worker process: it takes work from one queue and does it in steps that survive a crash.

Each step's answer is kept before the next one starts; a worker that dies in mid-step loses that
step alone. The steps themselves know nothing of the queue: they are handed in, take a job's number
and plain JSON, and must be repeatable, since a crash between the end of a step and its checkpoint
runs it again.
"""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from dbos import DBOS, DBOSConfig, Queue
from dbos._queue import queue_worker_thread

from config.settings import LivenessSettings
from node.engine.bell import Bell, Watch
from node.engine.liveness import Liveness
from node.engine.patience import patiently
from node.engine.queues import (
    ANALYSE,
    APPLICATION,
    APPLICATION_VERSION,
    DELIVER,
    LOOK_FOR_ANSWER,
    NOTIFY,
    POLLING_SECONDS,
    REPORT_COMMITMENT,
    REPORT_FAILURE,
    Queues,
)
from node.engine.serializer import Json, JsonSerializer
from storage.database import Database

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

PAUSE_SECONDS = 5.0
"""Between two tries of a step whose error is worth a retry."""
PATIENCE_SECONDS = 30
"""At a stop, how long running work may take to end; what is left runs again after the start."""


class AnalysisSteps(Protocol):
    """What an analyser does to a job; each method is repeatable."""

    def segment(self, job_id: int) -> Json:
        """Read and segment; ``{"retry": True}`` asks to be called again."""
        ...

    def encode(self, job_id: int, segmented: Json) -> Json:
        """Write the result objects."""
        ...

    def record(self, job_id: int, encoded: Json) -> None:
        """Record results and deliveries, and enqueue the latter, in one transaction."""
        ...


class DeliverySteps(Protocol):
    """What a deliverer does; each method is repeatable."""

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int) -> None:
        """Send what is pending; on failure record why, and enqueue the next attempt."""
        ...

    def look_for_answer(self, commitment_id: int) -> None:
        """Look whether a request for commitment was answered; if not, ask again or give up."""
        ...

    def report_commitment(self, request_id: int, attempt: int) -> None:
        """Answer a sender's request for commitment; on failure enqueue the next attempt."""
        ...

    def notify(self, notification_id: int, attempt: int) -> None:
        """Tell somebody of a report; on failure enqueue the next attempt."""
        ...

    def encode_failure(self, job_id: int, reason: str) -> Json:
        """Write the report of an analysis that could not be ended."""
        ...

    def record(self, job_id: int, encoded: Json) -> None:
        """Record results and deliveries, and enqueue the latter, in one transaction."""
        ...


def migrate(database: Database) -> None:
    """Create or upgrade the queue's own tables, beside ours in the same database."""
    DBOS.migrate(database.engine.url.render_as_string(hide_password=False))


def new_executor_id(role: str) -> str:
    """Name one run of one process: two with the same name would run the same job."""
    return f"{role}-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def run_analyser(
    database: Database,
    steps: AnalysisSteps,
    *,
    executor_id: str,
    attempts: int,
    max_recovery_attempts: int,
    device: str,
    liveness: LivenessSettings,
    stop: threading.Event,
    on_lost_lease: Callable[[], None] | None = None,
) -> None:
    """Work on the queue of analyses, one at a time, until stopped.

    Parameters
    ----------
    database
        Upgraded; holds the queue and the index.
    steps
        What to do.
    executor_id
        From `new_executor_id`.
    attempts
        How often a step may be tried whose error is worth a retry.
    max_recovery_attempts
        A study whose worker died so often is given up, so that it cannot kill them all in turn.
    device
        Shown to the administrator.
    liveness
        How often to give a sign of life, and when others count as dead.
    stop
        Set by somebody else when it is time to end.
    on_lost_lease
        What to do when no sign of life gets through, just before others take the work over:
        whoever computes should end. Without it, only what is written is refused.
    """
    segment = _step("segment", steps.segment)
    encode = _step("encode", steps.encode)
    record = _step("record", steps.record)

    @DBOS.workflow(name=ANALYSE, max_recovery_attempts=max_recovery_attempts)
    def analyse(job_id: int) -> None:
        segmented = segment(job_id)
        for _ in range(attempts - 1):
            if not segmented.get("retry"):
                break
            DBOS.sleep(PAUSE_SECONDS)
            segmented = segment(job_id)
        record(job_id, encode(job_id, segmented))

    worker = Worker(executor_id, ANALYSE, slots=1, device=device, on_lost_lease=on_lost_lease)
    _work(database, worker, settings=liveness, stop=stop)


def run_deliverer(
    database: Database,
    steps: DeliverySteps,
    *,
    executor_id: str,
    slots: int,
    liveness: LivenessSettings,
    stop: threading.Event,
    on_lost_lease: Callable[[], None] | None = None,
) -> None:
    """Work on the queue of deliveries, several at a time, until stopped."""
    send = _step("send", steps.send)
    look = _step("look-for-answer", steps.look_for_answer)
    report = _step("report-commitment", steps.report_commitment)
    tell = _step("notify", steps.notify)
    encode_failure = _step("encode-failure", steps.encode_failure)
    record = _step("record", steps.record)

    @DBOS.workflow(name=DELIVER)
    def deliver(job_id: int, destination: str, attempt: int, opened_ms: int = 0) -> None:
        send(job_id, destination, attempt, opened_ms)

    @DBOS.workflow(name=LOOK_FOR_ANSWER)
    def look_for_answer(commitment_id: int) -> None:
        look(commitment_id)

    @DBOS.workflow(name=REPORT_COMMITMENT)
    def report_commitment(request_id: int, attempt: int) -> None:
        report(request_id, attempt)

    @DBOS.workflow(name=NOTIFY)
    def notify(notification_id: int, attempt: int) -> None:
        tell(notification_id, attempt)

    @DBOS.workflow(name=REPORT_FAILURE)
    def report_failure(job_id: int, reason: str) -> None:
        record(job_id, encode_failure(job_id, reason))

    worker = Worker(executor_id, DELIVER, slots=slots, device="cpu", on_lost_lease=on_lost_lease)
    _work(database, worker, settings=liveness, stop=stop)


def _step(name: str, method: Callable[P, T]) -> Callable[P, T]:
    """Make a checkpointed step of a method, which waits for a database that is away."""
    return DBOS.step(name=name)(patiently(method))


@dataclass(frozen=True)
class Worker:
    """One run of one process, and the queue that it works on."""

    executor_id: str
    queue: str
    slots: int
    device: str
    on_lost_lease: Callable[[], None] | None


def _work(
    database: Database, worker: Worker, *, settings: LivenessSettings, stop: threading.Event
) -> None:
    """Launch DBOS on one queue, stay alive by sign of life, and end in good order."""
    queues = Queues(database.engine)
    liveness = Liveness(
        database,
        queues,
        worker.executor_id,
        role=worker.queue,
        device=worker.device,
        settings=settings,
        on_lost_lease=worker.on_lost_lease,
    )
    if not liveness.start(stop):
        queues.close()
        return
    dbos = DBOS(config=_configuration(database, worker.executor_id))
    # its own loops ask at fixed intervals; this queue's is woken, see `node.engine.bell`
    DBOS.listen_queues([])
    watch = Watch(database.engine, worker.queue, APPLICATION_VERSION)
    bell = Bell(
        watch,
        lambda: dbos._active_workflows_set.count_for_queue(worker.queue) >= worker.slots,
    )
    loop: threading.Thread | None = None
    try:
        DBOS.launch()
        queue = _register(worker)
        loop = threading.Thread(
            target=queue_worker_thread, args=(bell, dbos, queue), name="queue", daemon=True
        )
        loop.start()
        logger.info("working on the queue of %s", worker.queue)
        while True:
            liveness.reap()
            if stop.wait(settings.beat_seconds):
                break
    finally:
        bell.set()
        if loop is not None:
            loop.join()
        watch.close()
        DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=PATIENCE_SECONDS)
        liveness.stop()
        queues.close()


def _register(worker: Worker) -> Queue:
    """Enter the queue, or say anew how much of it this worker takes."""
    return DBOS.register_queue(
        worker.queue,
        worker_concurrency=worker.slots,
        polling_interval_sec=POLLING_SECONDS,
        on_conflict="always_update",
    )


def _configuration(database: Database, executor_id: str) -> DBOSConfig:
    return {
        "name": APPLICATION,
        "application_version": APPLICATION_VERSION,
        "executor_id": executor_id,
        "system_database_engine": database.engine,
        "serializer": JsonSerializer(),
        "run_migrations": False,
        # its messages quote arguments and errors; ours say what an administrator needs
        "log_level": "CRITICAL",
        "console_log_level": "CRITICAL",
        "use_listen_notify": False,
    }
