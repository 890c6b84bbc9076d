"""When a study is positive, negative, borderline or incomplete."""

from dataclasses import replace

import pytest

from config.errors import InputError, Reason
from ml.checkpoint import Thresholds
from ml.inference import Prediction
from ml.plane import Alignment
from ml.readers.dicom import Series
from ml.volume import Subtype
from node.pipeline import conclude, result_of, shortfall_of
from node.results.outcomes import Outcome, Presence, StudyResult
from node.selection import Caution, SelectedSeries
from tests.support.result_inputs import make_grid, make_mask, make_series

GRID = make_grid()
SERIES = make_series(GRID)
THRESHOLDS = Thresholds(0.4, 0.6, {subtype.name: 0.5 for subtype in Subtype})


def predicted(score: float, *subtypes: Subtype) -> Prediction:
    return Prediction(
        mask=make_mask(GRID, subtypes),
        certainty_percent=dict.fromkeys(subtypes, 90.0),
        case_score=score,
        alignment=Alignment.identity(GRID),
    )


def concluded(
    score: float, *subtypes: Subtype, series: Series = SERIES, shortfall: str = ""
) -> StudyResult:
    return conclude(series, predicted(score, *subtypes), THRESHOLDS, shortfall=shortfall).result


def test_a_high_score_with_a_lesion_is_positive() -> None:
    result = concluded(0.9, Subtype.SDH)
    assert result.outcome is Outcome.POSITIVE
    assert [finding.subtype for finding in result.findings] == [Subtype.SDH]


def test_a_low_score_is_negative() -> None:
    assert concluded(0.1).outcome is Outcome.NEGATIVE


@pytest.mark.parametrize("subtypes", [(), (Subtype.SDH,)])
def test_a_score_between_the_thresholds_is_borderline(subtypes: tuple[Subtype, ...]) -> None:
    result = concluded(0.5, *subtypes)
    assert (result.outcome, result.reason) == (Outcome.PARTIAL, Reason.BORDERLINE)
    assert result.presence is Presence.UNDETERMINED


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
