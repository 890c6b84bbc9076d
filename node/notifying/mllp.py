"""One attempt to tell an HL7 v2 receiver over MLLP: a message in its frame, and the answer read.

The frame is that of MLLP release 1: a vertical tab before, a file separator and a carriage return
after. What is answered is foreign: it is read up to a limit and a time, and never quoted.
"""

import socket
import ssl
import time

from config.errors import PeerRefusedError, PeerUnavailableError
from config.settings import HL7ReceiverSettings
from node.tls import fault_of

START, END = b"\x0b", b"\x1c\r"
MOST_BYTES = 1 << 16
ACCEPTED = ("AA", "CA")
ANSWERS = {
    "AE": "it could not process the message",
    "AR": "it rejects the message",
    "CE": "it could not process the message",
    "CR": "it rejects the message",
}
"""MSA-1 (HL7 table 0008)."""


def send_by_mllp(
    message: str, receiver: HL7ReceiverSettings, *, message_id: str, tls: ssl.SSLContext | None
) -> None:
    """Send a message, and wait until it is acknowledged.

    Raises
    ------
    PeerUnavailableError
        If there is no connection, no acknowledgement, or one that it was not taken.
    PeerRefusedError
        If one side does not accept the certificate of the other.
    """
    address = (receiver.host, receiver.port)
    try:
        with socket.create_connection(address, receiver.timeout_seconds) as plain:
            connection: socket.socket = plain
            if receiver.tls and tls is not None:
                connection = tls.wrap_socket(plain, server_hostname=receiver.host)
            connection.sendall(START + message.encode() + END)
            answer = _read(connection, seconds=receiver.timeout_seconds)
    except OSError as error:
        fault = fault_of(error)
        if fault:
            raise PeerRefusedError(f"no TLS connection with {receiver.address}: {fault}") from error
        raise PeerUnavailableError(
            f"{receiver.address} is away, or did not answer in time ({type(error).__name__})"
        ) from error
    said, answered = _acknowledgement(answer)
    if answered != message_id:
        raise PeerUnavailableError(f"{receiver.address} did not acknowledge the message")
    if said not in ACCEPTED:
        words = ANSWERS.get(said, "it answered something else")
        raise PeerUnavailableError(f"{receiver.address} did not take the message: {words}")


def _read(connection: socket.socket, *, seconds: float) -> bytes:
    """Read one framed message; empty if there is none within the bounds."""
    until = time.monotonic() + seconds
    content = b""
    while END not in content and len(content) <= MOST_BYTES and time.monotonic() < until:
        chunk = connection.recv(4096)
        if not chunk:
            break
        content += chunk
    start, end = content.find(START), content.find(END)
    return content[start + 1 : end] if 0 <= start < end else b""


def _acknowledgement(answer: bytes) -> tuple[str, str]:
    """Read MSA-1 and MSA-2: what is said, and of which message; empty if there is none."""
    for segment in answer.decode("utf-8", "replace").split("\r"):
        if segment[:3] == "MSA" and len(segment) > 3:
            fields = segment.split(segment[3])
            return (fields[1], fields[2]) if len(fields) > 2 else ("", "")
    return "", ""
