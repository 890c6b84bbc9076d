"""Values of the index for tests: received instances, complete studies and their jobs."""

import hashlib
from datetime import UTC, datetime

from storage.database import Database, Transaction
from storage.records import CompleteStudy, JobRecord, NewResult, ReceivedInstance

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def received(
    number: int = 1,
    *,
    study: str = "2.25.1",
    series: str = "2.25.1.1",
    patient: str = "patient-a",
    content: str = "",
) -> ReceivedInstance:
    """Describe an image; the same number is the same SOP Instance UID."""
    sha256 = hashlib.sha256(f"{number}{content}".encode()).hexdigest()
    return ReceivedInstance(
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=f"2.25.100.{number}",
        sop_class_uid=CT_IMAGE_STORAGE,
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        patient_key=patient,
        calling_ae_title="CT1",
        sha256=sha256,
        num_bytes=526_336,
        path=f"received/{sha256[:2]}/{sha256}.dcm",
    )


def complete_study(transaction: Transaction, study_id: int) -> CompleteStudy:
    """Complete a study as it stands."""
    study = transaction.studies.get(study_id)
    assert study is not None
    complete = transaction.studies.complete(
        study_id, last_received_at=study.last_received_at, now=NOW, evidence="quiet"
    )
    assert complete is not None
    return complete


def queued_job(database: Database, *, number: int = 1, study: str = "2.25.1") -> JobRecord:
    """Receive one image, complete its study and enter the job."""
    with database.begin() as transaction:
        instance = received(number, study=study, series=f"{study}.1")
        study_id = transaction.studies.register(instance, now=NOW).study_id
        complete = complete_study(transaction, study_id)
        return transaction.jobs.create(study_id, complete.generation, now=NOW)


def made(kind: str, position: int, *, job_id: int = 1) -> NewResult:
    """Describe an object that a job made."""
    sha256 = hashlib.sha256(f"{job_id}{kind}".encode()).hexdigest()
    return NewResult(
        kind=kind,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid=f"2.25.900.{job_id}.{position}",
        path=f"results/{job_id}/{sha256}.dcm",
        sha256=sha256,
        position=position,
    )
