"""Forwarding to a real syslog server over TLS: in order, nothing left out, also when it dies."""

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.errors import PeerRefusedError, PeerUnavailableError
from config.settings import AuditSettings
from node.audit import events, syslog
from node.audit.messages import Participant
from node.audit.syslog import Forwarder, Repository, frame, is_first_of, repository_of
from node.audit.trail import Trail
from node.tls import client_context, server_context
from storage.database import Database
from storage.records import NewWorker
from tests.support.audit_messages import MESSAGES, STUDY
from tests.support.certificates import Certificates, make_certificates
from tests.support.databases import url_in
from tests.support.pacs import free_port
from tests.support.repository import ReceivedMessages, running_repository
from tests.support.waiting import eventually

NOW = datetime.now(UTC)
PERSON = Participant("alice")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server(certificates: Certificates) -> Iterator[ReceivedMessages]:
    with running_repository(server_context(certificates.tls("pacs"), now=NOW)) as received:
        yield received


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(url_in(tmp_path))
    yield database
    database.close()


def write(database: Database, first: int, last: int) -> list[str]:
    trail = Trail(database, source_id="site", ae_title="MIDLINE")
    texts = [f"command {number}" for number in range(first, last)]
    for text in texts:
        trail.write(events.operated(PERSON, STUDY, text))
    return texts


def forwarder(database: Database, port: int, certificates: Certificates) -> Forwarder:
    tls = client_context(certificates.tls(), now=NOW)
    return Forwarder(database, Repository("localhost", port, tls), is_first=lambda: True)


def num_waiting(database: Database) -> int:
    with database.read() as transaction:
        return len(transaction.audit.waiting(limit=10_000))


def test_messages_arrive_in_order_and_once(
    database: Database, server: ReceivedMessages, certificates: Certificates
) -> None:
    texts = write(database, 0, 5)
    there = forwarder(database, server.port, certificates)
    assert there.forward() == 5
    assert there.forward() == 0
    texts += write(database, 5, 7)
    assert there.forward() == 2
    assert server.texts() == texts
    assert num_waiting(database) == 0


def test_a_frame_is_what_the_standards_say() -> None:
    length, _, octets = frame(MESSAGES["received"]).partition(b" ")
    assert int(length) == len(octets)
    header = rb"<85>1 2030-01-01T12:00:00\.000Z \S+ midline \d+ DICOM\+RFC3881 - \xef\xbb\xbf"
    assert re.match(header + b"<AuditMessage>", octets)
    assert b" <84>1 " in b" " + frame(MESSAGES["stranger"]).partition(b" ")[2]


def test_a_repository_that_dies_in_between_gets_everything_in_order(
    database: Database, server: ReceivedMessages, certificates: Certificates
) -> None:
    texts = write(database, 0, 40)
    server.dies_after = 7
    there = forwarder(database, server.port, certificates)
    with pytest.raises(PeerUnavailableError):
        there.forward()
    assert num_waiting(database) == 40
    assert there.forward() == 40
    assert server.texts() == texts[:7] + texts


def test_a_repository_that_only_ends_its_stream_has_read_everything(
    database: Database, server: ReceivedMessages, certificates: Certificates
) -> None:
    server.closes_tls = False
    texts = write(database, 0, 3)
    assert forwarder(database, server.port, certificates).forward() == 3
    assert server.texts() == texts


def test_a_repository_that_is_away_gets_everything_when_it_is_back(
    database: Database, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syslog, "LOOK_SECONDS", 0.02)
    port, stop = free_port(), threading.Event()
    texts = write(database, 0, 3)
    there = forwarder(database, port, certificates)
    with pytest.raises(PeerUnavailableError):
        there.forward()
    thread = threading.Thread(target=there.forward_until, args=(stop,))
    thread.start()
    try:
        context = server_context(certificates.tls("pacs"), now=NOW)
        with running_repository(context, port=port) as received:
            texts += write(database, 3, 5)
            eventually(lambda: num_waiting(database) == 0)
            assert received.texts() == texts
    finally:
        stop.set()
        thread.join()


def test_nothing_goes_to_a_stranger_or_from_one(
    database: Database, server: ReceivedMessages, certificates: Certificates
) -> None:
    write(database, 0, 2)
    stranger = client_context(certificates.tls("stranger"), now=NOW)
    ours = client_context(certificates.tls(), now=NOW)
    there = Forwarder(
        database, Repository("localhost", server.port, stranger), is_first=lambda: True
    )
    for _ in range(20):
        # with TLS 1.3 everything may have been written before the certificate is refused
        with pytest.raises((PeerRefusedError, PeerUnavailableError)):
            there.forward()
    with running_repository(server_context(certificates.tls("elsewhere"), now=NOW)) as other:
        there = Forwarder(
            database, Repository("localhost", other.port, ours), is_first=lambda: True
        )
        with pytest.raises(PeerRefusedError, match="no TLS with the audit record repository"):
            there.forward()
        assert other.frames == []
    assert server.frames == []
    assert num_waiting(database) == 2


def test_a_damaged_message_does_not_hold_up_the_others(
    database: Database, server: ReceivedMessages, certificates: Certificates
) -> None:
    texts = write(database, 0, 3)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit SET message_json = '{}' WHERE id = 2")
    assert forwarder(database, server.port, certificates).forward() == 3
    assert server.texts() == [texts[0], texts[2]]


def test_one_of_several_hosts_forwards(database: Database) -> None:
    timeout = timedelta(seconds=30)
    with database.begin() as transaction:
        now = transaction.now()
        for number, (name, role) in enumerate(
            [("a", "analyse"), ("b", "deliver"), ("c", "deliver")]
        ):
            worker = NewWorker(name, role, "host", 1, "")
            transaction.workers.beat(worker, now=now + timedelta(milliseconds=number))
    assert [is_first_of(database, n, timeout=timeout) for n in "abcd"] == [True, True, False, False]
    with database.begin() as transaction:
        transaction.workers.remove("b")
    assert is_first_of(database, "c", timeout=timeout)


def test_without_a_repository_nothing_is_forwarded(certificates: Certificates) -> None:
    tls = client_context(certificates.tls(), now=NOW)
    named = AuditSettings(syslog_host="audit.example")
    assert repository_of(AuditSettings(), tls) is None
    assert repository_of(AuditSettings(enabled=False, syslog_host="audit.example"), tls) is None
    assert str(repository_of(named, tls)) == "audit.example:6514"
