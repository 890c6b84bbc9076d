"""Which associations are open, of all listeners on all hosts: as long as one is, more may come.

A listener that died leaves its associations behind; they are told by its missing sign of life
(`storage.workers`).
"""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.association_tables import AssociationRow, SendingRow
from storage.tables import StudyRow, WorkerRow


class Associations:
    """Open associations within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(
        self, association_id: str, *, listener: str, calling_ae_title: str, now: datetime
    ) -> None:
        """Enter an association; it is known already if that was tried before.

        Parameters
        ----------
        listener
            Under which its process gives signs of life.
        """
        if self._session.get(AssociationRow, association_id) is None:
            self._session.add(
                AssociationRow(
                    id=association_id,
                    listener=listener,
                    calling_ae_title=calling_ae_title,
                    began_at=now,
                )
            )
            self._session.flush()

    def sends(self, association_id: str, study_id: int) -> None:
        """Note that an association, which was entered, sent an image of a study."""
        if self._session.get(SendingRow, (association_id, study_id)) is None:
            self._session.add(SendingRow(association_id=association_id, study_id=study_id))

    def end(self, association_id: str, study_ids: Collection[int]) -> frozenset[int]:
        """Forget an association that ended.

        Parameters
        ----------
        study_ids
            What it sent images of.

        Returns
        -------
        frozenset of int
            Those of them that no other open association has sent images of. Of two that end at the
            same time the second one gets them: it waits here for the first.
        """
        locked = sa.select(StudyRow.id).where(StudyRow.id.in_(study_ids)).order_by(StudyRow.id)
        self._session.execute(locked.with_for_update()).all()
        self._forget((association_id,))
        others = sa.select(SendingRow.study_id).where(SendingRow.study_id.in_(study_ids))
        return frozenset(study_ids) - frozenset(self._session.scalars(others))

    def is_calling(self, calling_ae_title: str) -> bool:
        """Whether an application entity has an association open with any listener."""
        query = sa.exists().where(AssociationRow.calling_ae_title == calling_ae_title)
        return bool(self._session.scalar(sa.select(query)))

    def end_lost(self, *, listener: str, still_open: Collection[str]) -> frozenset[int]:
        """Forget what ended without a word: at listeners that are gone, and at this one.

        Parameters
        ----------
        listener, still_open
            Who asks, and what it has open.

        Returns
        -------
        frozenset of int
            Studies that images came of on them.
        """
        alive = sa.select(WorkerRow.executor_id)
        own = sa.and_(AssociationRow.listener == listener, AssociationRow.id.not_in(still_open))
        foreign = sa.and_(
            AssociationRow.listener != listener, AssociationRow.listener.not_in(alive)
        )
        lost = tuple(self._session.scalars(sa.select(AssociationRow.id).where(own | foreign)))
        if not lost:
            return frozenset()
        studies = sa.select(SendingRow.study_id).where(SendingRow.association_id.in_(lost))
        interrupted = frozenset(self._session.scalars(studies))
        self._forget(lost)
        return interrupted

    def _forget(self, association_ids: Collection[str]) -> None:
        for row, column in (
            (SendingRow, SendingRow.association_id),
            (AssociationRow, AssociationRow.id),
        ):
            self._session.execute(
                sa.delete(row)
                .where(column.in_(association_ids))
                .execution_options(synchronize_session=False)
            )
