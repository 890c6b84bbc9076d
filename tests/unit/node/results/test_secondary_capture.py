"""Secondary Captures: filed under their study, pixels native, in place, and no patient drawn."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from io import BytesIO

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from config.errors import PatientConflictError, Reason, UnreadableInputError
from ml.readers.dicom import Series
from ml.volume import Grid, Mask, Subtype
from node.results import codes
from node.results.headers import TYPE_2, encode
from node.results.outcomes import StudyResult
from node.results.overlay import draw_overlay
from node.results.report import build_report
from node.results.secondary_capture import build_overlay, build_summary_page
from node.results.summary_page import draw_page
from tests.support.result_inputs import (
    MODEL,
    all_results,
    make_context,
    make_findings,
    make_grid,
    make_mask,
    make_series,
    uid,
)

CONTEXT = make_context()
GRID = make_grid()
SERIES = make_series(GRID)
MASK = make_mask(GRID)
RESULTS = all_results(MASK)
POSITIVE = RESULTS["positive"]
GRIDS = {
    "plain": GRID,
    "tilted": make_grid(tilt_deg=18.5),
    "from-head-to-feet": make_grid(heights_mm=tuple(range(0, 60, 5))[::-1]),
    "mirrored": make_grid(mirrored=True),
}


def written(dataset: Dataset) -> Dataset:
    return dcmread(BytesIO(encode(dataset)))


def page_of(result: StudyResult, series: Series = SERIES, *, generation: int = 1) -> Dataset:
    """Page as the node makes it: with slices where something was found."""
    return build_summary_page(
        make_context(generation=generation),
        result,
        series.headers,
        frames=series.frames,
        volume=series.volume if result.findings else None,
        mask=make_mask(series.volume.grid) if result.findings else None,
    )


@cache
def page(name: str) -> Dataset:
    return written(page_of(RESULTS[name]))


@cache
def overlays() -> tuple[Dataset, ...]:
    return tuple(written(image) for image in build_overlay(CONTEXT, POSITIVE, SERIES, MASK))


def with_headers(change: Callable[[Dataset], object], *, only: slice = slice(None)) -> Series:
    headers = deepcopy(SERIES.headers)
    for header in headers[only]:
        change(header)
    return replace(SERIES, headers=headers)


def captures_of(series: Series) -> list[Dataset]:
    """One page and one overlay of a series."""
    mask = make_mask(series.volume.grid)
    return [
        written(image)
        for image in (page_of(POSITIVE, series), build_overlay(CONTEXT, POSITIVE, series, mask)[0])
    ]


@pytest.mark.parametrize("name", RESULTS)
def test_every_outcome_has_a_page_that_any_viewer_shows(name: str) -> None:
    image, result = page(name), RESULTS[name]
    assert image.SOPClassUID == SecondaryCaptureImageStorage
    assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert (image.Rows, image.Columns, image.SamplesPerPixel) == (1024, 1024, 3)
    assert (image.BitsAllocated, image.PhotometricInterpretation) == (8, "RGB")
    assert image.SeriesDescription == f"AI ICH summary {result.wording.word} - NOT FOR DIAGNOSIS"
    assert len(image.SeriesDescription) <= 64
    assert image.SeriesNumber == 9005
    assert image.PatientOrientation is None or image.PatientOrientation == ""
    expected = draw_page(
        CONTEXT,
        result,
        volume=SERIES.volume,
        mask=MASK,
        image_names=[f"image {header.InstanceNumber}" for header in SERIES.headers],
    )
    np.testing.assert_array_equal(image.pixel_array, np.asarray(expected))


@pytest.mark.parametrize("name", RESULTS)
def test_only_what_was_analysed_is_said_to_be_a_head(name: str) -> None:
    analysed = bool(RESULTS[name].num_images)
    assert (page(name).get("BodyPartExamined") == "HEAD") == analysed


def test_captures_say_what_they_are() -> None:
    for image in (page("positive"), page("failed"), *overlays()):
        assert (image.Modality, image.ConversionType) == ("OT", "WSD")
        assert image.ImageType == ["DERIVED", "SECONDARY"]
        assert image.BurnedInAnnotation == "YES"
        assert image.RecognizableVisualFeatures == "NO"
        assert image.ContentQualification == "RESEARCH"
        assert image.Manufacturer == CONTEXT.node.manufacturer
        assert "NOT FOR DIAGNOSIS" in image.SeriesDescription
        (model,) = [
            item
            for item in image.ContributingEquipmentSequence
            if item.get("DeviceUID") == MODEL.device_uid
        ]
        assert codes.is_code(model.PurposeOfReferenceCodeSequence[0], codes.PROCESSING_EQUIPMENT)


def test_patient_and_study_arrive_as_they_came() -> None:
    header = SERIES.headers[0]
    more = ("PatientID", "IssuerOfPatientID", "PatientAge", "StudyInstanceUID", "StudyDescription")
    for image in (page("positive"), *overlays()):
        for keyword in (*TYPE_2, *more, "SpecificCharacterSet"):
            assert image.get(keyword) == header.get(keyword), keyword
        assert str(image.PatientName) == "Synthetic^Müller"


def test_what_senders_leave_out_stays_empty() -> None:
    def strip(header: Dataset) -> None:
        for keyword in TYPE_2:
            del header[keyword]
        del header.InstanceNumber

    for image in captures_of(with_headers(strip)):
        assert all(image[keyword].is_empty for keyword in TYPE_2)


@pytest.mark.parametrize("keyword", ["PatientID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_a_source_that_cannot_be_filed_gets_no_capture(keyword: str) -> None:
    series = with_headers(lambda h: h.pop(keyword))
    with pytest.raises(UnreadableInputError, match=keyword):
        page_of(POSITIVE, series)
    with pytest.raises(UnreadableInputError, match=keyword):
        build_overlay(CONTEXT, POSITIVE, series, MASK)


def test_images_of_two_patients_never_meet() -> None:
    series = with_headers(lambda h: setattr(h, "PatientID", "OTHER"), only=slice(3, 4))
    with pytest.raises(PatientConflictError):
        page_of(POSITIVE, series)
    with pytest.raises(PatientConflictError):
        build_overlay(CONTEXT, POSITIVE, series, MASK)


def test_no_patient_data_is_drawn() -> None:
    def rename(header: Dataset) -> None:
        header.PatientName, header.PatientID = "CANARY^BIRD", "CANARY"
        header.PatientBirthDate, header.PatientSex, header.PatientAge = "19010101", "F", "099Y"
        header.AccessionNumber, header.StudyID = "C99", "99"
        header.StudyDescription = header.SeriesDescription = "CANARY"
        header.StudyDate, header.StudyTime = "20990101", "235959"

    before, after = captures_of(SERIES), captures_of(with_headers(rename))
    for image, other in zip(before, after, strict=True):
        assert image.PatientName != other.PatientName
        assert image.PixelData == other.PixelData


@pytest.mark.parametrize("name", RESULTS)
def test_a_second_page_has_equal_bytes(name: str) -> None:
    assert encode(page_of(RESULTS[name])) == encode(page_of(RESULTS[name]))


def test_second_overlays_have_equal_bytes() -> None:
    again = build_overlay(CONTEXT, POSITIVE, SERIES, MASK)
    assert [encode(image) for image in again] == [encode(image) for image in overlays()]


def test_every_date_and_time_is_the_jobs_or_the_sources() -> None:
    header = SERIES.headers[0]
    known = {"20310304", "050607", "20310304050607+0000", header.PatientBirthDate}
    known |= {header.StudyDate, header.StudyTime}
    for image in (page("positive"), overlays()[0]):
        times = {str(e.value) for e in image.iterall() if e.VR in ("DA", "TM", "DT")}
        assert times == known


def test_forms_with_different_content_differ_in_every_uid() -> None:
    bare = build_summary_page(CONTEXT, POSITIVE, SERIES.headers)
    report = build_report(CONTEXT, POSITIVE, SERIES.headers)
    later = page_of(POSITIVE, generation=2)
    forms = [page("positive"), bare, overlays()[0], report, later]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({form[keyword].value for form in forms}) == len(forms)
    assert later.SeriesNumber == 9015
    assert len({image.SOPInstanceUID for image in overlays()}) == len(overlays())
    assert len({image.SeriesInstanceUID for image in overlays()}) == 1


def sources_of(image: Dataset) -> list[str]:
    return [item.ReferencedSOPInstanceUID for item in image.SourceImageSequence]


def test_a_page_refers_to_the_key_images_else_to_the_evidence() -> None:
    keys = sorted({finding.outlines[0].slice_index for finding in POSITIVE.findings})
    images = [header.SOPInstanceUID for header in SERIES.headers]
    assert sources_of(page("positive")) == [images[key] for key in keys]
    assert sources_of(page("failed")) == images


def test_a_page_refers_to_the_key_frames_of_a_multi_frame_image() -> None:
    series = make_series(GRID, multi_frame=True, num_spare_frames=3)
    (item,) = page_of(POSITIVE, series).SourceImageSequence
    keys = sorted({finding.outlines[0].slice_index for finding in POSITIVE.findings})
    assert item.ReferencedFrameNumber == [key + 4 for key in keys]
    (whole,) = page_of(RESULTS["failed"], series).SourceImageSequence
    assert "ReferencedFrameNumber" not in whole


def test_evidence_that_is_no_image_is_not_called_one() -> None:
    report = build_report(CONTEXT, RESULTS["failed"], SERIES.headers)
    made = build_summary_page(CONTEXT, RESULTS["not-attempted"], [report])
    assert "SourceImageSequence" not in made
    made = build_summary_page(CONTEXT, RESULTS["not-attempted"], [report, SERIES.headers[2]])
    assert sources_of(made) == [SERIES.headers[2].SOPInstanceUID]


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_an_overlay_lies_where_its_source_lies(grid: Grid, multi_frame: bool) -> None:
    series = make_series(grid, multi_frame=multi_frame, num_spare_frames=3 * multi_frame)
    mask = make_mask(grid)
    images = build_overlay(CONTEXT, POSITIVE, series, mask)
    slices = np.flatnonzero(mask.labels.any(axis=(1, 2)))
    assert [image.InstanceNumber for image in images] == list(range(1, len(slices) + 1))
    orientation = (*grid.row_direction, *grid.column_direction)
    for image, index in zip(map(written, images), slices, strict=True):
        frame = series.frames[index]
        header = series.headers[frame.dataset_index]
        np.testing.assert_allclose(
            image.ImagePositionPatient, grid.slice_origins_mm[index], atol=1e-6
        )
        np.testing.assert_allclose(image.ImageOrientationPatient, orientation, atol=1e-6)
        assert tuple(image.PixelSpacing) == grid.pixel_spacing_mm
        assert image.SliceThickness == 5
        assert image.FrameOfReferenceUID == header.FrameOfReferenceUID
        (source,) = image.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == header.SOPInstanceUID
        assert source.ReferencedSOPClassUID == header.SOPClassUID
        assert source.get("ReferencedFrameNumber") == (frame.frame_number if multi_frame else None)
        drawn = draw_overlay(CONTEXT, POSITIVE, series.volume, mask, int(index))
        np.testing.assert_array_equal(image.pixel_array, np.asarray(drawn))


def test_sides_of_the_patient_are_named_as_the_source_has_them() -> None:
    assert overlays()[0].PatientOrientation == ["L", "P"]
    series = make_series(GRIDS["mirrored"])
    mask = make_mask(GRIDS["mirrored"])
    assert build_overlay(CONTEXT, POSITIVE, series, mask)[0].PatientOrientation == ["R", "P"]


def test_an_overlay_shows_only_findings() -> None:
    few = StudyResult.positive(make_findings(MASK, [Subtype.EDH]), num_images=12)
    images = build_overlay(CONTEXT, few, SERIES, MASK)
    assert len(images) == 2
    sdh = codes.SUBTYPES[Subtype.SDH].rgb
    assert not any((image.pixel_array == sdh).all(axis=2).any() for image in images)
    assert build_overlay(CONTEXT, RESULTS["negative"], SERIES, MASK) == ()


def test_the_headers_of_the_series_are_left_as_they_were() -> None:
    before = [header.to_json() for header in SERIES.headers]
    captures_of(SERIES)
    assert [header.to_json() for header in SERIES.headers] == before


def test_a_source_that_lost_detail_is_told_by_its_overlays() -> None:
    (image, *_) = build_overlay(CONTEXT, POSITIVE, replace(SERIES, lossy=True), MASK)
    assert image.LossyImageCompression == "01"
    assert "LossyImageCompression" not in overlays()[0]


def test_an_unknown_thickness_stays_unknown() -> None:
    series = with_headers(lambda h: h.pop("SliceThickness"))
    assert build_overlay(CONTEXT, POSITIVE, series, MASK)[0]["SliceThickness"].is_empty


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "ImagePositionPatient"])
def test_a_source_without_place_in_the_patient_gets_no_overlay(keyword: str) -> None:
    with pytest.raises(UnreadableInputError, match=keyword):
        build_overlay(CONTEXT, POSITIVE, with_headers(lambda h: h.pop(keyword)), MASK)


def test_a_mask_or_headers_that_lie_elsewhere_are_refused() -> None:
    with pytest.raises(ValueError, match="grid of the series"):
        build_overlay(CONTEXT, POSITIVE, SERIES, make_mask(GRIDS["from-head-to-feet"]))
    turned = replace(SERIES, headers=SERIES.headers[::-1])
    with pytest.raises(ValueError, match="grid of the series"):
        build_overlay(CONTEXT, POSITIVE, turned, MASK)
    with pytest.raises(ValueError, match="shape"):
        build_overlay(CONTEXT, POSITIVE, SERIES, make_mask(replace(GRID, columns=50)))
    without = make_mask(GRID, [Subtype.SDH])
    with pytest.raises(ValueError, match="lacks a finding"):
        build_overlay(CONTEXT, POSITIVE, SERIES, without)


def test_a_page_needs_volume_and_mask_of_one_shape_or_neither() -> None:
    with pytest.raises(ValueError, match="with its mask"):
        build_summary_page(CONTEXT, POSITIVE, SERIES.headers, volume=SERIES.volume)
    other = Mask(MASK.labels[:5], make_grid(heights_mm=tuple(range(5))))
    with pytest.raises(ValueError, match="differ in shape"):
        build_summary_page(CONTEXT, POSITIVE, SERIES.headers, volume=SERIES.volume, mask=other)


def test_an_image_of_another_study_than_the_jobs_is_refused() -> None:
    failed = StudyResult.failed(Reason.FORMAT)
    with pytest.raises(PatientConflictError):
        build_summary_page(make_context(study_instance_uid=uid("other")), failed, SERIES.headers)
