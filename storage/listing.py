"""Many studies at a glance: pages of a list, what waits, and points of a plot.

Lists go by number, the latest first, and on from a number: a page costs the same wherever it lies.
Columns that hold long texts are not read.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import (
    DeliveryState,
    FinishedJob,
    JobState,
    ListedStudy,
    SentDelivery,
    Standing,
    StudyFilter,
    StudyState,
)
from storage.tables import CompletionRow, DeliveryRow, JobRow, ResultRow, StudyRow

OF_THE_STUDY = (Standing.RECEIVING, Standing.QUARANTINED)
OF_THE_JOB = (Standing.QUEUED, Standing.RUNNING, Standing.FAILED, Standing.CANCELLED)

SHOWN = (
    StudyRow.id,
    StudyRow.study_instance_uid,
    StudyRow.state,
    StudyRow.generation,
    StudyRow.num_instances,
    StudyRow.calling_ae_title,
    StudyRow.first_received_at,
    StudyRow.last_received_at,
    JobRow.id.label("job_id"),
    JobRow.run,
    JobRow.state.label("job_state"),
    JobRow.outcome,
    JobRow.reason,
    JobRow.priority,
    JobRow.created_at,
    JobRow.started_at,
    JobRow.finished_at,
)


class Listing:
    """Lists within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def studies(
        self, wanted: StudyFilter, *, before: int | None = None, limit: int
    ) -> tuple[ListedStudy, ...]:
        """List studies, the latest first.

        Parameters
        ----------
        wanted
            Which of them.
        before
            Only studies with a lower number: where the last page ended.
        limit
            At most so many.
        """
        query = (
            sa.select(*SHOWN)
            .select_from(StudyRow)
            .outerjoin(JobRow, _latest_job())
            .order_by(StudyRow.id.desc())
            .limit(limit)
        )
        for condition in _conditions(wanted):
            query = query.where(condition)
        if before is not None:
            query = query.where(StudyRow.id < before)
        found = self._session.execute(query).mappings().all()
        told = self._deliveries([row["job_id"] for row in found if row["job_id"] is not None])
        nothing = (0, 0, None)
        return tuple(_listed(row, told.get(row["job_id"], nothing)) for row in found)

    def finished(self, since: datetime) -> tuple[FinishedJob, ...]:
        """List analyses whose report was recorded after a moment, oldest first.

        Of those that were run again only the last run is known; they are left out.
        """
        query = (
            sa.select(
                JobRow.id,
                JobRow.outcome,
                JobRow.created_at,
                JobRow.started_at,
                JobRow.finished_at,
                CompletionRow.last_received_at,
            )
            .join(
                CompletionRow,
                sa.and_(
                    CompletionRow.study_id == JobRow.study_id,
                    CompletionRow.generation == JobRow.generation,
                ),
            )
            .where(JobRow.finished_at > since, JobRow.state == JobState.SUCCEEDED, JobRow.run == 1)
            .order_by(JobRow.finished_at, JobRow.id)
        )
        return tuple(
            FinishedJob(
                id=row.id,
                outcome=row.outcome or "",
                finished_at=row.finished_at,
                wait_seconds=_seconds(row.created_at, row.started_at),
                work_seconds=_seconds(row.started_at, row.finished_at),
                report_seconds=_seconds(row.last_received_at, row.finished_at),
            )
            for row in self._session.execute(query)
        )

    def sent(self, since: datetime) -> tuple[SentDelivery, ...]:
        """List deliveries that arrived after a moment, oldest first."""
        query = (
            sa.select(
                DeliveryRow.id, DeliveryRow.destination, DeliveryRow.opened_at, DeliveryRow.sent_at
            )
            .where(DeliveryRow.sent_at > since)
            .order_by(DeliveryRow.sent_at, DeliveryRow.id)
        )
        return tuple(
            SentDelivery(
                id=row.id,
                destination=row.destination,
                sent_at=row.sent_at,
                seconds=_seconds(row.opened_at, row.sent_at),
            )
            for row in self._session.execute(query)
            if row.sent_at is not None
        )

    def senders(self) -> tuple[str, ...]:
        """List who ever sent a study, by name."""
        query = sa.select(StudyRow.calling_ae_title).distinct()
        return tuple(self._session.scalars(query.order_by(StudyRow.calling_ae_title)))

    def _deliveries(self, job_ids: list[int]) -> dict[int, tuple[int, int, datetime | None]]:
        """Count what waits and what was given up of some jobs, and when the last arrived."""
        if not job_ids:
            return {}
        query = (
            sa.select(
                ResultRow.job_id,
                DeliveryRow.state,
                sa.func.count(),
                sa.func.max(DeliveryRow.sent_at),
            )
            .join(DeliveryRow, DeliveryRow.result_id == ResultRow.id)
            .where(ResultRow.job_id.in_(job_ids))
            .group_by(ResultRow.job_id, DeliveryRow.state)
        )
        counts: dict[int, dict[DeliveryState, int]] = {}
        latest: dict[int, datetime | None] = {}
        for job_id, state, count, sent_at in self._session.execute(query):
            counts.setdefault(job_id, {})[state] = count
            if state is DeliveryState.SENT:
                latest[job_id] = sent_at
        return {
            job_id: (
                states.get(DeliveryState.PENDING, 0),
                states.get(DeliveryState.DEAD, 0),
                latest.get(job_id),
            )
            for job_id, states in counts.items()
        }


