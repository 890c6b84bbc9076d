"""A received image as a file (PS3.10): what precedes its data set, and the way back."""

import struct
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from node.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from node.reception import Request

PREAMBLE = bytes(128) + b"DICM"
"""PS3.10 7.1; zeros, so that no received file can pass for a program (CVE-2019-11687)."""
GROUP_LENGTH_BYTES = 12
"""File Meta Information Group Length (0002,0000): tag, VR, length, UL."""
GROUP = 0x0002
MEDIA_STORAGE_SOP_CLASS_UID = 0x0002
MEDIA_STORAGE_SOP_INSTANCE_UID = 0x0003
TRANSFER_SYNTAX_UID = 0x0010
IMPLEMENTATION_CLASS = 0x0012
IMPLEMENTATION_VERSION = 0x0013
SOURCE_APPLICATION_ENTITY_TITLE = 0x0016


@dataclass(frozen=True)
class Received:
    """A C-STORE request as a file keeps it.

    Attributes
    ----------
    request
        What was asked for.
    calling_ae_title
        By whom; empty if the file does not say it.
    """

    request: Request
    calling_ae_title: str


def preceding(request: Request, *, calling_ae_title: str) -> bytes:
    """Write preamble and file meta information (PS3.10 7.1); the data set follows as it came."""
    elements = (
        _element(MEDIA_STORAGE_SOP_CLASS_UID, b"UI", request.sop_class_uid),
        _element(MEDIA_STORAGE_SOP_INSTANCE_UID, b"UI", request.sop_instance_uid),
        _element(TRANSFER_SYNTAX_UID, b"UI", request.transfer_syntax_uid),
        _element(IMPLEMENTATION_CLASS, b"UI", IMPLEMENTATION_CLASS_UID),
        _element(IMPLEMENTATION_VERSION, b"SH", IMPLEMENTATION_VERSION_NAME),
        _element(SOURCE_APPLICATION_ENTITY_TITLE, b"AE", calling_ae_title),
    )
    version = struct.pack("<HH2sHI2s", GROUP, 0x0001, b"OB", 0, 2, b"\0\1")
    group = version + b"".join(elements)
    return PREAMBLE + struct.pack("<HH2sHI", GROUP, 0, b"UL", 4, len(group)) + group


def data_set_of(content: bytes) -> bytes:
    """Leave out what `preceding` put before the data set."""
    start = len(PREAMBLE) + GROUP_LENGTH_BYTES
    return content[start + int.from_bytes(content[start - 4 : start], "little") :]


def read(content: bytes) -> Received | None:
    """Read back what `preceding` and a data set make; None if it is no such file."""
    try:
        data_set = data_set_of(content)
        if not data_set:
            return None
        meta = dcmread(BytesIO(content[: len(content) - len(data_set)])).file_meta
        request = Request(
            sop_class_uid=str(meta.MediaStorageSOPClassUID),
            sop_instance_uid=str(meta.MediaStorageSOPInstanceUID),
            transfer_syntax_uid=str(meta.TransferSyntaxUID),
            data_set=data_set,
        )
        return Received(request, str(meta.get("SourceApplicationEntityTitle", "")).strip())
    except (InvalidDicomError, AttributeError, EOFError, ValueError, struct.error):
        return None


def _element(element: int, vr: bytes, text: str) -> bytes:
    """Write an element in Explicit VR Little Endian (PS3.5 7.1.2), padded to even length."""
    value = text.encode("ascii", "replace")
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", GROUP, element, vr, len(value)) + value
