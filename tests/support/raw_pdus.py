"""A peer that writes PDUs by itself: what no honest implementation would send."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pynetdicom import build_context
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from node.peers import Peer

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ACCEPTED, REJECTED, DATA, ABORTED = 2, 3, 4, 7
"""Types of PDU that a listener answers."""
SHORTER_THAN_A_PDU = 65_536
COMMAND, COMMAND_END, DATA_SET, DATA_SET_END = 1, 3, 0, 2
"""Message control headers (PS3.8 E.2)."""


def header(pdu_type: int, length: int) -> bytes:
    """Type and announced length of a PDU."""
    return struct.pack(">BBL", pdu_type, 0, length)


def fragment(control: int, content: bytes) -> bytes:
    """A presentation data value of the first presentation context."""
    return struct.pack(">LBB", len(content) + 2, 1, control) + content


def data_pdu(*fragments: bytes) -> bytes:
    """A P-DATA-TF of fragments."""
    content = b"".join(fragments)
    return header(DATA, len(content)) + content


def association_request(
    peer: Peer, *, ae_title: str = "CT1", syntax: str = EXPLICIT_LITTLE_ENDIAN
) -> bytes:
    """An A-ASSOCIATE-RQ for CT images, as an honest peer sends it."""
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = ae_title, peer.ae_title
    context = build_context(CT_IMAGE, syntax)
    context.context_id = 1
    request.presentation_context_definition_list = [context]
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16_384
    implementation.implementation_class_uid = "1.2.3"
    request.user_information = [length, implementation]
    return bytes(A_ASSOCIATE_RQ(request).encode())


def store_command(sop_instance_uid: str = "1.2.3.4", *, message_id: int = 1) -> bytes:
    """The encoded command set of a C-STORE-RQ."""
    request = C_STORE()
    request.MessageID = message_id
    request.AffectedSOPClassUID = CT_IMAGE
    request.AffectedSOPInstanceUID = "1.2.3.4"
    request.Priority = 2
    request.DataSet = None
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    command = message.command_set
    command.CommandDataSetType = 1
    # no library writes what is no UID
    content = sop_instance_uid.encode() + b"\0" * (len(sop_instance_uid) % 2)
    command.AffectedSOPInstanceUID = ""
    empty = struct.pack("<HHL", 0x0000, 0x1000, 0)
    full = struct.pack("<HHL", 0x0000, 0x1000, len(content)) + content
    command.CommandGroupLength = 0
    elements = bytes(encode(command, True, True) or b"").replace(empty, full)
    return struct.pack("<HHLL", 0x0000, 0x0000, 4, len(elements) - 12) + elements[12:]


def store_request(data_set: bytes, sop_instance_uid: str = "1.2.3.4") -> Iterator[bytes]:
    """The PDUs of a C-STORE-RQ."""
    yield data_pdu(fragment(COMMAND_END, store_command(sop_instance_uid)))
    for start in range(0, max(len(data_set), 1), SHORTER_THAN_A_PDU):
        piece = data_set[start : start + SHORTER_THAN_A_PDU]
        is_last = start + SHORTER_THAN_A_PDU >= len(data_set)
        yield data_pdu(fragment(DATA_SET_END if is_last else DATA_SET, piece))


@contextmanager
def connected(
    peer: Peer, *, source: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[socket.socket]:
    """Open a connection from one of this machine's addresses."""
    plain = socket.create_connection((peer.host, peer.port), 10, source_address=(source, 0))
    connection = plain if tls is None else tls.wrap_socket(plain, server_hostname=peer.host)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def associated(
    peer: Peer,
    *,
    source: str = "127.0.0.1",
    ae_title: str = "CT1",
    syntax: str = EXPLICIT_LITTLE_ENDIAN,
) -> Iterator[socket.socket]:
    """Open an association; it is never released."""
    with connected(peer, source=source) as connection:
        connection.sendall(association_request(peer, ae_title=ae_title, syntax=syntax))
        assert answer(connection)[0] == ACCEPTED
        yield connection


def answer(connection: socket.socket, *, seconds: float = 30.0) -> tuple[int, bytes]:
    """Read one PDU: its type and content; type 0 when the connection ends.

    Raises
    ------
    TimeoutError
        If nothing comes in time.
    """
    connection.settimeout(seconds)
    try:
        head = _exactly(connection, 6)
        pdu_type, _, length = struct.unpack(">BBL", head)
        return pdu_type, _exactly(connection, length)
    except ConnectionError:
        return 0, b""


def ends(connection: socket.socket, *, seconds: float = 60.0) -> bool:
    """Whether the listener ends a connection, after whatever it still says."""
    with suppress(TimeoutError):
        while answer(connection, seconds=seconds)[0]:
            pass
        return True
    return False


def _exactly(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        piece = connection.recv(size - len(content))
        if not piece:
            raise ConnectionError
        content += piece
    return content
