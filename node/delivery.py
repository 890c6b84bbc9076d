"""Sending the results of a job to one destination: one attempt, and what follows from it.

Objects go in their recorded order, the report last, so that no report points at what has not
arrived. What arrived is marked at once; the next attempt begins with what is left. Repeating is
harmless, since UIDs and bytes never change. What a peer refuses it is offered in the next form
(`node.results.forms`), and the whole result is written anew, so that references stay true.

When all has arrived the peer is asked to commit to it (`node.commitment`), in the same attempt if
it can be: an attempt does what is left to do, sending or asking.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from config.log import log_scope
from config.settings import DestinationSettings, Settings, WebDestinationSettings
from node.audit import events
from node.audit.deliveries import Told
from node.audit.messages import Participant
from node.commitment.answers import deadlines
from node.commitment.asking import Asker
from node.encoding import encode_for, uids_of
from node.engine import INTERRUPTIONS, Json, patiently
from node.guard import Guard
from node.pauses import pause_after
from node.peers import Caller, Peer
from node.sending import Parcel, Refused, Sent, send_by_dimse
from node.stow import send_by_stow
from node.workplace import Workplace, record_results
from storage.database import Transaction
from storage.records import CommitmentState, DeliveryRecord

logger = logging.getLogger(__name__)

HELD = "held until the setup is mended"
"""Stands before a problem that somebody has to do something about."""


Target = DestinationSettings | WebDestinationSettings


@dataclass(frozen=True)
class Attempt:
    """One of a row of attempts.

    Attributes
    ----------
    job_id, destination
        Whose results, and who gets them.
    number
        Counts from 1.
    opened_at
        When the row began: it tells rows apart.
    """

    job_id: int
    destination: str
    number: int
    opened_at: datetime


class Courier:
    """Sends what is pending; the steps of a deliverer that concern a destination.

    Parameters
    ----------
    place
        Where results and deliveries are kept, and where the next attempt is enqueued.
    settings
        Destinations and retries of the site.
    caller
        As whom to call.
    """

    def __init__(self, place: Workplace, settings: Settings, caller: Caller) -> None:
        self._place, self._settings, self._caller = place, settings, caller
        self._destinations = {d.name: d for d in settings.destinations} | {
            d.name: d for d in settings.web_destinations
        }
        self._guard = Guard(place.database, place.files, place.audit)
        self._asker = Asker(place.database, place.queues, settings)
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    def send(self, job_id: int, destination: str, attempt: int, opened_ms: int = 0) -> None:
        """Make one attempt to send a job's results, and see to what follows from it.

        Parameters
        ----------
        job_id, destination, attempt
            As in `Attempt`.
        opened_ms
            When the row of attempts began, in milliseconds since 1970; 0 if the results tell.
        """
        with self._place.database.begin() as transaction:
            pending = transaction.results.pending(job_id, destination)
            uncommitted = transaction.results.uncommitted(job_id, destination)
        if not pending and not uncommitted:
            return
        opened_at = (pending or uncommitted)[0].opened_at
        if opened_ms:
            opened_at = datetime.fromtimestamp(opened_ms / 1000, UTC)
        with log_scope(job=job_id):
            target = self._destinations.get(destination)
            if target is None:
                problem = f"destination {destination} is not in the settings any more"
                sent = Sent(problem=problem, retryable=False)
            elif problem := self._guard.problem_of(job_id, pending):
                sent = Sent(problem=problem, retryable=False)
            else:
                told = self._told(target, pending)
                told.begins()
                sent = self._attempt(job_id, pending, target, attempt)
                told.ends(sent.arrived, problem=sent.complaint)
            now = Attempt(job_id, destination, attempt, opened_at)
            self._follow_up(now, target, pending, sent)

    def _attempt(
        self, job_id: int, pending: Sequence[DeliveryRecord], target: Target, attempt: int
    ) -> Sent:
        parcels = [
            Parcel(
                delivery_id=each.id,
                kind=each.kind,
                sop_class_uid=each.sop_class_uid,
                sop_instance_uid=each.sop_instance_uid,
                path=self._place.files.path(each.path),
            )
            for each in pending
        ]
        if not parcels and not _is_asked(target):
            return Sent()
        if isinstance(target, WebDestinationSettings):
            return send_by_stow(parcels, target, on_arrival=self._mark_sent)
        return send_by_dimse(
            parcels,
            Peer(target.ae_title, target.host, target.port, tls=target.tls),
            caller=self._caller,
            attempt=attempt,
            on_arrival=self._mark_sent,
            sequel=self._asker.sequel(job_id, target, attempt=attempt),
        )

    def _told(self, target: Target, pending: Sequence[DeliveryRecord]) -> Told:
        if isinstance(target, WebDestinationSettings):
            receiver = Participant(target.name, address=urlsplit(target.url).hostname or "")
        else:
            receiver = events.peer(target.ae_title, target.host)
        return Told(self._place.audit, self._place.database, receiver, pending)

    @patiently  # what was sent must not be sent again because the database was away
    def _mark_sent(self, parcel: Parcel) -> None:
        with self._place.database.begin() as transaction:
            transaction.results.mark_sent(parcel.delivery_id, now=datetime.now(UTC))

    def _follow_up(
        self,
        attempt: Attempt,
        target: Target | None,
        pending: Sequence[DeliveryRecord],
        sent: Sent,
    ) -> None:
        """Offer other forms of what was refused; have the rest tried again, or given up."""
        left = [delivery for delivery in pending if delivery.id not in sent.arrived]
        if sent.refused:
            self._step_down(attempt, sent.refused)
        elif left:
            self._send_later(attempt, left, sent)
        elif target is None or _is_asked(target):
            if sent.problem:
                self._ask_later(attempt, sent)
        else:
            self._let_be(attempt)

    def _send_later(self, attempt: Attempt, left: Sequence[DeliveryRecord], sent: Sent) -> None:
        """Have what did not arrive sent again, or give it up."""
        now = datetime.now(UTC)
        problem = f"{HELD}: {sent.problem}" if sent.held else sent.problem
        left_ids = [delivery.id for delivery in left]
        sent_until, _ = deadlines(left[0].opened_at, self._settings)
        with self._place.database.begin() as transaction:
            if not sent.retryable or (now >= sent_until and not sent.held):
                transaction.results.mark_dead(left_ids, error=problem, now=now)
                logger.error("%d results given up: %s", len(left), problem)
                return
            pause = self._pause_after(attempt, sent)
            transaction.results.mark_attempt(
                left_ids, error=problem, now=now, next_attempt_at=now + pause
            )
            self._queue_next(transaction, attempt, pause)
            logger.warning("attempt %d failed, the next follows: %s", attempt.number, problem)

    def _ask_later(self, attempt: Attempt, sent: Sent) -> None:
        """Have the destination asked again for what it has, or give that up."""
        now = datetime.now(UTC)
        problem = f"{HELD}: {sent.problem}" if sent.held else sent.problem
        with self._place.database.begin() as transaction:
            left = transaction.results.uncommitted(attempt.job_id, attempt.destination)
            if not left:
                return
            left_ids = [delivery.id for delivery in left]
            _, asked_until = deadlines(left[0].opened_at, self._settings)
            if not sent.retryable or (now >= asked_until and not sent.held):
                transaction.commitments.end(left_ids, CommitmentState.FAILED, error=problem)
                logger.error("commitment to %d results given up: %s", len(left), problem)
                return
            pause = self._pause_after(attempt, sent)
            transaction.commitments.ask_again(left_ids, error=problem, next_attempt_at=now + pause)
            self._queue_next(transaction, attempt, pause)
            logger.warning("not asked to commit, the next attempt follows: %s", problem)

    def _let_be(self, attempt: Attempt) -> None:
        """Note that the destination is not to be asked."""
        with self._place.database.begin() as transaction:
            left = transaction.results.uncommitted(attempt.job_id, attempt.destination)
            transaction.commitments.end(
                [delivery.id for delivery in left], CommitmentState.NOT_OFFERED
            )

    def _pause_after(self, attempt: Attempt, sent: Sent) -> timedelta:
        pause = pause_after(attempt.number, self._settings.delivery, chance=self._chance)
        return max(pause, sent.pause)

    def _queue_next(
        self, transaction: Transaction, attempt: Attempt, pause: timedelta = timedelta(0)
    ) -> None:
        self._place.queues.deliver(
            transaction.session,
            attempt.job_id,
            attempt.destination,
            opened_at=attempt.opened_at,
            attempt=attempt.number + 1,
            delay_seconds=pause.total_seconds(),
        )

    def _step_down(self, attempt: Attempt, refused: Sequence[Refused]) -> None:
        """Write the results anew without what was refused, and send them at once.

        All in one transaction: a crash before its end finds what was refused still waiting. At the
        end of the ladder the same objects come out again; then what was refused is dead.
        """
        job_id, destination = attempt.job_id, attempt.destination
        with self._place.database.read() as transaction:
            known = transaction.refusals.of(destination, job_id=job_id)
        uids = {each.uid for each in refused}
        encoded = self._rewritten(job_id, destination, known | uids)
        now = datetime.now(UTC)
        with self._place.database.begin() as transaction:
            for each in refused:
                transaction.results.mark_dead([each.parcel.delivery_id], error=each.answer, now=now)
                transaction.refusals.note(
                    destination,
                    [each.uid],
                    answer=each.answer,
                    now=now,
                    job_id=None if each.is_final else job_id,
                )
                logger.error("refused: %s: %s", each.parcel.kind, each.answer)
            record_results(transaction, job_id, encoded["results"], now=now)
            kept = uids_of(encoded)
            if kept:
                transaction.results.replace(job_id, destination, by=kept, now=now)
            results = transaction.results
            if results.pending(job_id, destination) or results.uncommitted(job_id, destination):
                self._queue_next(transaction, attempt)

    def _rewritten(self, job_id: int, destination: str, refused: frozenset[str]) -> Json:
        """Write the next forms; nothing if that fails, so that at least the rest is sent."""
        try:
            return encode_for(self._place, job_id, destination, refused)
        except INTERRUPTIONS:
            raise
        except Exception as error:  # noqa: BLE001 - silence would be worse than a lost form
            logger.error("no other form could be written: %s", type(error).__name__)  # noqa: TRY400
            return {"results": []}


def _is_asked(target: Target) -> bool:
    """Whether a destination is asked to commit; DICOMweb has no such service."""
    return isinstance(target, DestinationSettings) and target.commitment != "NONE"
