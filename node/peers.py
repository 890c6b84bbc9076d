"""Associations to other application entities: verify one, and store files on one.

pynetdicom signals most failures by what it leaves undone; here they become our errors once, so that
a caller only asks whether a retry helps (`config.errors`).
"""

import contextlib
import logging
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.events import EventHandlerType
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from config.errors import (
    PeerRefusedError,
    PeerUnavailableError,
    SettingsError,
    UnreadableInputError,
)
from node import hardening
from node.hardening import HardAE, HardSocket
from node.hardening.bounds import MOST_CONTEXTS
from node.status import StoreStatus
from node.tls import fault_of

logger = logging.getLogger(__name__)

VERIFICATION = "1.2.840.10008.1.1"
OFFERED_PDU_BYTES = 131_072
"""Longest PDU that the node takes from a peer it calls."""
PLAIN_SYNTAXES = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))
"""Uncompressed: what is stored in one may travel in the other."""
UNKNOWN_TO_PEER = {3, 4}
"""Abstract syntax, or transfer syntaxes not supported (PS3.8 Table 9-18)."""
REJECTIONS: dict[tuple[int | None, int | None], str] = {
    (1, 2): "it does not support the application context",
    (1, 3): "it does not know our AE title",
    (1, 7): "it has another AE title than the one called",
    (3, 1): "it is congested",
    (3, 2): "its limit of associations is reached",
}
"""What a source and reason of A-ASSOCIATE-RJ say (PS3.8 Table 9-21)."""


