"""What a compressed frame says about itself, read before any decoder sees it."""

import struct
from typing import NamedTuple

from config.errors import UnreadableInputError

_SOI = b"\xff\xd8"
_SIZ = b"\xff\x4f\xff\x51"
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
"""Second byte of SOF0 to SOF15 (ISO 10918-1) and of JPEG-LS's SOF55 (ISO 14495-1)."""


class Codestream(NamedTuple):
    """What the header of a JPEG, JPEG-LS or JPEG 2000 codestream announces."""

    rows: int
    columns: int
    components: int
    precision: int
    is_signed: bool


def codestream_of(frame: bytes) -> Codestream:
    """Read what the header of a codestream announces.

    Parameters
    ----------
    frame
        An encoded frame: JPEG (ISO 10918-1, B.2.2), JPEG-LS (ISO 14495-1, C.2.2) or JPEG 2000
        (ISO 15444-1, A.5.1).

    Raises
    ------
    UnreadableInputError
        If it starts with none of them.
    """
    try:
        return _jpeg(frame) if frame.startswith(_SOI) else _jpeg_2000(frame)
    except (IndexError, struct.error) as error:
        raise UnreadableInputError("a frame has no codestream header") from error


def _jpeg(frame: bytes) -> Codestream:
    position = 2
    while True:
        marker = frame[position + 1]
        if frame[position] != 0xFF or marker == 0xDA:
            raise UnreadableInputError("a frame has no codestream header")
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        (length,) = struct.unpack_from(">H", frame, position + 2)
        if marker in _START_OF_FRAME:
            precision, rows, columns, components = struct.unpack_from(">BHHB", frame, position + 4)
            return Codestream(rows, columns, components, precision, is_signed=False)
        position += 2 + length


def _jpeg_2000(frame: bytes) -> Codestream:
    # some senders wrap the codestream in a JP2 file
    start = frame.find(_SIZ)
    if start < 0:
        raise UnreadableInputError("a frame has no codestream header")
    right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
    components, depth = struct.unpack_from(">HB", frame, start + 40)
    return Codestream(
        bottom - top, right - left, components, (depth & 0x7F) + 1, is_signed=bool(depth & 0x80)
    )
