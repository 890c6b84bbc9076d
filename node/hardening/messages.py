"""C-STORE messages as bytes: put together from their fragments, and answered (PS3.7 9.3.1).

The bytes of a data set are copied once, from the PDUs that brought them. Nothing here knows
pynetdicom.
"""

import struct
from dataclasses import dataclass

from node.hardening.bounds import PDUType

C_STORE_RQ = 0x0001
C_STORE_RSP = 0x8001
NO_DATA_SET = 0x0101
LAST_OF_COMMAND, LAST_OF_DATA_SET = b"\x03", b"\x02"
MOST_COMMENT_CHARACTERS = 64

AFFECTED_SOP_CLASS_UID = 0x0002
COMMAND_FIELD = 0x0100
MESSAGE_ID = 0x0110
MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
COMMAND_DATA_SET_TYPE = 0x0800
STATUS = 0x0900
ERROR_COMMENT = 0x0902
AFFECTED_SOP_INSTANCE_UID = 0x1000


@dataclass(frozen=True)
class Message:
    """A DIMSE message as it came.

    Attributes
    ----------
    context_id
        Presentation context.
    command_set, data_set
        Encoded; the data set is empty if the message has none.
    """

    context_id: int
    command_set: bytes
    data_set: bytes


class Assembly:
    """Puts messages together from the fragments of P-DATA-TF (PS3.8 Annex E)."""

    def __init__(self) -> None:
        self._command: list[memoryview] = []
        self._data: list[memoryview] = []
        self._has_command = False

    @property
    def is_empty(self) -> bool:
        """Whether no message has begun."""
        return not (self._command or self._has_command)

    def take(self, body: bytes | bytearray) -> list[Message]:
        """Add a P-DATA-TF, without its type and length; give back what it completes.

        Raises
        ------
        ValueError
            If fragments are not in the order that a message has, or the command set is malformed.
        """
        view, offset, complete = memoryview(body), 0, []
        while offset < len(view):
            length, context_id, control = struct.unpack_from(">IBB", view, offset)
            fragment = view[offset + 6 : offset + 4 + length]
            offset += 4 + length
            if self._take(fragment, is_command=bool(control & 1), is_last=bool(control & 2)):
                complete.append(self._message(context_id))
        return complete

    def _take(self, fragment: memoryview, *, is_command: bool, is_last: bool) -> bool:
        """Add a fragment; whether the message is complete with it."""
        if is_command == self._has_command:
            raise ValueError("a fragment is not of the part of the message that is due")
        if not is_command:
            self._data.append(fragment)
            return is_last
        self._command.append(fragment)
        if is_last:
            self._has_command = True
            elements = command_elements(b"".join(self._command))
            kind = number_of(elements, COMMAND_DATA_SET_TYPE)
            if kind is None or number_of(elements, COMMAND_FIELD) is None:
                raise ValueError("a command set does not say what it is")
            return kind == NO_DATA_SET
        return False

    def _message(self, context_id: int) -> Message:
        """Take out the message that is complete."""
        message = Message(context_id, b"".join(self._command), b"".join(self._data))
        self._command, self._data, self._has_command = [], [], False
        return message


def command_elements(command_set: bytes) -> dict[int, bytes]:
    """Read a command set, which is in Implicit VR Little Endian (PS3.7 6.3.1), by element number.

    Raises
    ------
    ValueError
        If an element is cut short, or of another group.
    """
    elements, offset = {}, 0
    while offset < len(command_set):
        if offset + 8 > len(command_set):
            raise ValueError("an element of a command set is cut short")
        group, element, length = struct.unpack_from("<HHI", command_set, offset)
        offset += 8
        if group or offset + length > len(command_set):
            raise ValueError("an element of a command set is malformed")
        elements[element] = command_set[offset : offset + length]
        offset += length
    return elements


def number_of(elements: dict[int, bytes], element: int) -> int | None:
    """Read an element with one unsigned number of 16 bits (VR US)."""
    value = elements.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def text_of(elements: dict[int, bytes], element: int) -> str:
    """Read an element with a text in ASCII; what is not ASCII is replaced."""
    return elements.get(element, b"").decode("ascii", "replace").strip(" \0")


def store_response(
    context_id: int, request: dict[int, bytes], *, status: int, comment: str, most_bytes: int
) -> bytes:
    """Write the P-DATA-TF that answers a C-STORE request (PS3.7 9.3.1.2, PS3.8 9.3.5).

    Parameters
    ----------
    request
        `command_elements` of the request.
    status, comment
        The answer; the comment is cut to what Error Comment holds.
    most_bytes
        Longest PDU that the peer takes; 0 if it takes any.
    """
    elements = [
        (AFFECTED_SOP_CLASS_UID, request.get(AFFECTED_SOP_CLASS_UID, b"")),
        (COMMAND_FIELD, struct.pack("<H", C_STORE_RSP)),
        (MESSAGE_ID_BEING_RESPONDED_TO, request.get(MESSAGE_ID, b"\0\0")),
        (COMMAND_DATA_SET_TYPE, struct.pack("<H", NO_DATA_SET)),
        (STATUS, struct.pack("<H", status)),
        (AFFECTED_SOP_INSTANCE_UID, request.get(AFFECTED_SOP_INSTANCE_UID, b"")),
    ]
    if comment:
        text = comment[:MOST_COMMENT_CHARACTERS].encode("ascii", "replace")
        elements.insert(5, (ERROR_COMMENT, text + b" " * (len(text) % 2)))
    encoded = b"".join(
        struct.pack("<HHI", 0, element, len(value)) + value for element, value in elements
    )
    command_set = struct.pack("<HHII", 0, 0, 4, len(encoded)) + encoded
    room = max(most_bytes - 6, 1) if most_bytes else len(command_set)
    pieces = [command_set[start : start + room] for start in range(0, len(command_set), room)]
    return b"".join(
        _p_data(context_id, piece, is_last=number == len(pieces))
        for number, piece in enumerate(pieces, start=1)
    )


def _p_data(context_id: int, piece: bytes, *, is_last: bool) -> bytes:
    """Write a PDU with one fragment of a command set."""
    num_bytes = len(piece) + 2
    control = 3 if is_last else 1
    pdu_type = PDUType.P_DATA_TF
    return (
        struct.pack(">BBIIBB", pdu_type, 0, num_bytes + 4, num_bytes, context_id, control) + piece
    )
