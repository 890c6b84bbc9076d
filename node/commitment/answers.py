"""What follows from the answer to a request for commitment, and from its absence.

All in one transaction: that the request was answered, what it means for each result, and the next
attempt where one is due.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

from pynetdicom.events import Event

from config.errors import DatabaseBusyError, StorageFullError
from config.log import log_scope
from config.settings import Settings
from node.commitment.messages import (
    FailureReason,
    MessageError,
    MessageStatus,
    Report,
    read_report,
)
from node.engine import Queues
from node.pauses import pause_after
from storage.database import Database, Transaction
from storage.records import CommitmentRecord, CommitmentState, DeliveryRecord

logger = logging.getLogger(__name__)


class Remedy(Enum):
    """What helps a result that is not committed to."""

    SEND_AGAIN = "SEND_AGAIN"
    ASK_AGAIN = "ASK_AGAIN"
    NONE = "NONE"


REMEDIES: Mapping[int | None, Remedy] = {
    FailureReason.PROCESSING_FAILURE: Remedy.SEND_AGAIN,
    FailureReason.NO_SUCH_OBJECT_INSTANCE: Remedy.SEND_AGAIN,
    FailureReason.RESOURCE_LIMITATION: Remedy.SEND_AGAIN,
    FailureReason.DUPLICATE_TRANSACTION_UID: Remedy.ASK_AGAIN,
    None: Remedy.ASK_AGAIN,
}
"""By Failure Reason; None is a result that the answer does not name. Others have no remedy."""


class Answers:
    """Acts on answers; of a listener and of a deliverer.

    Parameters
    ----------
    database, queues
        Where requests are, and where the next attempt is enqueued.
    settings
        Destinations, and how patient the site is with them.
    """

    def __init__(self, database: Database, queues: Queues, settings: Settings) -> None:
        self._database, self._queues, self._settings = database, queues, settings
        self._ae_titles = {each.name: each.ae_title for each in settings.destinations}
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    def take(self, report: Report, *, ae_title: str) -> None:
        """Act on an answer.

        One to a request that was never made, or that somebody else was asked with, is told in the
        log alone, and so is a repetition.

        Parameters
        ----------
        ae_title
            Who says so.
        """
        now = datetime.now(UTC)
        with self._database.begin() as transaction:
            request = transaction.commitments.find(report.transaction_uid)
            if request is None or self._ae_titles.get(request.destination) != ae_title:
                logger.warning(
                    "%r reports on a Transaction UID that it was not asked with", ae_title
                )
                return
            with log_scope(job=request.job_id):
                if transaction.commitments.answer(request.id, now=now):
                    self._apply(transaction, request, report, now=now)
                else:
                    logger.info("%s repeats its answer", request.destination)

    def look(self, commitment_id: int) -> None:
        """Look whether a request was answered in time; ask once more, or give up."""
        now = datetime.now(UTC)
        with self._database.begin() as transaction:
            request = transaction.commitments.get(commitment_id)
            if request is None or request.answered_at is not None:
                return
            waiting = [
                each.id
                for each in transaction.commitments.undecided(commitment_id)
                if each.commitment is CommitmentState.REQUESTED
            ]
            if not waiting:
                return
            with log_scope(job=request.job_id):
                hours = self._settings.commitment.timeout_hours
                if transaction.commitments.num_unanswered(waiting) > 1:
                    error = f"no answer to two requests for commitment, {hours:g} hours each"
                    transaction.commitments.end(waiting, CommitmentState.UNANSWERED, error=error)
                    logger.error("%s: %s", request.destination, error)
                    return
                error = f"no answer to a request for commitment within {hours:g} hours"
                transaction.commitments.ask_again(waiting, error=error, next_attempt_at=now)
                self._queue(transaction, request, now=now)
                logger.warning("%s: %s", request.destination, error)

    def _apply(
        self, transaction: Transaction, request: CommitmentRecord, report: Report, *, now: datetime
    ) -> None:
        """Note of each result what the answer means for it."""
        reasons = {reference.sop_instance_uid: reason for reference, reason in report.failed}
        named = {reference.sop_instance_uid for reference in report.committed}
        committed = [
            each.id
            for each in transaction.commitments.items(request.id)
            if each.sop_instance_uid in named and each.sop_instance_uid not in reasons
        ]
        transaction.commitments.mark_committed(committed, now=now)
        if committed:
            logger.info("%s commits to %d results", request.destination, len(committed))
        by_reason: dict[int | None, list[DeliveryRecord]] = defaultdict(list)
        for each in transaction.commitments.undecided(request.id):
            by_reason[reasons.get(each.sop_instance_uid)].append(each)
        pause = pause_after(request.attempt, self._settings.delivery, chance=self._chance)
        goes_on = False
        for reason, deliveries in by_reason.items():
            goes_on |= self._remedy(transaction, request, reason, deliveries, now=now, pause=pause)
        if goes_on:
            self._queue(transaction, request, now=now, pause=pause)

    def _remedy(
        self,
        transaction: Transaction,
        request: CommitmentRecord,
        reason: int | None,
        deliveries: Sequence[DeliveryRecord],
        *,
        now: datetime,
        pause: timedelta,
    ) -> bool:
        """See to results that are not committed to; say whether another attempt has to follow."""
        ids = [each.id for each in deliveries]
        answer = _in_words(reason)
        error = f"{request.destination} does not commit: {answer}"
        remedy = REMEDIES.get(reason, Remedy.NONE)
        opened_at = min(each.opened_at for each in deliveries)
        sent_until, asked_until = deadlines(opened_at, self._settings)
        is_late = now >= (sent_until if remedy is Remedy.SEND_AGAIN else asked_until)
        if remedy is Remedy.NONE or is_late:
            logger.error("%d results given up: %s", len(ids), error)
            if remedy is Remedy.ASK_AGAIN:
                transaction.commitments.end(ids, CommitmentState.FAILED, error=error)
            else:
                transaction.commitments.bury(ids, error=error)
            return False
        logger.warning("%d results go on as %s: %s", len(ids), remedy.value, error)
        if remedy is Remedy.SEND_AGAIN:
            transaction.commitments.send_again(ids, error=error, next_attempt_at=now + pause)
        else:
            transaction.commitments.ask_again(ids, error=error, next_attempt_at=now + pause)
        return True

    def _queue(
        self,
        transaction: Transaction,
        request: CommitmentRecord,
        *,
        now: datetime,
        pause: timedelta = timedelta(0),
    ) -> None:
        """Enqueue the attempt that follows; no other one counts from this moment."""
        self._queues.deliver(
            transaction.session,
            request.job_id,
            request.destination,
            opened_at=now,
            attempt=request.attempt + 1,
            delay_seconds=pause.total_seconds(),
        )


def deadlines(opened_at: datetime, settings: Settings) -> tuple[datetime, datetime]:
    """Say until when results are sent, and until when they are asked for.

    The second is later, so that what was sent in the last moment is asked for, and a request
    without an answer is repeated.
    """
    sent_until = opened_at + timedelta(hours=settings.delivery.give_up_hours)
    return sent_until, sent_until + timedelta(hours=settings.commitment.timeout_hours)


def handle_report(event: Event, answers: Answers) -> tuple[int, None]:
    """Answer an N-EVENT-REPORT (PS3.4 J.3.3): Success once it is recorded."""
    try:
        report = read_report(event.event_type, event.event_information)
        answers.take(report, ae_title=str(event.assoc.remote["ae_title"]).strip())
    except Exception as error:  # noqa: BLE001 - the peer must get a status whatever happens
        status = status_of(error)
        logger.warning("answered an N-EVENT-REPORT with 0x%04X: %s", status, in_words(error))
        return status, None
    return MessageStatus.SUCCESS, None


def status_of(error: Exception) -> MessageStatus:
    """Status for what went wrong with a message."""
    match error:
        case MessageError():
            return error.status
        case StorageFullError() | DatabaseBusyError():
            return MessageStatus.RESOURCE_LIMITATION
        case _:
            return MessageStatus.PROCESSING_FAILURE


def in_words(error: Exception) -> str:
    """Words for what went wrong with a message; of a foreign error its type alone."""
    return str(error) if isinstance(error, MessageError) else type(error).__name__


def _in_words(reason: int | None) -> str:
    """Words for a Failure Reason."""
    if reason is None:
        return "its answer does not name it"
    try:
        name = FailureReason(reason).name.replace("_", " ").lower()
    except ValueError:
        name = "a reason that the standard does not have"
    return f"0x{reason:04X}, {name}"
