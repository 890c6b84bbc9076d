"""Asking a destination to commit to the results that it got (PS3.4 J.3.2).

The request goes out on the association on which the last of them was stored, and its answer is
waited for a moment; then it comes on a new association (`node.commitment.answers`). A request is
recorded before it is sent, so that its answer is known whenever it comes; only when the destination
has taken it are the results waited for. A crash in between leaves them to be asked for again, with
a new Transaction UID.
"""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from pydicom.uid import generate_uid
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu import P_DATA_TF

from config.errors import PeerRefusedError, PeerUnavailableError
from config.settings import DestinationSettings, Settings
from node.commitment.answers import Answers, handle_report
from node.commitment.messages import (
    REQUEST,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    Request,
    commitment_context,
    encode_request,
)
from node.engine import Queues
from node.sending import Sequel
from node.status import RETRYABLE
from storage.database import Database
from storage.records import CommitmentRecord, CommitmentState, DeliveryRecord, Reference

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1


class Asker:
    """Asks for commitment; of a deliverer.

    Parameters
    ----------
    database, queues
        Where requests are recorded, and where the look for their answer is enqueued.
    settings
        How patient the site is.
    """

    def __init__(self, database: Database, queues: Queues, settings: Settings) -> None:
        self._database, self._queues, self._settings = database, queues, settings.commitment
        self._answers = Answers(database, queues, settings)

    def sequel(self, job_id: int, target: DestinationSettings, *, attempt: int) -> Sequel | None:
        """Say what is to be done once everything has arrived; None if nothing is to be asked."""
        if target.commitment == "NONE":
            return None

        def ask(association: Association) -> None:
            self._ask(association, job_id, target, attempt)

        return Sequel((commitment_context(),), ask)

    def _ask(
        self, association: Association, job_id: int, target: DestinationSettings, attempt: int
    ) -> None:
        """Ask for everything that is to be asked for, and wait a moment for the answer.

        Raises
        ------
        PeerUnavailableError, PeerRefusedError
            If it could not be asked, and has to be.
        """
        with self._database.begin() as transaction:
            deliveries = transaction.results.uncommitted(job_id, target.name)
        if not deliveries:
            return
        if not _is_offered(association):
            self._decline(deliveries, target, f"{target.address} offers no storage commitment")
            return
        with self._database.begin() as transaction:
            request = transaction.commitments.enter(
                str(generate_uid(prefix=None)), deliveries, attempt=attempt, now=datetime.now(UTC)
            )
        listening = _Listening(association, self._answers)
        status = _send(association, request, deliveries)
        if status is None:
            raise PeerUnavailableError(f"{target.address} did not answer N-ACTION in time")
        if status != 0x0000 and status >> 12 != 0xB:
            answer = f"{target.address} answered N-ACTION with 0x{status:04X}"
            if status in RETRYABLE:
                raise PeerUnavailableError(answer)
            self._decline(deliveries, target, answer)
            return
        self._note_accepted(request)
        logger.info("%s is asked to commit to %d results", target.name, len(deliveries))
        listening.wait(self._settings.wait_on_association_seconds)

    def _note_accepted(self, request: CommitmentRecord) -> None:
        """Note that the request was taken, and enqueue the look for its answer."""
        patience = timedelta(hours=self._settings.timeout_hours)
        with self._database.begin() as transaction:
            if transaction.commitments.accept(request.id, now=datetime.now(UTC)):
                self._queues.look_for_answer(
                    transaction.session,
                    request.id,
                    request.job_id,
                    request.destination,
                    delay_seconds=patience.total_seconds(),
                )

    def _decline(
        self, deliveries: Sequence[DeliveryRecord], target: DestinationSettings, answer: str
    ) -> None:
        """Note that a destination is not asked, unless it has to be."""
        if target.commitment == "REQUIRED":
            raise PeerRefusedError(answer)
        with self._database.begin() as transaction:
            transaction.commitments.end(
                [each.id for each in deliveries], CommitmentState.NOT_OFFERED, error=answer
            )


class _Listening:
    """Takes answers that come on the association itself."""

    def __init__(self, association: Association, answers: Answers) -> None:
        self._association, self._answers = association, answers
        self._is_answered, self._is_told = False, threading.Event()
        association.bind(evt.EVT_N_EVENT_REPORT, self._take)
        association.bind(evt.EVT_PDU_SENT, self._note_sent)

    def wait(self, seconds: float) -> None:
        """Wait until an answer was taken and the peer told so, or the association ended."""
        until = time.monotonic() + seconds
        while self._association.is_established and time.monotonic() < until:
            if self._is_told.wait(min(LOOK_SECONDS, max(until - time.monotonic(), 0.0))):
                return

    def _take(self, event: Event) -> tuple[int, None]:
        answer = handle_report(event, self._answers)
        self._is_answered = True
        return answer

    def _note_sent(self, event: Event) -> None:
        # the response leaves after its handler; a release in between would overtake it
        if self._is_answered and isinstance(event.pdu, P_DATA_TF):
            self._is_told.set()


def _is_offered(association: Association) -> bool:
    return any(
        context.abstract_syntax == STORAGE_COMMITMENT and context.as_scu
        for context in association.accepted_contexts
    )


def _send(
    association: Association, request: CommitmentRecord, deliveries: Sequence[DeliveryRecord]
) -> int | None:
    """Send an N-ACTION; give back the status of its response, None if none came in time."""
    references = tuple(Reference(each.sop_class_uid, each.sop_instance_uid) for each in deliveries)
    try:
        response, _ = association.send_n_action(
            encode_request(Request(request.transaction_uid, references)),
            REQUEST,
            STORAGE_COMMITMENT,
            STORAGE_COMMITMENT_INSTANCE,
        )
    except RuntimeError as error:
        raise PeerUnavailableError(
            "the association ended before commitment was asked for"
        ) from error
    status = response.get("Status")
    return None if status is None else int(status)
