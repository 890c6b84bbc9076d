"""Of all that could be said of a case, only what a result says is read as an outcome."""

from itertools import product

import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from config.errors import Reason
from ml.volume import Subtype
from node.results import codes
from node.results.outcomes import (
    PRESENCE_CODES,
    STATUS_CODES,
    SUMMARY_CODES,
    WORDINGS,
    Outcome,
    Presence,
)
from node.results.statement import CONCLUSIONS, Conclusion, read_statement

PRESENT, ABSENT, UNDETERMINED = Presence
SUBTYPES = {
    "one present": {s: PRESENT if s is Subtype.SDH else ABSENT for s in Subtype},
    "one present, others open": {s: PRESENT if s is Subtype.SDH else UNDETERMINED for s in Subtype},
    "all absent": dict.fromkeys(Subtype, ABSENT),
    "all open": dict.fromkeys(Subtype, UNDETERMINED),
    "not all": {Subtype.SDH: PRESENT},
    "none": {},
}
WRITTEN = {
    (Outcome.POSITIVE, PRESENT, Outcome.POSITIVE, False, "one present", True),
    (Outcome.NEGATIVE, ABSENT, Outcome.NEGATIVE, False, "all absent", False),
    (Outcome.PARTIAL, PRESENT, None, True, "one present, others open", True),
    (Outcome.PARTIAL, UNDETERMINED, None, True, "all open", False),
    (Outcome.FAILED, UNDETERMINED, None, True, "none", False),
    (Outcome.NOT_ATTEMPTED, UNDETERMINED, None, True, "none", False),
}
"""Outcome, presence, summary, whether there is a reason, subtypes, groups: what is ever written."""


def coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = code.value, code.scheme_designator
    item.CodeMeaning = code.meaning
    return item


def said(name: Code, value: Code) -> Dataset:
    item = Dataset()
    item.ValueType = "CODE"
    item.ConceptNameCodeSequence, item.ConceptCodeSequence = [coded(name)], [coded(value)]
    return item


def evaluations(
    outcome: Outcome,
    presence: Presence,
    summary: Outcome | None,
    has_reason: bool,
    subtypes: str,
) -> list[Dataset]:
    items = [
        said(codes.SUMMARY_OF_DETECTIONS, STATUS_CODES[outcome]),
        said(codes.INTRACRANIAL_HEMORRHAGE, PRESENCE_CODES[presence]),
    ]
    if summary is not None:
        items.append(said(codes.CAD_SUMMARY, SUMMARY_CODES[summary]))
    if has_reason:
        items.append(said(codes.REASON, codes.REASONS[Reason.INCOMPLETE]))
    for subtype, found in SUBTYPES[subtypes].items():
        items.append(said(codes.SUBTYPES[subtype].item, PRESENCE_CODES[found]))
    return items


# POSITIVE and NEGATIVE have the same status
STATUSES = (Outcome.POSITIVE, Outcome.PARTIAL, Outcome.FAILED, Outcome.NOT_ATTEMPTED)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("presence", Presence)
def test_only_what_is_written_is_read_as_an_outcome(status: Outcome, presence: Presence) -> None:
    summaries = (None, Outcome.POSITIVE, Outcome.NEGATIVE)
    for summary, reason, subtypes, groups in product(
        summaries, (False, True), SUBTYPES, (False, True)
    ):
        items = evaluations(status, presence, summary, reason, subtypes)
        statement = read_statement(items, has_groups=groups)
        legal = {
            outcome
            for outcome, *rest in WRITTEN
            if STATUS_CODES[outcome] == STATUS_CODES[status]
            and rest == [presence, summary, reason, subtypes, groups]
        }
        if reason or summary is not None:
            assert statement.outcome == (legal.pop() if legal else None)
        else:
            # a reason that was lost takes no suspected bleed away
            assert statement.outcome not in (Outcome.POSITIVE, Outcome.NEGATIVE)


def test_every_outcome_that_is_written_is_read() -> None:
    assert {(outcome, presence) for outcome, presence, *_ in WRITTEN} == set(WORDINGS)
    for outcome, presence, summary, reason, subtypes, groups in WRITTEN:
        items = evaluations(outcome, presence, summary, reason, subtypes)
        statement = read_statement(items, has_groups=groups)
        assert (statement.outcome, statement.presence) == (outcome, presence)
        assert statement.conclusion is CONCLUSIONS.get((outcome, presence), Conclusion.NO_RESULT)
        assert statement.reason is (Reason.INCOMPLETE if reason else None)


def test_without_any_statement_there_is_no_outcome() -> None:
    statement = read_statement([], has_groups=False)
    assert (statement.outcome, statement.status, statement.presence) == (None, None, None)
    assert statement.conclusion is Conclusion.NO_RESULT
