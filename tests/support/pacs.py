"""A storage SCP that plays the PACS: it keeps what it gets, and can be told to misbehave."""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from node import hardening
from node.peers import Peer
from node.status import StoreStatus
from tests.support.certificates import Certificates

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
RESULT_CLASSES = (SEGMENTATION, SECONDARY_CAPTURE, COMPREHENSIVE_3D_SR)
SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")


@dataclass
class Pacs:
    """What a running PACS has received, in order; a repetition counts each time."""

    peer: Peer
    received: list[Dataset] = field(default_factory=list)

    @property
    def sop_instance_uids(self) -> list[str]:
        """SOP Instance UIDs in the order of arrival."""
        return [str(ds.SOPInstanceUID) for ds in self.received]

    def of_modality(self, modality: str) -> list[Dataset]:
        """Objects of one modality in the order of arrival."""
        return [ds for ds in self.received if ds.Modality == modality]


def _always_success(_: Dataset) -> int:
    return StoreStatus.SUCCESS


def _context(made: Certificates, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate(name), made.key(name))
    context.load_verify_locations(made.authorities)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextmanager
def running_pacs(
    *,
    ae_title: str = "PACS",
    host: str = "127.0.0.1",
    port: int = 0,
    classes: tuple[str, ...] = RESULT_CLASSES,
    syntaxes: tuple[str, ...] = SYNTAXES,
    answer: Callable[[Dataset], int] = _always_success,
    calling_ae_titles: tuple[str, ...] = (),
    verifies: bool = True,
    certificates: tuple[Certificates, str] | None = None,
) -> Iterator[Pacs]:
    """Run a PACS, on loopback unless said otherwise.

    Parameters
    ----------
    ae_title, host, port
        Where it is called; 0 takes a free port.
    classes, syntaxes
        SOP classes that it accepts, and in which transfer syntaxes.
    answer
        Status for an object; with Success and warnings it is kept.
    calling_ae_titles
        Who may call; empty is everyone.
    verifies
        Whether it offers Verification.
    certificates
        With them it speaks TLS, with the one of this name.
    """
    hardening.install()
    ae = AE(ae_title=ae_title)
    ae.require_called_aet = True
    ae.require_calling_aet = list(calling_ae_titles)
    if verifies:
        ae.add_supported_context("1.2.840.10008.1.1")
    for sop_class_uid in classes:
        ae.add_supported_context(sop_class_uid, list(syntaxes))
    pacs = Pacs(Peer(ae_title, host, port))

    def store(event: Event) -> int:
        ds = event.dataset
        ds.file_meta = event.file_meta
        status = answer(ds)
        if status == StoreStatus.SUCCESS or status >> 12 == 0xB:
            pacs.received.append(ds)
        return status

    handlers = [(evt.EVT_C_ECHO, lambda _: 0), (evt.EVT_C_STORE, store)]
    context = None if certificates is None else _context(*certificates)
    server = ae.start_server(
        (host, port), block=False, evt_handlers=list(handlers), ssl_context=context
    )
    assert server is not None
    pacs.peer = Peer(ae_title, host, server.server_address[1], tls=context is not None)
    try:
        yield pacs
    finally:
        server.shutdown()


def free_port() -> int:
    """Find a TCP port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
