"""A small storage SCP that plays the PACS: it keeps in a folder what it receives."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import AE, evt
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from node import hardening
from node.peers import VERIFICATION, Peer
from node.status import StoreStatus

AE_TITLE = "DEMOPACS"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
REPORT = "1.2.840.10008.5.1.4.1.1.88.34"
KINDS = {
    SEGMENTATION: "SEG",
    "1.2.840.10008.5.1.4.1.1.66.7": "SEG",
    REPORT: "SR",
    "1.2.840.10008.5.1.4.1.1.88.33": "SR",
    "1.2.840.10008.5.1.4.1.1.88.22": "SR",
    "1.2.840.10008.5.1.4.1.1.88.11": "SR",
    "1.2.840.10008.5.1.4.1.1.88.59": "KOS",
    "1.2.840.10008.5.1.4.1.1.7": "SC",
}
"""What it accepts, and how it names the files; results only, since it has no use for images."""


@dataclass(frozen=True)
class Arrival:
    """An object that arrived.

    Attributes
    ----------
    at_seconds
        When, by `time.monotonic`.
    """

    study_instance_uid: str
    sop_class_uid: str
    path: Path
    at_seconds: float


class Pacs:
    """What has arrived so far; its folder gets one file for each object."""

    def __init__(self, folder: Path) -> None:
        self.peer = Peer(AE_TITLE, "127.0.0.1", 0)
        self._folder = folder
        self._arrivals: list[Arrival] = []
        self._lock = threading.Lock()

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """Objects in the order of their arrival."""
        with self._lock:
            return tuple(self._arrivals)

    def has_report(self, study_instance_uid: str) -> bool:
        """Whether a report of a study has arrived."""
        wanted = (study_instance_uid, REPORT)
        return any((a.study_instance_uid, a.sop_class_uid) == wanted for a in self.arrivals)

    def store(self, event: Event) -> int:
        """Answer a C-STORE: keep the object as it came."""
        content = event.encoded_dataset()
        sop_class_uid = str(event.request.AffectedSOPClassUID)
        study_instance_uid = str(event.dataset.StudyInstanceUID)
        with self._lock:
            # counted by ourselves: no name comes from a peer
            number = len(self._arrivals) + 1
            path = self._folder / f"{number:03d}-{KINDS[sop_class_uid]}.dcm"
            path.write_bytes(content)
            arrival = Arrival(study_instance_uid, sop_class_uid, path, time.monotonic())
            self._arrivals.append(arrival)
        return StoreStatus.SUCCESS


@contextmanager
def running_pacs(folder: Path) -> Iterator[Pacs]:
    """Run a PACS on a free port of this machine."""
    hardening.install()
    folder.mkdir(parents=True)
    pacs = Pacs(folder)
    ae = AE(ae_title=AE_TITLE)
    ae.require_called_aet = True
    for sop_class_uid in (VERIFICATION, *KINDS):
        ae.add_supported_context(sop_class_uid)
    server = ae.start_server(
        (pacs.peer.host, 0),
        block=False,
        evt_handlers=[
            (evt.EVT_C_ECHO, lambda _: StoreStatus.SUCCESS),
            (evt.EVT_C_STORE, pacs.store),
        ],
    )
    assert isinstance(server, ThreadedAssociationServer)  # noqa: S101 - block=False returns it
    pacs.peer = Peer(AE_TITLE, pacs.peer.host, server.server_address[1])
    try:
        yield pacs
    finally:
        server.shutdown()
