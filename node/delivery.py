"""Sending the results of a job to one destination: one attempt, and what follows from it.

Objects go in their recorded order, the report last, so that no report points at what has not
arrived. What arrived is marked at once; the next attempt begins with what is left. Repeating is
harmless, since UIDs and bytes never change. What a peer refuses it is offered in the next form
(`node.results.forms`), and the whole result is written anew, so that references stay true.
"""

import logging
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from config.log import log_scope
from config.settings import (
    DeliverySettings,
    DestinationSettings,
    Settings,
    WebDestinationSettings,
)
from node.encoding import encode_for, uids_of
from node.engine import Json
from node.guard import Guard
from node.peers import Caller, Peer
from node.sending import Parcel, Refused, Sent, send_by_dimse
from node.stow import send_by_stow
from node.workplace import Workplace, record_results
from storage.records import DeliveryRecord

logger = logging.getLogger(__name__)

HELD = "held until the setup is mended"
"""Stands before a problem that somebody has to do something about."""


def pause_after(attempt: int, settings: DeliverySettings, *, chance: random.Random) -> timedelta:
    """Pause before the next attempt: doubled each time up to a limit, and varied a little."""
    seconds = min(
        settings.first_retry_seconds * 2.0 ** min(attempt - 1, 30), settings.longest_retry_seconds
    )
    return timedelta(seconds=seconds * chance.uniform(1 - settings.jitter, 1 + settings.jitter))


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
        self._guard = Guard(place.database, place.files)
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    def send(self, job_id: int, destination: str, attempt: int) -> None:
        """Make one attempt to send a job's results, and see to what follows from it."""
        with self._place.database.begin() as transaction:
            pending = transaction.results.pending(job_id, destination)
        if not pending:
            return
        with log_scope(job=job_id):
            target = self._destinations.get(destination)
            if target is None:
                problem = f"destination {destination} is not in the settings any more"
                sent = Sent(problem=problem, retryable=False)
            elif problem := self._guard.problem_of(job_id, pending):
                sent = Sent(problem=problem, retryable=False)
            else:
                sent = self._attempt(pending, target, attempt)
            self._follow_up(job_id, destination, attempt, pending, sent)

    def _attempt(
        self,
        pending: Sequence[DeliveryRecord],
        target: DestinationSettings | WebDestinationSettings,
        attempt: int,
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
        if isinstance(target, WebDestinationSettings):
            return send_by_stow(parcels, target, on_arrival=self._mark_sent)
        return send_by_dimse(
            parcels,
            Peer(target.ae_title, target.host, target.port, tls=target.tls),
            caller=self._caller,
            attempt=attempt,
            on_arrival=self._mark_sent,
        )

    def _mark_sent(self, parcel: Parcel) -> None:
        with self._place.database.begin() as transaction:
            transaction.results.mark_sent(parcel.delivery_id, now=datetime.now(UTC))

    def _follow_up(
        self,
        job_id: int,
        destination: str,
        attempt: int,
        pending: Sequence[DeliveryRecord],
        sent: Sent,
    ) -> None:
        """Offer other forms of what was refused; have the rest tried again, or given up."""
        left = [delivery for delivery in pending if delivery.id not in sent.arrived]
        if not left:
            return
        if sent.refused:
            self._step_down(job_id, destination, attempt, left[0].opened_at, sent.refused)
            return
        now = datetime.now(UTC)
        problem = f"{HELD}: {sent.problem}" if sent.held else sent.problem
        left_ids = [delivery.id for delivery in left]
        give_up_at = left[0].opened_at + timedelta(hours=self._settings.delivery.give_up_hours)
        with self._place.database.begin() as transaction:
            if not sent.retryable or (now >= give_up_at and not sent.held):
                transaction.results.mark_dead(left_ids, error=problem, now=now)
                logger.error("%d results given up: %s", len(left), problem)
                return
            pause = max(
                pause_after(attempt, self._settings.delivery, chance=self._chance), sent.pause
            )
            transaction.results.mark_attempt(
                left_ids, error=problem, now=now, next_attempt_at=now + pause
            )
            self._place.queues.deliver(
                transaction.session,
                job_id,
                destination,
                opened_at=left[0].opened_at,
                attempt=attempt + 1,
                delay_seconds=pause.total_seconds(),
            )
            logger.warning("attempt %d failed, the next follows: %s", attempt, problem)

    def _step_down(
        self,
        job_id: int,
        destination: str,
        attempt: int,
        opened_at: datetime,
        refused: Sequence[Refused],
    ) -> None:
        """Write the results anew without what was refused, and send them at once.

        All in one transaction: a crash before its end finds what was refused still waiting. At the
        end of the ladder the same objects come out again; then what was refused is dead.
        """
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
            if transaction.results.pending(job_id, destination):
                self._place.queues.deliver(
                    transaction.session,
                    job_id,
                    destination,
                    opened_at=opened_at,
                    attempt=attempt + 1,
                )

    def _rewritten(self, job_id: int, destination: str, refused: frozenset[str]) -> Json:
        """Write the next forms; nothing if that fails, so that at least the rest is sent."""
        try:
            return encode_for(self._place, job_id, destination, refused)
        except Exception as error:  # noqa: BLE001 - silence would be worse than a lost form
            logger.error("no other form could be written: %s", type(error).__name__)  # noqa: TRY400
            return {"results": []}
