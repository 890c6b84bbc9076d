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
from typing import BinaryIO, cast

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
PIECE_BYTES = 1 << 16
"""A deflated data set is inflated in pieces of this size, from pieces of this size."""
MOST_ELEMENTS = 100_000
MOST_VALUES = 400_000
"""Values of all elements, and items of all sequences: two bytes each may take a thousand times as
much once they are decoded."""
MOST_VALUES_OF_AN_ELEMENT = 4096
"""Elements with more are left out of headers too: tables and curves."""
DEEPEST_SEQUENCE = 16
MOST_SMALL_READS = 4 * MOST_ELEMENTS
"""pydicom reads up to eight bytes at a time of what is not a value, at most three times for an
element or an item."""

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


class CountedStream:
    """A stream of an encoded data set that ends when the data set has too many parts.

    pydicom makes an object of each element and of each item as it reads them, a hundred times as
    large as its eight bytes: counting those afterwards would be too late.

    Raises
    ------
    UnreadableInputError
        By `read`, if there are more parts than `MOST_SMALL_READS` allow.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._left = stream, MOST_SMALL_READS
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, size: int = -1) -> bytes:
        """Read so many bytes, or to the end."""
        if 0 <= size <= 8:
            self._left -= 1
            if self._left < 0:
                raise UnreadableInputError("a data set has too many elements and items")
        return self._stream.read(size)


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
    # counted first, and thrown away: what is too much is never held
    num_bytes = 0
    for piece in _inflated(encoded):
        num_bytes += len(piece)
        if num_bytes > limit:
            raise UnreadableInputError(f"a deflated data set inflates to more than {limit} bytes")
    return b"".join(_inflated(encoded))


def _inflated(encoded: bytes) -> Iterator[bytes]:
    """Inflate piece by piece."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for start in range(0, len(encoded), PIECE_BYTES):
            rest = encoded[start : start + PIECE_BYTES]
            while rest and not stream.eof:
                yield stream.decompress(rest, PIECE_BYTES)
                rest = stream.unconsumed_tail
        # what is decoded already, and did not fit into the last piece
        while not stream.eof and (piece := stream.decompress(b"", PIECE_BYTES)):
            yield piece
    except zlib.error as error:
        raise UnreadableInputError("a deflated data set cannot be inflated") from error
    if not stream.eof:
        raise UnreadableInputError("a deflated data set is cut short")


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
                cast("BinaryIO", CountedStream(body)),
                is_implicit_VR=syntax.is_implicit_VR,
                is_little_endian=syntax.is_little_endian,
                stop_when=_at_pixels if header_only else None,
                defer_size=LARGEST_VALUE_BYTES if header_only else None,
            )
            if header_only:
                _settle(dataset, _Room(MOST_ELEMENTS, MOST_VALUES))
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
    counted = cast("BinaryIO", CountedStream(stream))
    group = read_dataset(
        counted, is_implicit_VR=False, is_little_endian=True, stop_when=_after_file_meta
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


class _Room:
    """How much a data set may still hold."""

    def __init__(self, elements: int, values: int) -> None:
        self._elements, self._values = elements, values

    def take(self, *, elements: int = 0, values: int = 0) -> None:
        """Use up some of it.

        Raises
        ------
        UnreadableInputError
            If there is no more.
        """
        self._elements -= elements
        self._values -= values
        if self._elements < 0:
            raise UnreadableInputError(f"a data set has more than {MOST_ELEMENTS} elements")
        if self._values < 0:
            raise UnreadableInputError(f"a data set has more than {MOST_VALUES} values")


def _settle(dataset: Dataset, room: _Room, depth: int = 0) -> None:
    """Decode every value of a data set and of its sequences, and leave out what cannot be.

    Raises
    ------
    UnreadableInputError
        If there are more than there is room for, or if sequences nest too deep.
    """
    if depth > DEEPEST_SEQUENCE:
        raise UnreadableInputError(f"sequences nest deeper than {DEEPEST_SEQUENCE}")
    room.take(elements=len(dataset))
    for tag in list(dataset.keys()):
        raw: object = dataset.get_item(tag, keep_deferred=True)
        if isinstance(raw, RawDataElement) and _is_left_out(raw):
            del dataset[tag]
            continue
        try:
            element = dataset[tag]
        except _FOREIGN_FAULTS:
            del dataset[tag]
            continue
        if element.VR == "SQ":
            for item in element.value:
                room.take(values=1)
                _settle(item, room, depth + 1)
        elif element.VM > MOST_VALUES_OF_AN_ELEMENT:
            del dataset[tag]
        else:
            room.take(values=element.VM)


def _is_left_out(raw: RawDataElement) -> bool:
    """Whether a value is too long, or has too many parts, for a header; sequences have items."""
    if raw.value is None:
        return raw.length > 0  # deferred, for its length
    return raw.VR != "SQ" and raw.value.count(b"\\") >= MOST_VALUES_OF_AN_ELEMENT