def _latest_job() -> sa.ColumnElement[bool]:
    return sa.and_(JobRow.study_id == StudyRow.id, JobRow.generation == StudyRow.generation)


def _conditions(wanted: StudyFilter) -> list[sa.ColumnElement[bool]]:
    conditions = _of_standing(wanted.standing) if wanted.standing is not None else []
    if wanted.outcome is not None:
        conditions.append(JobRow.outcome == wanted.outcome)
    if wanted.sender is not None:
        conditions.append(StudyRow.calling_ae_title == wanted.sender)
    if wanted.number is not None:
        of_job = sa.select(JobRow.study_id).where(JobRow.id == wanted.number)
        conditions.append(sa.or_(StudyRow.id == wanted.number, StudyRow.id.in_(of_job)))
    return conditions


def _of_standing(standing: Standing) -> list[sa.ColumnElement[bool]]:
    """Say in SQL what `ListedStudy.standing` says of one study."""
    if standing in OF_THE_STUDY:
        return [StudyRow.state == StudyState(standing)]
    is_complete = StudyRow.state == StudyState.COMPLETE
    if standing in OF_THE_JOB:
        return [is_complete, JobRow.state == JobState(standing)]
    # not by the index of states: nearly all have succeeded, and would be sorted for each page
    is_reported = [is_complete, JobRow.state.not_in([JobState(each) for each in OF_THE_JOB])]
    waits, is_dead = _has_delivery(DeliveryState.PENDING), _has_delivery(DeliveryState.DEAD)
    if standing is Standing.UNDELIVERED:
        return [*is_reported, is_dead]
    return [*is_reported, ~is_dead, waits if standing is Standing.DELIVERING else ~waits]


def _has_delivery(state: DeliveryState) -> sa.ColumnElement[bool]:
    """Whether a job has a delivery in a state that few are in."""
    of_jobs = (
        sa.select(ResultRow.job_id)
        .join(DeliveryRow, DeliveryRow.result_id == ResultRow.id)
        .where(DeliveryRow.state == state)
    )
    return JobRow.id.in_(of_jobs)


def _listed(row: sa.RowMapping, deliveries: tuple[int, int, datetime | None]) -> ListedStudy:
    num_pending, num_dead, sent_at = deliveries
    return ListedStudy(**row, num_pending=num_pending, num_dead=num_dead, sent_at=sent_at)


def _seconds(begin: datetime | None, end: datetime | None) -> float:
    """Seconds between two moments; clocks of several hosts may disagree, and none is negative."""
    if begin is None or end is None:
        return 0.0
    return max(0.0, (end - begin).total_seconds())
