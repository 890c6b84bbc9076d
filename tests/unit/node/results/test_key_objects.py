"""Key objects: the images of the key outlines, selected by the model, and nothing else."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from io import BytesIO

import highdicom as hd
import pytest
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from config.errors import PatientConflictError, UnreadableInputError
from ml.readers.dicom import Series
from ml.volume import Subtype
from node.results import codes
from node.results.headers import TYPE_2, encode
from node.results.key_objects import build_key_objects
from node.results.outcomes import DISCLAIMER, StudyResult
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

GRID = make_grid()
SERIES = make_series(GRID)
FRAMES = make_series(GRID, multi_frame=True, num_spare_frames=3)
MASK = make_mask(GRID)
RESULTS = all_results(MASK)
KEYS = sorted({finding.outlines[0].slice_index for finding in RESULTS["positive"].findings})


def key_objects(
    result: StudyResult = RESULTS["positive"],
    series: Series = SERIES,
    headers: Sequence[Dataset] | None = None,
    *,
    generation: int = 1,
) -> Dataset:
    """Build key objects, write them and read them."""
    document = build_key_objects(
        make_context(generation=generation),
        result,
        series.headers if headers is None else headers,
        frames=series.frames,
    )
    return dcmread(BytesIO(encode(document)))


def images_of(document: Dataset) -> list[Dataset]:
    return [item for item in document.ContentSequence if item.ValueType == "IMAGE"]


def test_the_images_of_key_outlines_are_selected_in_their_order() -> None:
    selected = [item.ReferencedSOPSequence[0] for item in images_of(key_objects())]
    assert [item.ReferencedSOPInstanceUID for item in selected] == [
        SERIES.headers[key].SOPInstanceUID for key in KEYS
    ]
    assert all("ReferencedFrameNumber" not in item for item in selected)


def test_the_frames_of_a_multi_frame_image_are_selected() -> None:
    (item,) = images_of(key_objects(series=FRAMES))
    reference = item.ReferencedSOPSequence[0]
    assert reference.ReferencedSOPInstanceUID == FRAMES.headers[0].SOPInstanceUID
    assert reference.ReferencedFrameNumber == [key + 4 for key in KEYS]


def test_without_frames_slices_are_headers() -> None:
    document = build_key_objects(make_context(), RESULTS["positive"], SERIES.headers, frames=None)
    assert encode(document) == encode(
        build_key_objects(make_context(), RESULTS["positive"], SERIES.headers, frames=SERIES.frames)
    )


def test_only_what_is_selected_is_the_evidence() -> None:
    (study,) = key_objects().CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == SERIES.headers[0].SeriesInstanceUID
    referenced = {item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence}
    assert referenced == {SERIES.headers[key].SOPInstanceUID for key in KEYS}


def test_it_says_who_selected_them_and_that_it_is_no_diagnosis() -> None:
    document = key_objects(RESULTS["partly-positive"])
    assert document.SOPClassUID == KeyObjectSelectionDocumentStorage
    assert codes.is_code(document.ConceptNameCodeSequence[0], codes.OF_INTEREST)
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    (text,) = [item for item in document.ContentSequence if item.ValueType == "TEXT"][-1:]
    sentence = RESULTS["partly-positive"].wording.sentence
    assert text.TextValue == f"{sentence} {DISCLAIMER}"
    uids = [item.UID for item in document.ContentSequence if item.ValueType == "UIDREF"]
    assert uids == [MODEL.device_uid]
    assert document.SeriesDescription == "AI ICH key images - NOT FOR DIAGNOSIS"
    assert document.SeriesNumber == 9003
    assert document.ContentQualification == "RESEARCH"


def test_images_have_no_concept_name_which_the_template_forbids() -> None:
    assert all("ConceptNameCodeSequence" not in item for item in images_of(key_objects()))


def test_patient_and_study_arrive_as_they_came() -> None:
    document, header = key_objects(), SERIES.headers[0]
    for keyword in (*TYPE_2, "PatientID", "IssuerOfPatientID", "PatientAge", "StudyInstanceUID"):
        assert document.get(keyword) == header.get(keyword), keyword


def test_absent_and_invalid_values_of_the_source_are_kept_as_they_are() -> None:
    headers = deepcopy(list(SERIES.headers))
    with disable_value_validation():
        for header in headers:
            for keyword in TYPE_2:
                del header[keyword]
            header.PatientName, header.StudyDate = "A name of one part", "03/04/31"
        document = key_objects(headers=headers)
        assert (str(document.PatientName), document.StudyDate) == ("A name of one part", "03/04/31")
    assert document["PatientSex"].is_empty


def test_a_second_build_gives_equal_bytes_and_a_second_generation_other_uids() -> None:
    assert encode(key_objects()) == encode(key_objects())
    first, later = key_objects(), key_objects(generation=2)
    assert later.SOPInstanceUID != first.SOPInstanceUID
    assert later.SeriesInstanceUID != first.SeriesInstanceUID
    assert later.SeriesNumber == 9013


def test_a_library_reads_it() -> None:
    document = build_key_objects(
        make_context(), RESULTS["positive"], SERIES.headers, frames=SERIES.frames
    )
    assert isinstance(document, hd.ko.KeyObjectSelectionDocument)
    assert document.resolve_reference(SERIES.headers[KEYS[0]].SOPInstanceUID)


@pytest.mark.parametrize("name", [name for name, result in RESULTS.items() if not result.findings])
def test_without_findings_there_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="without findings"):
        key_objects(RESULTS[name])


@pytest.mark.parametrize("index", [0, KEYS[0], 11])
def test_an_image_of_another_patient_or_study_is_refused(index: int) -> None:
    for keyword, value in (("PatientID", "OTHER"), ("StudyInstanceUID", uid("other"))):
        headers = deepcopy(list(SERIES.headers))
        setattr(headers[index], keyword, value)
        with pytest.raises(PatientConflictError):
            key_objects(headers=headers)


def test_a_source_that_cannot_be_filed_gets_none() -> None:
    headers = deepcopy(list(SERIES.headers))
    del headers[5].PatientID
    with pytest.raises(UnreadableInputError, match="PatientID"):
        key_objects(headers=headers)


def test_findings_on_one_slice_select_it_once() -> None:
    findings = [
        replace(finding, outlines=(replace(finding.outlines[0], slice_index=5),))
        for finding in make_findings(MASK, [Subtype.EDH, Subtype.IPH])
    ]
    (item,) = images_of(key_objects(StudyResult.positive(findings, num_images=12)))
    assert (
        item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == SERIES.headers[5].SOPInstanceUID
    )
