"""What every worker needs, and the way in which every workflow ends: results and job, together."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.log import log_scope
from config.settings import NotifiedSettings, ReceiverSettings
from ml.checkpoint import Thresholds
from node.audit.trail import Write, untold
from node.engine import Json, Queues
from node.results.identity import ModelIdentity, NodeIdentity, ResultContext
from storage.database import Database, Transaction
from storage.files import FileStore
from storage.records import CompleteStudy, JobRecord, JobState, NewResult

logger = logging.getLogger(__name__)

FAILED = "FAILED"
"""What is told of a job without a report; as `node.results.outcomes.Outcome`."""


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
    thresholds
        Where a score becomes a decision: the model's, as far as the site has no other.
    audit
        Writes the audit trail.
    notified
        Who is told of reports.
    """

    executor_id: str
    database: Database
    files: FileStore
    queues: Queues
    destinations: tuple[ReceiverSettings, ...]
    node: NodeIdentity
    model: ModelIdentity
    thresholds: Thresholds
    audit: Write = untold
    notified: tuple[NotifiedSettings, ...] = ()

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
            transaction.jobs.fail(
                job_id, message=message, stages_json=_as_text(encoded, "stages"), now=now
            )
            logger.error("no report could be written: %s", message)
            _tell(place, transaction, job, FAILED, now=now)
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
            analysed_json=_text(encoded, "analysed"),
            stages_json=_as_text(encoded, "stages"),
            now=now,
        )
        for name in record_results(transaction, job_id, encoded["results"], now=now):
            place.queues.deliver(
                transaction.session, job_id, name, opened_at=now, priority=job.priority
            )
        if encoded["results"]:  # else the last report stands, and was told
            _tell(place, transaction, job, str(encoded["outcome"]), now=now)
        logger.info("ended as %s", encoded["outcome"])


def _tell(
    place: Workplace, transaction: Transaction, job: JobRecord, outcome: str, *, now: datetime
) -> None:
    """Have those told who want to know of such an end."""
    receivers = [each.name for each in place.notified if outcome in each.outcomes]
    entered = transaction.notifications.enter(
        job.id, run=job.run, outcome=outcome, receivers=receivers, now=now
    )
    for each in entered:
        place.queues.notify(transaction.session, each.id, opened_at=now)


def _as_text(encoded: Json, key: str) -> str | None:
    value = encoded.get(key)
    return None if value is None else json.dumps(value)


def _text(encoded: Json, key: str) -> str | None:
    value = encoded.get(key)
    return None if value is None else str(value)


def record_results(
    transaction: Transaction,
    job_id: int,
    results: object,
    *,
    now: datetime,
) -> frozenset[str]:
    """Enter results, and a delivery for each destination that gets them; names those.

    Parameters
    ----------
    results
        As `node.encoding.encode` describes them.
    """
    if not isinstance(results, Sequence):
        raise TypeError("results must be a list")
    by_destinations: dict[tuple[str, ...], list[NewResult]] = {}
    for each in results:
        described = dict(each)
        names = tuple(described.pop("destinations"))
        by_destinations.setdefault(names, []).append(NewResult(**described))
    for names, made in by_destinations.items():
        transaction.results.record(job_id, made, names, now=now)
    return frozenset(name for names in by_destinations for name in names)
