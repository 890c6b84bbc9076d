"""Analyses: one job for each generation of a study, from queued to its end.

The queue decides who works and when; here stands what became of it. Each move is one conditional
UPDATE, so of two callers exactly one makes it.
"""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import JobRecord, JobState, Priority
from storage.tables import CompletionRow, JobRow, StudyRow, as_record

OPEN = (JobState.QUEUED, JobState.RUNNING)


class Jobs:
    """Jobs within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        study_id: int,
        generation: int,
        *,
        now: datetime,
        priority: Priority = Priority.ROUTINE,
    ) -> JobRecord:
        """Enter the job of a generation, in the transaction that completes it.

        Raises
        ------
        StorageError
            At the end of the transaction or here, if there is one already, or if the generation
            never was complete.
        """
        row = JobRow(
            study_id=study_id,
            generation=generation,
            run=1,
            state=JobState.QUEUED,
            priority=priority,
            attempts=0,
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return self._get(row.id)

    def start(self, job_id: int, executor_id: str, *, now: datetime) -> JobRecord | None:
        """Note that a worker begins, perhaps again after another one died.

        Returns
        -------
        JobRecord or None
            None if the job has ended or been cancelled: there is nothing to do.
        """
        return self._move(
            job_id,
            from_states=OPEN,
            state=JobState.RUNNING,
            executor_id=executor_id,
            attempts=JobRow.attempts + 1,
            started_at=now,
        )

    def prioritise(self, job_id: int, priority: Priority) -> JobRecord | None:
        """Note whether a job starts before others; None if it is not queued any more.

        The queue has its own order: `node.engine.Queues.prioritise`, in the same transaction.
        """
        return self._move(job_id, from_states=(JobState.QUEUED,), priority=priority)

    def note_selection(self, job_id: int, selection_json: str) -> None:
        """Note which series a running job chose, and why the others were not."""
        self._move(job_id, from_states=(JobState.RUNNING,), selection_json=selection_json)

    def finish(
        self,
        job_id: int,
        *,
        outcome: str,
        reason: str | None = None,
        message: str | None = None,
        model: str | None = None,
        findings_json: str | None = None,
        analysed_json: str | None = None,
        stages_json: str | None = None,
        now: datetime,
    ) -> JobRecord | None:
        """Note that the report exists, in the transaction that records the results.

        Returns
        -------
        JobRecord or None
            None if the job is not running: it was cancelled, or has ended before.
        """
        return self._move(
            job_id,
            from_states=(JobState.RUNNING,),
            state=JobState.SUCCEEDED,
            outcome=outcome,
            reason=reason,
            message=message,
            model=model,
            findings_json=findings_json,
            analysed_json=analysed_json,
            stages_json=stages_json,
            finished_at=now,
        )

    def fail(
        self, job_id: int, *, message: str, stages_json: str | None = None, now: datetime
    ) -> JobRecord | None:
        """Note that no report can be written; None if the job has ended before."""
        return self._move(
            job_id,
            from_states=OPEN,
            state=JobState.FAILED,
            message=message,
            stages_json=stages_json,
            finished_at=now,
        )

    def cancel(self, job_id: int, *, now: datetime) -> JobRecord | None:
        """Give a job up on somebody's wish; None if the job has ended before."""
        return self._move(job_id, from_states=OPEN, state=JobState.CANCELLED, finished_at=now)

    def requeue(self, job_id: int) -> JobRecord | None:
        """Put a job back: a running one of a dead worker, or an ended one for its next run.

        Returns
        -------
        JobRecord or None
            None if the job is queued already, or there is none.
        """
        abandoned = self._move(
            job_id, from_states=(JobState.RUNNING,), state=JobState.QUEUED, executor_id=None
        )
        if abandoned is not None:
            return abandoned
        return self._move(
            job_id,
            from_states=(JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED),
            state=JobState.QUEUED,
            run=JobRow.run + 1,
            executor_id=None,
            outcome=None,
            reason=None,
            message=None,
            findings_json=None,
            analysed_json=None,
            selection_json=None,
            stages_json=None,
            started_at=None,
            finished_at=None,
        )

    def get(self, job_id: int) -> JobRecord | None:
        """Read a job as it stands now."""
        found = self._session.execute(_selected().where(JobRow.id == job_id)).one_or_none()
        return None if found is None else _job_record(found)

    def list(
        self,
        *,
        state: JobState | None = None,
        outcome: str | None = None,
        priority: Priority | None = None,
        study_id: int | None = None,
        sender: str | None = None,
        since: datetime | None = None,
        before: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[JobRecord, ...]:
        """List jobs, the latest first.

        Parameters
        ----------
        state, outcome, priority, study_id
            Only jobs in this state, with this outcome, of this priority, of this study.
        sender
            Only jobs of studies that came from this application entity.
        since
            Only jobs of generations that were complete then or later.
        before
            Only jobs with a lower number: where a page ended.
        limit, offset
            At most so many, after so many.
        """
        query = _selected().order_by(JobRow.id.desc())
        if state is not None:
            query = query.where(JobRow.state == state)
        if outcome is not None:
            query = query.where(JobRow.outcome == outcome)
        if priority is not None:
            query = query.where(JobRow.priority == priority)
        if study_id is not None:
            query = query.where(JobRow.study_id == study_id)
        if sender is not None:
            query = query.where(StudyRow.calling_ae_title == sender)
        if since is not None:
            query = query.where(JobRow.created_at >= since)
        if before is not None:
            query = query.where(JobRow.id < before)
        found = self._session.execute(query.limit(limit).offset(offset))
        return tuple(map(_job_record, found))

    def oldest_open(self) -> JobRecord | None:
        """Read the job whose study waits longest for its report; None if none waits."""
        query = _selected().where(JobRow.state.in_(OPEN))
        query = query.order_by(CompletionRow.last_received_at, JobRow.id).limit(1)
        found = self._session.execute(query).one_or_none()
        return None if found is None else _job_record(found)

    def counts(self) -> dict[JobState, int]:
        """Count the jobs in each state."""
        query = sa.select(JobRow.state, sa.func.count()).group_by(JobRow.state)
        found = dict(self._session.execute(query).all())
        return {state: found.get(state, 0) for state in JobState}

    def outcomes(self) -> dict[str, int]:
        """Count the jobs that succeeded by what their reports say."""
        query = (
            sa.select(JobRow.outcome, sa.func.count())
            .where(JobRow.state == JobState.SUCCEEDED)
            .group_by(JobRow.outcome)
        )
        return {outcome or "": count for outcome, count in self._session.execute(query)}

    def _get(self, job_id: int) -> JobRecord:
        return _job_record(self._session.execute(_selected().where(JobRow.id == job_id)).one())

    def _move(
        self, job_id: int, *, from_states: tuple[JobState, ...], **values: object
    ) -> JobRecord | None:
        """Change a job if it is in one of these states."""
        moved = self._session.scalar(
            sa.update(JobRow)
            .where(JobRow.id == job_id, JobRow.state.in_(from_states))
            .values(**values)
            .returning(JobRow.id)
            .execution_options(synchronize_session=False)
        )
        return None if moved is None else self._get(job_id)


def _selected() -> sa.Select[JobRow, CompletionRow, StudyRow]:
    """Select jobs with what their records say of the generation and the study."""
    return (
        sa.select(JobRow, CompletionRow, StudyRow)
        .join(
            CompletionRow,
            sa.and_(
                CompletionRow.study_id == JobRow.study_id,
                CompletionRow.generation == JobRow.generation,
            ),
        )
        .join(StudyRow, StudyRow.id == JobRow.study_id)
        .execution_options(populate_existing=True)
    )


def _job_record(found: sa.Row[JobRow, CompletionRow, StudyRow]) -> JobRecord:
    """Put a selected job together; what two tables know comes from the job."""
    job, completion, study = found
    return as_record(JobRecord, job, completion, study)
