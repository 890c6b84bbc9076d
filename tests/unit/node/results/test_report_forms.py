"""The report in its three forms, and the midline shift in it."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom.sr.coding import Code

from ml.findings import Side
from node.results import codes
from node.results.forms import REPORT_CLASSES, ReportForm
from node.results.report import DOCUMENTS
from tests.support.result_inputs import make_midline_shift
from tests.unit.node.results.test_report import (
    RESULTS,
    SERIES,
    children,
    groups_of,
    items_below,
    report,
    report_of,
)


@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT])
def test_a_midline_shift_has_a_group_of_its_own_and_a_key_image(side: Side) -> None:
    shift = make_midline_shift(side)
    result = replace(RESULTS["partly-positive"], midline_shift=shift)
    document = report_of(result)
    *others, group = groups_of(document)
    assert len(others) == len(groups_of(report("partly-positive")))
    (identifier,) = children(group, codes.TRACKING_IDENTIFIER)
    (number,) = children(group, codes.MIDLINE_SHIFT)
    (value,) = number.MeasuredValueSequence
    assert (identifier.TextValue, float(value.NumericValue)) == ("ICH-MLS", 5.2)
    assert codes.is_code(value.MeasurementUnitsCodeSequence[0], codes.MILLIMETRE)
    (region,) = children(group, codes.IMAGE_REGION)
    np.testing.assert_array_equal(np.reshape(region.GraphicData, (-1, 2)), shift.points[[0, 1, 0]])
    (image,) = region.ContentSequence
    key = SERIES.headers[shift.slice_index].SOPInstanceUID
    assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == key
    (site,) = children(group, Code("363698007", "SCT", "Finding Site"))
    assert codes.is_code(site.ContentSequence[0].ConceptCodeSequence[0], codes.SIDES[side])
    library = [i for i in items_below(document.ContentSequence[-3]) if i.ValueType == "IMAGE"]
    assert key in {i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in library}


def test_without_a_measured_shift_the_report_says_nothing_of_it() -> None:
    for name in RESULTS:
        for item in items_below(report(name)):
            names = item.get("ConceptNameCodeSequence") or ()
            assert not any(codes.is_code(each, codes.MIDLINE_SHIFT) for each in names)


@pytest.mark.parametrize("form", DOCUMENTS)
@pytest.mark.parametrize("name", RESULTS)
def test_the_tree_is_the_same_in_every_form(name: str, form: ReportForm) -> None:
    document = report_of(RESULTS[name], form=form)
    assert REPORT_CLASSES[form] == document.SOPClassUID
    assert document.file_meta.MediaStorageSOPClassUID == document.SOPClassUID
    assert document.ContentSequence == report(name).ContentSequence


def test_forms_with_other_content_have_other_uids() -> None:
    first = report("negative")
    made = [
        report_of(
            RESULTS["partly-positive"], form=form, with_segmentation=with_segmentation, previous=old
        )
        for form in DOCUMENTS
        for with_segmentation in (True, False)
        for old in (None, first)
    ]
    assert len({each.SOPInstanceUID for each in made}) == len(made)
    assert len({each.SeriesInstanceUID for each in made}) == len(made)
    again = report_of(RESULTS["partly-positive"], form=ReportForm.COMPREHENSIVE_3D)
    assert again.SOPInstanceUID == made[0].SOPInstanceUID


@pytest.mark.parametrize("form", [ReportForm.BASIC_TEXT, ReportForm.NONE])
def test_a_form_without_codes_is_refused(form: ReportForm) -> None:
    with pytest.raises(ValueError, match="no report with codes"):
        report_of(RESULTS["negative"], form=form)
