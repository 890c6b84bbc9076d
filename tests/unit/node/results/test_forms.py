"""Which form follows a refused one."""

from itertools import combinations

import pytest
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    JPEG2000Lossless,
    KeyObjectSelectionDocumentStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.results.forms import (
    REPORT_CLASSES,
    SEGMENTATION_CLASSES,
    Compression,
    Forms,
    LabelMapSegmentationStorage,
    ReportForm,
    SegmentationForm,
    without,
)

CLASSES = (
    SegmentationStorage,
    LabelMapSegmentationStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    BasicTextSRStorage,
    SecondaryCaptureImageStorage,
    KeyObjectSelectionDocumentStorage,
)


def test_what_is_taken_stays_as_it_is() -> None:
    forms = Forms(keep_empty_frames=True, key_objects=True, compression=Compression.JPEG2000)
    assert without(forms, ()) == forms


@pytest.mark.parametrize(
    ("refused", "report"),
    [
        ([Comprehensive3DSRStorage], ReportForm.COMPREHENSIVE),
        ([Comprehensive3DSRStorage, ComprehensiveSRStorage], ReportForm.ENHANCED),
        (
            [Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage],
            ReportForm.BASIC_TEXT,
        ),
        (
            [
                Comprehensive3DSRStorage,
                ComprehensiveSRStorage,
                EnhancedSRStorage,
                BasicTextSRStorage,
            ],
            ReportForm.NONE,
        ),
        ([ComprehensiveSRStorage], ReportForm.COMPREHENSIVE_3D),
    ],
)
def test_the_report_falls_rung_by_rung(refused: list[str], report: ReportForm) -> None:
    assert without(Forms(), refused).report is report


def test_a_report_never_climbs_above_what_the_site_asked_for() -> None:
    forms = Forms(report=ReportForm.ENHANCED)
    assert without(forms, [EnhancedSRStorage]).report is ReportForm.BASIC_TEXT


def test_without_any_report_the_summary_page_tells_it() -> None:
    forms = Forms(report=ReportForm.BASIC_TEXT, summary_page=False)
    assert without(forms, [BasicTextSRStorage]).summary_page


def test_a_mask_falls_to_binary_and_then_to_an_overlay() -> None:
    forms = Forms(segmentation=SegmentationForm.LABELMAP, compression=Compression.RLE)
    binary = without(forms, [LabelMapSegmentationStorage])
    assert binary.segmentation is SegmentationForm.BINARY
    assert binary.compression is Compression.NONE
    assert not binary.overlay
    none = without(forms, [LabelMapSegmentationStorage, SegmentationStorage])
    assert none.segmentation is SegmentationForm.NONE
    assert none.overlay


def test_a_compressed_mask_that_is_not_taken_is_sent_plain() -> None:
    forms = Forms(compression=Compression.JPEG2000)
    plain = without(forms, [JPEG2000Lossless])
    assert (plain.segmentation, plain.compression) == (SegmentationForm.BINARY, Compression.NONE)
    assert without(forms, [RLELossless]) == forms


def test_a_site_that_wants_no_mask_gets_no_overlay_for_it() -> None:
    forms = Forms(segmentation=SegmentationForm.NONE)
    assert not without(forms, [SegmentationStorage]).overlay


def test_whatever_is_refused_something_is_left_to_be_sent_and_each_step_goes_down() -> None:
    for count in range(len(CLASSES) + 1):
        for refused in combinations(CLASSES, count):
            forms = without(Forms(key_objects=True, overlay=True), refused)
            assert forms.report is not ReportForm.NONE or forms.summary_page
            used = {
                SEGMENTATION_CLASSES.get(forms.segmentation),
                REPORT_CLASSES.get(forms.report),
            }
            captures = forms.summary_page or forms.overlay
            if SecondaryCaptureImageStorage in refused:
                assert not captures
                assert SegmentationStorage not in used - {None} or (
                    SegmentationStorage not in refused
                )
            else:
                assert not used & set(refused)


def test_forms_that_no_object_has_are_refused() -> None:
    with pytest.raises(ValueError, match="RLE"):
        Forms(compression=Compression.RLE)
    with pytest.raises(ValueError, match="summary page"):
        Forms(report=ReportForm.NONE, summary_page=False)
