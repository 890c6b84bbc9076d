"""What each frame of a CT series says about itself, single-frame or multi-frame alike.

A single-frame image says it in its data set; an Enhanced CT image in functional groups, shared or
per frame (PS3.3 C.7.6.16, A.38); a converted legacy image leaves part of it among the unassigned
converted attributes (C.7.6.16.2.25).
"""

import math
import operator
from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from config.errors import UnreadableInputError
from ml.readers.attributes import items_of, number_of, text_of, values_of, vector_of, whole_of
from ml.volume import Grid

PARALLEL_TOLERANCE = 1e-3
"""Largest difference between direction cosines, or relative one of pixel spacings, of a stack."""
COSINES_TOLERANCE = 1e-2
"""Direction cosines may be off unit length and the right angle by so much: senders round them."""
SAME_POSITION_MM = 0.05
"""Slices that are nearer along their normal lie at the same position."""

_UNASSIGNED = (
    "UnassignedSharedConvertedAttributesSequence",
    "UnassignedPerFrameConvertedAttributesSequence",
)


@dataclass(frozen=True)
class FrameReference:
    """Where a slice of a volume was read from.

    Attributes
    ----------
    dataset_index
        Index into the data sets of its series.
    frame_number
        Counts from 1; 1 for a single-frame image.
    """

    dataset_index: int
    frame_number: int


@dataclass(frozen=True, eq=False)
class FrameHeader:
    """Attributes of one frame; what is absent or unusable is None, or empty.

    Attributes
    ----------
    reference
        Which frame it is.
    rows, columns
        Size in pixels.
    image_type
        Image Type, of an enhanced image Frame Type.
    stack_id
        Stack of an enhanced image to which the frame belongs.
    position_mm
        Shape (3,), LPS mm: Image Position (Patient).
    orientation
        Shape (6,): Image Orientation (Patient).
    pixel_spacing_mm
        Shape (2,): Pixel Spacing, between rows and between columns, mm.
    slice_thickness_mm
        Nominal, mm.
    rescale_slope, rescale_intercept, rescale_type
        From stored values to Hounsfield units.
    convolution_kernel
        As the manufacturer names it.
    acquisition_number
        Which acquisition it is from.
    """

    reference: FrameReference
    rows: int | None
    columns: int | None
    image_type: tuple[str, ...]
    stack_id: str
    position_mm: NDArray[np.float64] | None
    orientation: NDArray[np.float64] | None
    pixel_spacing_mm: NDArray[np.float64] | None
    slice_thickness_mm: float | None
    rescale_slope: float | None
    rescale_intercept: float | None
    rescale_type: str
    convolution_kernel: str
    acquisition_number: int | None

    @property
    def normal(self) -> NDArray[np.float64] | None:
        """Unit normal, shape (3,), LPS: row direction x column direction."""
        if self.orientation is None:
            return None
        return np.cross(self.orientation[:3], self.orientation[3:])


def frame_headers(header: Dataset, dataset_index: int) -> tuple[FrameHeader, ...]:
    """Describe the frames of an image.

    Parameters
    ----------
    header
        Its data set; pixel data are not needed.
    dataset_index
        Goes into the references.

    Returns
    -------
    tuple of FrameHeader
        In the order in which the frames are stored.
    """
    per_frame = items_of(header, "PerFrameFunctionalGroupsSequence")
    if not per_frame:
        return (_frame(FrameReference(dataset_index, 1), header, {}),)
    shared, converted = map(
        _by_keyword, _macros(items_of(header, "SharedFunctionalGroupsSequence"))
    )
    frames = []
    for number, groups in enumerate(per_frame, start=1):
        own, own_converted = map(_by_keyword, _macros((groups,)))
        sources = ChainMap(own, shared, own_converted, converted)
        frames.append(_frame(FrameReference(dataset_index, number), header, sources))
    return tuple(frames)


def grid_of(frames: Sequence[FrameHeader]) -> tuple[Grid, tuple[int, ...]]:
    """Arrange frames as one stack of parallel slices.

    Parameters
    ----------
    frames
        At least one, in any order.

    Returns
    -------
    Grid
        Slices in the order from the feet to the head.
    tuple of int
        For each slice the index of its frame.

    Raises
    ------
    UnreadableInputError
        If the frames lack geometry, differ in size, spacing or orientation, or share a position.
    """
    first = frames[0]
    for frame in frames:
        fault = geometry_fault(frame) or difference(first, frame)
        if fault:
            raise UnreadableInputError(fault)
    orientation, spacing = first.orientation, first.pixel_spacing_mm
    if orientation is None or spacing is None:  # refused above
        raise UnreadableInputError("a frame lacks geometry")
    origins = np.stack([frame.position_mm for frame in frames if frame.position_mm is not None])
    heights = heights_mm(frames)
    order = np.argsort(heights, kind="stable")
    if (np.diff(heights[order]) < SAME_POSITION_MM).any():
        raise UnreadableInputError("several slices lie at the same position")
    row, column = _orthonormal(orientation)
    grid = Grid(
        slice_origins_mm=origins[order],
        row_direction=row,
        column_direction=column,
        pixel_spacing_mm=(float(spacing[0]), float(spacing[1])),
        rows=first.rows or 0,
        columns=first.columns or 0,
    )
    return grid, tuple(int(index) for index in order)


