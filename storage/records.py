"""Frozen values that storage hands out, and the states with the moves between them.

Rows never leave storage; only storage changes a state. Times are aware and in UTC, paths are
relative to the root of the file store.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StudyState(StrEnum):
    """Where a study stands.

    ::

        RECEIVING ─quiet, release or deadline─▶ COMPLETE (generation n)
        COMPLETE  ─late instance─▶ RECEIVING (towards generation n + 1)
        any       ─another patient's image─▶ QUARANTINED ─readmit─▶ RECEIVING | COMPLETE
    """

    RECEIVING = "RECEIVING"
    """Instances are still arriving."""
    COMPLETE = "COMPLETE"
    """Nothing is missing as far as the evidence says; there is a job for this generation."""
    QUARANTINED = "QUARANTINED"
    """Images of two patients came under one study: not processed until somebody has looked."""


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


class DeliveryState(StrEnum):
    """Where one result stands with one destination.

    ::

        PENDING ─C-STORE succeeds─▶ SENT
        PENDING ─refused for good, or given up─▶ DEAD ─reopen─▶ PENDING
        PENDING | DEAD ─the destination gets another form─▶ REPLACED
    """

    PENDING = "PENDING"
    SENT = "SENT"
    DEAD = "DEAD"
    """Will not be tried again by itself; shown to the administrator."""
    REPLACED = "REPLACED"
    """Refused; the destination gets the same result in another form."""


class ConflictKind(StrEnum):
    """Why a received file was put aside."""

    INSTANCE = "INSTANCE"
    """A known SOP Instance UID came with other content."""
    PATIENT = "PATIENT"
    """A known study came under another patient, or a known series under another study."""


@dataclass(frozen=True)
class ReceivedInstance:
    """One image as it was received, already safe on the disk.

    Attributes
    ----------
    patient_key
        Digest that stands for the patient; storage never sees the PatientID itself.
    sha256
        Digest of the data set, hexadecimal: decides whether a repeated UID is the same image.
    num_bytes
        Size of the file.
    path
        Where `FileStore.write_received` put it.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    patient_key: str
    calling_ae_title: str
    sha256: str
    num_bytes: int
    path: str


@dataclass(frozen=True)
class Registration:
    """What became of a received instance: `is_new` is False for an identical repetition."""

    study_id: int
    is_new: bool


@dataclass(frozen=True)
class StudyRecord:
    """A study as it stands now.

    Attributes
    ----------
    generation
        How often it was complete; 0 before the first time.
    num_instances
        Images held, of all generations.
    num_duplicates
        Identical repetitions that changed nothing.
    first_received_at
        First new image since the study was last complete; the deadline counts from here.
    last_received_at
        Last new image.
    released_at
        When the last association that sent new images ended; None while images may follow on it.
    calling_ae_title
        Who sent the last new image.
    """

    id: int
    study_instance_uid: str
    patient_key: str
    state: StudyState
    generation: int
    num_instances: int
    num_duplicates: int
    first_received_at: datetime
    last_received_at: datetime
    released_at: datetime | None
    calling_ae_title: str


@dataclass(frozen=True)
class StoredInstance:
    """One image of a complete study."""

    sop_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    sha256: str
    path: str


@dataclass(frozen=True)
class CompleteStudy:
    """A study that may be analysed: all images held when its generation was complete.

    Attributes
    ----------
    id
        The index's number of the study.
    evidence
        Why it was taken for complete, for instance ``quiet after release``.
    """

    id: int
    study_instance_uid: str
    generation: int
    patient_key: str
    calling_ae_title: str
    instances: tuple[StoredInstance, ...]
    completed_at: datetime
    last_received_at: datetime
    evidence: str


@dataclass(frozen=True)
class ConflictRecord:
    """A received file that was put aside, and why."""

    id: int
    kind: ConflictKind
    study_instance_uid: str
    sop_instance_uid: str
    calling_ae_title: str
    sha256: str
    path: str
    recorded_at: datetime


@dataclass(frozen=True)
class JobRecord:
    """The analysis of one generation of a study.

    Attributes
    ----------
    run
        1, and one more each time somebody had an ended job analysed again; belongs into the seed
        of the UIDs of its results.
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
    num_instances, last_received_at
        Of its generation.
    """

    id: int
    study_id: int
    study_instance_uid: str
    generation: int
    run: int
    state: JobState
    attempts: int
    executor_id: str | None
    outcome: str | None
    reason: str | None
    message: str | None
    model: str | None
    findings_json: str | None
    analysed_json: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    num_instances: int
    last_received_at: datetime


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


@dataclass(frozen=True)
class DeliveryRecord:
    """One result on its way to one destination.

    Attributes
    ----------
    opened_at
        When it was created, or last reopened; giving up counts from here.
    next_attempt_at
        When it is to be tried again; None before the first attempt and after the last.
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
    """

    destination: str
    num_pending: int
    num_dead: int
    num_sent: int
    oldest_pending_at: datetime | None
    last_error: str | None


@dataclass(frozen=True)
class NewWorker:
    """A worker process as it describes itself.

    Attributes
    ----------
    executor_id
        Unique for each process that ever runs.
    role
        What it does, for instance ``analyse``.
    device
        ``cpu``, ``cuda:0``; empty where the role needs none.
    """

    executor_id: str
    role: str
    host: str
    pid: int
    device: str


@dataclass(frozen=True)
class WorkerRecord:
    """A worker process and its last sign of life; see `NewWorker`."""

    executor_id: str
    role: str
    host: str
    pid: int
    device: str
    started_at: datetime
    beat_at: datetime
