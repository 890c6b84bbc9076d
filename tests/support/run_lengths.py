"""A small frame in RLE, encoded by hand: enough for whoever needs any encoded frame."""

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import RLELossless

from ml.readers.codecs import PixelFormat

STORED = PixelFormat(RLELossless, 8, 6, 1, 16, 16, is_signed=False)
VALUES = np.arange(48, dtype="<u2").reshape(8, 6)


def rle(values: NDArray[np.uint16]) -> bytes:
    """Encode up to 128 values by literal runs alone (PS3.5 G.3): high bytes, then low ones."""
    segments = []
    for plane in (values >> 8, values & 255):
        pixels = plane.astype(np.uint8).tobytes()
        segments.append(bytes([len(pixels) - 1]) + pixels + b"\0" * (1 - len(pixels) % 2))
    offsets = [2, 64, 64 + len(segments[0]), *[0] * 13]
    return np.array(offsets, "<u4").tobytes() + b"".join(segments)
