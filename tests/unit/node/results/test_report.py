"""What a report is made of: one form for every outcome, measurements only beside findings."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from io import BytesIO

import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from config.errors import PatientConflictError
from ml.findings import Side
from ml.readers.dicom import Series
from ml.volume import Mask, Subtype
from node.results import codes
from node.results.forms import ReportForm
from node.results.headers import encode
from node.results.identity import ContentQualification
from node.results.outcomes import DISCLAIMER, Outcome, StudyResult
from node.results.report import build_report, report_text
from node.results.segmentation import build_segmentation
from tests.support.result_inputs import (
    MODEL,
    NODE,
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
RESULTS = all_results(make_mask(GRID))


def report_of(
    result: StudyResult,
    *,
    series: Series = SERIES,
    generation: int = 1,
    with_segmentation: bool = True,
    previous: Dataset | None = None,
    form: ReportForm = ReportForm.COMPREHENSIVE_3D,
) -> Dataset:
    """Build a report, with its segmentation if there are findings."""
    context = make_context(generation=generation)
    segmentation, numbers = None, None
    if result.findings and with_segmentation:
        subtypes = [finding.subtype for finding in result.findings]
        mask = make_mask(series.volume.grid, subtypes)
        segmentation, numbers = build_segmentation(context, series, mask)
    return build_report(
        context,
        result,
        series.headers,
        form=form,
        frames=series.frames,
        segmentation=segmentation,
        segment_numbers=numbers,
        previous=previous,
    )


@cache
def report(name: str, *, with_segmentation: bool = True) -> Dataset:
    """Report of one of `RESULTS`; the same object each time."""
    return report_of(RESULTS[name], with_segmentation=with_segmentation)


def children(parent: Dataset, name: Code) -> list[Dataset]:
    return [
        item
        for item in parent.get("ContentSequence") or ()
        if "ConceptNameCodeSequence" in item
        and codes.is_code(item.ConceptNameCodeSequence[0], name)
    ]


def groups_of(document: Dataset) -> list[Dataset]:
    (measurements,) = children(document, codes.IMAGING_MEASUREMENTS)
    return children(measurements, codes.MEASUREMENT_GROUP)


def items_below(parent: Dataset) -> Iterator[Dataset]:
    for item in parent.get("ContentSequence") or ():
        yield item
        yield from items_below(item)


@pytest.mark.parametrize("name", RESULTS)
def test_every_outcome_states_the_case_in_the_same_place(name: str) -> None:
    document, result = report(name), RESULTS[name]
    (evaluations,) = children(document, codes.QUALITATIVE_EVALUATIONS)
    for concept in (codes.SUMMARY_OF_DETECTIONS, codes.INTRACRANIAL_HEMORRHAGE, codes.COMMENT):
        assert len(children(evaluations, concept)) == 1
    assert bool(children(evaluations, codes.REASON)) == (result.reason is not None)
    assert bool(children(evaluations, codes.CAD_SUMMARY)) == result.is_complete
    assert bool(children(document, codes.IMAGING_MEASUREMENTS)) == bool(result.findings)


@pytest.mark.parametrize("name", RESULTS)
def test_every_outcome_says_in_words_what_it_is_and_that_it_is_no_diagnosis(name: str) -> None:
    document, result = report(name), RESULTS[name]
    (evaluations,) = children(document, codes.QUALITATIVE_EVALUATIONS)
    (comment,) = children(evaluations, codes.COMMENT)
    assert comment.TextValue.startswith(result.wording.sentence)
    assert comment.TextValue.endswith(DISCLAIMER)
    assert comment.TextValue == report_text(CONTEXT, result)
    assert document.SeriesDescription == (
        f"AI ICH report {result.wording.word} - NOT FOR DIAGNOSIS"
    )
    assert len(document.SeriesDescription) <= 64


@pytest.mark.parametrize("name", RESULTS)
def test_no_report_claims_a_review_and_only_a_partial_one_is_incomplete(name: str) -> None:
    document = report(name)
    assert (document.VerificationFlag, document.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    partial = RESULTS[name].outcome is Outcome.PARTIAL
    assert document.CompletionFlag == ("PARTIAL" if partial else "COMPLETE")
    assert document.ContentQualification == "RESEARCH"


@pytest.mark.parametrize("name", RESULTS)
def test_a_second_build_gives_equal_bytes(name: str) -> None:
    assert encode(report_of(RESULTS[name])) == encode(report(name))


@pytest.mark.parametrize("name", RESULTS)
def test_all_images_are_the_evidence(name: str) -> None:
    document = report(name)
    referenced = {
        item.ReferencedSOPInstanceUID
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    images = {header.SOPInstanceUID for header in SERIES.headers}
    assert images <= referenced
    assert len(referenced - images) == bool(RESULTS[name].findings)  # the segmentation


def test_a_library_reads_it_as_a_measurement_report() -> None:
    written = BytesIO(encode(report("positive")))
    content = hd.sr.srread(written).content
    assert isinstance(content, hd.sr.MeasurementReport)
    assert len(content.get_volumetric_roi_measurement_groups()) == 5
    assert len(content.get_planar_roi_measurement_groups()) == 11


def test_volumes_are_those_of_the_voxels_on_the_grid() -> None:
    for grid in (GRID, make_grid(tilt_deg=20, heights_mm=[0, 1, 3, 6, 10, 15, 21, 28, 36, 45])):
        mask = make_mask(grid)
        series = make_series(grid)
        result = StudyResult.positive(make_findings(mask, tuple(Subtype)), num_images=10)
        segmentation, numbers = build_segmentation(CONTEXT, series, mask)
        document = build_report(
            CONTEXT,
            result,
            series.headers,
            segmentation=segmentation,
            segment_numbers=numbers,
        )
        volumes = [n for g in groups_of(document) for n in children(g, codes.VOLUME)]
        stated = [float(n.MeasuredValueSequence[0].NumericValue) for n in volumes]
        expected = sorted((voxel_sum_ml(mask, subtype) for subtype in Subtype), reverse=True)
        np.testing.assert_allclose(stated, expected, atol=0.006)
        (evaluations,) = children(document, codes.QUALITATIVE_EVALUATIONS)
        (case,) = children(evaluations, codes.INTRACRANIAL_HEMORRHAGE)
        (total,) = children(case, codes.VOLUME)
        assert float(total.MeasuredValueSequence[0].NumericValue) == pytest.approx(
            sum(expected), abs=0.006
        )


def voxel_sum_ml(mask: Mask, subtype: Subtype) -> float:
    """Add up voxels one by one: pixel area times half the way to each neighbouring slice."""
    along = mask.grid.slice_origins_mm @ mask.grid.normal
    total = 0.0
    for k, labels in enumerate(mask.labels):
        gaps = [abs(along[j] - along[k]) for j in (k - 1, k + 1) if 0 <= j < len(along)]
        total += (labels == subtype).sum() * 3.0 * 3.5 * np.mean(gaps) / 1000
    return total


def test_the_groups_of_a_subtype_are_tied_to_its_segment_by_one_tracking_uid() -> None:
    segmentation, numbers = build_segmentation(CONTEXT, SERIES, make_mask(GRID))
    document = report("positive")
    tracked = {s.TrackingID: s.TrackingUID for s in segmentation.SegmentSequence}
    seen: dict[str, list[str]] = {}
    for group in groups_of(document):
        (identifier,) = children(group, codes.TRACKING_IDENTIFIER)
        (tracking_uid,) = children(group, codes.TRACKING_UNIQUE_IDENTIFIER)
        seen.setdefault(identifier.TextValue, []).append(tracking_uid.UID)
        for segment in children(group, codes.REFERENCED_SEGMENT):
            (reference,) = segment.ReferencedSOPSequence
            assert reference.ReferencedSOPInstanceUID == segmentation.SOPInstanceUID
            number = numbers[Subtype[identifier.TextValue.removeprefix("ICH-")]]
            assert reference.ReferencedSegmentNumber == number
    assert {k: set(v) for k, v in seen.items() if k in tracked} == {
        k: {v} for k, v in tracked.items()
    }
    assert [len(seen[f"ICH-{s.name}"]) for s in Subtype] == [3] * 5
    assert len(seen["ICH-SDH-2"]) == 1


def test_the_first_region_of_a_subtype_is_its_key_outline_and_the_second_the_box() -> None:
    finding = RESULTS["partly-positive"].findings[0]
    groups = groups_of(report("partly-positive"))
    regions = [children(group, codes.IMAGE_REGION) for group in groups]
    assert [len(region) for region in regions] == [0, 1, 1, 1]
    outline, box = (np.reshape(regions[k][0].GraphicData, (-1, 2)) for k in (1, 2))
    np.testing.assert_array_equal(outline, finding.outlines[0].points)
    np.testing.assert_array_equal(box[[0, 2]], [outline.min(axis=0), outline.max(axis=0)])
    for region, index in zip(regions[1:], (2, 2, 3), strict=True):
        (image,) = region[0].ContentSequence
        reference = image.ReferencedSOPSequence[0]
        assert reference.ReferencedSOPInstanceUID == SERIES.headers[index].SOPInstanceUID
        assert "ReferencedFrameNumber" not in reference


def test_regions_of_a_multi_frame_source_name_the_frame() -> None:
    series = make_series(GRID, multi_frame=True, num_spare_frames=2)
    groups = groups_of(report_of(RESULTS["partly-positive"], series=series))
    frames = [
        region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedFrameNumber
        for group in groups
        for region in children(group, codes.IMAGE_REGION)
    ]
    assert frames == [5, 5, 6]  # slices 2 and 3 after two spare frames, counted from 1


@pytest.mark.parametrize("side", Side)
def test_every_finding_site_names_the_side(side: Side) -> None:
    result = StudyResult.positive(
        make_findings(make_mask(GRID), [Subtype.EDH], side=side), num_images=12
    )
    for group in groups_of(report_of(result)):
        sites = children(group, Code("363698007", "SCT", "Finding Site"))
        assert [s.ConceptCodeSequence[0].CodeMeaning for s in sites] == [
            "Epidural space",
            "Intracranial",
        ]
        for site in sites:
            assert codes.is_code(site.ContentSequence[0].ConceptCodeSequence[0], codes.SIDES[side])


def test_a_volume_of_zero_is_stated_only_where_nothing_was_found() -> None:
    for name in RESULTS:
        volumes = [
            float(item.MeasuredValueSequence[0].NumericValue)
            for item in items_below(report(name))
            if item.ValueType == "NUM"
            and codes.is_code(item.ConceptNameCodeSequence[0], codes.VOLUME)
        ]
        assert (0 in volumes) == (name == "negative")
        assert bool(volumes) == (name in {"negative", "positive", "partly-positive"})


def test_the_model_is_the_device_observer_of_the_algorithm_that_measured() -> None:
    document = report("positive")
    texts = {
        (item.ConceptNameCodeSequence[0].CodeValue, item.TextValue)
        for item in items_below(document)
        if item.ValueType == "TEXT"
    }
    assert {v for code, v in texts if code in ("121015", "111001")} == {MODEL.name}
    assert {v for code, v in texts if code == "111003"} == {MODEL.version}
    assert {v for code, v in texts if code == "121013"} == {NODE.ae_title}
    (observer,) = (i for i in document.ContentSequence if i.ValueType == "UIDREF")
    assert MODEL.device_uid == observer.UID
    (device,) = (item for item in document.ContributingEquipmentSequence if "DeviceUID" in item)
    assert (device.ManufacturerModelName, device.DeviceUID) == (MODEL.name, MODEL.device_uid)


def test_private_codes_are_declared() -> None:
    (scheme,) = report("failed").CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == codes.PRIVATE_SCHEME


def test_without_segmentation_the_volumes_stay_and_the_report_is_another_one() -> None:
    full, bare = report("positive"), report("positive", with_segmentation=False)
    assert bare.SOPInstanceUID != full.SOPInstanceUID
    assert bare.SeriesInstanceUID != full.SeriesInstanceUID
    assert not any(children(g, codes.REFERENCED_SEGMENT) for g in groups_of(bare))
    for document in (bare, full):
        assert sum(len(children(g, codes.VOLUME)) for g in groups_of(document)) == 5


def test_a_later_generation_names_the_report_that_it_replaces() -> None:
    first = report("negative")
    second = report_of(RESULTS["failed"], generation=2, previous=first)
    series = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert second.SOPInstanceUID != first.SOPInstanceUID
    assert (first.SeriesNumber, second.SeriesNumber) == (9002, 9012)


def test_a_report_that_nothing_was_tried_refers_to_one_image_of_each_series() -> None:
    localizer, contrast = deepcopy(SERIES.headers[0]), deepcopy(SERIES.headers[1])
    contrast.SeriesInstanceUID = uid("contrast")
    for keyword in ("PixelSpacing", "ImagePositionPatient", "FrameOfReferenceUID", "Rows"):
        del localizer[keyword]
    document = build_report(CONTEXT, RESULTS["not-attempted"], [localizer, contrast])
    (study,) = document.CurrentRequestedProcedureEvidenceSequence
    assert len(study.ReferencedSeriesSequence) == 2


def test_procedure_codes_of_the_site_are_kept_where_they_are_valid() -> None:
    headers = deepcopy(SERIES.headers)
    items = []
    for value, meaning in (("CTH1", "CT head"), ("CTH2", ""), ("CTH3", "x" * 65), ("y" * 17, "z")):
        item = Dataset()
        with disable_value_validation():
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99SITE", meaning
        items.append(item)
    headers[0].ProcedureCodeSequence = items
    document = build_report(CONTEXT, RESULTS["failed"], headers)
    assert [i.CodeValue for i in document.PerformedProcedureCodeSequence] == ["CTH1"]


def test_images_that_cannot_be_described_are_left_out_of_the_library() -> None:
    headers = deepcopy(SERIES.headers)
    for header in headers:
        header.SliceThickness = None
    document = report_of(RESULTS["positive"], series=replace(SERIES, headers=headers))
    library = Code("111028", "DCM", "Image Library")
    assert not children(document, library)
    (whole,) = children(report("positive"), library)
    (group,) = children(whole, Code("126200", "DCM", "Image Library Group"))
    keys = {o.slice_index for f in RESULTS["positive"].findings for o in f.outlines}
    assert len([i for i in group.ContentSequence if i.ValueType == "IMAGE"]) == len(keys)


def test_an_approved_node_drops_the_warning_from_series_and_text() -> None:
    node = replace(NODE, content_qualification=ContentQualification.PRODUCT, approved=True)
    context = make_context(node=node)
    document = build_report(context, RESULTS["negative"], SERIES.headers)
    assert document.ContentQualification == "PRODUCT"
    assert document.SeriesDescription == "AI ICH report NEGATIVE"
    assert DISCLAIMER not in report_text(context, RESULTS["negative"])


def test_references_to_something_else_are_refused() -> None:
    result = RESULTS["partly-positive"]
    segmentation, numbers = build_segmentation(CONTEXT, SERIES, make_mask(GRID))
    with pytest.raises(ValueError, match="segment numbers"):
        build_report(CONTEXT, result, SERIES.headers, segmentation=segmentation)
    with pytest.raises(ValueError, match="not those of the findings"):
        build_report(
            CONTEXT, result, SERIES.headers, segmentation=segmentation, segment_numbers=numbers
        )
    with pytest.raises(ValueError, match="not those of the findings"):
        build_report(
            CONTEXT,
            RESULTS["negative"],
            SERIES.headers,
            segmentation=segmentation,
            segment_numbers={},
        )


def test_a_predecessor_of_another_study_is_refused() -> None:
    first = deepcopy(report("negative"))
    first.StudyInstanceUID = uid("other")
    with pytest.raises(PatientConflictError):
        report_of(RESULTS["negative"], generation=2, previous=first)


def test_a_file_of_the_report_holds_the_same_data_set() -> None:
    document = report("positive")
    read = dcmread(BytesIO(encode(document)))
    assert read.SOPInstanceUID == read.file_meta.MediaStorageSOPInstanceUID
    assert len(list(items_below(read))) == len(list(items_below(document)))
