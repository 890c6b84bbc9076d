"""What every worker needs, and the way in which every workflow ends: results and job, together."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from config.log import log_scope
from config.settings import DestinationSettings
from node.engine import Json, Queues
from node.pipeline import ResultObject
from node.results.identity import ModelIdentity, NodeIdentity, ResultContext
from node.results.outcomes import StudyResult
from storage.database import Database, Transaction
from storage.files import FileStore
from storage.records import CompleteStudy, JobRecord, JobState, NewResult

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Workplace:
    """What every worker needs.

    Attributes
    ----------
    executor_id
        This run of this process, as the queue knows it.
    database, files, queues
        Where jobs, images and results are, and where the next work is enqueued.
    destinations
        Who gets the results.
    node, model
        Who signs them.
    """

    executor_id: str
    database: Database
    files: FileStore
    queues: Queues
    destinations: tuple[DestinationSettings, ...]
    node: NodeIdentity
    model: ModelIdentity

    def job(self, job_id: int) -> tuple[JobRecord, CompleteStudy]:
        """Read a job, and the images of its generation."""
        with self.database.read() as transaction:
            job = transaction.jobs.get(job_id)
            if job is None:
                raise ValueError(f"job {job_id} is not in the index")
            study = transaction.studies.read_complete(job.study_id, job.generation)
        if study is None:
            raise ValueError(f"the generation of job {job_id} is not in the index")
        return job, study

    def paths(self, study: CompleteStudy) -> tuple[Path, ...]:
        """Files of a study's images."""
        return tuple(self.files.path(instance.path) for instance in study.instances)

    def context(
        self, job: JobRecord, *, series_instance_uid: str, input_digest: str
    ) -> ResultContext:
        """Fix UIDs and dates of a job's results; the job's recorded time stands for the clock."""
        return ResultContext(
            node=self.node,
            model=self.model,
            study_instance_uid=job.study_instance_uid,
            series_instance_uid=series_instance_uid,
            input_digest=input_digest,
            created=job.created_at.astimezone(),
            generation=job.generation + job.run - 1,
        )


def keep(
    place: Workplace,
    job: JobRecord,
    result: StudyResult,
    objects: Sequence[ResultObject],
    findings: Mapping[str, object],
) -> Json:
    """Write a job's objects to the store; what `record` needs of them.

    Parameters
    ----------
    place, job
        Where, and for which job.
    result
        What the objects say.
    objects
        In the order of sending.
    findings
        Volumes and scores, shown to the administrator; no patient data.
    """
    kept = [place.files.write_result(each.content, job_id=job.id) for each in objects]
    return {
        "outcome": result.outcome.value,
        "reason": result.reason.value if result.reason is not None else None,
        "message": result.detail or None,
        "findings": json.dumps(findings),
        "results": [
            {
                "kind": each.kind,
                "sop_class_uid": each.sop_class_uid,
                "sop_instance_uid": each.sop_instance_uid,
                "path": stored.path,
                "sha256": stored.sha256,
                "position": position,
            }
            for position, (each, stored) in enumerate(zip(objects, kept, strict=True))
        ],
    }


def record(place: Workplace, job_id: int, encoded: Json) -> None:
    """Record results, deliveries and the end of a job in one transaction.

    Repeating it changes nothing. A job that was cancelled in the meantime takes no results but
    those of its own closing report.
    """
    now = datetime.now(UTC)
    with place.database.begin() as transaction, log_scope(job=job_id):
        job = transaction.jobs.get(job_id)
        if job is None or job.state is JobState.SUCCEEDED:
            return
        if job.state is JobState.CANCELLED and not encoded.get("closing"):
            return
        if encoded.get("unreportable"):
            message = str(encoded["unreportable"])
            transaction.jobs.fail(job_id, message=message, now=now)
            logger.error("no report could be written: %s", message)
            return
        if job.state is JobState.QUEUED:
            # no analyser ever started it: the report is of a failure before that
            transaction.jobs.start(job_id, place.executor_id, now=now)
        transaction.jobs.finish(
            job_id,
            outcome=str(encoded["outcome"]),
            reason=_text(encoded, "reason"),
            message=_text(encoded, "message"),
            model=f"{place.model.name} {place.model.version}",
            findings_json=str(encoded["findings"]),
            now=now,
        )
        _record_results(place, transaction, job_id, encoded, now=now)
        logger.info("ended as %s", encoded["outcome"])


@dataclass(frozen=True, eq=False)
class LastReport:
    """The report of an earlier generation or run of the same study, and the input it rests on."""

    document: Dataset
    input_digest: str


def last_report(place: Workplace, job: JobRecord) -> LastReport | None:
    """Find the report that a new one of this job would replace; None for the first."""
    with place.database.read() as transaction:
        made = [
            (other, result)
            for other in transaction.jobs.list(study_id=job.study_id)
            if other.id <= job.id
            for result in transaction.results.of_job(other.id)
            if result.kind == "SR"
        ]
    if not made:
        return None
    other, result = max(made, key=lambda pair: pair[1].id)
    findings = json.loads(other.findings_json or "{}")
    return LastReport(dcmread(place.files.path(result.path)), str(findings.get("input_digest", "")))


def _text(encoded: Json, key: str) -> str | None:
    value = encoded.get(key)
    return None if value is None else str(value)


def _record_results(
    place: Workplace, transaction: Transaction, job_id: int, encoded: Json, *, now: datetime
) -> None:
    """Enter the results, one delivery for each destination, and the work of sending them."""
    described = encoded["results"]
    if not isinstance(described, Sequence):
        raise TypeError("results must be a list")
    results = [NewResult(**each) for each in described if isinstance(each, dict)]
    if not results:
        return
    names = [destination.name for destination in place.destinations]
    transaction.results.record(job_id, results, names, now=now)
    for name in names:
        place.queues.deliver(transaction.session, job_id, name, opened_at=now)
