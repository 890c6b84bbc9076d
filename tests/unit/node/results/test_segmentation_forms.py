"""Each form of a Segmentation says the same, and says what it is."""

from io import BytesIO

import highdicom as hd
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.encaps import generate_frames
from pydicom.uid import RLELossless

from ml.volume import Subtype
from node.results.forms import (
    SEGMENTATION_CLASSES,
    TRANSFER_SYNTAXES,
    Compression,
    SegmentationForm,
)
from node.results.headers import encode
from node.results.segmentation import build_segmentation
from tests.support.result_inputs import make_context, make_grid, make_mask, make_series
from tests.support.segmentation_files import (
    WAYS,
    Case,
    Header,
    Way,
    build_in,
    cases,
    jpeg_2000_frames,
    labels_in,
    native_frames,
    read_by_highdicom,
    run_length_frames,
)

CONTEXT, GRID = make_context(), make_grid()
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking a whole series takes minutes."""


def read_by_hand(content: bytes) -> tuple[Header, NDArray[np.uint8]]:
    """Read a Segmentation without any code that knows what one is."""
    dataset = dcmread(BytesIO(content))
    pixels, syntax = dataset.PixelData, dataset.file_meta.TransferSyntaxUID
    del dataset.PixelData
    header = dataset.to_json_dict()
    if not syntax.is_encapsulated:
        return header, native_frames(header, pixels)
    frames = list(generate_frames(pixels, number_of_frames=dataset.NumberOfFrames))
    decode = run_length_frames if syntax == RLELossless else jpeg_2000_frames
    return header, decode(header, frames)


# the frames are so small that a compressed one may happen to be as long as a native one
@pytest.mark.filterwarnings("ignore:The number of bytes of compressed pixel data matches")
@pytest.mark.parametrize("way", WAYS, ids=str)
@settings(max_examples=6, deadline=None, phases=NO_SHRINKING)
@given(case=cases())
def test_the_file_alone_gives_every_voxel_back(way: Way, case: Case) -> None:
    built, numbers = build_in(way, CONTEXT, case.series, case.mask)
    header, frames = read_by_hand(encode(built))
    np.testing.assert_array_equal(labels_in(header, frames, case.series), case.mask.labels)
    by_highdicom = read_by_highdicom(hd.seg.segread(BytesIO(encode(built))), case.series)
    subtypes = np.array([0, *numbers], np.uint8)
    np.testing.assert_array_equal(subtypes[by_highdicom], case.mask.labels)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_form_is_what_it_says(way: Way) -> None:
    series = make_series(GRID, multi_frame=True, num_spare_frames=2)
    subtypes = [Subtype.IVH, Subtype.SDH]
    mask = make_mask(GRID, subtypes)
    segmentation, numbers = build_in(way, CONTEXT, series, mask)
    assert segmentation.SegmentationType == way.form
    assert segmentation.SOPClassUID == SEGMENTATION_CLASSES[way.form]
    assert segmentation.file_meta.MediaStorageSOPClassUID == SEGMENTATION_CLASSES[way.form]
    assert segmentation.file_meta.TransferSyntaxUID == TRANSFER_SYNTAXES[way.compression]
    assert segmentation.LossyImageCompression == "00"
    in_frames = {
        SegmentationForm.BINARY: 2 * 14 if way.keep_empty_frames else 2 + 7,
        SegmentationForm.LABELMAP: 14 if way.keep_empty_frames else 7,
    }
    assert segmentation.NumberOfFrames == in_frames[way.form]
    assert segmentation.BodyPartExamined == "HEAD"
    # no background among them: a viewer takes the first item for segment 1
    described = [(s.SegmentNumber, s.SegmentLabel) for s in segmentation.SegmentSequence]
    assert described == [(1, "IVH"), (2, "SDH")]
    assert numbers == {Subtype.IVH: 1, Subtype.SDH: 2}
    assert encode(build_in(way, CONTEXT, series, mask)[0]) == encode(segmentation)


def test_forms_share_no_uid() -> None:
    series, mask = make_series(GRID), make_mask(GRID)
    uids = set()
    for way in WAYS:
        built, _ = build_in(way, CONTEXT, series, mask)
        uids |= {built.SeriesInstanceUID, built.SOPInstanceUID}
    assert len(uids) == 2 * len(WAYS)


def test_the_usual_form_keeps_the_uids_that_it_has_always_had() -> None:
    segmentation, _ = build_segmentation(CONTEXT, make_series(GRID), make_mask(GRID))
    assert segmentation.SeriesInstanceUID == CONTEXT.uid("SEG-BINARY-series")
    assert segmentation.SOPInstanceUID == CONTEXT.uid("SEG-BINARY-instance")


@pytest.mark.parametrize(
    ("way", "size", "message"),
    [
        (Way(SegmentationForm.NONE), (40, 44), "form NONE"),
        (Way(SegmentationForm.BINARY, compression=Compression.RLE), (40, 44), "RLE"),
        (Way(SegmentationForm.BINARY, compression=Compression.JPEG2000), (44, 31), "31 rows"),
        (Way(SegmentationForm.LABELMAP, compression=Compression.JPEG2000), (31, 44), "31 rows"),
    ],
)
def test_a_form_that_no_object_has_is_refused(
    way: Way, size: tuple[int, int], message: str
) -> None:
    grid = make_grid(size=size)
    with pytest.raises(ValueError, match=message):
        build_in(way, CONTEXT, make_series(grid), make_mask(grid, [Subtype.IPH]))
