"""Whether a destination is there, and what it would take: asked without storing anything."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID, KeyObjectSelectionDocumentStorage, SecondaryCaptureImageStorage

from config.errors import PeerRefusedError, PeerUnavailableError
from config.settings import DestinationSettings, WebDestinationSettings
from node.peers import Caller, Peer, StoreFile, associated, echo, refusal_of
from node.results.forms import (
    REPORT_CLASSES,
    SEGMENTATION_CLASSES,
    TRANSFER_SYNTAXES,
    Compression,
    SegmentationForm,
)
from node.sending import proposed_contexts
from node.status import Verdict, verdict_of_http
from node.stow import STUDIES
from node.web import connected

SEARCH = f"{STUDIES}?limit=1"
"""The lightest question that every service with QIDO-RS answers (PS3.18 10.6)."""
FOUND = (200, 204)
NOT_LET_IN = (401, 403, 407)
MOVED = range(300, 400)


@dataclass(frozen=True)
class Offer:
    """Whether a destination would take objects of one kind.

    Attributes
    ----------
    sop_class, transfer_syntax
        Which, by their names.
    is_taken
        Whether it negotiated that.
    """

    sop_class: str
    transfer_syntax: str
    is_taken: bool


@dataclass(frozen=True)
class Probe:
    """What a destination that is there says of itself.

    Attributes
    ----------
    seconds
        From question to answer.
    offers
        What it would take, as far as that can be asked.
    remark
        What else there is to know.
    """

    seconds: float
    offers: tuple[Offer, ...] = ()
    remark: str = ""


def probe_peer(destination: DestinationSettings, *, caller: Caller) -> Probe:
    """Verify a peer by C-ECHO, and propose to it all that it could be sent.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If it is not there, or does not let us in.
    """
    peer = Peer(destination.ae_title, destination.host, destination.port, tls=destination.tls)
    seconds = echo(peer, caller=caller)
    files = [StoreFile(Path(), *each) for each in _kinds(destination)]
    with associated(peer, proposed_contexts(files), caller=caller) as association:
        offers = tuple(
            Offer(
                UID(file.sop_class_uid).name,
                UID(file.transfer_syntax_uid).name,
                is_taken=refusal_of(association, file, peer=peer) is None,
            )
            for file in files
        )
    return Probe(seconds, offers)


def probe_service(destination: WebDestinationSettings) -> Probe:
    """Search a DICOMweb service for one study, and look at nothing but the status of the answer.

    Raises
    ------
    PeerUnavailableError, PeerRefusedError
        If it is not there, or does not let us in.
    SettingsError
        If the files of token or authorities cannot be used.
    """
    with connected(destination) as service:
        started = time.perf_counter()
        answer = service.get(SEARCH)
        seconds = time.perf_counter() - started
    if answer.status in FOUND:
        return Probe(seconds)
    said = f"{destination.address} answered {answer}"
    if answer.status in NOT_LET_IN or answer.status in MOVED:
        raise PeerRefusedError(said)
    if verdict_of_http(answer.status) is Verdict.RETRY:
        raise PeerUnavailableError(said)
    remark = f"it answered {answer} to a search: whether it stores will be seen"
    return Probe(seconds, remark=remark)


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
