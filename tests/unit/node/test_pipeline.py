"""When a study is positive, negative, borderline or incomplete."""

import json
from dataclasses import replace

import numpy as np
import pytest

from config.errors import InputError, Reason
from ml.checkpoint import Thresholds
from ml.familiarity import Familiarity, Unusual
from ml.findings import Side
from ml.inference import Prediction
from ml.plane import Alignment
from ml.readers.dicom import Series
from ml.volume import Subtype
from node.pipeline import (
    LOSSY,
    SHORTFALLS,
    conclude,
    describe,
    describe_unfamiliar,
    result_of,
    shortfall_of,
)
from node.pipeline import UNFAMILIAR as UNFAMILIAR_WORDS
from node.results.outcomes import Outcome, Presence, StudyResult
from node.selection import Caution, SelectedSeries
from tests.support.pushed_head import GRID as PUSHED_GRID
from tests.support.pushed_head import PushedHead
from tests.support.result_inputs import (
    FAMILIAR,
    UNFAMILIAR,
    make_grid,
    make_mask,
    make_series,
)

GRID = make_grid()
SERIES = make_series(GRID)
THRESHOLDS = Thresholds(0.4, 0.6, {subtype.name: 0.5 for subtype in Subtype})


def predicted(
    score: float, *subtypes: Subtype, familiarity: Familiarity | None = None
) -> Prediction:
    return Prediction(
        mask=make_mask(GRID, subtypes),
        certainty_percent=dict.fromkeys(subtypes, 90.0),
        case_score=score,
        alignment=Alignment.identity(GRID),
        familiarity=familiarity,
    )


def concluded(
    score: float,
    *subtypes: Subtype,
    series: Series = SERIES,
    shortfall: str = "",
    familiarity: Familiarity | None = None,
) -> StudyResult:
    prediction = predicted(score, *subtypes, familiarity=familiarity)
    return conclude(series, prediction, THRESHOLDS, shortfall=shortfall).result


def test_a_high_score_with_a_lesion_is_positive() -> None:
    result = concluded(0.9, Subtype.SDH)
    assert result.outcome is Outcome.POSITIVE
    assert [finding.subtype for finding in result.findings] == [Subtype.SDH]


PUSHED = PushedHead(8.0).scan()
PUSHED_SERIES = make_series(PUSHED_GRID)


def concluded_of_pushed(
    score: float = 0.9, *, shortfall: str = "", familiarity: Familiarity | None = None
) -> StudyResult:
    volume, mask = PUSHED
    prediction = replace(
        predicted(score, Subtype.SDH, familiarity=familiarity),
        mask=mask,
        alignment=Alignment.identity(PUSHED_GRID),
    )
    series = replace(PUSHED_SERIES, volume=volume)
    return conclude(series, prediction, THRESHOLDS, shortfall=shortfall).result


def test_a_midline_shift_is_measured_beside_findings_alone() -> None:
    shift = concluded_of_pushed().midline_shift
    assert shift is not None
    assert (round(shift.shift_mm), shift.side) == (8, Side.LEFT)
    assert concluded_of_pushed(0.5).midline_shift is None
    assert concluded(0.9, Subtype.SDH).midline_shift is None  # a disc has no ventricles


def test_no_midline_shift_is_measured_where_images_are_missing_or_strange() -> None:
    assert concluded_of_pushed(shortfall="An image may be missing.").midline_shift is None
    assert concluded_of_pushed(familiarity=UNFAMILIAR).midline_shift is None
    assert concluded_of_pushed(familiarity=FAMILIAR).midline_shift is not None


def test_a_low_score_is_negative() -> None:
    assert concluded(0.1).outcome is Outcome.NEGATIVE


@pytest.mark.parametrize("subtypes", [(), (Subtype.SDH,)])
def test_a_score_between_the_thresholds_is_borderline(subtypes: tuple[Subtype, ...]) -> None:
    result = concluded(0.5, *subtypes)
    assert (result.outcome, result.reason) == (Outcome.PARTIAL, Reason.BORDERLINE)
    assert result.presence is Presence.UNDETERMINED


def test_a_subtype_below_the_certainty_that_the_site_wants_is_not_reported() -> None:
    prediction = replace(
        predicted(0.9, Subtype.SDH, Subtype.IPH),
        certainty_percent={Subtype.SDH: 90.0, Subtype.IPH: 55.0},
    )
    strict = replace(THRESHOLDS, minimum_certainty_percent={"IPH": 60.0, "SDH": 60.0})
    analysis = conclude(SERIES, prediction, strict)
    assert [finding.subtype for finding in analysis.result.findings] == [Subtype.SDH]
    assert set(np.unique(analysis.mask.labels)) == {0, Subtype.SDH}
    both = conclude(SERIES, prediction, THRESHOLDS).result
    assert len(both.findings) == 2
    none = replace(THRESHOLDS, minimum_certainty_percent={"IPH": 99.0, "SDH": 99.0})
    assert conclude(SERIES, prediction, none).result.reason is Reason.BORDERLINE


def test_a_high_score_without_a_lesion_is_borderline_and_never_negative() -> None:
    assert concluded(0.9).reason is Reason.BORDERLINE


def test_what_may_be_missing_keeps_a_result_from_being_negative() -> None:
    result = concluded(0.1, shortfall="An image may be missing.")
    assert (result.outcome, result.reason) == (Outcome.PARTIAL, Reason.INCOMPLETE)


