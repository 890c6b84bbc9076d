"""Sending the results of a job to one destination: one attempt, and what follows from it.

Objects go in their recorded order, the report last, so that no report points at what has not
arrived. What arrived is marked at once; the next attempt begins with what is left. Repeating is
harmless, since UIDs and bytes never change.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pynetdicom.association import Association

from config.errors import MidlineError, PeerError, PeerRefusedError
from config.log import log_scope
from config.settings import DeliverySettings, DestinationSettings, Settings
from node.engine import Queues
from node.peers import (
    Peer,
    StoreFile,
    Timeouts,
    associated,
    contexts_for,
    read_store_file,
    send_file,
)
from node.status import Verdict, verdict_of
from storage.database import Database
from storage.files import FileStore
from storage.records import DeliveryRecord

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sent:
    """How one attempt to send went.

    Attributes
    ----------
    arrived
        Deliveries that the peer holds now.
    refused
        Deliveries that it will never take, with its answer.
    problem
        What stopped the attempt before its end, in words for the administrator; empty if nothing.
    retryable
        Whether the problem may go away: a peer that knows us not may learn to, a lost file stays
        lost.
    """

    arrived: tuple[int, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()
    problem: str = ""
    retryable: bool = True


def pause_after(attempt: int, settings: DeliverySettings, *, chance: random.Random) -> timedelta:
    """Pause before the next attempt: doubled each time up to a limit, and varied a little."""
    seconds = min(
        settings.first_retry_seconds * 2.0 ** min(attempt - 1, 30), settings.longest_retry_seconds
    )
    return timedelta(seconds=seconds * chance.uniform(1 - settings.jitter, 1 + settings.jitter))


def _store(association: Association, file: StoreFile, *, peer: Peer) -> tuple[Verdict, str]:
    """Send one file; what the answer means, and the answer in words."""
    try:
        status = send_file(association, file, peer=peer)
    except PeerRefusedError as error:
        return Verdict.DEAD, str(error)
    return verdict_of(status), f"{peer} answered 0x{status:04X}"


class Courier:
    """Sends what is pending; the steps of a deliverer that concern a destination.

    Parameters
    ----------
    database, files, queues
        Where results and deliveries are kept, and where the next attempt is enqueued.
    settings
        Destinations, retries and time-outs of the site.
    """

    def __init__(
        self, database: Database, files: FileStore, queues: Queues, settings: Settings
    ) -> None:
        self._database, self._files, self._queues = database, files, queues
        self._settings = settings
        self._destinations = {d.name: d for d in settings.destinations}
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    def send(self, job_id: int, destination: str, attempt: int) -> None:
        """Make one attempt to send a job's results, and see to what follows from it."""
        with self._database.begin() as transaction:
            pending = transaction.results.pending(job_id, destination)
        if not pending:
            return
        with log_scope(job=job_id):
            target = self._destinations.get(destination)
            if target is None:
                problem = f"destination {destination} is not in the settings any more"
                sent = Sent(problem=problem, retryable=False)
            else:
                sent = self._attempt(pending, target)
            self._follow_up(job_id, destination, attempt, pending, sent)

    def _attempt(self, pending: Sequence[DeliveryRecord], target: DestinationSettings) -> Sent:
        peer = Peer(target.ae_title, target.host, target.port)
        arrived: list[int] = []
        refused: list[tuple[int, str]] = []
        try:
            files = [read_store_file(self._files.path(delivery.path)) for delivery in pending]
            with associated(
                peer,
                contexts_for(files),
                calling_ae_title=self._settings.node.ae_title,
                timeouts=self._timeouts(),
            ) as association:
                for delivery, file in zip(pending, files, strict=True):
                    verdict, answer = _store(association, file, peer=peer)
                    match verdict:
                        case Verdict.DONE:
                            arrived.append(delivery.id)
                            self._mark_sent(delivery.id)
                        case Verdict.DEAD:
                            refused.append((delivery.id, f"{delivery.kind}: {answer}"))
                        case Verdict.RETRY:
                            return Sent(tuple(arrived), tuple(refused), answer)
        except PeerError as error:
            return Sent(tuple(arrived), tuple(refused), str(error))
        except MidlineError as error:
            return Sent(tuple(arrived), tuple(refused), str(error), error.retryable)
        return Sent(tuple(arrived), tuple(refused))

    def _mark_sent(self, delivery_id: int) -> None:
        # at once: a crash after this line sends nothing twice
        with self._database.begin() as transaction:
            transaction.results.mark_sent(delivery_id, now=datetime.now(UTC))

    def _follow_up(
        self,
        job_id: int,
        destination: str,
        attempt: int,
        pending: Sequence[DeliveryRecord],
        sent: Sent,
    ) -> None:
        """Mark what was refused; have the rest tried again, or given up."""
        now = datetime.now(UTC)
        done = {*sent.arrived, *(delivery_id for delivery_id, _ in sent.refused)}
        left = [delivery for delivery in pending if delivery.id not in done]
        with self._database.begin() as transaction:
            for delivery_id, answer in sent.refused:
                transaction.results.mark_dead([delivery_id], error=answer, now=now)
                logger.error("refused for good: %s", answer)
            if not left:
                return
            left_ids = [delivery.id for delivery in left]
            give_up_at = left[0].opened_at + timedelta(hours=self._settings.delivery.give_up_hours)
            if now >= give_up_at or not sent.retryable:
                transaction.results.mark_dead(left_ids, error=sent.problem, now=now)
                logger.error("%d results given up: %s", len(left), sent.problem)
                return
            pause = pause_after(attempt, self._settings.delivery, chance=self._chance)
            transaction.results.mark_attempt(
                left_ids, error=sent.problem, now=now, next_attempt_at=now + pause
            )
            self._queues.deliver(
                transaction.session,
                job_id,
                destination,
                opened_at=left[0].opened_at,
                attempt=attempt + 1,
                delay_seconds=pause.total_seconds(),
            )
            logger.warning("attempt %d failed, the next follows: %s", attempt, sent.problem)

    def _timeouts(self) -> Timeouts:
        delivery = self._settings.delivery
        return Timeouts(
            connection_seconds=delivery.connection_timeout_seconds,
            acse_seconds=delivery.acse_timeout_seconds,
            dimse_seconds=delivery.dimse_timeout_seconds,
            network_seconds=delivery.network_timeout_seconds,
        )
