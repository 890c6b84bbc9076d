"""A DICOM series becomes a `Volume`: CT, Enhanced CT and Legacy Converted Enhanced CT images.

No axis is flipped and nothing is resampled: pixels stay where the source images have them, tilted
and unevenly spaced stacks included. Slices come in the order from the feet to the head.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from config.errors import UnreadableInputError, UnsupportedInputError
from ml.readers.attributes import text_of, whole_of
from ml.readers.frames import FrameHeader, FrameReference, frame_headers, grid_of
from ml.readers.part10 import inflate, read_header, read_with_pixels
from ml.readers.pixels import (
    LARGEST_PIXEL_DATA_BYTES,
    PixelFormat,
    decoded_frames,
    is_lossy,
    pixel_format,
    supported_transfer_syntaxes,
)
from ml.volume import Volume

__all__ = [
    "CT_SOP_CLASSES",
    "FrameReference",
    "Series",
    "hounsfield_fault",
    "inflate",
    "read_header",
    "read_series",
    "supported_transfer_syntaxes",
]

CT_SOP_CLASSES = frozenset(
    (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
)
AIR_HU = -1024.0
"""Lowest value of a volume: what was not imaged, and whatever lies below."""
LOWEST_TISSUE_HU = -900.0
HIGHEST_TISSUE_HU = 3000.0


@dataclass(frozen=True, eq=False)
class Series:
    """A series that was read.

    Attributes
    ----------
    volume
        In Hounsfield units, slices from the feet to the head.
    headers
        The source data sets without pixel data: single-frame images in the order of the slices, a
        multi-frame image as one.
    frames
        For each slice, where it was read from.
    pixel_digest
        SHA-256, hexadecimal, of the SOP Instance UID, the frame number and the stored values of
        each slice. It depends neither on the order of the files nor on how the pixels were
        compressed, as long as that was without loss.
    lossy
        Whether pixels were, or may have been, compressed with loss.
    """

    volume: Volume
    headers: tuple[Dataset, ...]
    frames: tuple[FrameReference, ...]
    pixel_digest: str
    lossy: bool


def read_series(files: Sequence[Path], *, class_may_lack: bool = False) -> Series:
    """Read a series of CT images.

    Parameters
    ----------
    files
        Its images, in any order.
    class_may_lack
        Whether images without a SOP Class UID are read if their Modality is CT: published data
        sets have lost the attribute.

    Raises
    ------
    UnreadableInputError
        If a file cannot be read or decoded or exceeds a limit, pixels are not in Hounsfield units,
        or the frames form no stack of parallel slices at different positions.
    UnsupportedInputError
        If there are no images, or some are no CT images.
    """
    headers = [read_header(file) for file in files]
    if not headers:
        raise UnsupportedInputError("the series has no images")
    _check_series(headers, class_may_lack=class_may_lack)
    formats = [pixel_format(header) for header in headers]
    if sum(stored.num_frames * stored.frame_bytes for stored in formats) > LARGEST_PIXEL_DATA_BYTES:
        raise UnreadableInputError(f"a series has more than {LARGEST_PIXEL_DATA_BYTES} bytes")
    described = _described(headers, formats)
    grid, order = grid_of(described)
    hu, pixel_digest = _pixels(files, headers, formats, [described[index] for index in order])
    references = [described[index].reference for index in order]
    # data sets in the order in which slices first need them
    used = list(dict.fromkeys(reference.dataset_index for reference in references))
    place = {index: position for position, index in enumerate(used)}
    return Series(
        volume=Volume(hu, grid),
        headers=tuple(headers[index] for index in used),
        frames=tuple(FrameReference(place[r.dataset_index], r.frame_number) for r in references),
        pixel_digest=pixel_digest,
        lossy=any(is_lossy(header) for header in headers),
    )


def hounsfield_fault(header: Dataset, frame: FrameHeader) -> str:
    """Why stored values do not become Hounsfield units (PS3.3 C.8.2.1, C.8.15.3.10); else empty.

    Rescale Type may be absent from CT images; they are in Hounsfield units then.
    """
    if text_of(header, "PhotometricInterpretation") != "MONOCHROME2":
        return "Photometric Interpretation is not MONOCHROME2"
    if not frame.rescale_slope or frame.rescale_intercept is None:
        return "Rescale Slope and Intercept are missing"
    if frame.rescale_type not in ("", "HU"):
        return "Rescale Type is not HU"
    return ""


def _check_series(headers: Sequence[Dataset], *, class_may_lack: bool) -> None:
    for header in headers:
        sop_class = text_of(header, "SOPClassUID")
        lacks = class_may_lack and not sop_class and text_of(header, "Modality") == "CT"
        if sop_class not in CT_SOP_CLASSES and not lacks:
            raise UnsupportedInputError("SOP Class is none of CT images")
    for keyword in ("SeriesInstanceUID", "FrameOfReferenceUID"):
        if len({text_of(header, keyword) for header in headers}) > 1:
            raise UnreadableInputError(f"images differ in {keyword}")


def _described(headers: Sequence[Dataset], formats: Sequence[PixelFormat]) -> list[FrameHeader]:
    """Describe all frames; each must be in Hounsfield units."""
    described: list[FrameHeader] = []
    for index, (header, stored) in enumerate(zip(headers, formats, strict=True)):
        frames = frame_headers(header, index)
        if len(frames) != stored.num_frames:
            raise UnreadableInputError(
                f"there are {stored.num_frames} frames and {len(frames)} descriptions of frames"
            )
        for frame in frames:
            fault = hounsfield_fault(header, frame)
            if fault:
                raise UnreadableInputError(fault)
        described.extend(frames)
    return described


def _pixels(
    files: Sequence[Path],
    headers: Sequence[Dataset],
    formats: Sequence[PixelFormat],
    slices: Sequence[FrameHeader],
) -> tuple[NDArray[np.float32], str]:
    """Decode the frames of slices; give back their Hounsfield units and their digest."""
    first = formats[slices[0].reference.dataset_index]
    hu = np.empty((len(slices), first.rows, first.columns), np.float32)
    slice_of = {frame.reference: index for index, frame in enumerate(slices)}
    digests = []
    for index, (header, stored) in enumerate(zip(headers, formats, strict=True)):
        dataset = read_with_pixels(files[index])
        for number, values in enumerate(decoded_frames(dataset, stored), start=1):
            slice_index = slice_of[FrameReference(index, number)]
            hu[slice_index] = _hounsfield(values, header, stored, slices[slice_index])
            of_values = hashlib.sha256(values.tobytes()).hexdigest()
            digests.append(f"{text_of(header, 'SOPInstanceUID')} {number} {of_values}")
    return hu, hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def _hounsfield(
    values: NDArray[np.integer], header: Dataset, stored: PixelFormat, frame: FrameHeader
) -> NDArray[np.float32]:
    """Turn stored values into Hounsfield units (PS3.3 C.11.1.1.2), padding into air."""
    slope, intercept = frame.rescale_slope or 1.0, frame.rescale_intercept or 0.0
    padding = _padding(values, header, stored)
    # bits beyond Bits Stored mean nothing (PS3.5 8.1.1): old images keep overlays there
    unused = stored.bits_allocated - stored.bits_stored
    hu = ((values << unused) >> unused).astype(np.float32) * np.float32(slope)
    hu += np.float32(intercept)
    if padding is not None:
        # a padding value within the range of tissue would blank out tissue of that value
        tissue = (hu > LOWEST_TISSUE_HU) & (hu < HIGHEST_TISSUE_HU)
        hu[padding & ~tissue] = AIR_HU
    clipped: NDArray[np.float32] = np.maximum(hu, np.float32(AIR_HU))
    return clipped


def _padding(
    values: NDArray[np.integer], header: Dataset, stored: PixelFormat
) -> NDArray[np.bool_] | None:
    """Pixels that were not imaged (PS3.3 C.7.5.1.1.2): a mask, or None if there is no padding."""
    ends = [
        whole_of(header, keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    ]
    known = [end for end in ends if end is not None]
    if ends[0] is None:
        return None
    # senders confuse the signedness of this value: read its bits as those of a pixel
    limits = np.array(known, np.int64).astype(stored.dtype)
    padding: NDArray[np.bool_] = (values >= limits.min()) & (values <= limits.max())
    return padding
