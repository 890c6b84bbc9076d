"""What destinations do not take, remembered until somebody has it forgotten."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import RefusalRecord
from storage.tables import RefusalRow, as_record


class Refusals:
    """SOP classes and transfer syntaxes that destinations refused, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def note(
        self,
        destination: str,
        uids: Collection[str],
        *,
        answer: str,
        now: datetime,
        job_id: int | None = None,
    ) -> None:
        """Remember that a destination does not take something; what is known stays as it is.

        Parameters
        ----------
        destination
            Its name.
        uids
            SOP classes or transfer syntaxes.
        answer
            How it said so.
        now
            The time.
        job_id
            The job whose object it refused; None if it takes no such object at all.
        """
        known = self.of(destination, job_id=job_id)
        self._session.add_all(
            RefusalRow(
                destination=destination, uid=uid, job_id=job_id, answer=answer, refused_at=now
            )
            for uid in sorted(set(uids) - known)
        )
        self._session.flush()

    def of(self, destination: str, *, job_id: int | None = None) -> frozenset[str]:
        """Read what a destination does not take: in general, and of one job if it is named."""
        query = sa.select(RefusalRow.uid).where(
            RefusalRow.destination == destination,
            sa.or_(RefusalRow.job_id.is_(None), RefusalRow.job_id == job_id),
        )
        return frozenset(self._session.scalars(query))

    def list(self) -> tuple[RefusalRecord, ...]:
        """List what destinations do not take in general, by destination, the oldest first."""
        query = (
            sa.select(RefusalRow)
            .where(RefusalRow.job_id.is_(None))
            .order_by(RefusalRow.destination, RefusalRow.id)
        )
        return tuple(as_record(RefusalRecord, row) for row in self._session.scalars(query))

    def forget(self, destination: str) -> int:
        """Let a destination be offered everything again; returns how many refusals there were."""
        forgotten = self._session.scalars(
            sa.delete(RefusalRow)
            .where(RefusalRow.destination == destination)
            .returning(RefusalRow.id)
        )
        return len(forgotten.all())
