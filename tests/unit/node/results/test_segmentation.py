"""A Segmentation gives every voxel back at the image or frame, and the place, that it came from."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from io import BytesIO

import highdicom as hd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from config.errors import UnreadableInputError, UnsupportedInputError
from ml.readers.dicom import Series
from ml.volume import Grid, Mask, Subtype
from node.results import codes
from node.results.headers import encode
from node.results.segmentation import build_segmentation
from tests.support.result_inputs import make_context, make_grid, make_mask, make_series
from tests.support.segmentation_files import read_by_highdicom

CONTEXT = make_context()
UPWARD = tuple(range(0, 60, 5))
UNEVEN = (0, 4, 8, 12, 13.08, 14.16, 15.24, 22.24, 29.24, 36.24, 43.24, 50.24)

GRIDS = {
    "plain": make_grid(),
    "tilted": make_grid(tilt_deg=18.5),
    "uneven": make_grid(heights_mm=UNEVEN),
    "tilted-and-uneven": make_grid(heights_mm=UNEVEN, tilt_deg=-18.5),
    "from-head-to-feet": make_grid(heights_mm=UPWARD[::-1]),
    "mirrored": make_grid(mirrored=True),
}


def written(series: Series, mask: Mask) -> tuple[hd.seg.Segmentation, dict[Subtype, int]]:
    """Build a Segmentation, write it and read it."""
    segmentation, numbers = build_segmentation(CONTEXT, series, mask)
    return hd.seg.segread(BytesIO(encode(segmentation))), numbers


def numbered(mask: Mask, numbers: dict[Subtype, int]) -> NDArray[np.uint8]:
    """Replace labels by segment numbers."""
    result = np.zeros(mask.labels.shape, np.uint8)
    for subtype, number in numbers.items():
        result[mask.labels == subtype] = number
    return result


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_each_source_image_gets_its_own_pixels_back(grid: Grid) -> None:
    series, mask = make_series(grid), make_mask(grid)
    segmentation, numbers = written(series, mask)
    back = read_by_highdicom(segmentation, series)
    np.testing.assert_array_equal(back, numbered(mask, numbers))


@pytest.mark.parametrize("num_spare_frames", [0, 3])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_each_frame_of_a_multi_frame_source_gets_its_own_pixels_back(
    grid: Grid, num_spare_frames: int
) -> None:
    series = make_series(grid, multi_frame=True, num_spare_frames=num_spare_frames)
    mask = make_mask(grid)
    segmentation, numbers = written(series, mask)
    back = read_by_highdicom(segmentation, series)
    np.testing.assert_array_equal(back, numbered(mask, numbers))


def test_frames_outside_the_volume_get_no_segment() -> None:
    series = make_series(GRIDS["plain"], multi_frame=True, num_spare_frames=3)
    segmentation, _ = written(series, make_mask(GRIDS["plain"]))
    referenced = {
        int(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for groups in segmentation.PerFrameFunctionalGroupsSequence
    }
    assert referenced == {frame.frame_number for frame in series.frames[2:10]}


def test_orientation_and_spacing_may_stand_in_each_frame() -> None:
    series = make_series(GRIDS["tilted"], multi_frame=True)
    (header,) = deepcopy(series.headers)
    shared = header.SharedFunctionalGroupsSequence[0]
    for groups in header.PerFrameFunctionalGroupsSequence:
        groups.update(deepcopy(shared))
    header.SharedFunctionalGroupsSequence = [Dataset()]
    mask = make_mask(GRIDS["tilted"])
    segmentation, numbers = written(replace(series, headers=(header,)), mask)
    back = read_by_highdicom(segmentation, series)
    np.testing.assert_array_equal(back, numbered(mask, numbers))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(1, 9), min_size=11, max_size=11),
    st.floats(-25, 25),
    st.booleans(),
    st.booleans(),
)
def test_every_voxel_stays_at_its_place_in_the_patient(
    steps_mm: list[float], tilt_deg: float, downward: bool, mirrored: bool
) -> None:
    heights = np.round(np.cumsum([0.0, *steps_mm]), 3) * (-1 if downward else 1)
    grid = make_grid(heights_mm=tuple(heights), tilt_deg=tilt_deg, mirrored=mirrored)
    mask = make_mask(grid, [Subtype.SDH])
    segmentation, _ = written(make_series(grid), mask)
    np.testing.assert_allclose(
        places_of(segmentation), expected_places(mask, Subtype.SDH), atol=1e-3
    )


def places_of(segmentation: hd.seg.Segmentation) -> NDArray[np.float64]:
    """Positions of all voxels by the object's own geometry, LPS mm, sorted."""
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    places = []
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        for row, column in np.argwhere(frame):
            across = column * between_columns * orientation[:3]
            places.append(origin + across + row * between_rows * orientation[3:])
    return sorted_rows(np.array(places))


