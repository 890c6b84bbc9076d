"""When a study is complete: then, in one transaction, it becomes a job in the queue.

Every listener sweeps; a conditional update lets exactly one of them win. Late instances reopen a
study, and its next completion is the next generation.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta

from config.errors import MidlineError
from config.log import log_scope
from config.settings import CompletionSettings
from node.engine import Queues
from storage.database import Database, Transaction
from storage.records import StudyRecord

logger = logging.getLogger(__name__)


def sweep(
    database: Database, queues: Queues, settings: CompletionSettings, *, now: datetime
) -> int:
    """Complete every study that is due, and enqueue its analysis.

    Returns
    -------
    int
        How many studies this call completed.
    """
    with database.begin() as transaction:
        due = transaction.arrivals.due(
            now=now,
            quiet_after_release=timedelta(seconds=settings.quiet_after_release_seconds),
            quiet_without_release=timedelta(seconds=settings.quiet_without_release_seconds),
            deadline=timedelta(seconds=settings.deadline_seconds),
        )
    completed = 0
    for study_id in due:
        with database.begin() as transaction, log_scope(study=study_id):
            study = transaction.studies.get(study_id)
            if study is not None:
                evidence = _evidence(study, settings, now=now)
                completed += complete(transaction, queues, study, evidence=evidence, now=now)
    return completed


def complete(
    transaction: Transaction, queues: Queues, study: StudyRecord, *, evidence: str, now: datetime
) -> bool:
    """Close a study's generation and enqueue its analysis: both, or neither.

    Returns
    -------
    bool
        False if an image landed since `study` was read, or another listener was faster.
    """
    closed = transaction.studies.complete(
        study.id, last_received_at=study.last_received_at, now=now, evidence=evidence
    )
    if closed is None:
        return False
    job = transaction.jobs.create(closed.id, closed.generation, now=now)
    queues.analyse(transaction.session, job.id)
    logger.info("complete with %d instances: %s", len(closed.instances), evidence)
    return True


def _evidence(study: StudyRecord, settings: CompletionSettings, *, now: datetime) -> str:
    """Say why a study that is due is taken for complete."""
    quiet = timedelta(seconds=settings.quiet_after_release_seconds)
    if study.released_at is not None and study.released_at + quiet <= now:
        return "association ended, and quiet since"
    if study.last_received_at + timedelta(seconds=settings.quiet_without_release_seconds) <= now:
        return "quiet"
    return "deadline"


def sweep_until(
    stop: threading.Event, database: Database, queues: Queues, settings: CompletionSettings
) -> None:
    """Sweep a few times a second until stopped; a database that is busy is asked again."""
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep(database, queues, settings, now=datetime.now(UTC))
        except MidlineError as error:
            logger.warning("the completion sweep failed, and will be repeated: %s", error)
