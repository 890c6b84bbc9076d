"""Peers of storage commitment: an archive that is asked to commit, and a modality that asks."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from node import hardening
from node.commitment.messages import (
    STORAGE_COMMITMENT,
    STORAGE_COMMITMENT_INSTANCE,
    Report,
    Request,
    commitment_context,
    encode_report,
    encode_request,
    read_report,
    read_request,
)
from node.peers import Caller, Peer, associated
from storage.records import Reference
from tests.support.pacs import RESULT_CLASSES, SYNTAXES
from tests.support.sender import TIMEOUTS

Way = Literal["same", "new", "new without roles", "never"]
"""On which association an archive answers."""


def everything(request: Request) -> Report:
    """Commit to all that is asked for."""
    return Report(request.transaction_uid, request.references)


def nothing(reason: int) -> Callable[[Request], Report]:
    """Commit to nothing, for one reason."""
    return lambda request: Report(
        request.transaction_uid, (), tuple((each, reason) for each in request.references)
    )


@dataclass
class Archive:
    """An archive that runs; its ways may be changed at any time.

    Attributes
    ----------
    reports_to
        Where it reports on a new association.
    judge
        What it commits to.
    status
        How it answers N-ACTION.
    refuses
        SOP classes that it accepts and does not store.
    stored
        SOP Instance UIDs that it got, a repetition each time.
    requests
        What it was asked.
    told
        How its reports were answered.
    """

    peer: Peer
    reports_to: Peer | None = None
    way: Way = "same"
    judge: Callable[[Request], Report] = everything
    status: int = 0x0000
    refuses: tuple[str, ...] = ()
    stored: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    told: list[int] = field(default_factory=list)
    num_associations: int = 0

    def answer(self, request: Request, association: Association | None = None) -> None:
        """Report on a request, on an association or on a new one."""
        report = self.judge(request)
        if association is not None:
            self.told.append(tell(association, report))
            return
        assert self.reports_to is not None
        with_roles = self.way != "new without roles"
        with reporting(self.reports_to, self.peer.ae_title, with_roles=with_roles) as opened:
            self.told.append(tell(opened, report))


def tell(association: Association, report: Report, *, event_type: int | None = None) -> int:
    """Send a report; the status of its response, or -1 without one."""
    response, _ = association.send_n_event_report(
        encode_report(report),
        report.event_type if event_type is None else event_type,
        STORAGE_COMMITMENT,
        STORAGE_COMMITMENT_INSTANCE,
    )
    return int(response.get("Status", -1))


@contextmanager
def reporting(to: Peer, ae_title: str, *, with_roles: bool = True) -> Iterator[Association]:
    """Open an association to report on."""
    role = build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)
    roles = [role] if with_roles else []
    caller = Caller(ae_title, TIMEOUTS)
    with associated(to, [commitment_context()], caller=caller, roles=roles) as association:
        yield association


@contextmanager
def running_archive(
    *, ae_title: str = "PACS", port: int = 0, offers: bool = True, **ways: object
) -> Iterator[Archive]:
    """Run an archive on loopback; without `offers` it knows nothing of commitment."""
    hardening.install()
    ae = AE(ae_title=ae_title)
    for sop_class_uid in ("1.2.840.10008.1.1", *RESULT_CLASSES):
        ae.add_supported_context(sop_class_uid, list(SYNTAXES))
    if offers:
        ae.add_supported_context(STORAGE_COMMITMENT, list(SYNTAXES))
    archive = Archive(Peer(ae_title, "127.0.0.1", port), **ways)  # type: ignore[arg-type]
    answering = _Answering(archive)
    handlers = [
        (evt.EVT_ACCEPTED, answering.count),
        (evt.EVT_C_STORE, answering.store),
        (evt.EVT_N_ACTION, answering.act),
        (evt.EVT_PDU_SENT, answering.note_sent),
    ]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers))
    assert server is not None
    archive.peer = Peer(ae_title, "127.0.0.1", server.server_address[1])
    try:
        yield archive
    finally:
        answering.end()
        _end(server, wait=port != 0)


def _end(server: ThreadedAssociationServer, *, wait: bool) -> None:
    """End a server, which takes it half a second; only a port that is used again is waited for."""
    thread = threading.Thread(target=server.shutdown)
    thread.start()
    if wait:
        thread.join()


class _Answering:
    """What an archive does when it is called."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._due: dict[Association, Request] = {}
        self._threads: list[threading.Thread] = []

    def count(self, _: Event) -> None:
        self._archive.num_associations += 1

    def store(self, event: Event) -> int:
        if event.request.AffectedSOPClassUID in self._archive.refuses:
            return 0xA900
        self._archive.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    def act(self, event: Event) -> tuple[int, None]:
        archive = self._archive
        request = read_request(event.action_information)
        archive.requests.append(request)
        if archive.way != "never" and archive.status == 0x0000:
            self._due[event.assoc] = request
        return archive.status, None

    def note_sent(self, event: Event) -> None:
        # the response to the N-ACTION is on its way: the report may follow
        request = self._due.pop(event.assoc, None)
        if request is not None:
            association = event.assoc if self._archive.way == "same" else None
            thread = threading.Thread(target=self._archive.answer, args=(request, association))
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        for thread in self._threads:
            thread.join()


def ask(
    node: Peer,
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    ae_title: str = "CT1",
    action_type: int = 1,
    instance: str = STORAGE_COMMITMENT_INSTANCE,
) -> int:
    """Ask a node to commit, as a modality does; the status of its response."""
    request = encode_request(Request(transaction_uid, tuple(references)))
    caller = Caller(ae_title, TIMEOUTS)
    with associated(node, [commitment_context()], caller=caller) as association:
        response, _ = association.send_n_action(request, action_type, STORAGE_COMMITMENT, instance)
    return int(response.get("Status", -1))


@dataclass
class Modality:
    """A modality that waits for reports.

    Attributes
    ----------
    reports
        What it was told.
    status
        How it answers.
    """

    peer: Peer
    reports: list[Report] = field(default_factory=list)
    status: int = 0x0000


@contextmanager
def running_modality(*, ae_title: str = "CT1", port: int = 0) -> Iterator[Modality]:
    """Run the part of a modality that takes reports; it insists on the role of the user."""
    hardening.install()
    ae = AE(ae_title=ae_title)
    ae.require_called_aet = True
    ae.add_supported_context(STORAGE_COMMITMENT, list(SYNTAXES), scu_role=False, scp_role=True)
    modality = Modality(Peer(ae_title, "127.0.0.1", port))

    def take(event: Event) -> tuple[int, None]:
        if not all(context.as_scu for context in event.assoc.accepted_contexts):
            return 0x0211, None
        if modality.status == 0x0000:
            modality.reports.append(read_report(event.event_type, event.event_information))
        return modality.status, None

    handlers = [(evt.EVT_N_EVENT_REPORT, take)]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=list(handlers))
    assert server is not None
    modality.peer = Peer(ae_title, "127.0.0.1", server.server_address[1])
    try:
        yield modality
    finally:
        _end(server, wait=port != 0)
