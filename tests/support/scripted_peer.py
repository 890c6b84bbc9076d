"""A DICOM peer written out in bytes (PS3.8 9.3), which says whatever a test wants it to say."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from node.peers import Peer

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ = 0x01, 0x02, 0x03
P_DATA, RELEASE_RQ, RELEASE_RP, ABORT = 0x04, 0x05, 0x06, 0x07
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
LAST_OF_A_COMMAND = 0x03


@dataclass(frozen=True)
class Proposed:
    """A presentation context of a request."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


class Conversation:
    """One connection, from the side of the peer."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def receive(self) -> tuple[int, bytes]:
        """Read one PDU; its type and what follows its length."""
        kind, _, length = struct.unpack(">BBI", self._exactly(6))
        return kind, self._exactly(length)

    def send(self, kind: int, body: bytes) -> None:
        self._connection.sendall(struct.pack(">BBI", kind, 0, len(body)) + body)

    def wait_for(self, kind: int) -> bytes:
        while True:
            found, body = self.receive()
            if found == kind:
                return body

    def reject(self, result: int, source: int, reason: int) -> None:
        """Answer A-ASSOCIATE-RJ (PS3.8 9.3.4), and let the caller close the connection."""
        self.wait_for(ASSOCIATE_RQ)
        self.send(ASSOCIATE_RJ, bytes((0, result, source, reason)))
        self.receive()

    def abort(self) -> None:
        """Send A-ABORT as the service user (PS3.8 9.3.8)."""
        self.send(ABORT, bytes(4))

    def accept(self, results: Callable[[Proposed], int] = lambda _: 0) -> None:
        """Answer A-ASSOCIATE-AC with a result for each context (PS3.8 9.3.3)."""
        request = self.wait_for(ASSOCIATE_RQ)
        items = _item(0x10, APPLICATION_CONTEXT)
        for each in proposed(request):
            chosen = _item(0x40, each.transfer_syntaxes[0].encode())
            items += _item(0x21, bytes((each.context_id, 0, results(each), 0)) + chosen)
        items += _item(0x50, _item(0x51, struct.pack(">I", 16_384)) + _item(0x52, b"1.2.3.4"))
        self.send(ASSOCIATE_AC, request[:68] + items)

    def release(self) -> None:
        """Wait until the caller releases the association, and agree."""
        self.wait_for(RELEASE_RQ)
        self.send(RELEASE_RP, bytes(4))

    def respond_without_status(self) -> None:
        """Wait for a whole C-STORE request, and answer it without (0000,0900)."""
        context_id = self.wait_for_store()
        elements = b"".join(
            (
                _element(0x0002, b"1.2.840.10008.5.1.4.1.1.66.4"),
                _element(0x0100, struct.pack("<H", 0x8001)),
                _element(0x0120, struct.pack("<H", 1)),
                _element(0x0800, struct.pack("<H", 0x0101)),
            )
        )
        command = _element(0x0000, struct.pack("<I", len(elements))) + elements
        value = bytes((context_id, LAST_OF_A_COMMAND)) + command
        self.send(P_DATA, struct.pack(">I", len(value)) + value)

    def wait_for_store(self) -> int:
        """Wait for a command and its data set; the presentation context of both."""
        while True:
            body = self.wait_for(P_DATA)
            context_id, header = body[4], body[5]
            if header == 0x02:  # the last fragment of a data set
                return context_id

    def _exactly(self, num_bytes: int) -> bytes:
        found = b""
        while len(found) < num_bytes:
            part = self._connection.recv(num_bytes - len(found))
            if not part:
                raise ConnectionError("the caller hung up")
            found += part
        return found


Script = Callable[[Conversation], None]


@contextmanager
def scripted_peer(script: Script) -> Iterator[Peer]:
    """Run a peer on loopback that goes through a script with each caller, and then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):  # the listener is closed at the end
                while True:
                    connection, _ = listener.accept()
                    connection.settimeout(10)
                    with connection, suppress(ConnectionError, TimeoutError):
                        script(Conversation(connection))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Peer("PACS", "127.0.0.1", listener.getsockname()[1])
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def proposed(request: bytes) -> list[Proposed]:
    """Presentation contexts of an A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    contexts = []
    for kind, body in _items(request[68:]):
        if kind == 0x20:
            inner = list(_items(body[4:]))
            syntaxes = tuple(value.decode() for inner_kind, value in inner if inner_kind == 0x40)
            contexts.append(Proposed(body[0], inner[0][1].decode(), syntaxes))
    return contexts


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    while content:
        kind, _, length = struct.unpack(">BBH", content[:4])
        yield kind, content[4 : 4 + length]
        content = content[4 + length :]


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def _element(number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value
