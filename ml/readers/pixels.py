"""Stored pixel values, decoded frame by frame, whatever the transfer syntax.

Nothing is decoded before the size that the header announces, and the size that the codestream
itself announces, are known and within limits. One decoder is used for each syntax, so that the same
bytes always give the same values.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from config.errors import UnreadableInputError
from ml.readers.attributes import text_of, whole_of
from ml.readers.codestream import Codestream, codestream_of
from ml.readers.part10 import quiet

LARGEST_PIXEL_DATA_BYTES = 2 << 30
MOST_ROWS_OR_COLUMNS = 2048

# name of pydicom's decoding plugin; for the JPEG 2000 family openjpeg is called directly
_DECODERS: dict[UID, str] = {
    ExplicitVRLittleEndian: "",
    ImplicitVRLittleEndian: "",
    DeflatedExplicitVRLittleEndian: "",
    ExplicitVRBigEndian: "",
    JPEGLossless: "gdcm",
    JPEGLosslessSV1: "gdcm",
    JPEGLSLossless: "pyjpegls",
    JPEGLSNearLossless: "pyjpegls",
    JPEG2000Lossless: "openjpeg",
    JPEG2000: "openjpeg",
    HTJ2KLossless: "openjpeg",
    HTJ2KLosslessRPCL: "openjpeg",
    HTJ2K: "openjpeg",
    RLELossless: "pydicom",
    JPEGBaseline8Bit: "pillow",
}
_LOSSY = frozenset((JPEGLSNearLossless, JPEG2000, HTJ2K, JPEGBaseline8Bit))


@dataclass(frozen=True)
class PixelFormat:
    """How pixel values are stored (PS3.3 C.7.6.3), within the limits of what is decoded.

    Attributes
    ----------
    transfer_syntax_uid
        Of the data set; one that can be decoded here.
    rows, columns, num_frames
        Size of a frame in pixels, and how many there are.
    bits_allocated, bits_stored
        Of a pixel; allocated 8 or 16.
    is_signed
        Two's complement (Pixel Representation 1).
    """

    transfer_syntax_uid: UID
    rows: int
    columns: int
    num_frames: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """Of a decoded pixel: little endian."""
        return np.dtype(f"<{'i' if self.is_signed else 'u'}{self.bits_allocated // 8}")

    @property
    def frame_bytes(self) -> int:
        """Length of a decoded frame."""
        return self.rows * self.columns * self.bits_allocated // 8


def supported_transfer_syntaxes() -> tuple[str, ...]:
    """Transfer syntaxes of CT images that can be decoded now: those whose decoder is installed.

    JPEG Extended (…4.51) is not among them: no decoder at hand takes its 12-bit samples.
    """
    return tuple(str(syntax) for syntax in _DECODERS if _is_available(syntax))


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
    if syntax not in _DECODERS or not _is_available(syntax):
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
    """
    count = 0
    frames = _encapsulated if stored.transfer_syntax_uid.is_encapsulated else _native
    try:
        for frame in islice(frames(dataset, stored), stored.num_frames):
            yield frame.astype(stored.dtype, copy=False)
            count += 1
    except UnreadableInputError:
        raise
    except Exception as error:  # decoders raise anything on foreign bytes
        raise UnreadableInputError("pixel data cannot be decoded") from error
    if count < stored.num_frames:
        raise UnreadableInputError(f"there are {count} of {stored.num_frames} frames")


def _is_available(syntax: UID) -> bool:
    plugin = _DECODERS[syntax]
    if plugin == "openjpeg":
        return find_spec("openjpeg") is not None
    return not plugin or plugin in get_decoder(syntax).available_plugins


def _native(dataset: Dataset, stored: PixelFormat) -> Iterator[NDArray[np.integer]]:
    with quiet():
        element = dataset["PixelData"]
        pixels = element.value
    if len(pixels) < stored.num_frames * stored.frame_bytes:
        raise UnreadableInputError("pixel data are shorter than rows, columns and bits announce")
    pixel_vr = element.VR if element.VR in ("OB", "OW") else "OW"
    for index in range(stored.num_frames):
        yield _pydicom(pixels, stored, index=index, num_frames=stored.num_frames, pixel_vr=pixel_vr)


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
        yield _frame(frame, stored)


def _frame(frame: bytes, stored: PixelFormat) -> NDArray[np.integer]:
    """Decode one encoded frame (PS3.5 A.4)."""
    if stored.transfer_syntax_uid == RLELossless:
        return _pydicom(encapsulate([frame]), stored)
    announced = codestream_of(frame)
    if announced[:3] != (stored.rows, stored.columns, 1):
        raise UnreadableInputError("a codestream has another size than its header announces")
    if announced.precision > stored.bits_allocated:
        raise UnreadableInputError("a codestream has more bits than its header announces")
    if _DECODERS[stored.transfer_syntax_uid] == "openjpeg":
        return _openjpeg(frame, announced, stored)
    return _pydicom(encapsulate([frame]), stored)


def _pydicom(
    pixels: bytes,
    stored: PixelFormat,
    *,
    index: int = 0,
    num_frames: int = 1,
    pixel_vr: str = "OB",
) -> NDArray[np.integer]:
    # the type of these options is not what pydicom declares
    options: dict[str, Any] = {
        "rows": stored.rows,
        "columns": stored.columns,
        "number_of_frames": num_frames,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "pixel_keyword": "PixelData",
        "pixel_vr": pixel_vr,
        "pixel_representation": int(stored.is_signed),
        "bits_allocated": stored.bits_allocated,
        "bits_stored": stored.bits_stored,
        "correct_unused_bits": False,
    }
    decoder = get_decoder(stored.transfer_syntax_uid)
    plugin = _DECODERS[stored.transfer_syntax_uid]
    with quiet():
        values, _ = decoder.as_array(
            pixels, index=index, raw=True, decoding_plugin=plugin, **options
        )
    return values


def _openjpeg(frame: bytes, announced: Codestream, stored: PixelFormat) -> NDArray[np.integer]:
    from openjpeg.utils import decode  # noqa: PLC0415 - optional: see `_is_available`

    values: NDArray[np.integer] = decode(frame).astype(stored.dtype)
    if announced.is_signed != stored.is_signed:
        # signed values that were encoded as unsigned ones, or the other way: read the bits again
        unused = stored.bits_allocated - announced.precision
        values = (values << unused) >> unused
    return values
