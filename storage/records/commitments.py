"""Storage commitment as the index knows it: requests of this node, and requests to it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class CommitmentRecord:
    """A request of this node that a destination commit to results (PS3.4 J.3.2).

    Attributes
    ----------
    attempt
        Number of the attempt to deliver in which it was made; what follows from its answer counts
        on from there.
    accepted_at
        When the destination took the request; None if it did not, or nobody knows.
    answered_at
        When it said what it commits to.
    """

    id: int
    transaction_uid: str
    job_id: int
    destination: str
    attempt: int
    requested_at: datetime
    accepted_at: datetime | None
    answered_at: datetime | None


@dataclass(frozen=True)
class Reference:
    """An object as a request for commitment names it."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class CommitmentRequestRecord:
    """A request of a sender that this node commit to images.

    Attributes
    ----------
    references
        What it names, in its order.
    is_duplicate
        Whether its Transaction UID had been used for something else.
    attempts
        So often it was tried to report.
    next_attempt_at
        When the report is due; None after it was taken, or given up.
    reported_at
        When the sender took the report.
    """

    id: int
    transaction_uid: str
    calling_ae_title: str
    references: tuple[Reference, ...]
    is_duplicate: bool
    attempts: int
    requested_at: datetime
    next_attempt_at: datetime | None
    reported_at: datetime | None


@dataclass(frozen=True)
class HeldInstance:
    """What is needed to say whether an image is safe.

    Attributes
    ----------
    path, num_bytes
        Of its file, whole.
    is_disputed
        Whether another image came under its UID, and which of them is meant cannot be told.
    """

    study_id: int
    sop_class_uid: str
    sop_instance_uid: str
    path: str
    num_bytes: int
    is_disputed: bool
