"""Committing to images that senders ask about (PS3.4 J.3), if the site wants it.

A request is recorded and answered at once; what it asks is answered by a report on a new
association. The node commits to what its index knows and its disk holds at that moment. It is a
cache: what is removed from it later, by hand or by `node.retention`, was committed to all the same.
"""

import logging
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from pynetdicom import build_role
from pynetdicom.dimse_primitives import N_ACTION
from pynetdicom.events import Event

from config.errors import MidlineError, PeerRefusedError, PeerUnavailableError
from config.settings import Settings
from node.admission import Acquaintance, Admissions
from node.commitment.answers import in_words, status_of
from node.commitment.messages import (
    REQUEST,
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    FailureReason,
    MessageError,
    MessageStatus,
    Report,
    Request,
    commitment_context,
    encode_report,
    read_request,
)
from node.engine import Queues
from node.pauses import pause_after
from node.peers import Caller, Peer, associated
from storage.database import Database, Transaction
from storage.files import FileStore
from storage.records import CommitmentRequestRecord, HeldInstance, Reference

logger = logging.getLogger(__name__)

HEAD_START_SECONDS = 1.0
"""The report waits so long, so that the response to the request is there first."""
EVIDENCE = "request for storage commitment"


class Grantor:
    """Takes requests, of a listener, and reports on them, of a deliverer.

    Parameters
    ----------
    database, files, queues
        Where images and requests are, and where the next attempt to report is enqueued.
    settings
        Whether commitment is offered, and to whom.
    """

    def __init__(
        self, database: Database, files: FileStore, queues: Queues, settings: Settings
    ) -> None:
        self._database, self._files, self._queues = database, files, queues
        self._settings = settings
        self._chance = random.Random()  # noqa: S311 - spreads retries, keeps no secret

    def sender_of(self, who: Acquaintance | None) -> str:
        """AE title of somebody who may ask for commitment.

        Raises
        ------
        MessageError
            If it may not: commitment is not offered, or it has no event_reports.
        """
        sender = None if who is None else who.sender
        offered = self._settings.commitment.offered
        if not offered or sender is None or sender.event_reports is None:
            raise MessageError(MessageStatus.NOT_AUTHORIZED, "it may not ask for commitment")
        return sender.ae_title

    def take(self, request: Request, *, ae_title: str, image_classes: Sequence[str]) -> None:
        """Record a request, and have it reported on; a repetition is reported on once.

        Parameters
        ----------
        ae_title
            Who asks.
        image_classes
            SOP classes that the node takes: a study's other objects never come.
        """
        now = datetime.now(UTC)
        with self._database.begin() as transaction:
            entered = transaction.commitment_requests.enter(
                request.transaction_uid, request.references, calling_ae_title=ae_title, now=now
            )
            if entered is None:
                return
            _note_evidence(transaction, entered.references, image_classes)
            self._queues.report_commitment(
                transaction.session,
                entered.id,
                attempt=entered.attempts + 1,
                delay_seconds=HEAD_START_SECONDS,
            )
        logger.info("asked to commit to %d objects", len(request.references))

    def report(self, request_id: int, attempt: int, caller: Caller) -> None:
        """Make one attempt to report on a request, and see to what follows from it."""
        with self._database.begin() as transaction:
            request = transaction.commitment_requests.get(request_id)
            if request is None or request.next_attempt_at is None or request.attempts >= attempt:
                return
            held = transaction.commitment_requests.held(
                [each.sop_instance_uid for each in request.references]
            )
        report = judge(request, held, self._files)
        peer = self._peer(request.calling_ae_title)
        problem = ""
        if peer is None:
            problem = "it is no sender with event_reports any more"
        else:
            try:
                _send(report, peer, caller)
            except MidlineError as error:
                problem = str(error)
        self._follow_up(request, report, problem, is_known=peer is not None)

    def _peer(self, ae_title: str) -> Peer | None:
        """Find where a sender wants to be told."""
        for sender in self._settings.senders:
            to = sender.event_reports
            if sender.ae_title == ae_title and to is not None:
                return Peer(ae_title, to.host, to.port, tls=to.tls)
        return None

    def _follow_up(
        self, request: CommitmentRequestRecord, report: Report, problem: str, *, is_known: bool
    ) -> None:
        """Note the attempt; have the next one follow if it failed."""
        now, who = datetime.now(UTC), request.calling_ae_title
        give_up_at = request.requested_at + timedelta(hours=self._settings.delivery.give_up_hours)
        with self._database.begin() as transaction:
            requests, attempts = transaction.commitment_requests, request.attempts + 1
            if not problem:
                requests.mark_attempt(request.id, next_attempt_at=None, reported_at=now)
                counts = (len(report.committed), len(report.failed))
                logger.info("committed to %d objects, not to %d", *counts)
            elif now >= give_up_at or not is_known:
                requests.mark_attempt(request.id, next_attempt_at=None)
                logger.error("the report of commitment to %s is given up: %s", who, problem)
            else:
                pause = pause_after(attempts, self._settings.delivery, chance=self._chance)
                requests.mark_attempt(request.id, next_attempt_at=now + pause)
                self._queues.report_commitment(
                    transaction.session,
                    request.id,
                    attempt=attempts + 1,
                    delay_seconds=pause.total_seconds(),
                )
                logger.warning("a report of commitment to %s failed: %s", who, problem)


