"""An audit record repository: a real syslog server over TLS that can be told to die."""

import contextlib
import re
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from xml.etree import ElementTree as ET

RESET = struct.pack("ii", 1, 0)
FRAME = re.compile(rb"(\d+) ")


@dataclass
class ReceivedMessages:
    """What a repository read, in order; a repetition counts each time."""

    port: int = 0
    frames: list[bytes] = field(default_factory=list)
    dies_after: int | None = None
    """So many frames are read, then the connection is reset with the rest unread; once."""
    closes_tls: bool = True
    """Whether the close of TLS is answered, or the stream just ends."""

    def texts(self) -> list[str]:
        """Outcome descriptions of the messages, in order of arrival."""
        roots = [ET.fromstring(self.xml(frame)) for frame in self.frames]  # noqa: S314
        return [root.findtext(".//EventOutcomeDescription") or "" for root in roots]

    @staticmethod
    def xml(frame: bytes) -> str:
        """MSG part of a frame, without its byte order mark."""
        return frame.partition(b"\xef\xbb\xbf")[2].decode()


@contextmanager
def running_repository(context: ssl.SSLContext, *, port: int = 0) -> Iterator[ReceivedMessages]:
    """Run a repository on loopback."""
    received = ReceivedMessages()
    with socket.create_server(("127.0.0.1", port)) as listening:
        received.port = listening.getsockname()[1]
        thread = threading.Thread(target=_serve, args=(listening, context, received))
        thread.start()
        try:
            yield received
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, context: ssl.SSLContext, received: ReceivedMessages) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        plain.settimeout(10)
        try:
            with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as tls:
                _read(tls, received)
        finally:
            plain.close()


def _read(connection: ssl.SSLSocket, received: ReceivedMessages) -> None:
    held = b""
    while True:
        try:
            piece = connection.recv(256)
        except ssl.SSLZeroReturnError:
            piece = b""
        if not piece:
            if received.closes_tls:
                connection.unwrap()
            return
        held += piece
        while (match := FRAME.match(held)) and len(held) >= match.end() + int(match[1]):
            received.frames.append(held[match.end() : match.end() + int(match[1])])
            held = held[match.end() + int(match[1]) :]
            if received.dies_after is not None and len(received.frames) >= received.dies_after:
                received.dies_after = None
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