def heights_mm(frames: Sequence[FrameHeader]) -> NDArray[np.float64]:
    """Positions along the common normal, rising towards the head, shape (N,), mm.

    For slices that are not axial, the direction of the normal's largest part counts as up.
    """
    normal = frames[0].normal
    origins = [frame.position_mm for frame in frames if frame.position_mm is not None]
    if normal is None or len(origins) != len(frames):
        raise UnreadableInputError("a frame lacks geometry")
    up = normal * np.sign(normal[np.abs(normal).argmax()])
    heights: NDArray[np.float64] = np.stack(origins) @ up
    return heights


def geometry_fault(frame: FrameHeader) -> str:
    """Name what a frame lacks to lie in space; empty if nothing."""
    if frame.position_mm is None:
        return "Image Position (Patient) is missing"
    if frame.orientation is None:
        return "Image Orientation (Patient) is missing"
    # plain numbers: this is asked for every image that is received
    row, column = frame.orientation[:3].tolist(), frame.orientation[3:].tolist()
    lengths = math.hypot(*row), math.hypot(*column)
    off_unit = max(abs(length - 1) for length in lengths)
    if max(off_unit, abs(sum(map(operator.mul, row, column)))) > COSINES_TOLERANCE:
        return "Image Orientation (Patient) is no pair of perpendicular unit vectors"
    if frame.pixel_spacing_mm is None or frame.pixel_spacing_mm.min() <= 0:
        return "Pixel Spacing is missing"
    return ""


def difference(first: FrameHeader, other: FrameHeader) -> str:
    """Name in what two frames differ so that they form no stack; empty if in nothing."""
    if (first.rows, first.columns) != (other.rows, other.columns):
        return "images differ in Rows and Columns"
    if not _close(first.orientation, other.orientation, absolute=PARALLEL_TOLERANCE):
        return "images differ in Image Orientation (Patient)"
    if not _close(first.pixel_spacing_mm, other.pixel_spacing_mm, relative=PARALLEL_TOLERANCE):
        return "images differ in Pixel Spacing"
    return ""


def _close(
    one: NDArray[np.float64] | None,
    other: NDArray[np.float64] | None,
    *,
    absolute: float = 0,
    relative: float = 0,
) -> bool:
    if one is None or other is None:
        return one is other
    pairs = zip(one.tolist(), other.tolist(), strict=True)
    return all(abs(a - b) <= absolute + relative * abs(b) for a, b in pairs)


def _orthonormal(
    orientation: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make direction cosines exact: senders round them."""
    row = orientation[:3] / np.linalg.norm(orientation[:3])
    column = orientation[3:] - (orientation[3:] @ row) * row
    return row, column / np.linalg.norm(column)


def _macros(groups: Sequence[Dataset]) -> tuple[list[Dataset], list[Dataset]]:
    """Functional group macros: those of the standard, and those with unassigned attributes."""
    macros: list[Dataset] = []
    unassigned: list[Dataset] = []
    for group in groups:
        for element in group:
            into = unassigned if element.keyword in _UNASSIGNED else macros
            into.extend(items_of(group, element.keyword) if element.VR == "SQ" else ())
    return macros, unassigned


def _by_keyword(macros: Sequence[Dataset]) -> dict[str, Dataset]:
    """For each attribute the first macro that has it, so that no frame searches all of them."""
    found: dict[str, Dataset] = {}
    for macro in macros:
        for element in macro:
            found.setdefault(element.keyword, macro)
    return found


def _frame(
    reference: FrameReference, header: Dataset, sources: Mapping[str, Dataset]
) -> FrameHeader:
    """Describe a frame from the macro that holds each attribute, else from the header."""

    def source(keyword: str) -> Dataset:
        return sources.get(keyword, header)

    acquisition = whole_of(source("FrameAcquisitionNumber"), "FrameAcquisitionNumber")
    if acquisition is None:
        acquisition = whole_of(source("AcquisitionNumber"), "AcquisitionNumber")
    thickness_mm = number_of(source("SliceThickness"), "SliceThickness")
    return FrameHeader(
        reference=reference,
        rows=whole_of(header, "Rows"),
        columns=whole_of(header, "Columns"),
        image_type=values_of(source("FrameType"), "FrameType") or values_of(header, "ImageType"),
        stack_id=text_of(source("StackID"), "StackID"),
        position_mm=vector_of(source("ImagePositionPatient"), "ImagePositionPatient", 3),
        orientation=vector_of(source("ImageOrientationPatient"), "ImageOrientationPatient", 6),
        pixel_spacing_mm=vector_of(source("PixelSpacing"), "PixelSpacing", 2),
        slice_thickness_mm=thickness_mm if thickness_mm and thickness_mm > 0 else None,
        rescale_slope=number_of(source("RescaleSlope"), "RescaleSlope"),
        rescale_intercept=number_of(source("RescaleIntercept"), "RescaleIntercept"),
        rescale_type=text_of(source("RescaleType"), "RescaleType"),
        convolution_kernel=text_of(source("ConvolutionKernel"), "ConvolutionKernel"),
        acquisition_number=acquisition,
    )
