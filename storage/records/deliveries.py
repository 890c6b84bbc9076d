"""Results on their way to their destinations."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class DeliveryState(StrEnum):
    """Where one result stands with one destination.

    ::

        PENDING ─C-STORE succeeds─▶ SENT ─the destination has lost it─▶ PENDING | DEAD
        PENDING ─refused for good, or given up─▶ DEAD ─reopen─▶ PENDING
        PENDING | DEAD ─the destination gets another form─▶ REPLACED
    """

    PENDING = "PENDING"
    SENT = "SENT"
    DEAD = "DEAD"
    """Will not be tried again by itself; shown to the administrator."""
    REPLACED = "REPLACED"
    """Refused; the destination gets the same result in another form."""


class CommitmentState(StrEnum):
    """What a destination says of its responsibility for a result that it got.

    ::

        NOT_ASKED ─N-ACTION accepted─▶ REQUESTED ─N-EVENT-REPORT─▶ COMMITTED | FAILED
        NOT_ASKED ─the destination does not offer it─▶ NOT_OFFERED;  ─given up─▶ FAILED
        REQUESTED ─to be sent or asked again, or no answer─▶ NOT_ASKED
        REQUESTED ─no answer to a second request─▶ UNANSWERED
        FAILED | UNANSWERED ─reopen─▶ NOT_ASKED;  any ─a late N-EVENT-REPORT─▶ COMMITTED
    """

    NOT_ASKED = "NOT_ASKED"
    """It is asked once everything of its job has arrived."""
    REQUESTED = "REQUESTED"
    COMMITTED = "COMMITTED"
    """It keeps the result safe (PS3.4 J.3.3)."""
    FAILED = "FAILED"
    """It does not; shown to the administrator."""
    UNANSWERED = "UNANSWERED"
    """It was asked and asked again, and did not answer; shown to the administrator."""
    NOT_OFFERED = "NOT_OFFERED"
    """It has no such service, or is not to be asked: what it answered to C-STORE is all."""


@dataclass(frozen=True)
class DeliveryRecord:
    """One result on its way to one destination.

    Attributes
    ----------
    opened_at
        When it was created, or last reopened; giving up counts from here.
    next_attempt_at
        When it is to be tried again; None before the first attempt and after the last.
    commitment
        Whether the destination took responsibility for it.
    commitment_error
        Why not, in words for the administrator.
    committed_at
        When it did.
    """

    id: int
    job_id: int
    result_id: int
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    path: str
    destination: str
    state: DeliveryState
    attempts: int
    last_error: str | None
    created_at: datetime
    opened_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    sent_at: datetime | None
    commitment: CommitmentState
    commitment_error: str | None
    committed_at: datetime | None


@dataclass(frozen=True)
class RefusalRecord:
    """What a destination does not take; remembered until somebody has it forgotten.

    Attributes
    ----------
    uid
        A SOP class, or a transfer syntax.
    job_id
        The one job whose object it refused; None if it takes no such object at all.
    answer
        How the destination said so.
    """

    destination: str
    uid: str
    job_id: int | None
    answer: str
    refused_at: datetime


@dataclass(frozen=True)
class Backlog:
    """What waits for one destination.

    Attributes
    ----------
    oldest_pending_at
        When the oldest pending delivery was created; None if none is pending.
    last_error
        Of the latest failed attempt among those not sent.
    num_uncommitted
        Of those sent: it is not known yet whether the destination commits to them.
    num_commitment_failed
        Of those sent: the destination does not commit to them, or could not be asked.
    num_unanswered
        Of those sent: it never answered.
    last_commitment_error
        Of those that are not committed to, the latest sent first.
    """

    destination: str
    num_pending: int
    num_dead: int
    num_sent: int
    oldest_pending_at: datetime | None
    last_error: str | None
    num_uncommitted: int = 0
    num_commitment_failed: int = 0
    num_unanswered: int = 0
    last_commitment_error: str | None = None
