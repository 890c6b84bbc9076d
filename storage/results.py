"""What was made, and where it has been delivered."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from config.errors import InstanceConflictError
from storage.records import (
    Backlog,
    CommitmentState,
    DeliveryRecord,
    DeliveryState,
    NewResult,
    ResultRecord,
)
from storage.tables import DeliveryRow, JobRow, ResultRow, as_record

REPORT = "SR"
"""Kind of the results that later ones name as their predecessor."""
AWAITED = (CommitmentState.NOT_ASKED, CommitmentState.REQUESTED)
UNDECIDED = (*AWAITED, CommitmentState.FAILED, CommitmentState.UNANSWERED)
UNSENT = tuple(state for state in DeliveryState if state is not DeliveryState.SENT)

Counts = Counter[tuple[DeliveryState, CommitmentState]]
"""Deliveries of a destination, by what became of them."""


class Results:
    """Results and their deliveries within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def record(
        self,
        job_id: int,
        results: Sequence[NewResult],
        destinations: Sequence[str],
        *,
        now: datetime,
    ) -> tuple[ResultRecord, ...]:
        """Enter what a job made, and one delivery for each result and destination.

        Repeating it changes nothing: the first object under a SOP Instance UID is kept, and what
        was sent stays sent.

        Returns
        -------
        tuple of ResultRecord
            What holds now, in the order of `results`.

        Raises
        ------
        InstanceConflictError
            If one of the UIDs belongs to another job.
        """
        rows = [self._entered(job_id, result, now=now) for result in results]
        self._session.flush()
        ids = [row.id for row in rows]
        known = self._session.execute(
            sa.select(DeliveryRow.result_id, DeliveryRow.destination).where(
                DeliveryRow.result_id.in_(ids)
            )
        )
        held = {(result_id, destination) for result_id, destination in known}
        for result_id, destination in ((i, d) for i in ids for d in destinations):
            if (result_id, destination) not in held:
                self._session.add(_delivery_row(result_id, destination, now=now))
        self._session.flush()
        return tuple(as_record(ResultRecord, row) for row in rows)

    def of_job(self, job_id: int) -> tuple[ResultRecord, ...]:
        """List what a job made, in the order of sending within each run."""
        query = (
            sa.select(ResultRow)
            .where(ResultRow.job_id == job_id)
            .order_by(ResultRow.position, ResultRow.id)
        )
        return tuple(as_record(ResultRecord, row) for row in self._session.scalars(query))

    def pending(self, job_id: int, destination: str) -> tuple[DeliveryRecord, ...]:
        """List what a destination still has to get of a job, in the order of sending."""
        return self._deliveries(
            ResultRow.job_id == job_id,
            DeliveryRow.destination == destination,
            DeliveryRow.state == DeliveryState.PENDING,
        )

    def uncommitted(self, job_id: int, destination: str) -> tuple[DeliveryRecord, ...]:
        """List what a destination got of a job and is still to be asked to commit to."""
        return self._deliveries(
            ResultRow.job_id == job_id,
            DeliveryRow.destination == destination,
            DeliveryRow.state == DeliveryState.SENT,
            DeliveryRow.commitment == CommitmentState.NOT_ASKED,
        )

    def deliveries(
        self,
        *,
        job_id: int | None = None,
        destination: str | None = None,
        state: DeliveryState | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[DeliveryRecord, ...]:
        """List deliveries by job, in the order of sending."""
        conditions = []
        if job_id is not None:
            conditions.append(ResultRow.job_id == job_id)
        if destination is not None:
            conditions.append(DeliveryRow.destination == destination)
        if state is not None:
            conditions.append(DeliveryRow.state == state)
        return self._deliveries(*conditions, limit=limit, offset=offset)

    def mark_sent(self, delivery_id: int, *, now: datetime) -> bool:
        """Note that the destination holds the result; False if that was noted before."""
        moved = self._session.scalar(
            sa.update(DeliveryRow)
            .where(DeliveryRow.id == delivery_id, DeliveryRow.state != DeliveryState.SENT)
            .values(
                state=DeliveryState.SENT,
                attempts=DeliveryRow.attempts + 1,
                last_attempt_at=now,
                next_attempt_at=None,
                sent_at=now,
            )
            .returning(DeliveryRow.id)
            .execution_options(synchronize_session=False)
        )
        return moved is not None

    def mark_attempt(
        self,
        delivery_ids: Collection[int],
        *,
        error: str,
        now: datetime,
        next_attempt_at: datetime | None,
    ) -> int:
        """Note an attempt that failed and will be repeated.

        Returns
        -------
        int
            How many of the deliveries were pending.
        """
        return self._missed(delivery_ids, error=error, now=now, next_attempt_at=next_attempt_at)

    def mark_dead(self, delivery_ids: Collection[int], *, error: str, now: datetime) -> int:
        """Note an attempt that failed for good, or was the last; count those that were pending."""
        return self._missed(
            delivery_ids, error=error, now=now, next_attempt_at=None, state=DeliveryState.DEAD
        )

    def replace(self, job_id: int, destination: str, *, by: Collection[str], now: datetime) -> int:
        """Note that a destination gets other objects instead of those it did not take.

        Parameters
        ----------
        job_id, destination
            Whose deliveries.
        by
            SOP Instance UIDs of all objects that the destination gets now.
        now
            The time.

        Returns
        -------
        int
            How many waiting or dead deliveries of other objects were replaced.
        """
        others = sa.select(ResultRow.id).where(
            ResultRow.job_id == job_id, ResultRow.sop_instance_uid.not_in(by)
        )
        replaced = self._session.scalars(
            sa.update(DeliveryRow)
            .where(
                DeliveryRow.result_id.in_(others),
                DeliveryRow.destination == destination,
                DeliveryRow.state.in_((DeliveryState.PENDING, DeliveryState.DEAD)),
            )
            .values(state=DeliveryState.REPLACED, next_attempt_at=None, last_attempt_at=now)
            .returning(DeliveryRow.id)
            .execution_options(synchronize_session=False)
        )
        return len(replaced.all())

    def reports_before(
        self, job_id: int, *, study_id: int, destination: str
    ) -> tuple[ResultRecord, ...]:
        """List the reports that a destination has of a study when a job's own follows.

        Returns
        -------
        tuple of ResultRecord
            The oldest first: what it got, and what it is to get of earlier jobs.
        """
        query = (
            sa.select(ResultRow)
            .join(JobRow, JobRow.id == ResultRow.job_id)
            .join(DeliveryRow, DeliveryRow.result_id == ResultRow.id)
            .where(
                JobRow.study_id == study_id,
                ResultRow.kind == REPORT,
                DeliveryRow.destination == destination,
                sa.or_(
                    DeliveryRow.state == DeliveryState.SENT,
                    sa.and_(DeliveryRow.state == DeliveryState.PENDING, ResultRow.job_id < job_id),
                ),
            )
            .order_by(ResultRow.id)
        )
        return tuple(as_record(ResultRecord, row) for row in self._session.scalars(query))

    def reopen(
        self, *, now: datetime, job_id: int | None = None, destination: str | None = None
    ) -> tuple[DeliveryRecord, ...]:
        """Let dead deliveries be tried again, of one job or destination, or all.

        Returns
        -------
        tuple of DeliveryRecord
            Those that were dead and are pending now: their jobs have to be enqueued again.
        """
        dead = (
            sa.select(DeliveryRow.id)
            .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
            .where(DeliveryRow.state == DeliveryState.DEAD)
        )
        if job_id is not None:
            dead = dead.where(ResultRow.job_id == job_id)
        if destination is not None:
            dead = dead.where(DeliveryRow.destination == destination)
        reopened = self._session.scalars(
            sa.update(DeliveryRow)
            .where(DeliveryRow.id.in_(dead), DeliveryRow.state == DeliveryState.DEAD)
            .values(
                state=DeliveryState.PENDING,
                commitment=CommitmentState.NOT_ASKED,
                attempts=0,
                opened_at=now,
                next_attempt_at=None,
            )
            .returning(DeliveryRow.id)
            .execution_options(synchronize_session=False)
        ).all()
        return self._deliveries(DeliveryRow.id.in_(reopened))

    def backlog(self) -> tuple[Backlog, ...]:
        """Sum up what waits for each destination that was ever used, by name."""
        counted: dict[str, Counts] = defaultdict(Counter)
        query = sa.select(
            DeliveryRow.destination, DeliveryRow.state, DeliveryRow.commitment, sa.func.count()
        ).group_by(DeliveryRow.state, DeliveryRow.destination, DeliveryRow.commitment)
        for destination, state, commitment, count in self._session.execute(query):
            counted[destination][state, commitment] = count
        return tuple(self._backlog_of(name, counted[name]) for name in sorted(counted))

    def _backlog_of(self, destination: str, counts: Counts) -> Backlog:
        of_destination = DeliveryRow.destination == destination

        def count(*states: DeliveryState, of: Collection[CommitmentState] = ()) -> int:
            return sum(
                number
                for (state, commitment), number in counts.items()
                if state in states and (not of or commitment in of)
            )

        oldest_pending_at = self._session.scalar(
            sa.select(sa.func.min(DeliveryRow.created_at)).where(
                of_destination, DeliveryRow.state == DeliveryState.PENDING
            )
        )
        last_error = self._session.scalar(
            sa.select(DeliveryRow.last_error)
            .where(
                of_destination,
                DeliveryRow.state.in_(UNSENT),
                DeliveryRow.last_error.is_not(None),
            )
            .order_by(DeliveryRow.last_attempt_at.desc(), DeliveryRow.id.desc())
            .limit(1)
        )
        last_commitment_error = self._session.scalar(
            sa.select(DeliveryRow.commitment_error)
            .where(
                of_destination,
                DeliveryRow.state.in_(tuple(DeliveryState)),
                DeliveryRow.commitment.in_(UNDECIDED),
                DeliveryRow.commitment_error.is_not(None),
            )
            .order_by(DeliveryRow.sent_at.desc(), DeliveryRow.id.desc())
            .limit(1)
        )
        sent = DeliveryState.SENT
        return Backlog(
            destination=destination,
            num_pending=count(DeliveryState.PENDING),
            num_dead=count(DeliveryState.DEAD),
            num_sent=count(sent),
            oldest_pending_at=oldest_pending_at,
            last_error=last_error,
            num_uncommitted=count(sent, of=AWAITED),
            num_commitment_failed=count(sent, of=(CommitmentState.FAILED,)),
            num_unanswered=count(sent, of=(CommitmentState.UNANSWERED,)),
            last_commitment_error=last_commitment_error,
        )

    def _entered(self, job_id: int, result: NewResult, *, now: datetime) -> ResultRow:
        """Find the row of a result, or make it."""
        row = self._session.scalar(
            sa.select(ResultRow).where(ResultRow.sop_instance_uid == result.sop_instance_uid)
        )
        if row is None:
            row = ResultRow(
                job_id=job_id,
                kind=result.kind,
                sop_class_uid=result.sop_class_uid,
                sop_instance_uid=result.sop_instance_uid,
                path=result.path,
                sha256=result.sha256,
                position=result.position,
                created_at=now,
            )
            self._session.add(row)
        elif row.job_id != job_id:
            raise InstanceConflictError("a result has the SOP Instance UID of another job's result")
        return row

    def _deliveries(
        self,
        *conditions: sa.ColumnElement[bool],
        limit: int | None = None,
        offset: int | None = None,
    ) -> tuple[DeliveryRecord, ...]:
        query = (
            sa.select(DeliveryRow, ResultRow)
            .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
            .where(*conditions)
            .order_by(ResultRow.job_id, ResultRow.position, ResultRow.id, DeliveryRow.destination)
            .limit(limit)
            .offset(offset)
            .execution_options(populate_existing=True)
        )
        return tuple(as_record(DeliveryRecord, *rows) for rows in self._session.execute(query))

    def _missed(
        self,
        delivery_ids: Collection[int],
        *,
        error: str,
        now: datetime,
        next_attempt_at: datetime | None,
        state: DeliveryState = DeliveryState.PENDING,
    ) -> int:
        """Note a failed attempt of the deliveries that are pending."""
        moved = self._session.scalars(
            sa.update(DeliveryRow)
            .where(DeliveryRow.id.in_(delivery_ids), DeliveryRow.state == DeliveryState.PENDING)
            .values(
                state=state,
                attempts=DeliveryRow.attempts + 1,
                last_error=error,
                last_attempt_at=now,
                next_attempt_at=next_attempt_at,
            )
            .returning(DeliveryRow.id)
            .execution_options(synchronize_session=False)
        )
        return len(moved.all())


def _delivery_row(result_id: int, destination: str, *, now: datetime) -> DeliveryRow:
    """Make the row of a delivery that may be tried at once."""
    return DeliveryRow(
        result_id=result_id,
        destination=destination,
        state=DeliveryState.PENDING,
        attempts=0,
        commitment=CommitmentState.NOT_ASKED,
        created_at=now,
        opened_at=now,
    )
