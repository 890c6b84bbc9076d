"""What is told of a report: its outcome in plain words, and of the patient what the site names.

The index knows no patient, so what `include` names is read from the report itself when the message
is made; neither the queue nor a row holds it.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from config.errors import StorageError
from node.results.outcomes import (
    APPROVED_DISCLAIMER,
    DISCLAIMER,
    WORDINGS,
    Outcome,
    Presence,
)
from node.workplace import Workplace
from storage.records import JobRecord, NotificationRecord
from storage.results import REPORT

ATTRIBUTES: Mapping[str, str] = {
    "study_instance_uid": "StudyInstanceUID",
    "accession_number": "AccessionNumber",
    "patient_id": "PatientID",
    "patient_name": "PatientName",
    "patient_birth_date": "PatientBirthDate",
}
"""Keyword of what `include` may name."""
FINDINGS = "findings"
STATEMENTS: Mapping[Outcome, str] = {
    outcome: wording.sentence
    for (outcome, presence), wording in WORDINGS.items()
    if (outcome, presence) != (Outcome.PARTIAL, Presence.PRESENT)
} | {Outcome.PARTIAL: "AI result INCOMPLETE: see the report."}
"""What is said of each outcome."""


@dataclass(frozen=True)
class Notice:
    """One message.

    Attributes
    ----------
    message_id
        Of every attempt alike.
    source
        AE title of the node.
    product, version
        Who made the report.
    outcome
        What it says.
    statement
        The same in words.
    disclaimer
        What it is not.
    job, study
        Numbers of this node, by which an operator finds them; 0 in a test.
    finished_at
        When the report was made.
    reason
        Why it is partial or missing; empty if it is complete.
    told
        What the site includes, by its names there.
    volume_ml
        Volume by subtype, if the site includes findings.
    is_test
        Whether an operator tries whether messages arrive.
    """

    message_id: str
    source: str
    product: str
    version: str
    outcome: Outcome
    statement: str
    disclaimer: str
    job: int
    study: int
    finished_at: datetime
    reason: str = ""
    told: Mapping[str, str] = field(default_factory=dict)
    volume_ml: Mapping[str, float] = field(default_factory=dict)
    is_test: bool = False


def notice_of(
    place: Workplace, notification: NotificationRecord, include: Collection[str]
) -> Notice:
    """Read what is to be told.

    Raises
    ------
    StorageError
        If the report is not in the store any more, and something of it is to be told.
    """
    with place.database.read() as transaction:
        job = transaction.jobs.get(notification.job_id)
        reports = [
            each for each in transaction.results.of_job(notification.job_id) if each.kind == REPORT
        ]
    if job is None:
        raise StorageError(f"job {notification.job_id} is not in the index any more")
    told: Mapping[str, str] = {}
    wanted = [name for name in ATTRIBUTES if name in include]
    if wanted and reports:
        told = _read(place, reports[-1].path, wanted)
    outcome = Outcome(notification.outcome)
    return Notice(
        message_id=notification.message_id,
        source=place.node.ae_title,
        product=place.node.product,
        version=place.node.version,
        outcome=outcome,
        statement=STATEMENTS[outcome],
        disclaimer=APPROVED_DISCLAIMER if place.node.approved else DISCLAIMER,
        job=job.id,
        study=job.study_id,
        finished_at=job.finished_at or notification.created_at,
        reason=job.reason or "",
        told=told,
        volume_ml=_volumes(job) if FINDINGS in include else {},
    )


def trial(*, source: str, version: str, now: datetime) -> Notice:
    """Make a message by which an operator tries whether messages arrive."""
    return Notice(
        message_id=f"{now:%Y%m%d%H%M%S%f}",
        source=source,
        product="Midline",
        version=version,
        outcome=Outcome.NOT_ATTEMPTED,
        statement="This is a test by an operator. It is about no patient.",
        disclaimer=DISCLAIMER,
        job=0,
        study=0,
        finished_at=now,
        is_test=True,
    )


def _read(place: Workplace, path: str, names: Collection[str]) -> dict[str, str]:
    """Read of a report what is to be told."""
    try:
        report = dcmread(place.files.path(path), specific_tags=[ATTRIBUTES[name] for name in names])
    except (OSError, InvalidDicomError) as error:
        raise StorageError("the report that is to be told of is not in the store") from error
    return {name: _text(report, ATTRIBUTES[name]) for name in names}


def _text(report: Dataset, keyword: str) -> str:
    return str(report.get(keyword) or "")


def _volumes(job: JobRecord) -> dict[str, float]:
    found = json.loads(job.findings_json or "{}").get("volume_ml") or {}
    return {str(name): float(value) for name, value in found.items()}
