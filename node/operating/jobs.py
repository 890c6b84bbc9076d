"""Analyses for operators: a list by filters in pages, and one with all that belongs to it."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.errors import UsageError
from node.operating.timeline import Span, timeline_of
from node.operating.values import made_of
from storage.database import Transaction
from storage.records import (
    CommitmentState,
    CompleteStudy,
    DeliveryState,
    JobRecord,
    JobState,
    Priority,
)

MOST_DELIVERIES = 1000


@dataclass(frozen=True)
class JobFilter:
    """Which analyses; None of all kinds.

    Attributes
    ----------
    state, priority
        Of the job.
    outcome
        What its report says.
    sender
        AE title of the application entity that the study came from.
    study_id
        Number of the study.
    since
        Complete then or later.
    """

    state: JobState | None = None
    outcome: str | None = None
    priority: Priority | None = None
    sender: str | None = None
    study_id: int | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class JobEntry:
    """The analysis of one generation of a study, as a list shows it.

    Attributes
    ----------
    id
        Number of the job.
    run
        1, and one more each time somebody had it run again.
    attempts
        How often a worker started it, over all runs.
    executor_id
        Who started it last.
    outcome, reason, message
        What its report says; of a failed job, `message` says why there is none.
    model
        Name and version of the model that was used.
    findings
        Volumes and scores.
    selection
        Which series was chosen, and why the others were not.
    num_instances, last_received_at
        Images of its generation, and when the last of them came.
    calling_ae_title
        Who sent the study's last new image.
    seconds_to_report
        From the last image to the report, of the first run.
    """

    id: int
    study_id: int
    study_instance_uid: str
    calling_ae_title: str
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
    findings: dict[str, Any] | None
    selection: dict[str, Any] | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    num_instances: int
    last_received_at: datetime
    seconds_to_report: float | None


@dataclass(frozen=True)
class JobPage:
    """A page of a list, the latest first.

    Attributes
    ----------
    jobs
        On this page.
    next_before
        To be given as `before` for the next page; None if this is the last.
    """

    jobs: tuple[JobEntry, ...]
    next_before: int | None


@dataclass(frozen=True)
class ShownStudy:
    """The study of a job, as it was when its generation was complete.

    Attributes
    ----------
    evidence
        Why it was taken for complete.
    """

    id: int
    study_instance_uid: str
    generation: int
    calling_ae_title: str
    completed_at: datetime
    last_received_at: datetime
    evidence: str
    num_instances: int


@dataclass(frozen=True)
class ShownResult:
    """An object that the job made.

    Attributes
    ----------
    kind
        ``SEG``, ``SR`` and so on.
    path
        Of its file, in the file store.
    position
        Place in the order of sending.
    """

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
class ShownDelivery:
    """One result on its way to one destination.

    Attributes
    ----------
    opened_at
        When it was created, or last reopened; giving up counts from here.
    next_attempt_at
        When it is to be tried again; None before the first attempt and after the last.
    commitment, commitment_error, committed_at
        Whether the destination took responsibility for it, why not, and when it did.
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
class JobDetail(JobEntry):
    """An analysis with all that belongs to it.

    Attributes
    ----------
    study
        As it was analysed.
    results
        What the job made, in the order of sending.
    deliveries
        Where that is to go, and has gone.
    timeline
        Where the time went.
    """

    study: ShownStudy | None
    results: tuple[ShownResult, ...]
    deliveries: tuple[ShownDelivery, ...]
    timeline: tuple[Span, ...]


def listed(
    transaction: Transaction, wanted: JobFilter, *, limit: int, before: int | None = None
) -> JobPage:
    """List analyses, the latest first.

    Parameters
    ----------
    wanted
        Which.
    limit
        At most so many.
    before
        `next_before` of the page before this one.
    """
    found = transaction.jobs.list(
        state=wanted.state,
        outcome=wanted.outcome,
        priority=wanted.priority,
        sender=wanted.sender,
        study_id=wanted.study_id,
        since=wanted.since,
        before=before,
        limit=limit + 1,  # one more tells whether there is a next page
    )
    jobs = tuple(map(entry_of, found[:limit]))
    return JobPage(jobs, jobs[-1].id if len(found) > limit else None)


def shown(transaction: Transaction, job_id: int) -> JobDetail:
    """Read one analysis with all that belongs to it.

    Raises
    ------
    UsageError
        If there is none with this number.
    """
    job = existing(transaction, job_id)
    study = transaction.studies.read_complete(job.study_id, job.generation)
    deliveries = transaction.results.deliveries(job_id=job_id, limit=MOST_DELIVERIES)
    return made_of(
        JobDetail,
        entry_of(job),
        study=None if study is None else _shown_study(study),
        results=tuple(
            made_of(ShownResult, result) for result in transaction.results.of_job(job_id)
        ),
        deliveries=tuple(made_of(ShownDelivery, delivery) for delivery in deliveries),
        timeline=timeline_of(job, study, deliveries),
    )


def existing(transaction: Transaction, job_id: int) -> JobRecord:
    """Read a job.

    Raises
    ------
    UsageError
        If there is none with this number.
    """
    job = transaction.jobs.get(job_id)
    if job is None:
        raise UsageError(f"there is no job {job_id}; midline queue list shows the latest")
    return job


def entry_of(job: JobRecord) -> JobEntry:
    """Describe a job, with findings and selection unpacked."""
    return made_of(
        JobEntry,
        job,
        findings=_unpacked(job.findings_json),
        selection=_unpacked(job.selection_json),
        seconds_to_report=_seconds(job),
    )


def _shown_study(study: CompleteStudy) -> ShownStudy:
    return made_of(ShownStudy, study, num_instances=len(study.instances))


def _unpacked(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _seconds(job: JobRecord) -> float | None:
    """Seconds from the last image to the report, of the first run."""
    if job.finished_at is None or job.run > 1:
        return None
    return (job.finished_at - job.last_received_at).total_seconds()
