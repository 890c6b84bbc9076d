"""Segmentations on geometries of every kind, and a reader that shares nothing with their writer."""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import highdicom as hd
import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from ml.readers.dicom import Series
from ml.volume import Grid, Mask, Subtype
from node.results.forms import Compression, SegmentationForm
from node.results.identity import ResultContext
from node.results.segmentation import build_segmentation
from tests.support.heads import Storage
from tests.support.result_inputs import make_grid, make_series

Header = Mapping[str, Any]
"""A data set in the DICOM JSON model (PS3.18 F), which pydicom and DCMTK both write."""

FRAME_OF_SOURCE, INSTANCE_OF_SOURCE = "00081160", "00081155"
SOURCE_IMAGES, DERIVATION = "00082112", "00089124"
POSITION, ORIENTATION = "00200032", "00200037"
PLANE_POSITION, PLANE_ORIENTATION = "00209113", "00209116"
NUM_FRAMES, ROWS, COLUMNS, BITS_ALLOCATED = "00280008", "00280010", "00280011", "00280100"
KIND, SEGMENTS, NUMBER, LABEL = "00620001", "00620002", "00620004", "00620005"
IDENTIFICATION, FRAMES_NUMBER = "0062000A", "0062000B"
SHARED, PER_FRAME, PIXEL_DATA = "52009229", "52009230", "7FE00010"


@dataclass(frozen=True)
class Way:
    """A way to write a mask: the keyword arguments of `build_segmentation`."""

    form: SegmentationForm
    keep_empty_frames: bool = False
    compression: Compression = Compression.NONE

    def __str__(self) -> str:
        """Name a test."""
        return f"{self.form}-{'all' if self.keep_empty_frames else 'some'}-{self.compression}"


WAYS = tuple(
    Way(form, keep, compression)
    for form, compressions in (
        (SegmentationForm.BINARY, (Compression.NONE, Compression.JPEG2000)),
        (SegmentationForm.LABELMAP, tuple(Compression)),
    )
    for keep in (False, True)
    for compression in compressions
)
"""All that there are."""


def build_in(
    way: Way, context: ResultContext, series: Series, mask: Mask
) -> tuple[hd.seg.Segmentation, dict[Subtype, int]]:
    """Build a Segmentation in one of the ways."""
    return build_segmentation(
        context,
        series,
        mask,
        form=way.form,
        keep_empty_frames=way.keep_empty_frames,
        compression=way.compression,
    )


@dataclass(frozen=True, eq=False)
class Case:
    """A series and what was found in it."""

    series: Series
    mask: Mask


@st.composite
def cases(draw: st.DrawFn, *, may_have_spare_frames: bool = True) -> Case:
    """Draw a series of any geometry, single- or multi-frame, and lesions of any subtypes on it.

    Of a multi-frame image some frames may lie outside the volume, which `read_series` never does.
    """
    steps_mm = draw(st.lists(st.floats(0.5, 9), min_size=3, max_size=7))
    size = draw(st.tuples(st.integers(32, 45), st.integers(32, 45)))
    heights_mm = np.round(np.cumsum([0.0, *steps_mm]), 3)
    upright = make_grid(heights_mm=tuple(heights_mm), tilt_deg=draw(st.floats(-28, 28)), size=size)
    stored = Storage(*(draw(st.booleans()) for _ in range(4))).grid(upright)
    grid = Grid(
        np.round(stored.slice_origins_mm, 4),
        stored.row_direction,
        stored.column_direction,
        stored.pixel_spacing_mm,
        stored.rows,
        stored.columns,
    )
    subtypes = draw(st.lists(st.sampled_from(Subtype), min_size=1, max_size=5, unique=True))
    mask = Mask(_blobs(grid.shape, subtypes, seed=draw(st.integers(0, 1 << 32))), grid)
    num_spare_frames = draw(st.sampled_from([None, 0, 2 if may_have_spare_frames else 0]))
    series = make_series(
        grid,
        multi_frame=num_spare_frames is not None,
        num_spare_frames=num_spare_frames or 0,
    )
    return Case(series, mask)


