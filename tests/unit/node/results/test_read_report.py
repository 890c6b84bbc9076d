"""What a consumer may conclude from a report, whole or mutilated."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from config.errors import Reason, UnreadableInputError
from ml.volume import Subtype
from node.results import codes
from node.results.forms import ReportForm
from node.results.headers import encode
from node.results.outcomes import Outcome, Presence, StudyResult
from node.results.read_report import Conclusion, ReadBack, interpret_report, read_report
from node.results.report import build_report
from node.results.segmentation import build_segmentation
from tests.support.result_inputs import (
    all_results,
    make_context,
    make_finding,
    make_grid,
    make_mask,
    make_series,
)

CONTEXT = make_context()
GRID = make_grid()
SERIES = make_series(GRID)
MASK = make_mask(GRID)
RESULTS = all_results(MASK) | {  # one finding: a small report is quickly read
    "positive": StudyResult.positive([make_finding(MASK, Subtype.EDH)], num_images=12)
}
CONCLUSIONS = {
    "positive": Conclusion.POSITIVE,
    "negative": Conclusion.NEGATIVE,
    "partly-positive": Conclusion.PARTLY_POSITIVE,
    "borderline": Conclusion.NO_RESULT,
    "failed": Conclusion.NO_RESULT,
    "not-attempted": Conclusion.NO_RESULT,
}
CONCLUSIVE = [name for name, c in CONCLUSIONS.items() if c is not Conclusion.NO_RESULT]


@cache
def report_bytes(name: str) -> bytes:
    """Write the report of one of `RESULTS`, with its segmentation."""
    return written(RESULTS[name])


def written(result: StudyResult) -> bytes:
    segmentation, numbers = None, None
    if result.findings:
        mask = make_mask(GRID, [finding.subtype for finding in result.findings])
        segmentation, numbers = build_segmentation(CONTEXT, SERIES, mask)
    report = build_report(
        CONTEXT, result, SERIES.headers, segmentation=segmentation, segment_numbers=numbers
    )
    return encode(report)


def report(name: str) -> Dataset:
    return dcmread(BytesIO(report_bytes(name)))


def evaluations(document: Dataset) -> Dataset:
    (container,) = (
        item
        for item in document.ContentSequence
        if codes.is_code(item.ConceptNameCodeSequence[0], codes.QUALITATIVE_EVALUATIONS)
    )
    return container


def item_of(document: Dataset, name: Code) -> Dataset:
    (item,) = (
        item
        for item in evaluations(document).ContentSequence
        if codes.is_code(item.ConceptNameCodeSequence[0], name)
    )
    return item


def say(item: Dataset, code: Code) -> None:
    value = item.ConceptCodeSequence[0]
    value.CodeValue, value.CodingSchemeDesignator = code.value, code.scheme_designator
    value.CodeMeaning = code.meaning


def needed_items(name: str) -> list[Code]:
    """Names of the coded statements that a conclusion rests on."""
    return [
        codes.SUMMARY_OF_DETECTIONS,
        *([codes.CAD_SUMMARY] if RESULTS[name].is_complete else []),
        codes.INTRACRANIAL_HEMORRHAGE,
        *(terms.item for terms in codes.SUBTYPES.values()),
    ]


EVERY_STATEMENT = [
    pytest.param(name, code, id=f"{name}-{code.meaning}")
    for name in CONCLUSIVE
    for code in needed_items(name)
]


@pytest.mark.parametrize("name", RESULTS)
def test_every_outcome_reads_back_to_its_conclusion(name: str, tmp_path: Path) -> None:
    file = tmp_path / "report.dcm"
    file.write_bytes(report_bytes(name))
    read, result = read_report(file), RESULTS[name]
    assert read.conclusion is CONCLUSIONS[name]
    assert read.presence is result.presence
    assert read.reason is result.reason
    assert read.subtypes == result.subtypes
    assert read.case_score_percent == result.case_score_percent
    familiarity = result.familiarity
    assert read.training_distance == (None if familiarity is None else familiarity.distance)
    assert read.training_limit == (None if familiarity is None else familiarity.limit)
    assert read.volumes_ml == {f.subtype: round(f.volume_ml, 2) for f in result.findings}
    assert len(read.segment_numbers) == len(result.findings)


def test_a_negative_of_images_unlike_those_of_the_training_leaves_no_result() -> None:
    document = report("negative")
    quality = item_of(document, codes.IMAGE_QUALITY)
    say(quality, codes.UNLIKE_TRAINING)
    assert no_result(document)
    say(quality, Code("0", "99OTHER", "Good"))
    assert no_result(document)


def test_a_report_that_says_nothing_about_quality_is_read_as_before() -> None:
    document = report("negative")
    evaluations(document).ContentSequence.remove(item_of(document, codes.IMAGE_QUALITY))
    read = interpret_report(document)
    assert (read.conclusion, read.training_distance) == (Conclusion.NEGATIVE, None)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_reads_back(reason: Reason) -> None:
    result = StudyResult.partial(reason, num_images=12)
    read = interpret_report(dcmread(BytesIO(written(result))))
    assert (read.conclusion, read.reason) == (Conclusion.NO_RESULT, reason)


@pytest.mark.parametrize("subtype", Subtype)
def test_every_subtype_reads_back_alone(subtype: Subtype) -> None:
    finding = make_finding(make_mask(GRID, [subtype]), subtype)
    read = interpret_report(
        dcmread(BytesIO(written(StudyResult.positive([finding], num_images=12))))
    )
    assert read.conclusion is Conclusion.POSITIVE
    assert {s for s, p in read.subtypes.items() if p is Presence.PRESENT} == {subtype}
    assert read.segment_numbers == {subtype: 1}
    assert read.total_volume_ml == read.volumes_ml[subtype] == round(finding.volume_ml, 2)
    label = f"ICH-{subtype.name}"
    assert read.tracking_uids[label] == CONTEXT.tracking_uid(label)


def test_a_report_without_segmentation_has_the_same_volumes_and_conclusion() -> None:
    bare = build_report(CONTEXT, RESULTS["positive"], SERIES.headers)
    read, full = interpret_report(bare), interpret_report(report("positive"))
    assert read.conclusion is Conclusion.POSITIVE
    assert read.volumes_ml == full.volumes_ml
    assert read.num_regions == full.num_regions == 2
    assert not read.segment_numbers


def no_result(document: Dataset) -> bool:
    return interpret_report(document).conclusion is Conclusion.NO_RESULT


@pytest.mark.parametrize(("name", "code"), EVERY_STATEMENT)
def test_a_missing_statement_leaves_no_result(name: str, code: Code) -> None:
    document = report(name)
    evaluations(document).ContentSequence.remove(item_of(document, code))
    assert no_result(document)


@pytest.mark.parametrize(("name", "code"), EVERY_STATEMENT)
def test_a_doubled_statement_leaves_no_result(name: str, code: Code) -> None:
    document = report(name)
    evaluations(document).ContentSequence.append(deepcopy(item_of(document, code)))
    assert no_result(document)


@pytest.mark.parametrize(("name", "code"), EVERY_STATEMENT)
def test_an_unknown_value_leaves_no_result(name: str, code: Code) -> None:
    document = report(name)
    say(item_of(document, code), Code("0", "99OTHER", "Present"))
    assert no_result(document)


@pytest.mark.parametrize(("name", "code"), EVERY_STATEMENT)
def test_a_value_of_another_scheme_leaves_no_result(name: str, code: Code) -> None:
    document = report(name)
    item_of(document, code).ConceptCodeSequence[0].CodingSchemeDesignator = "99OTHER"
    assert no_result(document)


@pytest.mark.parametrize(("name", "code"), EVERY_STATEMENT)
@pytest.mark.parametrize(
    "mutilate",
    [
        lambda item: item.pop("ConceptCodeSequence"),
        lambda item: setattr(item, "ConceptCodeSequence", []),
        lambda item: item.ConceptCodeSequence.append(item.ConceptCodeSequence[0]),
        lambda item: item.ConceptCodeSequence[0].pop("CodeValue"),
        lambda item: item.pop("ConceptNameCodeSequence"),
        lambda item: setattr(item, "ValueType", "TEXT"),
    ],
)
def test_a_broken_statement_leaves_no_result(
    name: str, code: Code, mutilate: Callable[[Dataset], object]
) -> None:
    document = report(name)
    mutilate(item_of(document, code))
    assert no_result(document)


@pytest.mark.parametrize("name", CONCLUSIVE)
@pytest.mark.parametrize("presence", [codes.PRESENT, codes.ABSENT, codes.UNDETERMINED])
def test_statements_that_contradict_each_other_leave_no_result(name: str, presence: Code) -> None:
    document = report(name)
    item = item_of(document, codes.INTRACRANIAL_HEMORRHAGE)
    if codes.is_code(item.ConceptCodeSequence[0], presence):
        return
    say(item, presence)
    assert no_result(document)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize(
    "status", [codes.SUCCEEDED, codes.PARTIALLY_SUCCEEDED, codes.FAILED, codes.NOT_ATTEMPTED]
)
def test_another_status_never_changes_a_conclusion_into_another(name: str, status: Code) -> None:
    document = report(name)
    item = item_of(document, codes.SUMMARY_OF_DETECTIONS)
    same = codes.is_code(item.ConceptCodeSequence[0], status)
    say(item, status)
    expected = CONCLUSIONS[name] if same else Conclusion.NO_RESULT
    assert interpret_report(document).conclusion is expected


@pytest.mark.parametrize(
    "summary",
    [
        codes.ALL_SUCCEEDED_WITH_FINDINGS,
        codes.ALL_SUCCEEDED_WITHOUT_FINDINGS,
        Code("111244", "DCM", "Not all algorithms succeeded; with findings"),
    ],
)
def test_a_partial_finding_under_a_summary_is_no_result(summary: Code) -> None:
    document = report("partly-positive")
    item = deepcopy(item_of(report("negative"), codes.CAD_SUMMARY))
    say(item, summary)
    evaluations(document).ContentSequence.append(item)
    assert no_result(document)


def test_a_negative_beside_measurements_is_no_result() -> None:
    document = report("negative")
    document.ContentSequence.extend(
        item
        for item in report("positive").ContentSequence
        if codes.is_code(item.ConceptNameCodeSequence[0], codes.IMAGING_MEASUREMENTS)
    )
    assert no_result(document)


@pytest.mark.parametrize("name", CONCLUSIVE)
def test_a_report_with_no_or_two_evaluations_is_no_result(name: str) -> None:
    doubled, bare = report(name), report(name)
    doubled.ContentSequence.append(deepcopy(evaluations(doubled)))
    bare.ContentSequence.remove(evaluations(bare))
    assert no_result(doubled)
    assert no_result(bare)
    del bare.ContentSequence
    assert interpret_report(bare) == ReadBack(
        Conclusion.NO_RESULT, form=ReportForm.COMPREHENSIVE_3D
    )


@pytest.mark.parametrize("name", ["positive", "partly-positive"])
def test_a_finding_without_measurements_is_no_result(name: str) -> None:
    document = report(name)
    document.ContentSequence = [
        item
        for item in document.ContentSequence
        if not codes.is_code(item.ConceptNameCodeSequence[0], codes.IMAGING_MEASUREMENTS)
    ]
    assert no_result(document)


def test_other_words_change_nothing() -> None:
    document = report("negative")
    item_of(document, codes.COMMENT).TextValue = "intracranial haemorrhage"
    item_of(document, codes.INTRACRANIAL_HEMORRHAGE).ConceptCodeSequence[0].CodeMeaning = "Present"
    assert interpret_report(document).conclusion is Conclusion.NEGATIVE


def test_another_object_is_no_report(tmp_path: Path) -> None:
    file = tmp_path / "other"
    segmentation, _ = build_segmentation(CONTEXT, SERIES, make_mask(GRID))
    titled = report("negative")
    titled.ConceptNameCodeSequence[0].CodeValue = "18748-4"
    for content in (encode(segmentation), encode(titled), b"", b"text" * 99, bytes(128) + b"DICM"):
        file.write_bytes(content)
        with pytest.raises(UnreadableInputError):
            read_report(file)


def conclusion_of(content: bytes, file: Path) -> Conclusion:
    file.write_bytes(content)
    try:
        return read_report(file).conclusion
    except UnreadableInputError:
        return Conclusion.NO_RESULT


@pytest.mark.parametrize("name", ["negative", "positive", "failed"])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chance=st.randoms(use_true_random=False), num_bytes=st.integers(1, 4))
def test_damaged_bytes_never_change_a_conclusion_into_another(
    name: str, tmp_path: Path, chance: Random, num_bytes: int
) -> None:
    content = bytearray(report_bytes(name))
    for _ in range(num_bytes):
        content[chance.randrange(len(content))] = chance.randrange(256)
    conclusion = conclusion_of(bytes(content), tmp_path / "damaged")
    assert conclusion in (CONCLUSIONS[name], Conclusion.NO_RESULT)


@pytest.mark.parametrize("name", ["negative", "positive"])
def test_a_file_that_was_cut_short_says_no_other_thing(name: str, tmp_path: Path) -> None:
    content = report_bytes(name)
    for length in range(0, len(content), len(content) // 30):
        conclusion = conclusion_of(content[:length], tmp_path / "cut")
        assert conclusion in (CONCLUSIONS[name], Conclusion.NO_RESULT), length
    assert conclusion_of(content[: len(content) * 2 // 3], tmp_path / "cut") is Conclusion.NO_RESULT


def test_outcomes_and_conclusions_are_told_apart() -> None:
    assert {result.outcome for result in RESULTS.values()} == set(Outcome)
    assert set(CONCLUSIONS.values()) == set(Conclusion)
