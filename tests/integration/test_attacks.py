"""Attacks on the port: each is cut off, and others are served meanwhile."""

import socket
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from pynetdicom.transport import AssociationSocket

from config.settings import Settings
from node.caller import caller_of
from node.hardening import sockets
from node.hardening.bounds import LARGEST_COMMAND_SET_BYTES
from node.peers import Caller, Timeouts, echo
from tests.support.certificates import make_certificates
from tests.support.ct_series import head_series, stack
from tests.support.listening import Listening, listening
from tests.support.raw_pdus import (
    ABORTED,
    COMMAND,
    COMMAND_END,
    DATA_SET,
    DEFLATED,
    answer,
    associated,
    association_request,
    connected,
    data_pdu,
    ends,
    fragment,
    header,
    store_command,
    store_request,
)
from tests.support.sender import encoded, store
from tests.support.waiting import eventually

TIMEOUTS = Timeouts(connection_seconds=5, acse_seconds=10, dimse_seconds=20, network_seconds=20)
IMAGES = head_series(stack(range(0, 10, 5), size=16, pixel_mm=14.0))
ATTACKER = "127.0.0.2"
LIMIT_BYTES = 1 << 20


def settings(**others: object) -> dict[str, object]:
    return {"max_instance_bytes": LIMIT_BYTES, "acse_timeout_seconds": 3} | others


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Listening]:
    with listening(tmp_path, node=settings()) as running:
        yield running
        assert others_are_served(running)
        eventually(lambda: not running.server.active_associations)


def others_are_served(running: Listening) -> bool:
    caller = Caller("CT1", TIMEOUTS)
    return echo(running.peer, caller=caller) > 0 and store(running.peer, IMAGES[:1]) == [0]


@pytest.mark.parametrize("pdu_type", [1, 4, 5, 7])
def test_an_announced_length_is_not_believed(node: Listening, pdu_type: int) -> None:
    with connected(node.peer) as connection:
        connection.sendall(header(pdu_type, 200 << 20))
        assert answer(connection)[0] == ABORTED


