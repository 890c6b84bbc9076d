"""Which roles take no new work, on somebody's wish."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import DrainRecord
from storage.tables import DrainRow, as_record


class Drains:
    """The roles that are drained, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def begin(self, role: str, *, now: datetime) -> bool:
        """Note that a role is to take no new work; False if that was noted before."""
        if self._session.get(DrainRow, role, with_for_update=True) is not None:
            return False
        self._session.add(DrainRow(role=role, started_at=now))
        self._session.flush()
        return True

    def end(self, role: str) -> bool:
        """Note that a role takes work again; False if it was not drained."""
        ended = self._session.scalar(
            sa.delete(DrainRow).where(DrainRow.role == role).returning(DrainRow.role)
        )
        return ended is not None

    def list(self) -> tuple[DrainRecord, ...]:
        """List the roles that take no new work, by name."""
        rows = self._session.scalars(sa.select(DrainRow).order_by(DrainRow.role))
        return tuple(as_record(DrainRecord, row) for row in rows)