@dataclass(frozen=True)
class Peer:
    """An application entity that the node calls.

    Attributes
    ----------
    ae_title
        Its application entity title.
    host, port
        Where it listens.
    tls
        Whether it speaks TLS.
    """

    ae_title: str
    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        """``AET@host:port``, as the command line writes it."""
        return f"{self.ae_title}@{self.host}:{self.port}"


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for a peer, seconds."""

    connection_seconds: float = 10.0
    acse_seconds: float = 15.0
    dimse_seconds: float = 60.0
    network_seconds: float = 60.0


@dataclass(frozen=True)
class Caller:
    """As whom the node calls a peer, and how.

    Attributes
    ----------
    ae_title
        Calling application entity title.
    timeouts
        How patiently.
    tls
        Client context for peers that speak TLS; None if there are no certificates.
    """

    ae_title: str
    timeouts: Timeouts
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class StoreFile:
    """What negotiation needs to know of a DICOM file."""

    path: Path
    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass(frozen=True)
class Refusal:
    """That a peer negotiated no way to send a file.

    Attributes
    ----------
    uid
        What it does not take: the SOP class, or the transfer syntax of the file.
    is_final
        Whether it said so because it does not know it (PS3.8 Table 9-18, results 3 and 4), and
        not because it does not want it now.
    answer
        In words, for the administrator.
    """

    uid: str
    is_final: bool
    answer: str


def read_store_file(path: Path) -> StoreFile:
    """Read the file meta information of a DICOM file (PS3.10 7.1).

    Raises
    ------
    UnreadableInputError
        If the file is lost, is not DICOM Part 10, or names no SOP class or transfer syntax.
    """
    try:
        meta = dcmread(path, specific_tags=[], stop_before_pixels=True).file_meta
        return StoreFile(path, str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID))
    except FileNotFoundError as error:
        raise UnreadableInputError(f"{path.name} is lost") from error
    except (InvalidDicomError, AttributeError, EOFError, ValueError) as error:
        raise UnreadableInputError(f"{path.name} is no DICOM file") from error


def contexts_for(files: Iterable[StoreFile]) -> list[PresentationContext]:
    """Presentation contexts for a set of files: for each class its own syntaxes, then plain ones.

    Each stored syntax gets a context of its own, so that a peer cannot choose another one for it;
    uncompressed objects may also travel in the other little endian syntax.

    Raises
    ------
    PeerRefusedError
        If the files need more contexts than one association can hold (PS3.8 9.3.2.2).
    """
    syntaxes: dict[str, set[str]] = defaultdict(set)
    for file in files:
        syntaxes[file.sop_class_uid].add(file.transfer_syntax_uid)
    contexts = []
    for sop_class_uid, stored in sorted(syntaxes.items()):
        contexts += [build_context(sop_class_uid, syntax) for syntax in sorted(stored)]
        contexts.append(build_context(sop_class_uid, list(PLAIN_SYNTAXES)))
    if len(contexts) > MOST_CONTEXTS:
        raise PeerRefusedError(
            f"{len(contexts)} presentation contexts are needed, one association holds "
            f"{MOST_CONTEXTS}: send fewer kinds of objects at a time"
        )
    return contexts


def _entity(caller: Caller) -> HardAE:
    hardening.install()
    timeouts = caller.timeouts
    ae = HardAE(caller.ae_title)
    ae.connection_timeout = timeouts.connection_seconds
    ae.acse_timeout = timeouts.acse_seconds
    ae.dimse_timeout = timeouts.dimse_seconds
    ae.network_timeout = timeouts.network_seconds
    return ae


@contextlib.contextmanager
def associated(
    peer: Peer,
    contexts: Sequence[PresentationContext],
    *,
    caller: Caller,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[EventHandlerType] = (),
) -> Iterator[Association]:
    """Open an association, and release it at the end, or abort it (PS3.8 7.1 to 7.3).

    Parameters
    ----------
    roles
        What this node is for some of the SOP classes, where it is not the user (PS3.7 D.3.3.4).
    handlers
        Of events on the association, such as requests of the peer.

    Raises
    ------
    PeerUnavailableError
        No TCP connection, no answer in time, or a transient rejection (PS3.8 Table 9-21).
    PeerRefusedError
        A permanent rejection: a wrong AE title, a calling AE that the peer does not know, or a
        certificate that one side does not accept.
    SettingsError
        If the peer speaks TLS and the node has no certificates.
    """
    if peer.tls and caller.tls is None:
        raise SettingsError(f"{peer} speaks TLS: tls.certificate and its key are needed")
    try:
        association = _entity(caller).associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            max_pdu=OFFERED_PDU_BYTES,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
            tls_args=(caller.tls, peer.host) if peer.tls and caller.tls is not None else None,
        )
    except socket.gaierror as error:
        raise PeerUnavailableError(f"{peer}: the host name is not known") from error
    if not association.is_established:
        _close_socket(association)
        raise _why_not(association, peer)
    try:
        yield association
    except BaseException:
        # a peer that hung up or fell silent answers no request for release either
        association.abort()
        raise
    else:
        if association.is_established:
            association.release()
    finally:
        _close_socket(association)


def refusal_of(association: Association, file: StoreFile, *, peer: Peer) -> Refusal | None:
    """Tell whether an association has no way to send a file, before anything is sent.

    Returns
    -------
    Refusal or None
        None if there is a presentation context for it.
    """
    of_class = [
        context
        for context in (*association.accepted_contexts, *association.rejected_contexts)
        if context.abstract_syntax == file.sop_class_uid
    ]
    accepted = {str(context.transfer_syntax[0]) for context in of_class if context.result == 0}
    if file.transfer_syntax_uid in accepted:
        return None
    if accepted and file.transfer_syntax_uid not in PLAIN_SYNTAXES:
        answer = f"{peer} does not take transfer syntax {file.transfer_syntax_uid}"
        return Refusal(file.transfer_syntax_uid, is_final=True, answer=answer)
    if accepted:
        return None
    results = {context.result for context in of_class}
    is_final = bool(results) and results <= UNKNOWN_TO_PEER
    answer = f"{peer} does not take SOP class {file.sop_class_uid}"
    return Refusal(file.sop_class_uid, is_final=is_final, answer=answer)


def _close_socket(association: Association) -> None:
    """Close what pynetdicom 3.0.4 leaves open when a connection is refused."""
    transport = association.dul.socket if association.dul is not None else None
    connection = transport.socket if transport is not None else None
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.close()


def _why_not(association: Association, peer: Peer) -> PeerUnavailableError | PeerRefusedError:
    """Name why an association was not established (PS3.8 Table 9-21)."""
    if not association.is_rejected:
        transport = association.dul.socket if association.dul is not None else None
        fault = fault_of(transport.failure) if isinstance(transport, HardSocket) else ""
        if fault:
            return PeerRefusedError(f"no TLS connection with {peer}: {fault}")
        return PeerUnavailableError(f"no association with {peer}: no connection, or no answer")
    answer = association.acceptor.primitive
    if answer is None:
        return PeerUnavailableError(f"{peer} rejected the association without a reason")
    diagnostic = (answer.result_source, answer.diagnostic)
    reason = REJECTIONS.get(diagnostic, "source {}, reason {}".format(*diagnostic))
    text = f"{peer} rejected the association: {reason}"
    return PeerUnavailableError(text) if answer.result == 2 else PeerRefusedError(text)


def echo(peer: Peer, *, caller: Caller) -> float:
    """Verify a peer by C-ECHO (PS3.4 Annex A).

    Returns
    -------
    float
        Seconds from the request to the response.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        As `associated`; also if the peer answers no Success.
    """
    contexts = [build_context(VERIFICATION)]
    with associated(peer, contexts, caller=caller) as association:
        if not association.accepted_contexts:
            raise PeerRefusedError(f"{peer} does not offer Verification")
        started = time.perf_counter()
        status = association.send_c_echo().get("Status")
        seconds = time.perf_counter() - started
    if status is None:
        raise PeerUnavailableError(f"{peer} did not answer C-ECHO in time")
    if status != StoreStatus.SUCCESS:
        raise PeerRefusedError(f"{peer} answered C-ECHO with status 0x{status:04X}")
    return seconds


def send_file(association: Association, file: StoreFile, *, peer: Peer) -> int:
    """Store one file on an open association (PS3.4 Annex B).

    Returns
    -------
    int
        Status of the C-STORE response.

    Raises
    ------
    PeerRefusedError
        If the peer accepted no presentation context for the file.
    PeerUnavailableError
        If the association ended, or no response came in time.
    """
    if not association.is_established:
        raise PeerUnavailableError(f"the association with {peer} ended")
    try:
        response = association.send_c_store(dcmread(file.path))
    except ValueError as error:
        raise PeerRefusedError(
            f"{peer} accepted no presentation context for SOP class {file.sop_class_uid}"
        ) from error
    except RuntimeError as error:
        raise PeerUnavailableError(f"the association with {peer} ended") from error
    status = response.get("Status")
    if status is None:
        raise PeerUnavailableError(f"{peer} did not answer C-STORE in time")
    return int(status)