def test_a_request_with_ten_thousand_items_is_not_read(
    node: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    items = b"\x20\x00\x00\x00" * 10_000
    with connected(node.peer) as connection:
        connection.sendall(header(1, 68 + len(items)) + bytes(68) + items)
        assert ends(connection)
    assert "more than 128 presentation contexts were proposed" in caplog.text


@pytest.mark.parametrize("nonsense", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x01", b""])
def test_a_connection_that_speaks_something_else_ends(node: Listening, nonsense: bytes) -> None:
    with connected(node.peer) as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        assert ends(connection)


def test_a_connection_that_ends_early_makes_room_at_once(tmp_path: Path) -> None:
    with listening(tmp_path, node=settings(acse_timeout_seconds=600)) as node:
        for _ in range(3):
            with connected(node.peer) as connection:
                eventually(lambda: node.server.active_associations)
                connection.shutdown(socket.SHUT_WR)
                assert ends(connection)
            eventually(lambda: not node.server.active_associations)


def test_a_damaged_request_leaves_no_thread_behind(node: Listening) -> None:
    request = association_request(node.peer)
    before = threading.active_count()
    for cut in (76, 90, 120, 160, len(request) - 1):
        with connected(node.peer) as connection:
            connection.sendall(header(1, cut - 6) + request[6:cut])
            assert ends(connection)
    for place in range(74, len(request), 7):
        with connected(node.peer) as connection:
            connection.sendall(request[:place] + b"\xff" + request[place + 1 :])
            connection.shutdown(socket.SHUT_WR)
            assert ends(connection)
    eventually(lambda: threading.active_count() <= before)


@pytest.mark.parametrize(
    "pdu",
    [
        data_pdu(fragment(COMMAND_END, b"\0\0\0\1\2\0\0\0\xff\xff")),
        data_pdu(fragment(COMMAND_END, b"")),
        data_pdu(fragment(DATA_SET | 2, b"data set without a command")),
        data_pdu(fragment(COMMAND_END, b"\xff" * 50)),
        header(4, 6) + b"\xff" * 6,
        header(2, 80) + bytes(80),
    ],
)
def test_nonsense_on_an_association_ends_it(node: Listening, pdu: bytes) -> None:
    with associated(node.peer) as connection:
        connection.sendall(pdu)
        assert ends(connection)


def test_a_data_set_without_end_is_aborted_at_the_limit(
    node: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    with associated(node.peer) as connection:
        connection.sendall(data_pdu(fragment(COMMAND_END, store_command())))
        piece = data_pdu(fragment(DATA_SET, bytes(65_536)))
        sent = _send_until_refused(connection, piece, most=1000)
        assert sent < 1000
        assert answer(connection)[0] in (ABORTED, 0)
    assert f"a data set is longer than {LIMIT_BYTES} bytes" in caplog.text
    assert node.kept() == []


def test_a_command_set_without_end_is_aborted(node: Listening) -> None:
    with associated(node.peer) as connection:
        piece = data_pdu(fragment(COMMAND, bytes(LARGEST_COMMAND_SET_BYTES // 2)))
        assert _send_until_refused(connection, piece, most=1000) < 1000


def _send_until_refused(connection: socket.socket, piece: bytes, *, most: int) -> int:
    for number in range(most):
        try:
            connection.sendall(piece)
        except ConnectionError:
            return number
    return most


def test_a_deflate_bomb_gets_a_status(node: Listening) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(bytes(64 << 20)) + packer.flush()
    with associated(node.peer, syntax=DEFLATED) as connection:
        for pdu in store_request(bomb):
            connection.sendall(pdu)
        pdu_type, content = answer(connection)
    assert pdu_type == 4
    assert (0xC000).to_bytes(2, "little") in content
    assert node.kept() == []


@pytest.mark.parametrize("name", ["many", "deep"])
def test_many_elements_and_deep_sequences_get_a_status(node: Listening, name: str) -> None:
    element = b"\x11\x00\x01\x00UN\0\0\0\0\0\0"
    sequence = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    data_set = element * 80_000 if name == "many" else sequence * 5_000
    with associated(node.peer) as connection:
        for pdu in store_request(data_set):
            connection.sendall(pdu)
        pdu_type, content = answer(connection, seconds=60)
    assert pdu_type == 4
    assert (0xC000).to_bytes(2, "little") in content or (0xA900).to_bytes(2, "little") in content
    assert node.kept() == []


def test_requests_that_do_not_wait_are_left_in_the_network(node: Listening) -> None:
    """The listener reads the next request when it has answered the one before."""
    data_set = encoded(IMAGES[0])
    most_held = 0

    def held() -> int:
        return max(
            (each.dimse.msg_queue.qsize() for each in node.server.active_associations), default=0
        )

    with associated(node.peer) as connection:
        requests = b"".join(store_request(data_set, IMAGES[0].SOPInstanceUID)) * 40
        sender = threading.Thread(target=connection.sendall, args=(requests,))
        sender.start()
        for _ in range(40):
            most_held = max(most_held, held())
            assert answer(connection)[0] == 4
        sender.join()
    assert most_held <= 1
    assert len(node.kept()) == 1


def test_half_open_connections_are_counted_when_they_are_accepted(tmp_path: Path) -> None:
    limits = settings(max_connections=12, max_connections_per_address=8, acse_timeout_seconds=60)
    with listening(tmp_path, node=limits) as node:
        crowd = [
            socket.create_connection((node.peer.host, node.peer.port), source_address=(ATTACKER, 0))
            for _ in range(50)
        ]
        eventually(lambda: sum(_is_closed(each) for each in crowd) == 42)
        assert others_are_served(node)
        eventually(lambda: len(node.server.active_associations) == 8)
        others = [
            socket.create_connection(
                (node.peer.host, node.peer.port), source_address=("127.0.0.3", 0)
            )
            for _ in range(8)
        ]
        eventually(lambda: sum(_is_closed(each) for each in others) == 4)
        for each in (*crowd, *others):
            each.close()
        eventually(lambda: not node.server.active_associations)
        assert others_are_served(node)


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.001)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_mute_tls_client_holds_up_nobody(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "certificates")
    tls = made.tls(handshake_timeout_seconds=2)
    caller = caller_of(Settings(tls=made.tls("ct1")))
    with (
        listening(tmp_path, node=settings(tls=True), tls=tls) as node,
        connected(node.peer, source=ATTACKER) as mute,
    ):
        assert echo(node.peer, caller=caller) > 0
        assert ends(mute)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "SECONDS_FOR_A_PDU", 1.0)


@pytest.mark.usefixtures("impatient")
def test_half_a_pdu_is_not_waited_for(tmp_path: Path) -> None:
    with listening(tmp_path, node=settings()) as node:
        with connected(node.peer) as connection:
            connection.sendall(b"\x01\0\0")
            assert ends(connection)
        with associated(node.peer) as connection:
            connection.sendall(data_pdu(fragment(COMMAND, bytes(100)))[:-1])
            assert ends(connection)


@pytest.mark.parametrize("pdu", [data_pdu(), data_pdu(fragment(COMMAND, b"x"))])
def test_small_pdus_keep_no_association_alive(tmp_path: Path, pdu: bytes) -> None:
    limits = settings(network_timeout_seconds=1)
    with listening(tmp_path, node=limits) as node, associated(node.peer) as connection:
        eventually(lambda: not _is_taken(connection, pdu))
        assert ends(connection)


def _is_taken(connection: socket.socket, pdu: bytes) -> bool:
    try:
        connection.sendall(pdu)
    except ConnectionError:
        return False
    return True


def test_an_idle_association_ends(tmp_path: Path) -> None:
    limits = settings(network_timeout_seconds=1)
    with listening(tmp_path, node=limits) as node, associated(node.peer) as connection:
        assert answer(connection)[0] == ABORTED


@pytest.mark.usefixtures("impatient")
def test_a_peer_that_does_not_read_its_answers_is_left(tmp_path: Path) -> None:
    limits = settings(network_timeout_seconds=60)
    with listening(tmp_path, node=limits) as node, associated(node.peer) as connection:
        (association,) = node.server.active_associations
        transport = association.dul.socket
        assert isinstance(transport, AssociationSocket)
        assert transport.socket is not None
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2048)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        request = b"".join(store_request(b"no data set"))
        send = partial(_send_until_refused, connection, request, most=10_000)
        threading.Thread(target=send, daemon=True).start()
        eventually(lambda: not node.server.active_associations)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_an_identifier_with_a_path_leaves_the_folder_alone(node: Listening) -> None:
    with associated(node.peer) as connection:
        for pdu in store_request(encoded(IMAGES[0]), "../../../escaped"):
            connection.sendall(pdu)
        assert (0xC000).to_bytes(2, "little") in answer(connection)[1]
    assert not list(node.folder.parent.rglob("*escaped*"))
    assert node.kept() == []


def test_nothing_of_a_foreign_preamble_is_kept(node: Listening) -> None:
    """A C-STORE carries no preamble; what lies before a data set is no data set."""
    assert store(node.peer, IMAGES[:1]) == [0]
    (file,) = node.kept()
    assert file.read_bytes()[:132] == bytes(128) + b"DICM"
    with associated(node.peer) as connection:
        for pdu in store_request(b"MZ" + bytes(126) + b"DICM" + encoded(IMAGES[1])):
            connection.sendall(pdu)
        assert (0x0000).to_bytes(2, "little") in answer(connection)[1]
    assert node.kept() == [file]
