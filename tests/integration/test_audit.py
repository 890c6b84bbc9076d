"""What a real sender does is in the audit trail, and what a stranger tries too."""

import contextlib
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.errors import PeerError
from config.settings import Settings
from node.audit.codes import Event, EventType, Kind, Role
from node.audit.messages import Message
from node.custody import Stores
from node.engine import Queues
from node.listener import start_server
from node.peers import Peer
from node.tls import client_context
from storage.database import Database
from storage.files import FileStore
from tests.support.certificates import make_certificates
from tests.support.ct_series import head_series, stack, uid
from tests.support.databases import url_in
from tests.support.pacs import free_port
from tests.support.sender import calling, store
from tests.support.waiting import eventually

GRID = stack(range(0, 30, 5), size=32, pixel_mm=7.0)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


class Site:
    """A listener whose audit trail is a list."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.told: list[Message] = []
        self.database = Database(url_in(folder))
        self.queues = Queues(self.database.engine)
        stores = Stores(
            self.database,
            FileStore(folder / "files", reserve_bytes=0),
            self.queues,
            1 << 20,
            self.told.append,
        )
        node = {"port": free_port(), "allowed_calling_ae_titles": ("CT1",), "max_connections": 3}
        given = {"node": node | dict(settings.pop("node", {}))} | settings  # type: ignore[call-overload]
        self.settings = Settings.model_validate(given)
        self.server = start_server(self.settings, stores)
        self.peer = Peer("MIDLINE", "127.0.0.1", self.settings.node.port)

    def close(self) -> None:
        self.server.shutdown()
        self.queues.close()
        self.database.close()

    def one(self, event: Event) -> Message:
        """Wait for a message of a kind, and make sure that it is the only one."""
        eventually(lambda: any(each.event is event for each in self.told))
        (message,) = [each for each in self.told if each.event is event]
        return message


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(**settings: object) -> Site:
        made.append(Site(tmp_path, **settings))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_an_association_leaves_one_message_for_each_study(site: Callable[..., Site]) -> None:
    there = site()
    first, second = head_series(GRID, name="a"), head_series(GRID, name="b")
    store(there.peer, [*first, *second[:2]])
    eventually(lambda: len(there.told) == 2)
    counts = [message.objects[0].instances for message in there.told]
    assert counts == [((CT_IMAGE, len(first)),), ((CT_IMAGE, 2),)]
    for message, images in zip(there.told, (first, second), strict=True):
        study, patient = message.objects
        assert message.event is Event.INSTANCES_TRANSFERRED
        assert (study.kind, study.identifier) == (Kind.STUDY, images[0].StudyInstanceUID)
        assert patient.identifier.startswith("h1:")
        sender = message.participants[0]
        assert (sender.role, sender.ae_title, sender.address) == (Role.SOURCE, "CT1", "127.0.0.1")


def test_an_association_that_is_cut_off_is_told_too(site: Callable[..., Site]) -> None:
    there = site()
    with calling(there.peer, [CT_IMAGE]) as association:
        association.send_c_store(head_series(GRID)[0])
        association.abort()
    assert there.one(Event.INSTANCES_TRANSFERRED).objects[0].num_instances == 1


def test_a_stranger_is_told_of_with_its_address(site: Callable[..., Site]) -> None:
    there = site()
    with pytest.raises(PeerError):
        store(there.peer, head_series(GRID)[:1], ae_title="STRANGER")
    alert = there.one(Event.SECURITY_ALERT)
    assert alert.event_type is EventType.NODE_AUTHENTICATION
    assert (alert.participants[1].ae_title, alert.participants[1].address) == (
        "STRANGER",
        "127.0.0.1",
    )


def test_who_may_only_verify_and_stores_is_told_of(site: Callable[..., Site]) -> None:
    there = site(senders=[{"ae_title": "CT2", "may_store": False}])
    assert store(there.peer, head_series(GRID)[:1], ae_title="CT2") == [0x0124]
    alert = there.one(Event.SECURITY_ALERT)
    assert alert.event_type is EventType.RESTRICTED_FUNCTION


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"SeriesDescription": "edited"}, 0x0111),
        ({"PatientID": "SOMEBODY ELSE", "SOPInstanceUID": uid("another")}, 0xC102),
    ],
)
def test_what_contradicts_the_index_is_told_with_the_study(
    site: Callable[..., Site], attributes: dict[str, str], status: int
) -> None:
    there = site()
    image = head_series(GRID)[0]
    store(there.peer, [image])
    for keyword, value in attributes.items():
        setattr(image, keyword, value)
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    assert store(there.peer, [image]) == [status]
    alert = there.one(Event.SECURITY_ALERT)
    assert alert.event_type is EventType.OBJECT_CHANGED
    study = next(each for each in alert.objects if each.kind is Kind.STUDY)
    assert study.identifier == image.StudyInstanceUID
    assert "SOMEBODY" not in repr(alert)


def test_an_image_with_the_uid_of_a_result_is_put_aside_with_an_alarm(
    site: Callable[..., Site],
) -> None:
    from tests.support.received import made, queued_job

    there = site()
    job = queued_job(there.database)
    with there.database.begin() as transaction:
        result = made("SEG", 0)
        transaction.results.record(job.id, [result], [], now=datetime.now(UTC))
    image = head_series(GRID)[0]
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = result.sop_instance_uid
    assert store(there.peer, [image]) == [0x0111]
    assert there.one(Event.SECURITY_ALERT).event_type is EventType.OBJECT_CHANGED


def test_more_connections_than_allowed_are_told_of(site: Callable[..., Site]) -> None:
    there = site()
    crowd = [socket.create_connection((there.peer.host, there.peer.port)) for _ in range(6)]
    try:
        alert = there.one(Event.SECURITY_ALERT)
    finally:
        for each in crowd:
            each.close()
    assert alert.event_type is EventType.RESTRICTED_FUNCTION
    assert alert.description == "too many connections"


def test_a_message_over_the_limit_is_told_of(site: Callable[..., Site]) -> None:
    there = site()
    with socket.create_connection((there.peer.host, there.peer.port)) as connection:
        connection.sendall(struct.pack(">BBL", 1, 0, 200 << 20))
        assert there.one(Event.SECURITY_ALERT).event_type is EventType.RESTRICTED_FUNCTION


def test_a_bad_certificate_is_told_of_and_a_knock_is_not(
    site: Callable[..., Site], tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path / "certificates")
    there = site(node={"tls": True}, tls=certificates.tls().model_dump())
    socket.create_connection((there.peer.host, there.peer.port)).close()
    context = client_context(certificates.tls("stranger"), now=datetime.now(UTC))
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        contextlib.suppress(OSError),  # an alert of TLS, or the end of the connection
        socket.create_connection((there.peer.host, there.peer.port)) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.recv(1)
    alert = there.one(Event.SECURITY_ALERT)
    assert alert.event_type is EventType.NODE_AUTHENTICATION
    assert alert.description.startswith("no TLS: ")
