"""Codecs: one encoded frame becomes stored values. Foreign bytes meet C code here, and only here.

`decode` is called in the decoder process alone (`isolation`); the parent asks which codecs are
installed. One codec is used for each transfer syntax, so that the same bytes always give the same
values.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
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

from ml.readers.codestream import codestream_of
from ml.readers.part10 import quiet

# name of pydicom's decoding plugin; for the JPEG 2000 family openjpeg is called directly
_PLUGINS: dict[UID, str] = {
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


def claimed_syntaxes() -> tuple[UID, ...]:
    """Transfer syntaxes that can be decoded where every codec is installed."""
    return tuple(_PLUGINS)


def available_syntaxes() -> tuple[UID, ...]:
    """Transfer syntaxes that can be decoded now: those whose codec is installed; it is loaded."""
    return tuple(syntax for syntax in _PLUGINS if is_available(syntax))


def is_available(syntax: UID) -> bool:
    """Whether frames in a transfer syntax can be decoded now."""
    plugin = _PLUGINS.get(syntax)
    if plugin is None:
        return False
    if plugin == "openjpeg":
        return find_spec("openjpeg") is not None
    return not plugin or plugin in get_decoder(syntax).available_plugins


def decode(frame: bytes, stored: PixelFormat) -> NDArray[np.integer]:
    """Decode one encoded frame (PS3.5 A.4).

    Parameters
    ----------
    frame
        Whole, from whatever source: a codec may crash on it, or never end.
    stored
        What it decodes to.

    Returns
    -------
    NDArray
        Shape (Y, X), of `stored.dtype`.

    Raises
    ------
    Exception
        Anything: codecs raise anything on foreign bytes.
    """
    if _PLUGINS[stored.transfer_syntax_uid] == "openjpeg":
        return _openjpeg(frame, stored)
    return with_pydicom(encapsulate([frame]), stored).astype(stored.dtype, copy=False)


def with_pydicom(
    pixels: bytes,
    stored: PixelFormat,
    *,
    index: int = 0,
    num_frames: int = 1,
    pixel_vr: str = "OB",
) -> NDArray[np.integer]:
    """Decode one frame of Pixel Data by pydicom and the plugin for its transfer syntax."""
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
    plugin = _PLUGINS[stored.transfer_syntax_uid]
    with quiet():
        values, _ = decoder.as_array(
            pixels, index=index, raw=True, decoding_plugin=plugin, **options
        )
    return values


def _openjpeg(frame: bytes, stored: PixelFormat) -> NDArray[np.integer]:
    from openjpeg.utils import decode as decoded  # noqa: PLC0415 - optional: see `is_available`

    announced = codestream_of(frame)
    values: NDArray[np.integer] = decoded(frame).astype(stored.dtype)
    if announced.is_signed != stored.is_signed:
        # signed values that were encoded as unsigned ones, or the other way: read the bits again
        unused = stored.bits_allocated - announced.precision
        values = (values << unused) >> unused
    return values
