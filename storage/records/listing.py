"""What a person is shown of many studies: short rows, and points of a plot."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.records.jobs import JobState, Priority
from storage.records.studies import StudyState


class Standing(StrEnum):
    """Where a study stands for a person: its own state, that of its job, and of its deliveries.

    ::

        RECEIVING ─complete─▶ QUEUED ─▶ RUNNING ─report─▶ DELIVERING ─all sent─▶ DONE
        RUNNING ─▶ FAILED, CANCELLED;  DELIVERING ─given up─▶ UNDELIVERED;  any ─▶ QUARANTINED
    """

    RECEIVING = "RECEIVING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DELIVERING = "DELIVERING"
    """A report exists, and somebody still has to get it."""
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    UNDELIVERED = "UNDELIVERED"
    """Somebody does not get all results until an operator does something."""
    QUARANTINED = "QUARANTINED"


@dataclass(frozen=True)
class StudyFilter:
    """Which studies are listed; None of all kinds.

    Attributes
    ----------
    number
        Of a study or of a job.
    """

    standing: Standing | None = None
    outcome: str | None = None
    sender: str | None = None
    number: int | None = None


@dataclass(frozen=True)
class ListedStudy:
    """A study in a list, with the job of its latest generation.

    Attributes
    ----------
    id
        The index's number of the study.
    num_pending, num_dead
        Deliveries of the job that wait, and that were given up.
    sent_at
        When the last of them arrived.
    """

    id: int
    study_instance_uid: str
    state: StudyState
    generation: int
    num_instances: int
    calling_ae_title: str
    first_received_at: datetime
    last_received_at: datetime
    job_id: int | None
    run: int | None
    job_state: JobState | None
    outcome: str | None
    reason: str | None
    priority: Priority | None
    created_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    num_pending: int = 0
    num_dead: int = 0
    sent_at: datetime | None = None

    @property
    def standing(self) -> Standing:
        """Where it stands, in one word."""
        if self.state is not StudyState.COMPLETE:
            return Standing(self.state)
        if self.job_state is not JobState.SUCCEEDED:
            return Standing.QUEUED if self.job_state is None else Standing(self.job_state)
        if self.num_dead:
            return Standing.UNDELIVERED
        return Standing.DELIVERING if self.num_pending else Standing.DONE

    @property
    def waits_since(self) -> datetime | None:
        """Since when it waits for what comes next; None if nothing does."""
        match self.standing:
            case Standing.RECEIVING:
                return self.first_received_at
            case Standing.QUEUED:
                return self.created_at
            case Standing.RUNNING:
                return self.started_at
            case Standing.DELIVERING | Standing.UNDELIVERED:
                return self.finished_at
            case Standing.QUARANTINED:
                return self.last_received_at
        return None


@dataclass(frozen=True)
class FinishedJob:
    """When an analysis ended, and how long it and its parts took.

    Attributes
    ----------
    finished_at
        When its report was recorded.
    wait_seconds
        From the completion of the study to the start.
    work_seconds
        From the start to the report.
    report_seconds
        From the last image to the report.
    """

    id: int
    outcome: str
    finished_at: datetime
    wait_seconds: float
    work_seconds: float
    report_seconds: float


@dataclass(frozen=True)
class SentDelivery:
    """When a result arrived, and how long that took from the report on."""

    id: int
    destination: str
    sent_at: datetime
    seconds: float