def test_a_suspected_bleed_in_a_partial_analysis_is_as_loud_as_in_a_full_one() -> None:
    result = concluded(0.9, Subtype.SDH, shortfall="An image may be missing.")
    assert (result.outcome, result.presence) == (Outcome.PARTIAL, Presence.PRESENT)


def test_lossy_images_make_a_partial_result_at_most() -> None:
    lossy = replace(SERIES, lossy=True)
    assert concluded(0.1, series=lossy).reason is Reason.QUALITY
    assert concluded(0.9, Subtype.SDH, series=lossy).outcome is Outcome.PARTIAL


def test_nothing_is_concluded_from_the_absence_of_findings_in_strange_images() -> None:
    result = concluded(0.1, familiarity=UNFAMILIAR)
    assert (result.outcome, result.reason) == (Outcome.PARTIAL, Reason.QUALITY)
    assert result.presence is Presence.UNDETERMINED
    assert result.detail == (
        "The images differ from those the model was trained on: noise 9.1 HU, usual 1.5 to 6.0."
    )
    assert result.familiarity is UNFAMILIAR


def test_a_bleed_in_strange_images_is_shown_all_the_same() -> None:
    result = concluded(0.9, Subtype.SDH, familiarity=UNFAMILIAR)
    assert (result.outcome, result.reason) == (Outcome.PARTIAL, Reason.QUALITY)
    assert [finding.subtype for finding in result.findings] == [Subtype.SDH]


def test_a_borderline_score_in_strange_images_stays_borderline_and_says_both() -> None:
    result = concluded(0.5, familiarity=UNFAMILIAR)
    assert result.reason is Reason.BORDERLINE
    assert "noise" in result.detail


def test_familiar_images_change_no_outcome() -> None:
    assert concluded(0.1, familiarity=FAMILIAR).outcome is Outcome.NEGATIVE
    positive = concluded(0.9, Subtype.SDH, familiarity=FAMILIAR)
    assert (positive.outcome, positive.familiarity) == (Outcome.POSITIVE, FAMILIAR)


def test_every_fault_that_there_is_fits_into_one_detail() -> None:
    shortfall = " ".join(SHORTFALLS.values())
    lossy = replace(SERIES, lossy=True)
    result = concluded(0.1, series=lossy, shortfall=shortfall, familiarity=UNFAMILIAR)
    assert result.reason is Reason.INCOMPLETE
    assert result.detail == f"{shortfall} {LOSSY} {UNFAMILIAR_WORDS}."


def test_strange_images_are_described_as_far_as_there_is_room() -> None:
    noise = UNFAMILIAR.unusual[0]
    step = Unusual("slice_step_mm", 1.0, lowest=2.5, highest=6.0, deviations=-3.0)
    strange = replace(UNFAMILIAR, unusual=(noise, step))
    assert describe_unfamiliar(strange, most_characters=200).endswith(
        ": noise 9.1 HU, usual 1.5 to 6.0; slice step 1.00 mm, usual 2.50 to 6.00."
    )
    assert describe_unfamiliar(strange, most_characters=100).endswith("1.5 to 6.0.")
    assert describe_unfamiliar(strange, most_characters=60) == f"{UNFAMILIAR_WORDS}."
    together = replace(strange, unusual=(replace(noise, value=3.0),))
    assert "combination" in describe_unfamiliar(together, most_characters=200)
    nothing = replace(strange, unusual=())
    assert "no brain within a skull" in describe_unfamiliar(nothing, most_characters=200)


def test_the_administrator_is_told_how_familiar_the_images_are() -> None:
    analysis = conclude(SERIES, predicted(0.1, familiarity=UNFAMILIAR), THRESHOLDS)
    told = describe(analysis)["familiarity"]
    assert isinstance(told, dict)
    assert (told["is_familiar"], told["distance"], told["limit"]) == (False, 2.375, 1.25)
    assert told["unusual"]["noise_hu"] == {"value": 9.13, "usual": [1.5, 6.0]}
    assert json.loads(json.dumps(told)) == told
    assert describe(conclude(SERIES, predicted(0.1), THRESHOLDS))["familiarity"] is None


def test_only_what_may_be_missing_is_a_shortfall() -> None:
    def chosen(*cautions: Caution) -> SelectedSeries:
        return SelectedSeries("1.2", 1, (), (), cautions, 100.0)

    assert shortfall_of(chosen(Caution.GANTRY_TILT)) == ""
    assert "missing" in shortfall_of(chosen(Caution.NUMBERING_GAP))
    assert "read" in shortfall_of(chosen(Caution.UNREADABLE_FILES))


def test_a_study_of_another_kind_is_not_attempted_and_any_other_fault_is_a_failure() -> None:
    for reason in Reason:
        if reason is Reason.BORDERLINE:
            continue
        outcome = result_of(InputError("why", reason=reason)).outcome
        wanted = Outcome.NOT_ATTEMPTED if reason is Reason.TYPES else Outcome.FAILED
        assert outcome is wanted


def test_a_detail_is_one_line_of_plain_text() -> None:
    detail = result_of(InputError("é\n" + "x" * 500, reason=Reason.FORMAT)).detail
    assert detail == "x" * 200
