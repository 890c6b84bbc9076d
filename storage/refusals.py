"""What destinations do not take, remembered until somebody has it forgotten."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import RefusalRecord
from storage.tables import RefusalRow, as_record


class Refusals:
    """SOP classes and transfer syntaxes that destinations refused, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def note(self, destination: str, uid: str, *, answer: str, now: datetime) -> bool:
        """Remember that a destination does not take something; False if it was known."""
        if uid in self.of(destination):
            return False
        row = RefusalRow(destination=destination, uid=uid, answer=answer, refused_at=now)
        self._session.add(row)
        self._session.flush()
        return True

    def of(self, destination: str) -> frozenset[str]:
        """SOP classes and transfer syntaxes that a destination does not take."""
        query = sa.select(RefusalRow.uid).where(RefusalRow.destination == destination)
        return frozenset(self._session.scalars(query))

    def list(self) -> tuple[RefusalRecord, ...]:
        """List all refusals by destination, the oldest first."""
        query = sa.select(RefusalRow).order_by(RefusalRow.destination, RefusalRow.id)
        return tuple(as_record(RefusalRecord, row) for row in self._session.scalars(query))

    def forget(self, destination: str) -> int:
        """Let a destination be offered everything again; returns how many refusals there were."""
        forgotten = self._session.scalars(
            sa.delete(RefusalRow)
            .where(RefusalRow.destination == destination)
            .returning(RefusalRow.id)
        )
        return len(forgotten.all())
