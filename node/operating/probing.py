"""Whether the peers of the settings are there, and what they would take: nothing is stored.

A peer may be several things to the node: it gets results, answers queries, is told what is
committed. Each of them is asked for what it would be used for, on one association or connection.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydicom.uid import UID, KeyObjectSelectionDocumentStorage, SecondaryCaptureImageStorage
from pynetdicom import build_context, build_role
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from config.errors import MidlineError, PeerRefusedError, PeerUnavailableError, UsageError
from config.settings import (
    DestinationSettings,
    EventReportSettings,
    QuerySettings,
    Settings,
    WebDestinationSettings,
)
from node.caller import caller_of
from node.commitment.messages import STORAGE_COMMITMENT
from node.operating.peers import Callee, KnownPeer, known_peers
from node.peers import PLAIN_SYNTAXES, VERIFICATION, Caller, Peer, StoreFile, associated, refusal_of
from node.query import FIND, GET, MOVE
from node.results.forms import (
    REPORT_CLASSES,
    SEGMENTATION_CLASSES,
    TRANSFER_SYNTAXES,
    Compression,
    SegmentationForm,
)
from node.sending import proposed_contexts
from node.status import StoreStatus, Verdict, verdict_of_http
from node.stow import STUDIES
from node.tls import TLSFacts, facts_of
from node.web import connected

SEARCH = f"{STUDIES}?limit=1"
"""The lightest question that every service with QIDO-RS answers (PS3.18 10.6)."""
FOUND = (200, 204)
NOT_LET_IN = (401, 403, 407)
MOVED = range(300, 400)
REPORTER = build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
"""Whoever reports what is committed is the provider of the service, though it calls."""


@dataclass(frozen=True)
class Offer:
    """Whether a peer would take objects, or requests, of one kind.

    Attributes
    ----------
    sop_class, sop_class_uid, transfer_syntax, transfer_syntax_uid
        Which, by their names and UIDs.
    is_taken
        Whether it negotiated that.
    """

    sop_class: str
    sop_class_uid: str
    transfer_syntax: str
    transfer_syntax_uid: str
    is_taken: bool


@dataclass(frozen=True)
class Answered:
    """What a peer that is there says of itself.

    Attributes
    ----------
    seconds
        Round trip of a C-ECHO, or of a search; None if the peer does not offer Verification.
    implementation
        Version name of its DICOM implementation (PS3.7 D.3.3.2); empty if it does not say.
    offers
        What it would take, as far as that can be asked.
    tls
        What was agreed on, and its certificate; None without TLS.
    clock_ahead_seconds
        By how much its clock is ahead of this machine's, to about a second; None if it does not
        tell the time, as no DICOM peer does.
    remark
        What else there is to know.
    """

    seconds: float | None
    implementation: str = ""
    offers: tuple[Offer, ...] = ()
    tls: TLSFacts | None = None
    clock_ahead_seconds: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class ProbedPeer(KnownPeer):
    """How a peer answered.

    Attributes
    ----------
    fault
        Why it cannot be used; None if it can.
    answered
        What it says of itself; None if it is not there or does not let the node in.
    """

    fault: str | None
    answered: Answered | None


def probe_peers(settings: Settings, name: str | None = None) -> tuple[ProbedPeer, ...]:
    """Ask the peers of the settings whether they are there and what they would take.

    Parameters
    ----------
    settings
        Of the site.
    name
        Only of this one.

    Raises
    ------
    UsageError
        If no peer has this name.
    """
    chosen = [each for each in known_peers(settings) if name in (None, each[0].name)]
    if name is not None and not chosen:
        raise UsageError(f"{name} is no peer of the settings; midline peers list shows all")
    return tuple(_probed(peer, callee, settings) for peer, callee in chosen)


def _probed(peer: KnownPeer, callee: Callee, settings: Settings) -> ProbedPeer:
    who = (peer.name, peer.kind, peer.address)
    try:
        answered = _ask(peer, callee, settings)
    except MidlineError as error:
        return ProbedPeer(*who, fault=str(error), answered=None)
    return ProbedPeer(*who, fault=None, answered=answered)


def _ask(peer: KnownPeer, callee: Callee, settings: Settings) -> Answered:
    """Ask a peer for what it is called for."""
    match callee:
        case WebDestinationSettings():
            return probe_service(callee)
        case DestinationSettings():
            return probe_peer(callee, caller=caller_of(settings))
        case QuerySettings():
            called = Peer(callee.ae_title, callee.host, callee.port, tls=callee.tls)
            retrieve = {"GET": [GET], "MOVE": [MOVE], "NONE": []}[callee.retrieve]
            return _ask_services(called, [FIND, *retrieve], settings)
        case EventReportSettings():
            called = Peer(peer.name, callee.host, callee.port, tls=callee.tls)
            return _ask_services(called, [STORAGE_COMMITMENT], settings, roles=[REPORTER])


def probe_peer(destination: DestinationSettings, *, caller: Caller) -> Answered:
    """Propose to a destination all that it could be sent, and verify it by C-ECHO.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If it is not there, or does not let us in.
    """
    peer = Peer(destination.ae_title, destination.host, destination.port, tls=destination.tls)
    files = [StoreFile(Path(), *each) for each in _kinds(destination)]

    def is_taken(association: Association, sop_class_uid: str, syntax: str) -> bool:
        file = StoreFile(Path(), sop_class_uid, syntax)
        return refusal_of(association, file, peer=peer) is None

    kinds = [(file.sop_class_uid, file.transfer_syntax_uid) for file in files]
    return _asked(peer, proposed_contexts(files), kinds, is_taken, caller=caller)


def _ask_services(
    peer: Peer,
    classes: Sequence[str],
    settings: Settings,
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Answered:
    """Propose services to a peer, and verify it by C-ECHO."""

    def is_taken(association: Association, sop_class_uid: str, syntax: str) -> bool:
        return any(
            context.abstract_syntax == sop_class_uid and syntax in context.transfer_syntax
            for context in association.accepted_contexts
        )

    kinds = [(sop_class_uid, syntax) for sop_class_uid in classes for syntax in PLAIN_SYNTAXES]
    # a context each, since a peer chooses one syntax of those that stand together
    contexts = [build_context(*kind) for kind in kinds]
    caller = caller_of(settings)
    return _asked(peer, contexts, kinds, is_taken, caller=caller, roles=roles)


def _asked(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    kinds: Sequence[tuple[str, str]],
    is_taken: Callable[[Association, str, str], bool],
    *,
    caller: Caller,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Answered:
    """Open one association, see what was negotiated on it, and send a C-ECHO."""
    proposed = [c for c in contexts if c.abstract_syntax != VERIFICATION]
    proposed.append(build_context(VERIFICATION))
    with associated(peer, proposed, caller=caller, roles=roles) as association:
        offers = tuple(
            Offer(UID(uid).name, uid, UID(syntax).name, syntax, is_taken(association, uid, syntax))
            for uid, syntax in kinds
        )
        verifies = any(
            context.abstract_syntax == VERIFICATION for context in association.accepted_contexts
        )
        seconds = _echo(association, peer) if verifies else None
        implementation = association.acceptor.implementation_version_name or ""
        return Answered(
            seconds,
            implementation,
            offers,
            tls=facts_of(_socket_of(association), now=datetime.now(UTC)),
            remark="" if verifies else "it does not offer Verification (C-ECHO)",
        )


def _socket_of(association: Association) -> object:
    """Find the connection under an association; pynetdicom wraps it twice."""
    transport = association.dul.socket
    return None if transport is None else transport.socket


def _echo(association: Association, peer: Peer) -> float:
    started = time.perf_counter()
    status = association.send_c_echo().get("Status")
    seconds = time.perf_counter() - started
    if status is None:
        raise PeerUnavailableError(f"{peer} did not answer C-ECHO in time")
    if status != StoreStatus.SUCCESS:
        raise PeerRefusedError(f"{peer} answered C-ECHO with status 0x{status:04X}")
    return seconds


def probe_service(destination: WebDestinationSettings) -> Answered:
    """Search a DICOMweb service for one study; of the answer only its head is looked at.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If it is not there, or does not let us in.
    SettingsError
        If the files of token or authorities cannot be used.
    """
    with connected(destination) as service:
        asked_at, started = datetime.now(UTC), time.perf_counter()
        answer = service.get(SEARCH)
        seconds = time.perf_counter() - started
    ahead = None if answer.date is None else (answer.date - asked_at).total_seconds() - seconds / 2
    found = Answered(
        seconds,
        tls=answer.tls,
        clock_ahead_seconds=None if ahead is None else round(ahead, 1),
    )
    if answer.status in FOUND:
        return found
    said = f"{destination.address} answered {answer}"
    if answer.status in NOT_LET_IN or answer.status in MOVED:
        raise PeerRefusedError(said)
    if verdict_of_http(answer.status) is Verdict.RETRY:
        raise PeerUnavailableError(said)
    remark = f"it answered {answer} to a search: whether it stores will be seen"
    return replace(found, remark=remark)


def _kinds(destination: DestinationSettings) -> Iterator[tuple[str, str]]:
    """SOP class and transfer syntax of what it may ever get."""
    plain, wanted = (
        TRANSFER_SYNTAXES[Compression(each)] for each in ("NONE", destination.compression)
    )
    for form, sop_class in SEGMENTATION_CLASSES.items():
        if form is SegmentationForm(destination.segmentation) and wanted != plain:
            yield str(sop_class), str(wanted)
        yield str(sop_class), str(plain)
    captures = (SecondaryCaptureImageStorage, KeyObjectSelectionDocumentStorage)
    for sop_class in (*captures, *REPORT_CLASSES.values()):
        yield str(sop_class), str(plain)
