"""Who is to be told how a job ended; entered together with its end."""

import uuid
from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.records import NotificationRecord, NotificationState
from storage.tables import AUTOINCREMENT, Base, Key, Name, as_record

MESSAGE_ID_CHARS = 20
"""Length of MSH-10 in HL7 v2.5.1; 80 bits of chance are enough for every other receiver, too."""


class NotificationRow(Base):
    """That one receiver is to be told how one run of a job ended."""

    __tablename__ = "notification"
    __table_args__ = (
        UniqueConstraint("job_id", "run", "receiver"),
        sa.Index(None, "state", "receiver"),
        AUTOINCREMENT,
    )

    id: Mapped[Key]
    message_id: Mapped[str] = mapped_column(String(MESSAGE_ID_CHARS), unique=True)
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    run: Mapped[int]
    receiver: Mapped[Name]
    outcome: Mapped[Name]
    state: Mapped[NotificationState] = mapped_column(
        sa.Enum(
            NotificationState, native_enum=False, length=16, create_constraint=True, name="state"
        )
    )
    attempts: Mapped[int]
    last_error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    opened_at: Mapped[datetime]
    last_attempt_at: Mapped[datetime | None]
    next_attempt_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]


class Notifications:
    """Messages about reports within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def enter(
        self, job_id: int, *, run: int, outcome: str, receivers: Sequence[str], now: datetime
    ) -> tuple[NotificationRecord, ...]:
        """Enter that receivers are to be told of a run; those that it is new for."""
        known = set(
            self._session.scalars(
                sa.select(NotificationRow.receiver).where(
                    NotificationRow.job_id == job_id, NotificationRow.run == run
                )
            )
        )
        rows = [
            NotificationRow(
                message_id=uuid.uuid4().hex[:MESSAGE_ID_CHARS],
                job_id=job_id,
                run=run,
                receiver=receiver,
                outcome=outcome,
                state=NotificationState.PENDING,
                attempts=0,
                created_at=now,
                opened_at=now,
            )
            for receiver in receivers
            if receiver not in known
        ]
        self._session.add_all(rows)
        self._session.flush()
        return tuple(as_record(NotificationRecord, row) for row in rows)

    def get(self, notification_id: int) -> NotificationRecord | None:
        """Read a message as it stands now."""
        found = self._listed(NotificationRow.id == notification_id)
        return found[0] if found else None

    def list(
        self,
        *,
        job_id: int | None = None,
        receiver: str | None = None,
        state: NotificationState | None = None,
        limit: int = 100,
    ) -> tuple[NotificationRecord, ...]:
        """List messages, the latest first."""
        conditions = []
        if job_id is not None:
            conditions.append(NotificationRow.job_id == job_id)
        if receiver is not None:
            conditions.append(NotificationRow.receiver == receiver)
        if state is not None:
            conditions.append(NotificationRow.state == state)
        return self._listed(*conditions, limit=limit)

    def counts(self) -> dict[str, dict[NotificationState, int]]:
        """Count the messages to each receiver in each state."""
        query = sa.select(
            NotificationRow.receiver, NotificationRow.state, sa.func.count()
        ).group_by(NotificationRow.receiver, NotificationRow.state)
        counted: dict[str, dict[NotificationState, int]] = {}
        for receiver, state, count in self._session.execute(query):
            counted.setdefault(receiver, dict.fromkeys(NotificationState, 0))[state] = count
        return counted

    def mark_sent(self, notification_id: int, *, now: datetime) -> bool:
        """Note that the receiver took it; False if that was noted before."""
        return self._attempted(
            notification_id, now, state=NotificationState.SENT, sent_at=now, next_attempt_at=None
        )

    def mark_attempt(
        self, notification_id: int, *, error: str, now: datetime, next_attempt_at: datetime
    ) -> bool:
        """Note an attempt that failed and will be repeated."""
        return self._attempted(
            notification_id, now, last_error=error, next_attempt_at=next_attempt_at
        )

    def mark_dead(self, notification_id: int, *, error: str, now: datetime) -> bool:
        """Note an attempt that failed for good, or was the last."""
        return self._attempted(
            notification_id,
            now,
            state=NotificationState.DEAD,
            last_error=error,
            next_attempt_at=None,
        )

    def reopen(
        self, *, now: datetime, receiver: str | None = None
    ) -> tuple[NotificationRecord, ...]:
        """Let dead messages be tried again, of one receiver or all; those have to be enqueued."""
        dead = sa.update(NotificationRow).where(NotificationRow.state == NotificationState.DEAD)
        if receiver is not None:
            dead = dead.where(NotificationRow.receiver == receiver)
        ids = self._session.scalars(
            dead.values(
                state=NotificationState.PENDING, attempts=0, opened_at=now, next_attempt_at=None
            )
            .returning(NotificationRow.id)
            .execution_options(synchronize_session=False)
        ).all()
        return self._listed(NotificationRow.id.in_(ids))

    def _attempted(self, notification_id: int, now: datetime, **values: object) -> bool:
        """Note an attempt at a message that is pending."""
        moved = self._session.scalar(
            sa.update(NotificationRow)
            .where(
                NotificationRow.id == notification_id,
                NotificationRow.state == NotificationState.PENDING,
            )
            .values(attempts=NotificationRow.attempts + 1, last_attempt_at=now, **values)
            .returning(NotificationRow.id)
            .execution_options(synchronize_session=False)
        )
        return moved is not None

    def _listed(
        self, *conditions: sa.ColumnElement[bool], limit: int | None = None
    ) -> tuple[NotificationRecord, ...]:
        query = (
            sa.select(NotificationRow)
            .where(*conditions)
            .order_by(NotificationRow.id.desc())
            .limit(limit)
            .execution_options(populate_existing=True)
        )
        return tuple(as_record(NotificationRecord, row) for row in self._session.scalars(query))