def judge(
    request: CommitmentRequestRecord, held: Sequence[HeldInstance], files: FileStore
) -> Report:
    """Say what is committed to: what the index knows under this class, and the disk holds whole."""
    instances = {each.sop_instance_uid: each for each in held}
    committed: list[Reference] = []
    failed: list[tuple[Reference, int]] = []
    for reference in request.references:
        reason = _reason_against(reference, request, instances, files)
        if reason is None:
            committed.append(reference)
        else:
            failed.append((reference, reason))
    return Report(request.transaction_uid, tuple(committed), tuple(failed))


def _reason_against(
    reference: Reference,
    request: CommitmentRequestRecord,
    instances: Mapping[str, HeldInstance],
    files: FileStore,
) -> FailureReason | None:
    """Say why an object is not committed to; None if it is."""
    held = instances.get(reference.sop_instance_uid)
    if request.is_duplicate:
        return FailureReason.DUPLICATE_TRANSACTION_UID
    if held is None:
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    if held.sop_class_uid != reference.sop_class_uid:
        return FailureReason.CLASS_INSTANCE_CONFLICT
    return _fault_of_file(held, files)


def _fault_of_file(held: HeldInstance, files: FileStore) -> FailureReason | None:
    """Say why nobody could get an image back; None if its file is whole, and the one meant."""
    if held.is_disputed:
        return FailureReason.PROCESSING_FAILURE
    try:
        num_bytes = files.path(held.path).stat().st_size
    except FileNotFoundError:
        return FailureReason.NO_SUCH_OBJECT_INSTANCE
    except OSError:
        return FailureReason.PROCESSING_FAILURE
    return None if num_bytes == held.num_bytes else FailureReason.PROCESSING_FAILURE


def _send(report: Report, peer: Peer, caller: Caller) -> None:
    """Send a report on an association of its own, on which this node is the provider.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If the peer did not take it.
    """
    role = build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
    contexts = [commitment_context()]
    with associated(peer, contexts, caller=caller, roles=[role]) as association:
        if not association.accepted_contexts:
            raise PeerRefusedError(f"{peer} takes no reports of storage commitment")
        try:
            response, _ = association.send_n_event_report(
                encode_report(report),
                report.event_type,
                STORAGE_COMMITMENT,
                STORAGE_COMMITMENT_INSTANCE,
            )
        except RuntimeError as error:
            raise PeerUnavailableError(f"the association with {peer} ended") from error
    status = response.get("Status")
    if status is None:
        raise PeerUnavailableError(f"{peer} did not answer N-EVENT-REPORT in time")
    if status != MessageStatus.SUCCESS:
        raise PeerUnavailableError(f"{peer} answered N-EVENT-REPORT with 0x{status:04X}")


def _note_evidence(
    transaction: Transaction, references: Sequence[Reference], image_classes: Sequence[str]
) -> None:
    """Note what a request says of the completeness of a study.

    Whoever asks lists what it has sent: so many images there are at least. What is missing can be
    counted towards a study only if all the rest belongs to one. A list of which nothing is missing
    counts if it names all that is held: of a part, such as one series, it says nothing.
    """
    images = [each for each in references if each.sop_class_uid in image_classes]
    held = transaction.commitment_requests.held([each.sop_instance_uid for each in images])
    num_held: dict[int, int] = defaultdict(int)
    for each in held:
        num_held[each.study_id] += 1
    num_missing = len({each.sop_instance_uid for each in images}) - len(held)
    if num_missing and len(num_held) != 1:
        return
    for study_id, num_named in num_held.items():
        study = transaction.studies.get(study_id)
        if study is None or (not num_missing and num_named < study.num_instances):
            continue
        count = study.num_instances + num_missing
        if count > (study.expected_instances or 0):
            transaction.studies.expect(study_id, count, by=EVIDENCE)


def handle_action(
    event: Event, grantor: Grantor, admissions: Admissions, image_classes: Sequence[str]
) -> tuple[int, None]:
    """Answer an N-ACTION (PS3.4 J.3.2): Success once it is recorded."""
    try:
        sender = grantor.sender_of(admissions.of(event.assoc))
        grantor.take(_request_of(event), ae_title=sender, image_classes=image_classes)
    except Exception as error:  # noqa: BLE001 - the peer must get a status whatever happens
        status = status_of(error)
        logger.warning("answered an N-ACTION with 0x%04X: %s", status, in_words(error))
        return status, None
    return MessageStatus.SUCCESS, None


def _request_of(event: Event) -> Request:
    action = event.request
    if not isinstance(action, N_ACTION):
        raise TypeError("only an N-ACTION request asks for commitment")
    if action.RequestedSOPInstanceUID != STORAGE_COMMITMENT_INSTANCE:
        raise MessageError(MessageStatus.NO_SUCH_INSTANCE, "unknown SOP Instance UID")
    if event.action_type != REQUEST:
        raise MessageError(MessageStatus.NO_SUCH_ACTION_TYPE, "unknown Action Type ID")
    return read_request(event.action_information)
