"""Which studies are finished, so that their images may go, and which files nobody needs.

A study is finished when nothing is left to be done with it: it is complete, its newest generation
is reported on, and every destination has everything that was made of it, and committed to it where
it was asked to.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Session

from storage.records import CommitmentState, DeliveryState, FinishedStudy, JobState, StudyState
from storage.tables import DeliveryRow, InstanceRow, JobRow, ResultRow, StudyRow

OPEN = (JobState.QUEUED, JobState.RUNNING)
MOMENTS = (DeliveryRow.sent_at, DeliveryRow.committed_at)
TIME_TO_ASK = timedelta(hours=1)
"""So long after sending, a result that was not asked about may still be; not those of versions that
asked for nothing."""


class Retention:
    """Finished studies within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def finished(
        self, *, now: datetime, settled_before: datetime | None = None, study_id: int | None = None
    ) -> tuple[FinishedStudy, ...]:
        """List the finished studies whose images are here, those that were settled first, first.

        Parameters
        ----------
        settled_before
            Only those that were settled by then.
        study_id
            Only this one, if it is finished.
        """
        query = (
            sa.select(StudyRow.id, _last_end(), *map(_last_delivery, MOMENTS))
            .where(_is_finished(now))
            .order_by(StudyRow.id)
        )
        if study_id is not None:
            query = query.where(StudyRow.id == study_id)
        settled = sorted(
            (max(moment for moment in moments if moment is not None), number)
            for number, *moments in self._session.execute(query)
        )
        return tuple(
            FinishedStudy(number, moment, *self._size_of(number))
            for moment, number in settled
            if settled_before is None or moment <= settled_before
        )

    def mark_removed(self, study_id: int, *, now: datetime) -> bool:
        """Note that a study's images go, before they do; False if it is not finished any more.

        From here on no file is needed for this study, and whatever a crash leaves of them belongs
        to nobody. A new image takes the mark away again.
        """
        study = self._session.get(StudyRow, study_id, with_for_update=True, populate_existing=True)
        if study is None or not self.finished(now=now, study_id=study_id):
            return False
        study.files_removed_at = now
        return True

    def take_back(self, study_id: int) -> None:
        """Note that a study's images are needed again: somebody sent them anew."""
        study = self._session.get(StudyRow, study_id, with_for_update=True, populate_existing=True)
        if study is not None:
            study.files_removed_at = None

    def paths_of(self, study_id: int) -> tuple[str, ...]:
        """List the files of a study's images."""
        query = (
            sa.select(InstanceRow.path)
            .where(InstanceRow.study_id == study_id)
            .order_by(InstanceRow.id)
        )
        return tuple(self._session.scalars(query))

    def job_ids_of(self, study_id: int) -> tuple[int, ...]:
        """List the jobs of a study."""
        query = sa.select(JobRow.id).where(JobRow.study_id == study_id).order_by(JobRow.id)
        return tuple(self._session.scalars(query))

    def needed(self, paths: Collection[str]) -> frozenset[str]:
        """Tell which of these files are an image of a study whose images are here."""
        query = (
            sa.select(InstanceRow.path)
            .join(StudyRow, StudyRow.id == InstanceRow.study_id)
            .where(InstanceRow.path.in_(paths), StudyRow.files_removed_at.is_(None))
        )
        return frozenset(self._session.scalars(query))

    def known(self, paths: Collection[str]) -> frozenset[str]:
        """Tell which of these files are an image of some study."""
        query = sa.select(InstanceRow.path).where(InstanceRow.path.in_(paths))
        return frozenset(self._session.scalars(query))

    def _size_of(self, study_id: int) -> tuple[int, int]:
        query = sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(InstanceRow.num_bytes), 0)
        ).where(InstanceRow.study_id == study_id)
        count, num_bytes = self._session.execute(query).one()
        return int(count), int(num_bytes)


def _is_finished(now: datetime) -> sa.ColumnElement[bool]:
    """Whether nothing is left to be done with a study."""
    newest = sa.exists().where(
        JobRow.study_id == StudyRow.id,
        JobRow.generation == StudyRow.generation,
        sa.or_(
            JobRow.state == JobState.SUCCEEDED,
            # its report follows the cancelling, and is no state of the job
            sa.and_(
                JobRow.state == JobState.CANCELLED, sa.exists().where(ResultRow.job_id == JobRow.id)
            ),
        ),
    )
    is_open = sa.exists().where(JobRow.study_id == StudyRow.id, JobRow.state.in_(OPEN))
    unsettled = _deliveries().where(sa.not_(_is_settled(now))).exists()
    return sa.and_(
        StudyRow.state == StudyState.COMPLETE,
        StudyRow.files_removed_at.is_(None),
        newest,
        _results().exists(),
        sa.not_(is_open),
        sa.not_(unsettled),
    )


def _results() -> sa.Select[int]:
    """Select what was made of a study."""
    return (
        sa.select(ResultRow.id)
        .join(JobRow, JobRow.id == ResultRow.job_id)
        .where(JobRow.study_id == StudyRow.id)
        .correlate(StudyRow)
    )


def _deliveries() -> sa.Select[int]:
    """Select what goes to whom of what was made of a study."""
    return _results().join(DeliveryRow, DeliveryRow.result_id == ResultRow.id)


def _is_settled(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a destination has a result for good, or another one in its place."""
    never_asked = sa.and_(
        DeliveryRow.commitment == CommitmentState.NOT_ASKED,
        DeliveryRow.next_attempt_at.is_(None),
        DeliveryRow.sent_at <= now - TIME_TO_ASK,
    )
    answered = DeliveryRow.commitment.in_((CommitmentState.COMMITTED, CommitmentState.NOT_OFFERED))
    is_there = sa.and_(DeliveryRow.state == DeliveryState.SENT, sa.or_(answered, never_asked))
    return sa.or_(DeliveryRow.state == DeliveryState.REPLACED, is_there)


def _last_end() -> sa.ScalarSelect[datetime | None]:
    """When the last analysis of a study ended."""
    return (
        sa.select(sa.func.max(JobRow.finished_at))
        .where(JobRow.study_id == StudyRow.id)
        .correlate(StudyRow)
        .scalar_subquery()
    )


def _last_delivery(
    moment: InstrumentedAttribute[datetime | None],
) -> sa.ScalarSelect[datetime | None]:
    """When something last happened to the deliveries of a study."""
    return _deliveries().with_only_columns(sa.func.max(moment)).scalar_subquery()