def expected_places(mask: Mask, subtype: Subtype) -> NDArray[np.float64]:
    """Positions of the voxels of a subtype by the grid of the volume, LPS mm, sorted."""
    index = np.argwhere(mask.labels == subtype).astype(float)
    return sorted_rows(mask.grid.positions_mm(index))


def sorted_rows(places: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded = np.round(places, 2)
    return places[np.lexsort(rounded.T)]


@pytest.mark.parametrize("mirrored", [False, True])
def test_left_stays_left(mirrored: bool) -> None:
    grid = make_grid(mirrored=mirrored)
    columns = np.arange(grid.columns) * 3.5 * grid.row_direction[0] + grid.slice_origins_mm[0, 0]
    labels = np.zeros(grid.shape, np.uint8)
    labels[4:7, 10:20, columns > 20] = Subtype.EDH  # LPS: +x is the patient's left
    segmentation, _ = written(make_series(grid), Mask(labels, grid))
    assert (places_of(segmentation)[:, 0] > 20).all()


def test_segments_are_numbered_without_a_gap_and_named_for_viewers() -> None:
    mask = make_mask(GRIDS["plain"], [Subtype.SAH, Subtype.IVH])
    segmentation, numbers = written(make_series(GRIDS["plain"]), mask)
    assert numbers == {Subtype.IVH: 1, Subtype.SAH: 2}
    assert [s.SegmentNumber for s in segmentation.SegmentSequence] == [1, 2]
    for segment, subtype in zip(segmentation.SegmentSequence, numbers, strict=True):
        terms = codes.SUBTYPES[subtype]
        assert segment.SegmentLabel == terms.label
        assert segment.SegmentAlgorithmType == "AUTOMATIC"
        assert codes.is_code(segment.SegmentedPropertyTypeCodeSequence[0], terms.finding)
        assert codes.is_code(segment.AnatomicRegionSequence[0], terms.sites[-1])
        assert segment.TrackingID == terms.tracking_identifier
        assert segment.TrackingUID == CONTEXT.tracking_uid(terms.tracking_identifier)
        colour = hd.color.CIELabColor.from_rgb(*terms.rgb).value
        assert tuple(segment.RecommendedDisplayCIELabValue) == colour


def test_the_object_is_what_peers_take() -> None:
    series = make_series(GRIDS["plain"])
    segmentation, _ = written(series, make_mask(GRIDS["plain"], [Subtype.IPH]))
    assert segmentation.SegmentationType == "BINARY"
    assert segmentation.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert segmentation.NumberOfFrames == 4  # empty ones are omitted
    assert segmentation.BodyPartExamined == "HEAD"
    assert segmentation.ContentQualification == "RESEARCH"
    assert segmentation.SeriesNumber == 9001
    assert segmentation.SeriesDescription == "AI ICH segmentation - NOT FOR DIAGNOSIS"
    assert segmentation.FrameOfReferenceUID == series.headers[0].FrameOfReferenceUID
    referenced = segmentation.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert len(referenced) == len(series.headers)


def test_the_model_is_named_in_the_equipment() -> None:
    segmentation, _ = written(make_series(GRIDS["plain"]), make_mask(GRIDS["plain"]))
    model = CONTEXT.model
    named = [
        (item.ManufacturerModelName, item.SoftwareVersions, item.get("DeviceUID"))
        for item in segmentation.ContributingEquipmentSequence
        if codes.is_code(item.PurposeOfReferenceCodeSequence[0], codes.PROCESSING_EQUIPMENT)
    ]
    assert (model.name, model.version, model.device_uid) in named
    algorithm = segmentation.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (model.name, model.version)


def test_a_second_build_gives_equal_bytes_and_a_second_generation_another_uid() -> None:
    series, mask = make_series(GRIDS["tilted"]), make_mask(GRIDS["tilted"])
    first, second = (build_segmentation(CONTEXT, series, mask)[0] for _ in range(2))
    assert encode(first) == encode(second)
    later, _ = build_segmentation(make_context(generation=2), series, mask)
    assert later.SOPInstanceUID != first.SOPInstanceUID
    assert later.SeriesInstanceUID != first.SeriesInstanceUID
    assert later.SegmentSequence[0].TrackingUID == first.SegmentSequence[0].TrackingUID


@pytest.mark.parametrize("multi_frame", [False, True])
def test_the_headers_of_the_series_are_left_as_they_were(multi_frame: bool) -> None:
    series = make_series(GRIDS["plain"], multi_frame=multi_frame)
    before = [header.to_json() for header in series.headers]
    build_segmentation(CONTEXT, series, make_mask(GRIDS["plain"]))
    assert [header.to_json() for header in series.headers] == before


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty mask"):
        build_segmentation(CONTEXT, make_series(GRIDS["plain"]), make_mask(GRIDS["plain"], []))


def test_a_mask_on_another_grid_is_refused() -> None:
    series = make_series(GRIDS["plain"])
    for other in (GRIDS["from-head-to-feet"], make_grid(heights_mm=UPWARD[:11])):
        with pytest.raises(ValueError, match="grid of the series"):
            build_segmentation(CONTEXT, series, make_mask(other))


@pytest.mark.parametrize(
    "shuffle", [lambda h: h[::-1], lambda h: (*h[1:], h[0]), lambda h: (h[1], h[0], *h[2:])]
)
def test_headers_in_another_order_than_the_slices_are_refused(
    shuffle: Callable[[tuple[Dataset, ...]], tuple[Dataset, ...]],
) -> None:
    series = make_series(GRIDS["plain"])
    shuffled = replace(series, headers=shuffle(series.headers))
    with pytest.raises(ValueError, match="where their headers say"):
        build_segmentation(CONTEXT, shuffled, make_mask(GRIDS["plain"]))


def with_headers(change: Callable[[Dataset], object], *, only: slice = slice(None)) -> Series:
    series = make_series(GRIDS["plain"])
    headers = deepcopy(series.headers)
    for header in headers[only]:
        change(header)
    return replace(series, headers=headers)


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "ImagePositionPatient"])
def test_a_source_without_place_in_the_patient_is_refused(keyword: str) -> None:
    series = with_headers(lambda h: h.pop(keyword))
    with pytest.raises(UnreadableInputError, match=keyword):
        build_segmentation(CONTEXT, series, make_mask(GRIDS["plain"]))


@pytest.mark.parametrize("thickness", [None, "", "0"])
def test_a_missing_slice_thickness_becomes_the_extent_of_a_slice(thickness: str | None) -> None:
    series = with_headers(lambda h: setattr(h, "SliceThickness", thickness))
    segmentation, _ = written(series, make_mask(GRIDS["plain"]))
    measures = segmentation.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert float(measures.SliceThickness) == 5


def test_directions_may_differ_in_their_last_digit() -> None:
    def change(header: Dataset) -> None:
        header.ImageOrientationPatient = [1, 0.0000001, 0, 0, 1, 0]

    series = with_headers(change, only=slice(3, 5))
    assert written(series, make_mask(GRIDS["plain"]))[0].NumberOfFrames > 0


def test_several_multi_frame_images_are_not_supported() -> None:
    series = make_series(GRIDS["plain"], multi_frame=True)
    other = deepcopy(series.headers[0])
    other.SOPInstanceUID += ".1"
    twofold = replace(series, headers=(series.headers[0], other))
    with pytest.raises(UnsupportedInputError, match="multi-frame"):
        build_segmentation(CONTEXT, twofold, make_mask(GRIDS["plain"]))
