"""Studies and their images: what was received, when it was complete, what contradicts."""

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
    geometry_json
        Where the image lies, as JSON text; storage does not read it.
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
    geometry_json: str | None = None


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
    is_interrupted
        Whether an association that sent images of this generation was aborted or lost.
    longest_pause_seconds
        From a release to the next new image; None if all came before the first release.
    expected_instances, expected_by
        How many images there are to be in all, and who said so; None if nobody did.
    files_removed_at
        When its images were removed after their time; None while they are here.
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
    is_interrupted: bool
    longest_pause_seconds: float | None
    expected_instances: int | None
    expected_by: str | None
    files_removed_at: datetime | None


@dataclass(frozen=True)
class PlacedImage:
    """An image that is held, and where it lies, as JSON text; None if that is not known."""

    sop_instance_uid: str
    series_instance_uid: str
    geometry_json: str | None


@dataclass(frozen=True)
class Habits:
    """How the latest studies of a sender came.

    Attributes
    ----------
    num_studies
        How many there were to learn from.
    longest_pause_seconds
        Between a release and the next new image of the same study; 0 if there was none.
    """

    num_studies: int
    longest_pause_seconds: float


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
    first_received_at, last_received_at
        The images that came for this generation; those of earlier ones are among `instances`.
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
    first_received_at: datetime
    last_received_at: datetime
    evidence: str


@dataclass(frozen=True)
class FinishedStudy:
    """A study with which nothing is left to be done, and whose images are here.

    Attributes
    ----------
    id
        The index's number of the study.
    settled_at
        When the last report, its arrival or its commitment was noted.
    num_images, num_bytes
        What is held of it, of all generations.
    """

    id: int
    settled_at: datetime
    num_images: int
    num_bytes: int


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
