"""Messages about reports, on their way to those who are told."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NotificationState(StrEnum):
    """Where a message stands with one receiver.

    ::

        PENDING ─taken─▶ SENT
        PENDING ─given up─▶ DEAD ─reopen─▶ PENDING
    """

    PENDING = "PENDING"
    SENT = "SENT"
    DEAD = "DEAD"
    """Will not be tried again by itself; shown to the administrator."""


@dataclass(frozen=True)
class NotificationRecord:
    """That one receiver is to be told how one run of a job ended.

    Attributes
    ----------
    message_id
        Of every attempt alike, so that a receiver knows a repetition.
    run
        Of the job.
    receiver
        Its name in the settings.
    outcome
        What the report says, or ``FAILED`` if there could be none.
    opened_at
        When it was entered, or last reopened; giving up counts from here.
    next_attempt_at
        When it is to be tried again; None before the first attempt and after the last.
    """

    id: int
    message_id: str
    job_id: int
    run: int
    receiver: str
    outcome: str
    state: NotificationState
    attempts: int
    last_error: str | None
    created_at: datetime
    opened_at: datetime
    last_attempt_at: datetime | None
    next_attempt_at: datetime | None
    sent_at: datetime | None
