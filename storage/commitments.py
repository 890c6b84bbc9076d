"""Storage commitment: what destinations were asked to keep safe, and what senders ask of this node.

What a destination says of a delivery stands in the delivery's own row. A request names the
deliveries that it is about, so that a late answer finds them too.
"""

import json
from collections.abc import Collection, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from storage.records import (
    CommitmentRecord,
    CommitmentRequestRecord,
    CommitmentState,
    DeliveryRecord,
    DeliveryState,
    HeldInstance,
    Reference,
)
from storage.tables import (
    CommitmentItemRow,
    CommitmentRequestRow,
    CommitmentRow,
    ConflictRow,
    DeliveryRow,
    InstanceRow,
    ResultRow,
    as_record,
)

MOST_IN_A_QUERY = 500
"""Values that one query lists; SQLite takes some thousands."""
GIVEN_UP = (CommitmentState.FAILED, CommitmentState.UNANSWERED)


class Commitments:
    """Requests of this node, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def enter(
        self,
        transaction_uid: str,
        deliveries: Sequence[DeliveryRecord],
        *,
        attempt: int,
        now: datetime,
    ) -> CommitmentRecord:
        """Note a request before it is sent; nobody knows yet whether it will be taken.

        Parameters
        ----------
        transaction_uid
            Never used before.
        deliveries
            What it names: of one job and one destination.
        attempt
            Of the delivery.
        """
        row = CommitmentRow(
            transaction_uid=transaction_uid,
            job_id=deliveries[0].job_id,
            destination=deliveries[0].destination,
            attempt=attempt,
            requested_at=now,
        )
        self._session.add(row)
        self._session.flush()
        self._session.add_all(
            CommitmentItemRow(commitment_id=row.id, delivery_id=each.id) for each in deliveries
        )
        self._session.flush()
        return as_record(CommitmentRecord, row)

    def get(self, commitment_id: int) -> CommitmentRecord | None:
        """Read a request, and hold it until the transaction ends."""
        row = self._session.get(
            CommitmentRow, commitment_id, populate_existing=True, with_for_update=True
        )
        return None if row is None else as_record(CommitmentRecord, row)

    def find(self, transaction_uid: str) -> CommitmentRecord | None:
        """Read the request with this Transaction UID."""
        row = self._session.scalar(
            sa.select(CommitmentRow).where(CommitmentRow.transaction_uid == transaction_uid)
        )
        return None if row is None else as_record(CommitmentRecord, row)

    def accept(self, commitment_id: int, *, now: datetime) -> bool:
        """Note that the destination took a request; what it named is waited for.

        Returns
        -------
        bool
            False if the answer was there before.
        """
        row = self._session.get_one(
            CommitmentRow, commitment_id, populate_existing=True, with_for_update=True
        )
        row.accepted_at = now
        if row.answered_at is not None:
            return False
        self._set(
            [each.id for each in self.items(commitment_id)],
            commitment=CommitmentState.REQUESTED,
            commitment_error=None,
            next_attempt_at=None,
        )
        return True

    def answer(self, commitment_id: int, *, now: datetime) -> bool:
        """Note that a request was answered; False if it was answered before."""
        answered = self._session.scalar(
            sa.update(CommitmentRow)
            .where(CommitmentRow.id == commitment_id, CommitmentRow.answered_at.is_(None))
            .values(answered_at=now)
            .returning(CommitmentRow.id)
            .execution_options(synchronize_session=False)
        )
        return answered is not None

    def items(self, commitment_id: int) -> tuple[DeliveryRecord, ...]:
        """List what a request named, in the order of sending."""
        query = (
            sa.select(DeliveryRow, ResultRow)
            .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
            .join(CommitmentItemRow, CommitmentItemRow.delivery_id == DeliveryRow.id)
            .where(CommitmentItemRow.commitment_id == commitment_id)
            .order_by(ResultRow.position, ResultRow.id)
            .execution_options(populate_existing=True)
        )
        return tuple(as_record(DeliveryRecord, *rows) for rows in self._session.execute(query))

    def undecided(self, commitment_id: int) -> tuple[DeliveryRecord, ...]:
        """List what a request named and nobody has decided on since.

        Those that are on their way again, that are committed to or given up, or that a later
        request names, are left out.
        """
        later = aliased(CommitmentItemRow)
        asked_since = self._session.scalars(
            sa.select(CommitmentItemRow.delivery_id)
            .join(later, later.delivery_id == CommitmentItemRow.delivery_id)
            .where(
                CommitmentItemRow.commitment_id == commitment_id,
                later.commitment_id > commitment_id,
            )
        ).all()
        open_states = (
            CommitmentState.NOT_ASKED,
            CommitmentState.REQUESTED,
            CommitmentState.UNANSWERED,
        )
        return tuple(
            each
            for each in self.items(commitment_id)
            if each.state is DeliveryState.SENT
            and each.commitment in open_states
            and each.id not in asked_since
        )

    def num_unanswered(self, delivery_ids: Collection[int]) -> int:
        """Count the requests for these deliveries, since they were opened, that had no answer."""
        query = (
            sa.select(sa.func.count(CommitmentRow.id.distinct()))
            .join(CommitmentItemRow, CommitmentItemRow.commitment_id == CommitmentRow.id)
            .join(DeliveryRow, DeliveryRow.id == CommitmentItemRow.delivery_id)
            .where(
                DeliveryRow.id.in_(delivery_ids),
                CommitmentRow.accepted_at.is_not(None),
                CommitmentRow.answered_at.is_(None),
                CommitmentRow.requested_at >= DeliveryRow.opened_at,
            )
        )
        return self._session.scalar(query) or 0

    def mark_committed(self, delivery_ids: Collection[int], *, now: datetime) -> None:
        """Note that the destination keeps these results safe."""
        self._set(
            delivery_ids,
            commitment=CommitmentState.COMMITTED,
            commitment_error=None,
            committed_at=now,
        )

    def end(
        self, delivery_ids: Collection[int], state: CommitmentState, *, error: str | None = None
    ) -> None:
        """Note that these results will not be asked for again by itself, and why."""
        self._set(delivery_ids, commitment=state, commitment_error=error, next_attempt_at=None)

    def bury(self, delivery_ids: Collection[int], *, error: str) -> None:
        """Note that the destination does not hold these results, and will not."""
        self._set(
            delivery_ids,
            state=DeliveryState.DEAD,
            last_error=error,
            commitment=CommitmentState.FAILED,
            commitment_error=error,
            next_attempt_at=None,
        )

    def ask_again(
        self, delivery_ids: Collection[int], *, error: str, next_attempt_at: datetime
    ) -> None:
        """Have these results asked for again."""
        self._set(
            delivery_ids,
            commitment=CommitmentState.NOT_ASKED,
            commitment_error=error,
            next_attempt_at=next_attempt_at,
        )

    def send_again(
        self, delivery_ids: Collection[int], *, error: str, next_attempt_at: datetime
    ) -> None:
        """Have these results sent again, which the destination does not hold any more."""
        self._set(
            delivery_ids,
            state=DeliveryState.PENDING,
            last_error=error,
            commitment=CommitmentState.NOT_ASKED,
            commitment_error=error,
            next_attempt_at=next_attempt_at,
        )

    def reopen(self, job_id: int, *, now: datetime) -> tuple[DeliveryRecord, ...]:
        """Let results of a job be asked for again that were sent, and asked for in vain.

        Returns
        -------
        tuple of DeliveryRecord
            Those: their job has to be enqueued for their destinations.
        """
        query = (
            sa.select(DeliveryRow, ResultRow)
            .join(ResultRow, ResultRow.id == DeliveryRow.result_id)
            .where(
                ResultRow.job_id == job_id,
                DeliveryRow.state == DeliveryState.SENT,
                DeliveryRow.commitment.in_(GIVEN_UP),
            )
            .order_by(DeliveryRow.id)
        )
        reopened = tuple(as_record(DeliveryRecord, *rows) for rows in self._session.execute(query))
        self._set(
            [each.id for each in reopened],
            commitment=CommitmentState.NOT_ASKED,
            opened_at=now,
            next_attempt_at=now,
        )
        return reopened

    def _set(self, delivery_ids: Collection[int], **values: object) -> None:
        self._session.execute(
            sa.update(DeliveryRow)
            .where(DeliveryRow.id.in_(delivery_ids))
            .values(**values)
            .execution_options(synchronize_session=False)
        )


class CommitmentRequests:
    """Requests of senders to this node, within one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def enter(
        self,
        transaction_uid: str,
        references: Sequence[Reference],
        *,
        calling_ae_title: str,
        now: datetime,
    ) -> CommitmentRequestRecord | None:
        """Note a request, to be reported on.

        Returns
        -------
        CommitmentRequestRecord or None
            None if the same was asked before and its report is still on its way.
        """
        items_json = json.dumps([(r.sop_class_uid, r.sop_instance_uid) for r in references])
        known = self._session.scalars(
            sa.select(CommitmentRequestRow)
            .where(
                CommitmentRequestRow.calling_ae_title == calling_ae_title,
                CommitmentRequestRow.transaction_uid == transaction_uid,
            )
            .order_by(CommitmentRequestRow.id)
            .with_for_update()
        ).all()
        row = next((each for each in known if each.items_json == items_json), None)
        if row is not None and row.next_attempt_at is not None:
            return None
        if row is None:
            row = CommitmentRequestRow(
                transaction_uid=transaction_uid,
                calling_ae_title=calling_ae_title,
                items_json=items_json,
                is_duplicate=bool(known),
                attempts=0,
            )
            self._session.add(row)
        row.requested_at = row.next_attempt_at = now
        row.reported_at = None
        self._session.flush()
        return _request_record(row)

    def get(self, request_id: int) -> CommitmentRequestRecord | None:
        """Read a request."""
        row = self._session.get(CommitmentRequestRow, request_id, populate_existing=True)
        return None if row is None else _request_record(row)

    def mark_attempt(
        self,
        request_id: int,
        *,
        next_attempt_at: datetime | None,
        reported_at: datetime | None = None,
    ) -> None:
        """Note an attempt to report, and when the next one follows."""
        row = self._session.get_one(CommitmentRequestRow, request_id, populate_existing=True)
        row.attempts += 1
        row.next_attempt_at, row.reported_at = next_attempt_at, reported_at

    def held(self, sop_instance_uids: Sequence[str]) -> tuple[HeldInstance, ...]:
        """Read what the index knows of images; those that it does not know are left out."""
        disputed = sa.exists().where(ConflictRow.sop_instance_uid == InstanceRow.sop_instance_uid)
        query = sa.select(InstanceRow, disputed)
        found = []
        for start in range(0, len(sop_instance_uids), MOST_IN_A_QUERY):
            named = sop_instance_uids[start : start + MOST_IN_A_QUERY]
            rows = self._session.execute(query.where(InstanceRow.sop_instance_uid.in_(named)))
            found += [
                HeldInstance(
                    study_id=row.study_id,
                    sop_class_uid=row.sop_class_uid,
                    sop_instance_uid=row.sop_instance_uid,
                    path=row.path,
                    num_bytes=row.num_bytes,
                    is_disputed=is_disputed,
                )
                for row, is_disputed in rows
            ]
        return tuple(found)


def _request_record(row: CommitmentRequestRow) -> CommitmentRequestRecord:
    return CommitmentRequestRecord(
        id=row.id,
        transaction_uid=row.transaction_uid,
        calling_ae_title=row.calling_ae_title,
        references=tuple(Reference(*item) for item in json.loads(row.items_json)),
        is_duplicate=row.is_duplicate,
        attempts=row.attempts,
        requested_at=row.requested_at,
        next_attempt_at=row.next_attempt_at,
        reported_at=row.reported_at,
    )
