"""A query/retrieve SCP that holds studies, and can be told to misbehave."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.events import Event

from node import hardening
from node.hardening import HardAssociation
from node.peers import VERIFICATION, Peer
from node.query import FIND, GET, MOVE

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
Answers = Iterator[tuple[int, Dataset | None]]


@dataclass
class Held:
    """What a running archive holds and was asked.

    Attributes
    ----------
    peer
        Where it is called.
    images
        That it counts and sends.
    final
        Status of the last response to a service that is asked for, by its name.
    finds
        Level and study of the C-FIND requests, in their order.
    retrieved
        SOP Instance UIDs that were asked for, by C-GET or C-MOVE.
    is_counting
        Whether it tells numbers of images.
    move_port
        Where its C-MOVE sends to.
    before, before_get
        Called before each C-FIND, each C-GET is answered.
    """

    peer: Peer
    images: list[Dataset]
    final: dict[str, int] = field(default_factory=dict)
    finds: list[tuple[str, str]] = field(default_factory=list)
    retrieved: list[str] = field(default_factory=list)
    is_counting: bool = True
    move_port: int = 0
    before: Callable[[], object] = lambda: None
    before_get: Callable[[], object] = lambda: None

    def levels(self, study_instance_uid: str) -> list[str]:
        """Levels at which a study was asked for, in their order."""
        return [level for level, study in self.finds if study == study_instance_uid]

    def find(self, event: Event) -> Answers:
        """Answer a C-FIND at the level of series or images."""
        asked = event.identifier
        self.before()
        self.finds.append((asked.QueryRetrieveLevel, asked.StudyInstanceUID))
        images = [i for i in self.images if i.StudyInstanceUID == asked.StudyInstanceUID]
        if asked.QueryRetrieveLevel == "SERIES":
            matches = self._series(images)
        else:
            of_series = [i for i in images if i.SeriesInstanceUID == asked.SeriesInstanceUID]
            matches = [_match(i, "SOPInstanceUID", "SOPClassUID") for i in of_series]
        for match in matches:
            yield 0xFF01, match
        if self.final.get("C-FIND"):
            yield self.final["C-FIND"], None

    def _series(self, images: Iterable[Dataset]) -> list[Dataset]:
        series: dict[str, list[Dataset]] = {}
        for image in images:
            series.setdefault(str(image.SeriesInstanceUID), []).append(image)
        matches = []
        for held in series.values():
            match = _match(held[0], "SeriesInstanceUID", "Modality")
            if self.is_counting:
                match.NumberOfSeriesRelatedInstances = len(held)
            matches.append(match)
        return matches

    def get(self, event: Event) -> Iterator[object]:
        """Answer a C-GET with the images that were asked for."""
        images = self._asked(event.identifier)
        self.before_get()
        yield len(images)
        if self.final.get("C-GET"):
            yield self.final["C-GET"], None
            return
        for image in images:
            yield 0xFF00, image

    def move(self, event: Event) -> Iterator[object]:
        """Answer a C-MOVE: they go to `move_port`, whoever is named."""
        images = self._asked(event.identifier)
        if self.final.get("C-MOVE") == 0xA801:
            yield None, None
            return
        yield "127.0.0.1", self.move_port
        yield len(images)
        for image in images:
            yield 0xFF00, image

    def _asked(self, identifier: Dataset) -> list[Dataset]:
        uids = identifier.SOPInstanceUID
        asked = [uids] if isinstance(uids, str) else list(uids)
        self.retrieved += asked
        return [image for image in self.images if image.SOPInstanceUID in asked]


def _match(image: Dataset, *keywords: str) -> Dataset:
    match = Dataset()
    for keyword in keywords:
        setattr(match, keyword, image[keyword].value)
    return match


def _soften(event: Event) -> None:
    """Make an association what pynetdicom ships.

    A hardened server reads nothing while it serves a request; a C-GET is served by asking.
    """
    event.assoc.__class__ = HardAssociation.__mro__[1]


@contextmanager
def running_archive(
    images: Iterable[Dataset],
    *,
    ae_title: str = "ARCHIVE",
    offered: tuple[str, ...] = (FIND, GET, MOVE),
) -> Iterator[Held]:
    """Run an archive on loopback.

    Parameters
    ----------
    images
        That it holds.
    ae_title
        Its title.
    offered
        Models that it knows.
    """
    hardening.install()
    ae = AE(ae_title=ae_title)
    ae.add_supported_context(VERIFICATION)
    for uid in offered:
        ae.add_supported_context(uid)
    ae.add_supported_context(CT_IMAGE, scu_role=True, scp_role=True)
    ae.requested_contexts = [build_context(CT_IMAGE)]
    held = Held(Peer(ae_title, "127.0.0.1", 0), list(images))

    handlers = [
        (evt.EVT_ACCEPTED, _soften),
        (evt.EVT_C_FIND, held.find),
        (evt.EVT_C_GET, held.get),
        (evt.EVT_C_MOVE, held.move),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=list(handlers))
    assert server is not None
    held.peer = Peer(ae_title, "127.0.0.1", server.server_address[1])
    try:
        yield held
    finally:
        server.shutdown()
