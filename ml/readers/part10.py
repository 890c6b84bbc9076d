"""DICOM files (PS3.10) read within bounds, whatever they contain.

pydicom inflates without a limit, nests without a limit, decodes values late and quotes them in its
warnings and errors. Here every value is decoded once, where a fault can be contained, and a value
that cannot be decoded counts as absent: whether it was needed, those decide who need it.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset, read_preamble
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from config.errors import UnreadableInputError

LARGEST_FILE_BYTES = (2 << 30) + (64 << 20)
"""The largest pixel data that is decoded, and a header."""
LARGEST_VALUE_BYTES = 1 << 20
"""Longer values are left out of headers: no attribute of a CT image that is read has such."""
MOST_ELEMENTS = 100_000
DEEPEST_SEQUENCE = 16

_PIXEL_GROUP = 0x7FE0
# what pydicom raises on foreign bytes: one of these, whatever the value representation
_FOREIGN_FAULTS = (
    ArithmeticError,
    AttributeError,
    BytesLengthException,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
)


def inflate(encoded: bytes, limit: int) -> bytes:
    """Inflate a deflated data set (PS3.5 A.5, RFC 1951).

    Parameters
    ----------
    encoded
        The deflated bytes; a padding byte at the end is ignored.
    limit
        The most bytes that may come out.

    Raises
    ------
    UnreadableInputError
        If more would come out, or if the bytes are no whole deflated stream.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(encoded, limit + 1)
    except zlib.error as error:
        raise UnreadableInputError("a deflated data set cannot be inflated") from error
    if len(inflated) > limit:
        raise UnreadableInputError(f"a deflated data set inflates to more than {limit} bytes")
    if not stream.eof:
        raise UnreadableInputError("a deflated data set is cut short")
    return inflated


def read_header(file: Path) -> Dataset:
    """Read a data set up to its pixel data.

    Returns
    -------
    Dataset
        With its file meta information; every value decoded. Values that cannot be decoded or are
        longer than `LARGEST_VALUE_BYTES` are left out.

    Raises
    ------
    UnreadableInputError
        If the file is no DICOM file, cannot be parsed, or exceeds a limit.
    """
    return _read(file, header_only=True)


def read_with_pixels(file: Path) -> Dataset:
    """Read a whole data set, its values not yet decoded.

    Raises
    ------
    UnreadableInputError
        If the file is no DICOM file, cannot be parsed, or exceeds a limit.
    """
    return _read(file, header_only=False)


def _read(file: Path, *, header_only: bool) -> Dataset:
    try:
        with file.open("rb") as stream, quiet():
            meta, body = _opened(stream, file.stat().st_size)
            syntax = meta.TransferSyntaxUID
            dataset = read_dataset(
                body,
                is_implicit_VR=syntax.is_implicit_VR,
                is_little_endian=syntax.is_little_endian,
                stop_when=_at_pixels if header_only else None,
                defer_size=LARGEST_VALUE_BYTES if header_only else None,
            )
            if header_only:
                _settle(dataset, MOST_ELEMENTS)
    except UnreadableInputError:
        raise
    except Exception as error:  # pydicom raises anything on foreign bytes
        raise UnreadableInputError("a file cannot be parsed as DICOM") from error
    if not dataset:
        raise UnreadableInputError("a file holds no data set")
    dataset.file_meta = meta
    return dataset


def _opened(stream: BinaryIO, size: int) -> tuple[FileMetaDataset, BinaryIO]:
    """Read the file meta information (PS3.10 7.1); give back the stream of the data set proper."""
    if size > LARGEST_FILE_BYTES:
        raise UnreadableInputError(f"a file has {size} bytes, the limit is {LARGEST_FILE_BYTES}")
    read_preamble(stream, force=False)
    group = read_dataset(
        stream, is_implicit_VR=False, is_little_endian=True, stop_when=_after_file_meta
    )
    meta = FileMetaDataset(group)
    syntax = UID(str(meta.TransferSyntaxUID))
    if not syntax.is_transfer_syntax:
        raise UnreadableInputError("Transfer Syntax UID names none that is known")
    if syntax == DeflatedExplicitVRLittleEndian:
        return meta, BytesIO(inflate(stream.read(), LARGEST_FILE_BYTES))
    return meta, stream


def _after_file_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 0x0002


def _at_pixels(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group >= _PIXEL_GROUP


@contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom from quoting values, which may be patient data, in warnings."""
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def _settle(dataset: Dataset, room: int, depth: int = 0) -> int:
    """Decode every value of a data set and of its sequences, and leave out what cannot be.

    Parameters
    ----------
    room
        How many elements there may still be.

    Returns
    -------
    int
        How many there may be after these.

    Raises
    ------
    UnreadableInputError
        If there are more, or if sequences nest too deep.
    """
    if depth > DEEPEST_SEQUENCE:
        raise UnreadableInputError(f"sequences nest deeper than {DEEPEST_SEQUENCE}")
    room -= len(dataset)
    if room < 0:
        raise UnreadableInputError(f"a data set has more than {MOST_ELEMENTS} elements")
    for tag in list(dataset.keys()):
        raw: object = dataset.get_item(tag, keep_deferred=True)
        if isinstance(raw, RawDataElement) and raw.value is None and raw.length:
            del dataset[tag]  # deferred, for its length
            continue
        try:
            element = dataset[tag]
        except _FOREIGN_FAULTS:
            del dataset[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                room = _settle(item, room, depth + 1)
    return room
