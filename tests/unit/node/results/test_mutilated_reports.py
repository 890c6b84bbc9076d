"""Reports from which something is missing, item by item and attribute by attribute."""

from collections.abc import Callable, Iterator
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code

from config.errors import UnreadableInputError
from ml.findings import Side
from ml.volume import Subtype
from node.results.forms import ReportForm
from node.results.headers import encode
from node.results.items import is_named
from node.results.outcomes import Outcome, StudyResult
from node.results.read_report import Conclusion, ReadBack, interpret_report
from node.results.report import DOCUMENTS
from tests.support.result_inputs import (
    FAMILIAR,
    MODEL,
    all_results,
    make_finding,
    make_midline_shift,
)
from tests.unit.node.results.test_read_report import MASK
from tests.unit.node.results.test_report import report_of

LIBRARY = Code("111028", "DCM", "Image Library")
RESULTS = all_results(MASK) | {  # one finding: each of many attributes is taken away once
    "positive": StudyResult.positive(
        [make_finding(MASK, Subtype.EDH, side=Side.RIGHT)],
        num_images=12,
        case_score_percent=97.4,
        familiarity=FAMILIAR,
        midline_shift=make_midline_shift(),
    )
}


def parsed(name: str, form: ReportForm = ReportForm.COMPREHENSIVE_3D) -> Dataset:
    previous = report_of(RESULTS["failed"])
    document = report_of(RESULTS[name], generation=2, form=form, previous=previous)
    return dcmread(BytesIO(encode(document)))


def read(document: Dataset) -> ReadBack | None:
    try:
        return interpret_report(document)
    except UnreadableInputError:
        return None


def datasets_below(parent: Dataset) -> Iterator[Dataset]:
    """Walk through all but long lists of images, which no statement rests on."""
    yield parent
    for element in parent:
        if element.VR == "SQ" and element.keyword != "CurrentRequestedProcedureEvidenceSequence":
            for item in element.value:
                if not is_named(item, LIBRARY):
                    yield from datasets_below(item)


def sequences_below(parent: Dataset) -> Iterator[Sequence]:
    for dataset in datasets_below(parent):
        yield from (element.value for element in dataset if element.VR == "SQ")


def without_each_attribute(document: Dataset) -> Iterator[str]:
    for dataset in list(datasets_below(document)):
        for element in list(dataset):
            del dataset[element.tag]
            yield f"without {element.name}"
            dataset.add(element)


def with_each_sequence_empty(document: Dataset) -> Iterator[str]:
    for sequence in list(sequences_below(document)):
        kept = list(sequence)
        sequence[:] = []
        yield "with an empty sequence"
        sequence[:] = kept


def without_each_item(document: Dataset) -> Iterator[str]:
    for sequence in list(sequences_below(document)):
        for place, item in enumerate(list(sequence)):
            del sequence[place]
            yield "without an item"
            sequence.insert(place, item)


def with_each_item_twice(document: Dataset) -> Iterator[str]:
    for sequence in list(sequences_below(document)):
        for item in list(sequence):
            sequence.append(item)
            yield "with an item twice"
            del sequence[-1]


def with_each_text_another(document: Dataset) -> Iterator[str]:
    for dataset in list(datasets_below(document)):
        for element in list(dataset):
            if element.VR in ("CS", "SH", "DS") and isinstance(element.value, str | float):
                kept = element.value
                element.value = "7"
                yield f"with another {element.name}"
                element.value = kept


@pytest.mark.parametrize(
    "mutilate",
    [
        without_each_attribute,
        with_each_sequence_empty,
        without_each_item,
        with_each_item_twice,
        with_each_text_another,
    ],
)
@pytest.mark.parametrize("name", RESULTS)
def test_a_mutilated_report_says_the_same_or_nothing(
    name: str, mutilate: Callable[[Dataset], Iterator[str]]
) -> None:
    document, result = parsed(name), RESULTS[name]
    whole = interpret_report(document)
    assert whole.outcome is result.outcome
    count = 0
    for what in mutilate(document):
        said = read(document)
        count += 1
        if said is not None:
            assert said.outcome in (None, result.outcome), what
            assert said.conclusion in (Conclusion.NO_RESULT, whole.conclusion), what
            assert said.midline_shift_mm in (None, whole.midline_shift_mm, 7.0), what
            assert said.total_volume_ml in (None, whole.total_volume_ml, 7.0), what
    assert count > 20
    assert interpret_report(document) == whole  # each time everything was put back


@pytest.mark.parametrize("form", DOCUMENTS)
@pytest.mark.parametrize("name", RESULTS)
def test_every_form_reads_back_whole(name: str, form: ReportForm) -> None:
    result, document = RESULTS[name], parsed(name, form)
    said = interpret_report(document)
    shift = result.midline_shift
    assert (said.outcome, said.presence, said.reason) == (
        result.outcome,
        result.presence,
        result.reason,
    )
    assert said.form is form
    assert said.midline_shift_mm == (None if shift is None else 5.2)
    assert said.midline_shift_side is (None if shift is None else Side.LEFT)
    assert said.sides == {f.subtype: f.side for f in result.findings if f.side is not None}
    assert (said.model_name, said.model_version) == (MODEL.name, MODEL.version)
    assert said.model_device_uid == MODEL.device_uid
    previous = document.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert said.predecessor_uid == previous.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    segmentations = {
        item.ReferencedSOPInstanceUID
        for study in document.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
        if item.ReferencedSOPClassUID.endswith(".66.4")
    }
    assert {said.segmentation_uid} - {None} == segmentations
    assert bool(segmentations) == bool(result.findings)
    assert "Research use only" in said.disclaimer


def test_outcomes_are_all_read() -> None:
    assert {result.outcome for result in RESULTS.values()} == set(Outcome)
