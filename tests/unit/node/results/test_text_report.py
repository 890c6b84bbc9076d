"""The text report says every word of the report, for every outcome, and codes no outcome."""

from collections.abc import Iterator
from copy import deepcopy
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage

from config.errors import PatientConflictError
from node.results import codes
from node.results.headers import TYPE_2, encode
from node.results.outcomes import DISCLAIMER, Outcome
from node.results.report import build_report, report_text
from node.results.text_report import build_text_report
from tests.support.result_inputs import (
    MODEL,
    all_results,
    make_context,
    make_grid,
    make_mask,
    make_series,
    uid,
)

CONTEXT = make_context()
GRID = make_grid()
SERIES = make_series(GRID)
RESULTS = all_results(make_mask(GRID))


def text_report(name: str, *, previous: Dataset | None = None, generation: int = 1) -> Dataset:
    """Build a text report, write it and read it."""
    context = make_context(generation=generation)
    report = build_text_report(context, RESULTS[name], SERIES.headers, previous=previous)
    return dcmread(BytesIO(encode(report)))


def items_below(parent: Dataset) -> Iterator[Dataset]:
    for item in parent.get("ContentSequence") or ():
        yield item
        yield from items_below(item)


def sections_of(document: Dataset) -> dict[str, list[str]]:
    """Texts of each section by its heading."""
    return {
        item.ConceptNameCodeSequence[0].CodeMeaning: [
            child.TextValue for child in item.ContentSequence
        ]
        for item in document.ContentSequence
        if item.ValueType == "CONTAINER"
    }


@pytest.mark.parametrize("name", RESULTS)
def test_every_outcome_is_told_in_the_words_of_the_report(name: str) -> None:
    sections, result = sections_of(text_report(name)), RESULTS[name]
    assert set(sections) == ({"Conclusions", "Findings"} if result.findings else {"Conclusions"})
    (conclusion,) = sections["Conclusions"]
    assert conclusion.startswith(result.wording.sentence)
    assert conclusion.endswith(DISCLAIMER)
    assert sections.get("Findings", []) == result.finding_lines()
    said = [*conclusion.split("\r\n"), *sections.get("Findings", [])]
    assert sorted(said) == sorted(report_text(CONTEXT, result).split("\r\n"))


@pytest.mark.parametrize("name", RESULTS)
def test_it_is_preliminary_unverified_text_of_one_model(name: str) -> None:
    document, result = text_report(name), RESULTS[name]
    assert document.SOPClassUID == BasicTextSRStorage
    assert document.file_meta.MediaStorageSOPClassUID == BasicTextSRStorage
    assert codes.is_code(document.ConceptNameCodeSequence[0], codes.DIAGNOSTIC_IMAGING_REPORT)
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "2000"
    assert (document.VerificationFlag, document.PreliminaryFlag) == ("UNVERIFIED", "PRELIMINARY")
    partial = result.outcome is Outcome.PARTIAL
    assert document.CompletionFlag == ("PARTIAL" if partial else "COMPLETE")
    assert document.ContentQualification == "RESEARCH"
    assert document.SeriesNumber == 9006
    assert document.SeriesDescription == f"AI ICH text {result.wording.word} - NOT FOR DIAGNOSIS"
    assert len(document.SeriesDescription) <= 64
    uids = [item.UID for item in items_below(document) if item.ValueType == "UIDREF"]
    assert uids == [MODEL.device_uid]


@pytest.mark.parametrize("name", RESULTS)
def test_it_has_only_what_the_class_allows_and_no_coded_outcome(name: str) -> None:
    items = list(items_below(text_report(name)))
    assert {item.ValueType for item in items} <= {"TEXT", "CODE", "UIDREF", "PNAME", "CONTAINER"}
    values = [item.ConceptCodeSequence[0] for item in items if item.ValueType == "CODE"]
    outcomes = (codes.PRESENT, codes.ABSENT, codes.UNDETERMINED, codes.SUCCEEDED, codes.FAILED)
    assert not any(codes.is_code(value, outcome) for value in values for outcome in outcomes)


@pytest.mark.parametrize("name", RESULTS)
def test_a_second_build_gives_equal_bytes(name: str) -> None:
    assert encode(text_report(name)) == encode(text_report(name))


def test_it_shares_no_uid_with_the_report_or_with_another_generation() -> None:
    report = build_report(CONTEXT, RESULTS["failed"], SERIES.headers)
    first = text_report("failed")
    forms = [report, first, text_report("failed", generation=2)]
    forms.append(text_report("failed", previous=first, generation=2))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({form[keyword].value for form in forms}) == len(forms)


def test_all_images_are_the_evidence() -> None:
    (study,) = text_report("failed").CurrentRequestedProcedureEvidenceSequence
    (series,) = study.ReferencedSeriesSequence
    referenced = {item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence}
    assert referenced == {header.SOPInstanceUID for header in SERIES.headers}


def test_the_report_that_it_replaces_is_named() -> None:
    first = text_report("failed")
    later = text_report("negative", previous=first, generation=2)
    (study,) = later.PredecessorDocumentsSequence
    (reference,) = study.ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert reference.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == BasicTextSRStorage


def test_a_report_of_another_study_is_not_replaced() -> None:
    other = text_report("failed")
    other.StudyInstanceUID = uid("other")
    with pytest.raises(PatientConflictError):
        text_report("negative", previous=other)


def test_patient_and_study_arrive_as_they_came_and_what_is_absent_stays_empty() -> None:
    document, header = text_report("negative"), SERIES.headers[0]
    for keyword in (*TYPE_2, "PatientID", "IssuerOfPatientID", "PatientAge", "StudyInstanceUID"):
        assert document.get(keyword) == header.get(keyword), keyword
    headers = deepcopy(list(SERIES.headers))
    for stripped in headers:
        for keyword in TYPE_2:
            del stripped[keyword]
    document = build_text_report(CONTEXT, RESULTS["negative"], headers)
    assert all(document[keyword].is_empty for keyword in TYPE_2)


def test_no_patient_data_is_in_the_text() -> None:
    document = text_report("positive")
    texts = " ".join(str(i.get("TextValue", "")) for i in items_below(document))
    assert "Synthetic" not in texts
    assert "SYN-1" not in texts
