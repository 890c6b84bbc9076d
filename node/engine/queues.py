"""Putting work into the queue, and asking after it, from any process.

Workflow identifiers are derived from what they do, so enqueuing twice is enqueuing once:

=======================================================  =========================================
``analyse:<job>:<run>``                                  one analysis of a generation of a study
``deliver:<job>:<destination>:<opened>:<attempt>``       one attempt to send a job's results
``report-failure:<job>:<run>``                           the report of an analysis that did not end
``commit:<job>:<destination>:<request>``                 the look for the answer to a request for
                                                         storage commitment
``report-commitment:<request>:<attempt>``                one attempt to answer a sender's request
=======================================================  =========================================
"""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from dbos import DBOSClient, EnqueueOptions
from dbos._schemas.system_database import SystemSchema
from dbos._utils import INTERNAL_QUEUE_NAME
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from node.engine.bell import ring
from node.engine.serializer import JsonSerializer
from storage.records import Priority

APPLICATION = "midline"
"""The same in clients and workers: DBOS hands out only work of the own application."""
APPLICATION_VERSION = "1"
"""Version of the workflows' steps. By default DBOS hashes their source, and an upgrade of the node
would strand queued jobs; raise it only when steps change their order or meaning."""

ANALYSE = "analyse"
DELIVER = "deliver"
REPORT_FAILURE = "report-failure"
LOOK_FOR_ANSWER = "look-for-answer"
REPORT_COMMITMENT = "report-commitment"
NOTIFY = "notify"

URGENCIES: Mapping[Priority, int] = {
    Priority.STAT: 1,
    Priority.HIGH: 2,
    Priority.ROUTINE: 3,
    Priority.LOW: 4,
}
"""Numbers of the queue, the lowest first; 0 is what an earlier version of the node enqueued."""

DEAD = "MAX_RECOVERY_ATTEMPTS_EXCEEDED"
POLLING_SECONDS = 0.05
"""What DBOS is told; in fact `node.engine.bell` wakes the loop over a queue."""
AT_WORK = "PENDING"
WAITING = ("ENQUEUED", "DELAYED")