def _blobs(
    shape: tuple[int, int, int], subtypes: Sequence[Subtype], *, seed: int
) -> NDArray[np.uint8]:
    """Draw two balls of each subtype, cut off at the edges, and one voxel that is nobody else's."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    index = np.moveaxis(np.indices(shape), 0, -1)
    for subtype in 2 * list(subtypes):
        apart = (index - rng.uniform(0, shape)) / (1.5, 6.0, 5.0)
        labels[(apart**2).sum(axis=-1) < rng.uniform(0.1, 1.5)] = subtype
    alone = rng.choice(labels.size, size=len(subtypes), replace=False)
    labels.reshape(-1)[alone] = subtypes
    return labels


def read_by_highdicom(segmentation: hd.seg.Segmentation, series: Series) -> NDArray[np.uint8]:
    """Read the number of the segment in each voxel of a series; shape (Z, Y, X)."""
    uids = [header.SOPInstanceUID for header in series.headers]
    if "NumberOfFrames" not in series.headers[0]:
        found = segmentation.get_pixels_by_source_instance(
            uids, combine_segments=True, assert_missing_frames_are_empty=True
        )
    else:
        found = segmentation.get_pixels_by_source_frame(
            uids[0],
            [frame.frame_number for frame in series.frames],
            combine_segments=True,
            assert_missing_frames_are_empty=True,
        )
    return np.asarray(found, np.uint8)


def labels_in(header: Header, frames: NDArray[np.uint8], series: Series) -> NDArray[np.uint8]:
    """Put the frames of a Segmentation back on the source images that they name.

    Parameters
    ----------
    header
        Of the Segmentation.
    frames
        Shape (F, Y, X): its pixels, as they are stored.
    series
        Its source: of that only UIDs, frame numbers and positions are used.

    Returns
    -------
    NDArray
        Shape (Z, Y, X): subtypes by the names of the segments.
    """
    grid = series.volume.grid
    subtypes = np.zeros(256, np.uint8)
    for segment in _items(header, SEGMENTS):
        subtypes[_first(segment, NUMBER)] = Subtype[_first(segment, LABEL)]
    slices = {
        (str(series.headers[frame.dataset_index].SOPInstanceUID), frame.frame_number): z
        for z, frame in enumerate(series.frames)
    }
    (shared,) = _items(header, SHARED)
    directions = _items(shared, PLANE_ORIENTATION)[0][ORIENTATION]["Value"]
    np.testing.assert_allclose(
        np.asarray(directions, float), (*grid.row_direction, *grid.column_direction), atol=1e-5
    )
    described = _items(header, PER_FRAME)
    assert len(described) == len(frames)
    labels = np.zeros(grid.shape, np.uint8)
    for groups, frame in zip(described, frames, strict=True):
        (source,) = _items(_items(groups, DERIVATION)[0], SOURCE_IMAGES)
        number = int(_first(source, FRAME_OF_SOURCE)) if FRAME_OF_SOURCE in source else 1
        index = slices.get((_first(source, INSTANCE_OF_SOURCE), number))
        if index is None:  # a frame of the source that is not in the volume
            assert not frame.any()
            continue
        position_mm = _items(groups, PLANE_POSITION)[0][POSITION]["Value"]
        np.testing.assert_allclose(
            np.asarray(position_mm, float), grid.slice_origins_mm[index], atol=1e-3
        )
        numbers = frame
        if _first(header, KIND) == "BINARY":
            of_frame = groups if IDENTIFICATION in groups else shared
            numbers = frame * np.uint8(_first(_items(of_frame, IDENTIFICATION)[0], FRAMES_NUMBER))
        assert not labels[index][frame > 0].any()
        assert subtypes[numbers[frame > 0]].all()
        labels[index][frame > 0] = subtypes[numbers[frame > 0]]
    return labels


def native_frames(header: Header, pixels: bytes) -> NDArray[np.uint8]:
    """Unpack pixels that are not compressed (PS3.5 8.1, 8.2); shape (F, Y, X)."""
    shape = tuple(int(_first(header, tag)) for tag in (NUM_FRAMES, ROWS, COLUMNS))
    values = np.frombuffer(pixels, np.uint8)
    if _first(header, BITS_ALLOCATED) == 1:
        values = np.unpackbits(values, bitorder="little")
    return values[: int(np.prod(shape))].reshape(shape)


def inline_pixels(header: Header) -> bytes:
    """Pixel data that stand in the header itself."""
    return b64decode(header[PIXEL_DATA]["InlineBinary"])


def jpeg_2000_frames(header: Header, codestreams: Sequence[bytes]) -> NDArray[np.uint8]:
    """Decode frames; Pillow makes 0 and 128 of one bit."""
    frames = np.stack([np.asarray(Image.open(BytesIO(stream))) for stream in codestreams])
    assert frames.dtype == np.uint8
    return frames >> np.uint8(7 if _first(header, BITS_ALLOCATED) == 1 else 0)


def run_length_frames(header: Header, segments: Sequence[bytes]) -> NDArray[np.uint8]:
    """Decode frames of one byte a pixel (PS3.5 G)."""
    pixels = _first(header, ROWS) * _first(header, COLUMNS)
    frames = []
    for data in segments:
        assert int.from_bytes(data[:4], "little") == 1
        frames.append(_unpacked_bytes(data[int.from_bytes(data[4:8], "little") :])[:pixels])
    return native_frames(header, b"".join(frames))


def _unpacked_bytes(data: bytes) -> bytes:
    out, at = bytearray(), 0
    while at < len(data) - 1:
        head = data[at]
        if head < 128:
            out += data[at + 1 : at + 2 + head]
            at += 2 + head
        else:
            out += data[at + 1 : at + 2] * (257 - head if head > 128 else 0)
            at += 2 if head > 128 else 1
    return bytes(out)


def _items(item: Header, tag: str) -> Sequence[Header]:
    found: Sequence[Header] = item[tag]["Value"]
    return found


def _first(item: Header, tag: str) -> Any:
    return item[tag]["Value"][0]
