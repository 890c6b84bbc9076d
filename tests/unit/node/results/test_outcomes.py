"""The last gate before an object is built: contradictions are refused, words never say "no"."""

from dataclasses import replace
from math import nan
from typing import Any

import pytest

from config.errors import Reason
from ml.findings import Finding, Side
from ml.volume import Subtype
from node.results.outcomes import (
    WORDINGS,
    Outcome,
    Presence,
    StudyResult,
    describe_finding,
)
from tests.support.result_inputs import (
    FAMILIAR,
    UNFAMILIAR,
    all_results,
    make_finding,
    make_grid,
    make_mask,
    make_midline_shift,
)

MASK = make_mask(make_grid())
SDH = make_finding(MASK, Subtype.SDH, side=Side.RIGHT)
IPH = make_finding(MASK, Subtype.IPH)
ALL_ABSENT = dict.fromkeys(Subtype, Presence.ABSENT)
ALL_UNDETERMINED = dict.fromkeys(Subtype, Presence.UNDETERMINED)
ONE_PRESENT = ALL_ABSENT | {Subtype.SDH: Presence.PRESENT}

POSITIVE = {
    "outcome": Outcome.POSITIVE,
    "presence": Presence.PRESENT,
    "subtypes": ONE_PRESENT,
    "findings": (SDH,),
    "num_images": 12,
}
NEGATIVE = {
    "outcome": Outcome.NEGATIVE,
    "presence": Presence.ABSENT,
    "subtypes": ALL_ABSENT,
    "num_images": 12,
}
PARTIAL = {
    "outcome": Outcome.PARTIAL,
    "presence": Presence.UNDETERMINED,
    "subtypes": ALL_UNDETERMINED,
    "reason": Reason.INCOMPLETE,
    "num_images": 9,
}
FAILED = {
    "outcome": Outcome.FAILED,
    "presence": Presence.UNDETERMINED,
    "reason": Reason.FORMAT,
}


@pytest.mark.parametrize("fields", [POSITIVE, NEGATIVE, PARTIAL, FAILED])
def test_a_result_without_contradiction_is_accepted(fields: dict[str, Any]) -> None:
    assert StudyResult(**fields).outcome is fields["outcome"]


