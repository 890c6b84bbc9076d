"""A DICOM Segmentation (PS3.3 A.51) back on the grid of its CT series.

Read are BINARY segmentations, native little endian or in JPEG 2000 without loss (what a 1-bit
object can be), and LABELMAP ones. Frames are placed by Image Position (Patient); slices without a
frame are empty. Nothing is resampled: a Segmentation on another grid is refused.

A segment belongs to a subtype by its label (``IPH``, ``Subdural hemorrhage``) or by its Segmented
Property Type, with the anatomic region where the type alone does not say it. The codes are those
that `node.results.codes` writes; a test compares them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from config.errors import UnreadableInputError, UnsupportedInputError
from ml.readers.attributes import items_of, text_of, whole_of
from ml.readers.dicom import Series
from ml.readers.frames import PARALLEL_TOLERANCE, FrameHeader, frame_headers, geometry_fault
from ml.readers.part10 import read_header, read_with_pixels
from ml.readers.pixels import (
    LARGEST_PIXEL_DATA_BYTES,
    MOST_ROWS_OR_COLUMNS,
    PixelFormat,
    decoded_frames,
    pixel_format,
)
from ml.volume import Grid, Mask, Subtype

# Axes: F frame, Y row, X column

SEGMENTATION_SOP_CLASSES = frozenset(
    ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
)
"""Segmentation Storage and Label Map Segmentation Storage."""

MOST_POSITION_ERROR_MM = 0.1
"""So far a frame may lie from its slice: other software rounds positions."""

CODES: Mapping[tuple[str, str], Subtype] = {
    ("274100004", "SCT"): Subtype.IPH,
    ("IVH", "99MIDLINE"): Subtype.IVH,
    ("82999001", "SCT"): Subtype.EDH,
    ("35486000", "SCT"): Subtype.SDH,
    ("21454007", "SCT"): Subtype.SAH,
}
"""Segmented Property Types, as (value, scheme)."""

REGIONS: Mapping[tuple[str, str], Subtype] = {
    ("35764002", "SCT"): Subtype.IVH,
    ("35951006", "SCT"): Subtype.SAH,
    ("EPIDURALSPACE", "99MIDLINE"): Subtype.EDH,
    ("SUBDURALSPACE", "99MIDLINE"): Subtype.SDH,
}
"""Anatomic regions that say which subtype a plain haemorrhage is."""

_HEMORRHAGE = ("50960005", "SCT")

_WORDS: Mapping[str, Subtype] = {
    "intraparenchymal": Subtype.IPH,
    "intracerebral": Subtype.IPH,
    "intraventricular": Subtype.IVH,
    "epidural": Subtype.EDH,
    "extradural": Subtype.EDH,
    "subdural": Subtype.SDH,
    "subarachnoid": Subtype.SAH,
    **{subtype.name.lower(): subtype for subtype in Subtype},
}
"""Words of a Segment Label, in lower case."""

_NATIVE = frozenset(
    (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian)
)


def referenced_series(file: Path) -> str:
    """Series Instance UID of the images that a Segmentation was made of; empty if it says none.

    Raises
    ------
    UnreadableInputError
        If it names several series, or cannot be read.
    """
    items = items_of(read_header(file), "ReferencedSeriesSequence")
    named = {text_of(item, "SeriesInstanceUID") for item in items}
    if len(named) > 1:
        raise UnreadableInputError("a Segmentation refers to several series")
    return next(iter(named), "")


def read_segmentation(file: Path, series: Series) -> Mask:
    """Read a Segmentation of a series.

    Parameters
    ----------
    file
        The Segmentation.
    series
        The series that it was made of.

    Returns
    -------
    Mask
        On the grid of the series. Segments of one subtype are joined.

    Raises
    ------
    UnreadableInputError
        If it cannot be read, lies elsewhere than the series, or if segments of different subtypes
        overlap.
    UnsupportedInputError
        If it is fractional, compressed in another way, or if a segment is of no known subtype.
    """
    header = read_header(file)
    grid = series.volume.grid
    if text_of(header, "SOPClassUID") not in SEGMENTATION_SOP_CLASSES:
        raise UnsupportedInputError("SOP Class is none of Segmentations")
    kind = text_of(header, "SegmentationType")
    if kind not in ("BINARY", "LABELMAP"):
        raise UnsupportedInputError("a Segmentation is neither BINARY nor LABELMAP")
    frame_of_reference = text_of(series.headers[0], "FrameOfReferenceUID")
    if text_of(header, "FrameOfReferenceUID") != frame_of_reference:
        raise UnreadableInputError("a Segmentation has another Frame of Reference than its series")
    subtypes = _subtypes(header, skip_background=kind == "LABELMAP")
    frames = frame_headers(header, 0)
    slices = _slices(frames, grid)
    labels = np.zeros(grid.shape, np.uint8)
    decoded = _binary(file, header) if kind == "BINARY" else _labelmap(file, header, subtypes)
    for index, subtype, inside in decoded:
        if index >= len(slices):
            raise UnreadableInputError("a Segmentation has more frames than it describes")
        plane = labels[slices[index]]
        if (inside & (plane > 0) & (plane != subtype)).any():
            raise UnreadableInputError("segments of different subtypes overlap")
        plane[inside] = subtype
    return Mask(labels, grid)


def subtype_of(segment: Dataset) -> Subtype | None:
    """Tell which subtype a segment is.

    Parameters
    ----------
    segment
        An item of Segment Sequence (PS3.3 C.8.20.2).

    Returns
    -------
    Subtype or None
        None if neither its label nor its codes say it.

    Raises
    ------
    UnreadableInputError
        If label and codes contradict each other, or if the label names two subtypes.
    """
    named = {
        _WORDS[word]
        for word in re.findall(r"[a-z]+", text_of(segment, "SegmentLabel").lower())
        if word in _WORDS
    }
    kinds = [_code(item) for item in items_of(segment, "SegmentedPropertyTypeCodeSequence")]
    coded = {CODES[kind] for kind in kinds if kind in CODES}
    if not coded and _HEMORRHAGE in kinds:
        regions = [_code(item) for item in items_of(segment, "AnatomicRegionSequence")]
        coded = {REGIONS[region] for region in regions if region in REGIONS}
    if len(named | coded) > 1:
        raise UnreadableInputError(
            f"label and codes of segment {whole_of(segment, 'SegmentNumber')} name several subtypes"
        )
    return next(iter(named | coded), None)


def _code(item: Dataset) -> tuple[str, str]:
    return text_of(item, "CodeValue"), text_of(item, "CodingSchemeDesignator")


def _subtypes(header: Dataset, *, skip_background: bool) -> Mapping[int, Subtype]:
    """Subtype of each segment number."""
    found: dict[int, Subtype] = {}
    for segment in items_of(header, "SegmentSequence"):
        number, subtype = whole_of(segment, "SegmentNumber"), subtype_of(segment)
        if number is None or number in found:
            raise UnreadableInputError("segments are not numbered, each once")
        if skip_background and number == 0:
            continue
        if subtype is None:
            raise UnsupportedInputError(
                f"neither label nor codes of segment {number} name a subtype of haemorrhage"
            )
        found[number] = subtype
    return found


def _slices(frames: Sequence[FrameHeader], grid: Grid) -> Sequence[int]:
    """Index of the slice on which each frame lies."""
    found = []
    spacing = np.array(grid.pixel_spacing_mm)
    directions = np.concatenate([grid.row_direction, grid.column_direction])
    for frame in frames:
        fault = geometry_fault(frame)
        if fault or frame.position_mm is None or frame.orientation is None:
            raise UnreadableInputError(f"in a Segmentation, {fault}")
        away_mm = np.linalg.norm(grid.slice_origins_mm - frame.position_mm, axis=1)
        if (
            (frame.rows, frame.columns) != (grid.rows, grid.columns)
            or not np.allclose(frame.orientation, directions, atol=PARALLEL_TOLERANCE)
            or frame.pixel_spacing_mm is None
            or not np.allclose(frame.pixel_spacing_mm, spacing, rtol=PARALLEL_TOLERANCE)
            or away_mm.min() > MOST_POSITION_ERROR_MM
        ):
            raise UnreadableInputError("a Segmentation does not lie on the grid of its series")
        found.append(int(away_mm.argmin()))
    return found


Part = tuple[int, Subtype, NDArray[np.bool_]]
"""Index of a frame, the subtype that it outlines, and where, shape (Y, X)."""


def _binary(file: Path, header: Dataset) -> Iterator[Part]:
    """Frames of a BINARY Segmentation: one bit a pixel."""
    subtypes = _subtypes(header, skip_background=False)
    rows, columns = whole_of(header, "Rows") or 0, whole_of(header, "Columns") or 0
    num_frames = whole_of(header, "NumberOfFrames") or 1
    syntax = header.file_meta.TransferSyntaxUID
    if syntax not in _NATIVE and syntax != JPEG2000Lossless:
        raise UnsupportedInputError(
            "a BINARY Segmentation is big endian, or compressed by other means than JPEG 2000"
        )
    if whole_of(header, "BitsAllocated") != 1 or not (
        0 < max(rows, columns) <= MOST_ROWS_OR_COLUMNS
        and 0 < rows * columns * num_frames <= LARGEST_PIXEL_DATA_BYTES
    ):
        raise UnreadableInputError("a BINARY Segmentation has no or too many pixels of 1 bit")
    numbers = _segment_numbers(header)
    if len(numbers) != num_frames:
        raise UnreadableInputError("a Segmentation has more or fewer frames than it describes")
    dataset = read_with_pixels(file)
    if syntax == JPEG2000Lossless:
        stored = PixelFormat(JPEG2000Lossless, rows, columns, num_frames, 8, 1, is_signed=False)
        planes: Iterator[NDArray[np.integer]] = decoded_frames(dataset, stored)
    else:
        planes = _packed_frames(_pixel_data(dataset), (num_frames, rows, columns))
    for index, (number, plane) in enumerate(zip(numbers, planes, strict=True)):
        if number is None or number not in subtypes:
            raise UnreadableInputError("a frame belongs to no segment")
        yield index, subtypes[number], plane > 0


def _packed_frames(pixels: bytes, shape: tuple[int, int, int]) -> Iterator[NDArray[np.uint8]]:
    """Unpack native frames of shape (F, Y, X): the first pixel in the lowest bit (PS3.5 8.2)."""
    num_frames, rows, columns = shape
    num_pixels = rows * columns
    stored = np.frombuffer(pixels, np.uint8)
    if len(stored) * 8 < num_pixels * num_frames:
        raise UnreadableInputError("pixel data of a Segmentation are cut short")
    for index in range(num_frames):
        first, last = index * num_pixels // 8, -(-(index + 1) * num_pixels // 8)
        bits = np.unpackbits(stored[first:last], bitorder="little")
        begin = index * num_pixels - 8 * first
        yield bits[begin : begin + num_pixels].reshape(rows, columns)


def _labelmap(file: Path, header: Dataset, subtypes: Mapping[int, Subtype]) -> Iterator[Part]:
    """Frames of a LABELMAP Segmentation: each pixel holds the number of a segment, 0 is none."""
    for index, frame in enumerate(decoded_frames(read_with_pixels(file), pixel_format(header))):
        for number in np.unique(frame).tolist():
            if number == 0:
                continue
            if number not in subtypes:
                raise UnreadableInputError("a pixel belongs to no segment")
            yield index, subtypes[number], frame == number


def _segment_numbers(header: Dataset) -> Sequence[int | None]:
    """Referenced Segment Number of each frame, per frame or shared (PS3.3 C.8.20.3.1)."""
    shared = _segment_number(items_of(header, "SharedFunctionalGroupsSequence"))
    own = items_of(header, "PerFrameFunctionalGroupsSequence")
    return [_segment_number((groups,)) or shared for groups in own]


def _segment_number(groups: Sequence[Dataset]) -> int | None:
    items = [item for group in groups for item in items_of(group, "SegmentIdentificationSequence")]
    return whole_of(items[0], "ReferencedSegmentNumber") if items else None


def _pixel_data(dataset: Dataset) -> bytes:
    value = dataset["PixelData"].value if "PixelData" in dataset else b""
    return value if isinstance(value, bytes) else b""
