"""Analyses and what they made."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobState(StrEnum):
    """Where an analysis stands.

    ::

        QUEUED ─start─▶ RUNNING ─finish─▶ SUCCEEDED
        RUNNING ─its worker died─▶ QUEUED | RUNNING again
        QUEUED | RUNNING ─fail─▶ FAILED,  ─cancel─▶ CANCELLED
        SUCCEEDED | FAILED | CANCELLED ─requeue─▶ QUEUED (the next run)
    """

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    """A report exists, whatever its outcome."""
    FAILED = "FAILED"
    """Dead: no report could be written; shown to the administrator."""
    CANCELLED = "CANCELLED"


class Priority(StrEnum):
    """Which of the queued analyses starts first; the words are those of (0040,1003)."""

    STAT = "STAT"
    HIGH = "HIGH"
    ROUTINE = "ROUTINE"
    LOW = "LOW"


@dataclass(frozen=True)
class JobRecord:
    """The analysis of one generation of a study.

    Attributes
    ----------
    run
        1, and one more each time somebody had an ended job analysed again; belongs into the seed
        of the UIDs of its results.
    priority
        Whether it starts before others that are queued.
    attempts
        How often a worker started it, over all runs.
    executor_id
        Who started it last.
    outcome, reason, message
        What its report says; of a failed job, `message` says why there is none.
    model
        Name and version of the model that was used.
    findings_json
        Volumes and scores as JSON text; storage does not read it.
    analysed_json
        What its objects can be written from again, as JSON text; None if there is nothing but
        reason and message.
    selection_json
        Which series was chosen and why the others were not, as JSON text; storage does not read it.
    stages_json
        When its run reached which stage, as JSON text; storage does not read it.
    num_instances, last_received_at
        Of its generation.
    calling_ae_title
        Who sent the study's last new image.
    """

    id: int
    study_id: int
    study_instance_uid: str
    generation: int
    run: int
    state: JobState
    priority: Priority
    attempts: int
    executor_id: str | None
    outcome: str | None
    reason: str | None
    message: str | None
    model: str | None
    findings_json: str | None
    analysed_json: str | None
    selection_json: str | None
    stages_json: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    num_instances: int
    last_received_at: datetime
    calling_ae_title: str


@dataclass(frozen=True)
class NewResult:
    """An object that was made, already safe on the disk.

    Attributes
    ----------
    kind
        ``SEG``, ``SR`` and so on; a name for people.
    position
        Place in the order of sending, within its job: the report goes last.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    path: str
    sha256: str
    position: int


@dataclass(frozen=True)
class ResultRecord:
    """An object that was made by a job; see `NewResult`."""

    id: int
    job_id: int
    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    path: str
    sha256: str
    position: int
    created_at: datetime