@pytest.mark.parametrize(
    ("fields", "change", "complaint"),
    [
        # presence against outcome
        (POSITIVE, {"presence": Presence.ABSENT}, "cannot go with"),
        (POSITIVE, {"presence": Presence.UNDETERMINED}, "cannot go with"),
        (NEGATIVE, {"presence": Presence.PRESENT}, "cannot go with"),
        (NEGATIVE, {"presence": Presence.UNDETERMINED}, "cannot go with"),
        (PARTIAL, {"presence": Presence.ABSENT, "subtypes": ALL_ABSENT}, "cannot go with"),
        (FAILED, {"presence": Presence.ABSENT}, "cannot go with"),
        (
            FAILED,
            {"presence": Presence.PRESENT, "findings": (SDH,), "subtypes": ONE_PRESENT},
            "cannot go with",
        ),
        (FAILED, {"outcome": Outcome.NOT_ATTEMPTED, "presence": Presence.ABSENT}, "cannot go with"),
        # reason against outcome
        (POSITIVE, {"reason": Reason.INCOMPLETE}, "needed exactly if it is incomplete"),
        (NEGATIVE, {"reason": Reason.INCOMPLETE}, "needed exactly if it is incomplete"),
        (NEGATIVE, {"detail": "a slice is missing"}, "explains a reason"),
        (PARTIAL, {"reason": None}, "needed exactly if it is incomplete"),
        (FAILED, {"reason": None}, "needed exactly if it is incomplete"),
        (FAILED, {"reason": Reason.BORDERLINE}, "no score that could be borderline"),
        # extent and score against outcome
        (POSITIVE, {"num_images": 0}, "0 analysed images"),
        (NEGATIVE, {"num_images": 0}, "0 analysed images"),
        (PARTIAL, {"num_images": 0}, "0 analysed images"),
        (FAILED, {"num_images": 5}, "5 analysed images"),
        (FAILED, {"case_score_percent": 1.0}, "has no score"),
        # quality against outcome
        (POSITIVE, {"familiarity": UNFAMILIAR}, "unlike those of the training"),
        (NEGATIVE, {"familiarity": UNFAMILIAR}, "unlike those of the training"),
        (FAILED, {"familiarity": FAMILIAR}, "has no images"),
        (PARTIAL, {"familiarity": replace(UNFAMILIAR, distance=nan)}, "distance and limit"),
        # findings against presence
        (POSITIVE, {"findings": ()}, "needed exactly if haemorrhage"),
        (POSITIVE, {"findings": (IPH,)}, "not those of the findings"),
        (POSITIVE, {"findings": (SDH, SDH)}, "two findings"),
        (NEGATIVE, {"findings": (SDH,)}, "needed exactly if haemorrhage"),
        (NEGATIVE, {"subtypes": ONE_PRESENT}, "not those of the findings"),
        (PARTIAL, {"findings": (SDH,)}, "needed exactly if haemorrhage"),
        (NEGATIVE, {"midline_shift": make_midline_shift()}, "only beside findings"),
        (PARTIAL, {"midline_shift": make_midline_shift()}, "only beside findings"),
        (FAILED, {"midline_shift": make_midline_shift()}, "only beside findings"),
        # subtypes against outcome
        (POSITIVE, {"subtypes": {Subtype.SDH: Presence.PRESENT}}, "about every subtype"),
        (
            POSITIVE,
            {"subtypes": ALL_UNDETERMINED | {Subtype.SDH: Presence.PRESENT}},
            "that are UNDETERMINED",
        ),
        (NEGATIVE, {"subtypes": {}}, "about every subtype"),
        (NEGATIVE, {"subtypes": ALL_ABSENT | {Subtype.SAH: Presence.UNDETERMINED}}, "UNDETERMINED"),
        (PARTIAL, {"subtypes": ALL_UNDETERMINED | {Subtype.SAH: Presence.ABSENT}}, "ABSENT"),
        (FAILED, {"subtypes": ALL_UNDETERMINED}, "nothing about subtypes"),
        # numbers
        (POSITIVE, {"case_score_percent": 100.1}, "between 0 and 100"),
        (POSITIVE, {"case_score_percent": nan}, "between 0 and 100"),
        (POSITIVE, {"findings": (replace(SDH, volume_ml=0.0),)}, "volume, HU and diameter"),
        (POSITIVE, {"findings": (replace(SDH, volume_ml=nan),)}, "volume, HU and diameter"),
        (POSITIVE, {"findings": (replace(SDH, mean_hu=nan),)}, "volume, HU and diameter"),
        (POSITIVE, {"findings": (replace(SDH, max_diameter_mm=-1.0),)}, "no extent"),
        (POSITIVE, {"findings": (replace(SDH, certainty_percent=-0.1),)}, "between 0 and 100"),
        (POSITIVE, {"findings": (replace(SDH, outlines=()),)}, "no outline"),
        # words
        (PARTIAL, {"detail": "two\nlines"}, "one printable line"),
        (PARTIAL, {"detail": "x" * 201}, "at most 200"),
        (PARTIAL, {"detail": "Müller"}, "ASCII"),
    ],
)
def test_a_contradiction_is_refused(
    fields: dict[str, Any], change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        StudyResult(**(fields | change))


def test_a_borderline_score_is_no_finding() -> None:
    with pytest.raises(ValueError, match="borderline"):
        StudyResult.partial(Reason.BORDERLINE, [SDH], num_images=12)


def test_findings_stand_largest_first_whatever_order_they_come_in() -> None:
    findings = [SDH, IPH]
    assert SDH.volume_ml < IPH.volume_ml
    for order in (findings, findings[::-1]):
        result = StudyResult.positive(order, num_images=12)
        assert [f.subtype for f in result.findings] == [Subtype.IPH, Subtype.SDH]


def test_findings_out_of_order_are_refused() -> None:
    subtypes = ONE_PRESENT | {Subtype.IPH: Presence.PRESENT}
    with pytest.raises(ValueError, match="order"):
        StudyResult(**(POSITIVE | {"findings": (SDH, IPH), "subtypes": subtypes}))


def test_the_constructors_say_of_the_other_subtypes_what_the_outcome_allows() -> None:
    positive = StudyResult.positive([SDH], num_images=12)
    partial = StudyResult.partial(Reason.EXPIRED, [SDH], num_images=9)
    assert positive.subtypes == ONE_PRESENT
    assert partial.subtypes == ALL_UNDETERMINED | {Subtype.SDH: Presence.PRESENT}
    assert StudyResult.negative(num_images=12).subtypes == ALL_ABSENT
    assert StudyResult.failed(Reason.EQUIPMENT).subtypes == {}


def test_every_outcome_has_words_and_only_positive_results_say_suspected() -> None:
    assert {outcome for outcome, _ in WORDINGS} == set(Outcome)
    for (_, presence), wording in WORDINGS.items():
        says_suspected = "SUSPECTED" in wording.headline and "suspected" in wording.sentence
        assert says_suspected == (presence is Presence.PRESENT)


@pytest.mark.parametrize("forbidden", ["no haemorrhage", "normal", "cleared", "no bleed", "safe"])
def test_no_wording_gives_an_all_clear(forbidden: str) -> None:
    for wording in WORDINGS.values():
        assert forbidden not in f"{wording.headline} {wording.sentence}".lower()


def test_a_negative_says_that_it_excludes_nothing() -> None:
    wording = WORDINGS[Outcome.NEGATIVE, Presence.ABSENT]
    assert "does not exclude" in wording.sentence
    assert "NOT EXCLUDED" in wording.headline


def test_lines_tell_people_every_number_of_the_result() -> None:
    result = StudyResult.positive(
        [SDH, IPH],
        num_images=12,
        case_score_percent=97.4,
        familiarity=FAMILIAR,
        midline_shift=make_midline_shift(),
    )
    assert result.finding_lines()[1] == (
        "Subdural (SDH), right: 11.0 ml, mean 62 HU, diameter 21 mm, AI score 93%"
    )
    assert result.case_lines() == [
        "Total: 24.5 ml",
        "Midline shift: 5 mm to the left",
        "AI score of the case: 97% (not a probability)",
        "Distance to the training data: 0.61 (limit 1.25)",
        "Images analysed: 12",
    ]
    partial = StudyResult.partial(Reason.INCOMPLETE, num_images=9, detail="3 slices are missing")
    assert partial.case_lines() == [
        "Reason: Object Set incomplete",
        "3 slices are missing",
        "Images analysed: 9",
    ]


def test_a_finding_without_side_is_named_without_one() -> None:
    def name(finding: Finding) -> str:
        return describe_finding(finding)

    assert name(IPH) == "Intraparenchymal (IPH)"
    assert name(replace(IPH, side=Side.BOTH)) == "Intraparenchymal (IPH), both sides"


def test_words_in_series_descriptions_are_as_loud_for_a_partial_finding() -> None:
    words = {name: result.wording.word for name, result in all_results(MASK).items()}
    assert words["positive"].startswith("POSITIVE")
    assert words["partly-positive"].startswith("POSITIVE")
    assert len(set(words.values())) == len(words)
