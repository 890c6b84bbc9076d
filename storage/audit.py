"""The audit trail: rows that are only ever added, each with a digest over the one before it.

Whoever changes, removes or inserts a row breaks the chain from there on; who cuts off its end is
found by a head that was written down elsewhere. Only `forwarded_at` is no part of the chain.
"""

import hashlib
from collections.abc import Collection, Iterator
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import AuditFault, AuditHead, AuditRecord
from storage.records.audit import NO_MESSAGE
from storage.tables import AuditRow, as_record

APPEND_LOCK = 0x4D494441
"""Number of the PostgreSQL advisory lock under which one transaction appends at a time."""
BATCH = 1000


class AuditTrail:
    """Messages within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, message_json: str, *, event: str, outcome: int, now: datetime) -> AuditRecord:
        """Add a message at the end of the chain.

        The transaction keeps the end for itself until it is committed: append last, and soon.
        """
        if self._session.get_bind().dialect.name == "postgresql":
            # SQLite has the write lock since the transaction began
            self._session.execute(sa.select(sa.func.pg_advisory_xact_lock(APPEND_LOCK)))
        last = self._session.scalar(
            sa.select(AuditRow.sha256).order_by(AuditRow.id.desc()).limit(1)
        )
        row = AuditRow(
            recorded_at=now,
            event=event,
            outcome=outcome,
            message_json=message_json,
            previous_sha256=last or NO_MESSAGE,
        )
        row.sha256 = _digest(row)
        self._session.add(row)
        self._session.flush()
        return as_record(AuditRecord, row)

    def head(self) -> AuditHead:
        """Read how long the trail is, and its last digest."""
        num_messages = self._session.scalar(sa.select(sa.func.count()).select_from(AuditRow))
        last = self._session.scalar(
            sa.select(AuditRow.sha256).order_by(AuditRow.id.desc()).limit(1)
        )
        return AuditHead(num_messages or 0, last or NO_MESSAGE)

    def contains(self, sha256: str) -> bool:
        """Whether a message with this digest is part of the trail, as an earlier head must be."""
        found = sa.exists().where(AuditRow.sha256 == sha256)
        return sha256 == NO_MESSAGE or bool(self._session.scalar(sa.select(found)))

    def read(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        event: str | None = None,
    ) -> Iterator[AuditRecord]:
        """Read messages, the oldest first.

        Parameters
        ----------
        since, until
            Only those that were recorded from then on, and before then.
        event
            Only those of this kind.
        """
        query = sa.select(AuditRow)
        if since is not None:
            query = query.where(AuditRow.recorded_at >= since)
        if until is not None:
            query = query.where(AuditRow.recorded_at < until)
        if event is not None:
            query = query.where(AuditRow.event == event)
        return (as_record(AuditRecord, row) for row in self._rows(query))

    def latest(self, limit: int, *, event: str | None = None) -> tuple[AuditRecord, ...]:
        """Read the last messages, in the order in which they were recorded."""
        query = sa.select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
        if event is not None:
            query = query.where(AuditRow.event == event)
        rows = self._session.scalars(query).all()
        return tuple(as_record(AuditRecord, row) for row in reversed(rows))

    def fault(self) -> AuditFault | None:
        """Find where the chain is broken; None if it is whole."""
        previous = NO_MESSAGE
        for row in self._rows(sa.select(AuditRow)):
            if row.previous_sha256 != previous:
                return AuditFault(row.id, "what came before it was removed, inserted or replaced")
            if row.sha256 != _digest(row):
                return AuditFault(row.id, "it was changed after it was recorded")
            previous = row.sha256
        return None

    def waiting(self, *, limit: int) -> tuple[AuditRecord, ...]:
        """List messages that no repository has yet, in the order in which they are to go."""
        query = (
            sa.select(AuditRow)
            .where(AuditRow.forwarded_at.is_(None))
            .order_by(AuditRow.id)
            .limit(limit)
        )
        return tuple(as_record(AuditRecord, row) for row in self._session.scalars(query))

    def mark_forwarded(self, message_ids: Collection[int], *, now: datetime) -> None:
        """Note that a repository has these messages."""
        self._session.execute(
            sa.update(AuditRow)
            .where(AuditRow.id.in_(message_ids), AuditRow.forwarded_at.is_(None))
            .values(forwarded_at=now)
            .execution_options(synchronize_session=False)
        )

    def _rows(self, query: sa.Select[AuditRow]) -> Iterator[AuditRow]:
        """Read rows in order, a batch at a time."""
        ordered = query.order_by(AuditRow.id).execution_options(yield_per=BATCH)
        with self._session.scalars(ordered) as rows:
            yield from rows


def _digest(row: AuditRow) -> str:
    """Digest of a message and of what it is found by, over the digest of the one before it."""
    moment = row.recorded_at.astimezone(UTC).isoformat()
    parts = (row.previous_sha256, moment, row.event, str(row.outcome), row.message_json)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
