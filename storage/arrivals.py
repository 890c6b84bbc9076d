"""How studies arrive: when associations ended, what is held, and how their senders use to send."""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import Habits, PlacedImage, StudyState
from storage.tables import InstanceRow, SeriesRow, StudyRow, as_record


class Arrivals:
    """Arriving studies within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def release(self, study_ids: Collection[int], *, now: datetime) -> None:
        """Note that the last association which sent new images of these studies ended."""
        self._session.execute(
            sa.update(StudyRow)
            .where(StudyRow.id.in_(study_ids), StudyRow.state == StudyState.RECEIVING)
            .values(released_at=now)
        )

    def resume(self, study_id: int) -> None:
        """Note that more images of a study are on their way, although nobody paused."""
        self._session.execute(
            sa.update(StudyRow).where(StudyRow.id == study_id).values(released_at=None)
        )

    def interrupt(self, study_ids: Collection[int]) -> None:
        """Note that an association which sent images of these studies was aborted or lost."""
        self._session.execute(
            sa.update(StudyRow)
            .where(StudyRow.id.in_(study_ids), StudyRow.state == StudyState.RECEIVING)
            .values(is_interrupted=True)
        )

    def due(
        self,
        *,
        now: datetime,
        quiet_after_release: timedelta,
        quiet_without_release: timedelta,
        deadline: timedelta,
    ) -> tuple[int, ...]:
        """List the studies to be looked at for completion, those that waited longest first.

        Parameters
        ----------
        quiet_after_release
            Since the last association that sent new images ended.
        quiet_without_release
            Since the last new image.
        deadline
            Since the first new image of the generation, whatever has come since.
        """
        is_due = sa.or_(
            StudyRow.released_at <= now - quiet_after_release,
            StudyRow.last_received_at <= now - quiet_without_release,
            StudyRow.first_received_at <= now - deadline,
        )
        query = (
            sa.select(StudyRow.id)
            .where(StudyRow.state == StudyState.RECEIVING, is_due)
            .order_by(StudyRow.first_received_at, StudyRow.id)
        )
        return tuple(self._session.scalars(query))

    def images(self, study_id: int) -> tuple[PlacedImage, ...]:
        """List the images that are held of a study, in the order in which they came."""
        query = (
            sa.select(InstanceRow, SeriesRow)
            .join(SeriesRow, SeriesRow.id == InstanceRow.series_id)
            .where(InstanceRow.study_id == study_id)
            .order_by(InstanceRow.id)
        )
        return tuple(as_record(PlacedImage, *rows) for rows in self._session.execute(query))

    def is_held(self, sop_instance_uid: str) -> bool:
        """Whether an image is held, of whatever study."""
        query = sa.exists().where(InstanceRow.sop_instance_uid == sop_instance_uid)
        return bool(self._session.scalar(sa.select(query)))

    def habits(self, calling_ae_title: str, *, most: int) -> Habits:
        """Tell how a sender's latest studies came, of those that were complete once.

        Parameters
        ----------
        most
            How many studies to look back at.
        """
        latest = (
            sa.select(StudyRow.longest_pause_seconds)
            .where(StudyRow.calling_ae_title == calling_ae_title, StudyRow.generation > 0)
            .order_by(StudyRow.id.desc())
            .limit(most)
            .subquery()
        )
        query = sa.select(sa.func.count(), sa.func.max(latest.c.longest_pause_seconds))
        num_studies, longest = self._session.execute(query.select_from(latest)).one()
        return Habits(num_studies=num_studies, longest_pause_seconds=longest or 0.0)
