"""Signs of life of the worker processes, by the database's clock.

`now` is `storage.database.Transaction.now()` throughout: hosts need not agree on the time.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.records import NewWorker, WorkerRecord
from storage.tables import WorkerRow, as_record


class Workers:
    """Worker processes within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def beat(self, worker: NewWorker, *, now: datetime) -> None:
        """Note that a process lives; its first beat enters it.

        Only the process itself beats under its `executor_id`, so nobody else inserts that row.
        """
        row = self._session.get(WorkerRow, worker.executor_id)
        if row is not None:
            row.beat_at = now
            return
        self._session.add(
            WorkerRow(
                executor_id=worker.executor_id,
                role=worker.role,
                host=worker.host,
                pid=worker.pid,
                device=worker.device,
                started_at=now,
                beat_at=now,
            )
        )

    def alive(self, *, now: datetime, timeout: timedelta) -> tuple[WorkerRecord, ...]:
        """List the processes that beat within the time-out."""
        return self._listed(WorkerRow.beat_at > now - timeout)

    def dead(self, *, now: datetime, timeout: timedelta) -> tuple[WorkerRecord, ...]:
        """List the processes that did not beat for the time-out, and were not removed."""
        return self._listed(WorkerRow.beat_at <= now - timeout)

    def remove(self, executor_id: str) -> bool:
        """Forget a process that ended, or whose work was put back; False if it is unknown."""
        removed = self._session.scalar(
            sa.delete(WorkerRow)
            .where(WorkerRow.executor_id == executor_id)
            .returning(WorkerRow.executor_id)
        )
        return removed is not None

    def _listed(self, condition: sa.ColumnElement[bool]) -> tuple[WorkerRecord, ...]:
        query = (
            sa.select(WorkerRow)
            .where(condition)
            .order_by(WorkerRow.started_at, WorkerRow.executor_id)
            .execution_options(populate_existing=True)
        )
        return tuple(as_record(WorkerRecord, row) for row in self._session.scalars(query))