class Queues:
    """The two queues, seen from outside the workers."""

    def __init__(self, engine: Engine) -> None:
        self._client = DBOSClient(
            system_database_engine=engine,
            serializer=JsonSerializer(),
            application_name=APPLICATION,
            # whoever asks decides how long to wait for a database that is away
            lazy=True,
            retry_connection_errors=False,
        )

    def analyse(
        self,
        session: Session,
        job_id: int,
        *,
        run: int = 1,
        priority: Priority = Priority.ROUTINE,
    ) -> None:
        """Enqueue a run of a job's analysis, within the caller's transaction."""
        self._enqueue(
            session, ANALYSE, ANALYSE, analysis_id(job_id, run), job_id, priority=priority
        )

    def prioritise(self, session: Session, job_id: int, priority: Priority, *, run: int) -> bool:
        """Let a run of a job's analysis start before or after others, within a transaction.

        The job's own row is `storage.jobs.Jobs.prioritise`'s.

        Returns
        -------
        bool
            False if it does not wait any more: what runs is not overtaken.
        """
        # DBOS sets a priority when it enqueues, and has no call that changes it afterwards
        table = self._tables(session).workflow_status
        changed = session.execute(
            sa.update(table)
            .where(
                table.c.workflow_uuid == analysis_id(job_id, run),
                table.c.status.in_(WAITING),
            )
            .values(priority=URGENCIES[priority])
            .returning(table.c.workflow_uuid)
        )
        return changed.one_or_none() is not None

    def deliver(
        self,
        session: Session,
        job_id: int,
        destination: str,
        *,
        opened_at: datetime,
        attempt: int = 1,
        delay_seconds: float = 0.0,
        priority: Priority = Priority.ROUTINE,
    ) -> None:
        """Enqueue one attempt to send a job's results, within the caller's transaction.

        Parameters
        ----------
        session
            Of the caller's transaction.
        job_id
            The job.
        destination
            Name of the destination in the settings.
        opened_at
            When the deliveries were entered or reopened, or came back: tells rows of attempts
            apart.
        attempt
            Counts from 1.
        delay_seconds
            Not before so many seconds from now.
        priority
            The job's: its report is not to wait behind others either.
        """
        opened_ms = int(opened_at.timestamp() * 1000)
        workflow_id = f"deliver:{job_id}:{destination}:{opened_ms}:{attempt}"
        self._enqueue(
            session,
            DELIVER,
            DELIVER,
            workflow_id,
            job_id,
            destination,
            attempt,
            opened_ms,
            delay_seconds=delay_seconds,
            priority=priority,
        )

    def report_failure(self, session: Session, job_id: int, reason: str, *, run: int) -> None:
        """Enqueue the report of an analysis that could not be ended."""
        workflow_id = f"report-failure:{job_id}:{run}"
        self._enqueue(session, DELIVER, REPORT_FAILURE, workflow_id, job_id, reason)

    def look_for_answer(
        self,
        session: Session,
        commitment_id: int,
        job_id: int,
        destination: str,
        *,
        delay_seconds: float,
    ) -> None:
        """Enqueue the look whether a request was answered, within the caller's transaction."""
        workflow_id = f"commit:{job_id}:{destination}:{commitment_id}"
        self._enqueue(
            session,
            DELIVER,
            LOOK_FOR_ANSWER,
            workflow_id,
            commitment_id,
            delay_seconds=delay_seconds,
        )

    def report_commitment(
        self, session: Session, request_id: int, *, attempt: int, delay_seconds: float
    ) -> None:
        """Enqueue one attempt to answer a sender's request, within the caller's transaction."""
        workflow_id = f"report-commitment:{request_id}:{attempt}"
        self._enqueue(
            session,
            DELIVER,
            REPORT_COMMITMENT,
            workflow_id,
            request_id,
            attempt,
            delay_seconds=delay_seconds,
        )

    def notify(
        self,
        session: Session,
        notification_id: int,
        *,
        opened_at: datetime,
        attempt: int = 1,
        delay_seconds: float = 0.0,
    ) -> None:
        """Enqueue one attempt to tell somebody of a report, within the caller's transaction."""
        opened_ms = int(opened_at.timestamp() * 1000)
        workflow_id = f"notify:{notification_id}:{opened_ms}:{attempt}"
        self._enqueue(
            session,
            DELIVER,
            NOTIFY,
            workflow_id,
            notification_id,
            attempt,
            delay_seconds=delay_seconds,
        )

    def cancel_analysis(self, job_id: int, *, run: int) -> None:
        """Cancel an analysis; one that runs stops before its next step."""
        self._client.cancel_workflow(analysis_id(job_id, run))

    def given_up(self) -> tuple[tuple[int, int], ...]:
        """Job and run of each analysis that was recovered too often: its workers died with it."""
        found = self._client.list_workflows(
            status=DEAD, name=ANALYSE, load_input=False, load_output=False
        )
        numbers = [status.workflow_id.split(":")[1:] for status in found]
        return tuple((int(job_id), int(run)) for job_id, run in numbers)

    def executors_at_work(self) -> frozenset[str]:
        """Name every worker that took something from a queue and has not ended it."""
        found = self._client.list_workflows(
            status=AT_WORK,
            app_version=APPLICATION_VERSION,
            load_input=False,
            load_output=False,
        )
        return frozenset(status.executor_id for status in found if status.executor_id)

    def work_of(self, executor_id: str) -> frozenset[str]:
        """Name what a worker took from a queue and has not ended."""
        found = self._client.list_workflows(
            status=AT_WORK, executor_id=executor_id, load_input=False, load_output=False
        )
        return frozenset(status.workflow_id for status in found)

    def put_back(self, workflow_id: str, executor_id: str) -> bool:
        """Put work back into its queue, unless it is ended or with another worker by now."""
        # resume_workflow() would also take it from another one, and out of its end by an operator
        return self._client._sys_db.reenqueue_for_recovery(
            workflow_id, [executor_id], INTERNAL_QUEUE_NAME
        )

    def close(self) -> None:
        """Let go of the database."""
        self._client.destroy()

    def _tables(self, session: Session) -> type[SystemSchema]:
        """Find DBOS's own tables, for a statement within the caller's transaction."""
        own = self._client._sys_db
        own._apply_caller_schema(session)  # PostgreSQL has them in a schema of their own
        return own.tables

    def _enqueue(
        self,
        session: Session,
        queue: str,
        workflow: str,
        workflow_id: str,
        *arguments: int | str,
        delay_seconds: float = 0.0,
        priority: Priority = Priority.ROUTINE,
    ) -> None:
        options: EnqueueOptions = {
            "queue_name": queue,
            "workflow_name": workflow,
            "workflow_id": workflow_id,
            "app_version": APPLICATION_VERSION,
            "priority": URGENCIES[priority],
        }
        if delay_seconds > 0:
            options["delay_seconds"] = delay_seconds
        # the caller's own connection, so that the job and its workflow are committed together
        self._client.enqueue_in_transaction(session.connection(), options, *arguments)
        if delay_seconds <= 0:
            ring(session, queue)


def analysis_id(job_id: int, run: int) -> str:
    """Name the workflow of one run of a job's analysis."""
    return f"analyse:{job_id}:{run}"
