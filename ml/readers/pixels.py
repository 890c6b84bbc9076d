"""Stored pixel values, decoded frame by frame, whatever the transfer syntax.

Nothing is decoded before the size that the header announces, and the size that the codestream
itself announces, are known and within limits. Native values are read here; encoded frames are
decoded in another process, since codecs are C code.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    JPEGBaseline8Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from config.errors import MidlineError, UnreadableInputError
from ml.readers import isolation
from ml.readers.attributes import text_of, whole_of
from ml.readers.codecs import PixelFormat, available_syntaxes, is_available, with_pydicom
from ml.readers.codestream import codestream_of
from ml.readers.part10 import quiet

__all__ = [
    "LARGEST_PIXEL_DATA_BYTES",
    "MOST_ROWS_OR_COLUMNS",
    "PixelFormat",
    "decoded_frames",
    "is_lossy",
    "pixel_format",
    "supported_transfer_syntaxes",
]

LARGEST_PIXEL_DATA_BYTES = 2 << 30
MOST_ROWS_OR_COLUMNS = 2048

_LOSSY = frozenset((JPEGLSNearLossless, JPEG2000, HTJ2K, JPEGBaseline8Bit))


def supported_transfer_syntaxes() -> tuple[str, ...]:
    """Transfer syntaxes of CT images that can be decoded now: those whose decoder is installed.

    JPEG Extended (…4.51) is not among them: no decoder at hand takes its 12-bit samples.
    """
    return tuple(str(syntax) for syntax in available_syntaxes())


def is_lossy(header: Dataset) -> bool:
    """Whether pixel values were, or may have been, compressed with loss (PS3.3 C.7.6.1.1.5).

    Syntaxes that allow both (…4.91, …4.203) count as lossy.
    """
    if text_of(header, "LossyImageCompression") == "01":
        return True
    return UID(text_of(header.file_meta, "TransferSyntaxUID")) in _LOSSY


def pixel_format(header: Dataset) -> PixelFormat:
    """Read how pixel values are stored, and refuse what is not decoded here.

    Raises
    ------
    UnreadableInputError
        If the image is not greyscale of 8 or 16 bits, is too large, contradicts itself, or is
        encoded in a syntax without a decoder.
    """
    syntax = UID(text_of(header.file_meta, "TransferSyntaxUID"))
    if not is_available(syntax):
        raise UnreadableInputError("there is no decoder for the transfer syntax of an image")
    samples = whole_of(header, "SamplesPerPixel")
    if samples != 1:
        raise UnreadableInputError(f"Samples per Pixel is {samples}, not 1")
    allocated = whole_of(header, "BitsAllocated")
    if allocated not in (8, 16):
        raise UnreadableInputError(f"Bits Allocated is {allocated}, not 8 or 16")
    stored = whole_of(header, "BitsStored")
    if stored is None or not 1 <= stored <= allocated:
        raise UnreadableInputError(f"Bits Stored is {stored} of {allocated} allocated")
    high_bit = whole_of(header, "HighBit")
    if high_bit not in (None, stored - 1):
        raise UnreadableInputError(f"High Bit is {high_bit} with {stored} bits stored")
    rows, columns = whole_of(header, "Rows"), whole_of(header, "Columns")
    for size in (rows, columns):
        if size is None or not 1 <= size <= MOST_ROWS_OR_COLUMNS:
            raise UnreadableInputError(
                f"an image has {rows} rows and {columns} columns, not 1 to {MOST_ROWS_OR_COLUMNS}"
            )
    frames = whole_of(header, "NumberOfFrames") or 1
    result = PixelFormat(
        transfer_syntax_uid=syntax,
        rows=rows or 0,
        columns=columns or 0,
        num_frames=frames,
        bits_allocated=allocated,
        bits_stored=stored,
        is_signed=whole_of(header, "PixelRepresentation") == 1,
    )
    if frames < 1 or frames * result.frame_bytes > LARGEST_PIXEL_DATA_BYTES:
        raise UnreadableInputError(
            f"{frames} frames of {result.frame_bytes} bytes, the limit is"
            f" {LARGEST_PIXEL_DATA_BYTES} in all"
        )
    return result


def decoded_frames(dataset: Dataset, stored: PixelFormat) -> Iterator[NDArray[np.integer]]:
    """Decode pixel values, one frame after the other.

    Parameters
    ----------
    dataset
        Whole data set, its values not yet decoded.
    stored
        Its `pixel_format`.

    Yields
    ------
    NDArray
        Shape (Y, X), of `stored.dtype`, little endian: stored values, bits beyond Bits Stored as
        they were found.

    Raises
    ------
    UnreadableInputError
        If there are fewer frames than announced, or one of them cannot be decoded.
    ResourceError
        If there is no process to decode them.
    """
    count = 0
    frames = _encapsulated if stored.transfer_syntax_uid.is_encapsulated else _native
    try:
        for frame in islice(frames(dataset, stored), stored.num_frames):
            yield frame.astype(stored.dtype, copy=False)
            count += 1
    except MidlineError:
        raise
    except Exception as error:  # pydicom raises anything on foreign bytes
        raise UnreadableInputError("pixel data cannot be decoded") from error
    if count < stored.num_frames:
        raise UnreadableInputError(f"there are {count} of {stored.num_frames} frames")


def _native(dataset: Dataset, stored: PixelFormat) -> Iterator[NDArray[np.integer]]:
    with quiet():
        element = dataset["PixelData"]
        pixels = element.value
    if len(pixels) < stored.num_frames * stored.frame_bytes:
        raise UnreadableInputError("pixel data are shorter than rows, columns and bits announce")
    pixel_vr = element.VR if element.VR in ("OB", "OW") else "OW"
    for index in range(stored.num_frames):
        yield with_pydicom(
            pixels, stored, index=index, num_frames=stored.num_frames, pixel_vr=pixel_vr
        )


def _encapsulated(dataset: Dataset, stored: PixelFormat) -> Iterator[NDArray[np.integer]]:
    with quiet():
        pixels = dataset["PixelData"].value
        offsets, lengths = (
            dataset[keyword].value if keyword in dataset else b""
            for keyword in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths")
        )
    extended = (offsets, lengths) if offsets and lengths else None
    frames = generate_frames(pixels, number_of_frames=stored.num_frames, extended_offsets=extended)
    for frame in frames:
        # no codec for 16-bit greyscale doubles what it encodes; this bounds run lengths too
        if len(frame) > 2 * stored.frame_bytes + 65536:
            raise UnreadableInputError("an encoded frame is longer than any that is decoded")
        if stored.transfer_syntax_uid != RLELossless:
            _check_codestream(frame, stored)
        yield isolation.decode(frame, stored)


def _check_codestream(frame: bytes, stored: PixelFormat) -> None:
    """Make sure that a frame decodes to what its header announces, before it is decoded."""
    announced = codestream_of(frame)
    if announced[:3] != (stored.rows, stored.columns, 1):
        raise UnreadableInputError("a codestream has another size than its header announces")
    if announced.precision > stored.bits_allocated:
        raise UnreadableInputError("a codestream has more bits than its header announces")
