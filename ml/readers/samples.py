"""A small frame in every transfer syntax that is decoded: whether its codec works on this machine.

Encoded by GDCM (JPEG lossless, JPEG 2000), CharLS, pydicom (RLE), Pillow and OpenJPH (high
throughput), so that no codec is tried with what it wrote itself alone.
"""

from base64 import b64decode
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRBigEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ml.readers import isolation
from ml.readers.codecs import PixelFormat, with_pydicom

SIDE = 8
STEP, MODULUS = 61, 4096
"""Values of the frame: the index of the pixel times the one, modulo the other."""
GREY = 128
"""Value of every pixel of the frame that is encoded with loss."""

_JPEG = b64decode(
    "/9j/wwALEAAIAAgBAREA/8QAFgABAQEAAAAAAAAAAAAAAAAABgkQ/9oACAEBAAEAAM9evXr169vQ9evXr169vQ9evXr169vQ"
    "9evXr169vQ9evXr169vQ9evXr169vQ9evXr169vQ9evXr169/9k="
)
_JPEG_LS = b64decode(
    "/9j/9wALEAAIAAgBAREA//gADQH//wASAEMBFABA/9oACAEBAAAAAKPMeY8x3nWPMd/oR6jxO06XK4R6+hbrZarRZrJHj51i"
    "4N7c2tidvma2ppaGdmTp8rKyMbEwsC5fIvry6uLa0uHxrKysLCurLcD/2QA="
)
_JPEG_2000 = b64decode(
    "/0//UQApAAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABDwEB/1IADAAAAAEAAgQEAAH/XAAKQICIiJCI"
    "iJD/ZAAqAAFDcmVhdGVkIGJ5IEdEQ00vT3BlbkpQRUcgdmVyc2lvbiAyLjMuMP+QAAoAAAAAAD8AAf+T3/iQUAeBV1pC"
    "MZwCxU/AD8ASA/kEAA0DAD8LPgIkwAPqBYA/MGAiGIB4fwN+aSi7d//Z"
)
_HIGH_THROUGHPUT = b64decode(
    "/0//UQApQAAAAAAIAAAACAAAAAAAAAAAAAAACAAAAAgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAIEBEAB"
    "/1wACiCIkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAEwAAf+TwAArAP9/me7T/W3sAoG0AMAA"
    "E0AAE4AQEAGCdACSKIkAw1QAwAAqIAAVYDiO46pwgnUAzjt37vzAQgHstgD/2Q=="
)
_RLE = b64decode(
    "AgAAAEAAAABuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPwA/gEA"
    "Af0C/gMAA/0E/gX/Bf0G/wf/B/0I/wn/CfwKAAv+C/0MAA3+Df0OAA8HAD16t/QxbqsH6CVin9wZVpMH0A1Kh8QBPnsH"
    "uPUyb6zpJmMHoN0aV5TRDksHiMUCP3y59jMHcK3qJ2Sh3hsHWJXSD0yJxgM="
)
_BASELINE = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywt"
    "QFdBRkxOUlNSMj5aYVpQYEpRUk//wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAP/EABQQAQAAAAAAAAAA"
    "AAAAAAAAAAD/2gAIAQEAAD8AP//Z"
)
_ENCODED: Mapping[UID, bytes] = {
    JPEGLossless: _JPEG,
    JPEGLosslessSV1: _JPEG,
    JPEGLSLossless: _JPEG_LS,
    JPEGLSNearLossless: _JPEG_LS,
    JPEG2000Lossless: _JPEG_2000,
    JPEG2000: _JPEG_2000,
    HTJ2KLossless: _HIGH_THROUGHPUT,
    HTJ2KLosslessRPCL: _HIGH_THROUGHPUT,
    HTJ2K: _HIGH_THROUGHPUT,
    RLELossless: _RLE,
    JPEGBaseline8Bit: _BASELINE,
}


def decodes(syntax: UID) -> bool:
    """Whether the sample in a transfer syntax becomes the values that it was made of.

    Raises
    ------
    UnreadableInputError, ResourceError
        If it is not decoded at all.
    """
    stored = _format(syntax)
    wanted = _values(stored)
    if syntax in _ENCODED:
        decoded: NDArray[np.integer] = isolation.decode(_ENCODED[syntax], stored)
    else:
        bytes_ = (wanted.byteswap() if syntax == ExplicitVRBigEndian else wanted).tobytes()
        decoded = with_pydicom(bytes_, stored, pixel_vr="OW").astype(stored.dtype)
    return bool(np.array_equal(decoded, wanted))


def _format(syntax: UID) -> PixelFormat:
    bits = 8 if syntax == JPEGBaseline8Bit else 16
    return PixelFormat(syntax, SIDE, SIDE, 1, bits, bits, is_signed=False)


def _values(stored: PixelFormat) -> NDArray[np.integer]:
    if stored.transfer_syntax_uid == JPEGBaseline8Bit:
        return np.full((SIDE, SIDE), GREY, stored.dtype)
    index = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)
    return (index * STEP % MODULUS).astype(stored.dtype)
