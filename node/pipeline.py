"""The whole analysis of a study, on one page: files in, result out; `node.writing` makes objects.

::

    files ─read─▶ Series ─segment─▶ Prediction ─conclude─▶ Analysis ─write─▶ SEG, page, SR

Each stage is a function from a frozen value to a frozen value; none knows of queue or network. What
cannot be analysed leaves by an `InputError`, and `result_of` makes a report of that too.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from config.errors import InputError, Reason
from ml.checkpoint import Thresholds
from ml.familiarity import Familiarity
from ml.findings import Finding, measure
from ml.inference import Prediction, Segmenter
from ml.midline_shift import MidlineShift, measure_midline_shift
from ml.postprocess import clean
from ml.quality import check_head
from ml.readers.dicom import Series, read_series
from ml.readers.part10 import read_header
from ml.volume import Mask, Subtype
from node.results.outcomes import MOST_DETAIL_CHARACTERS, StudyResult
from node.selection import Caution, SelectedSeries, Selection, select_series
from node.writing import Analysis

SHORTFALLS: Mapping[Caution, str] = {
    Caution.UNREADABLE_FILES: "Files of the study could not be read.",
    Caution.NUMBERING_GAP: "Instance numbers have a gap: an image may be missing.",
}
"""Cautions under which nothing may be concluded from the absence of findings."""
LOSSY = "The images were compressed with loss."
UNFAMILIAR = "The images differ from those the model was trained on"


def select(files: Sequence[Path]) -> SelectedSeries:
    """Choose the series to analyse.

    Raises
    ------
    InputError
        If there is none, with the most telling reason.
    """
    return chosen_of(select_series(files))


def chosen_of(selection: Selection) -> SelectedSeries:
    """Take the series to analyse from a selection.

    Raises
    ------
    InputError
        If there is none, with the most telling reason.
    """
    if selection.chosen is None:
        why = "; ".join(sorted({rejected.rejection.sentence for rejected in selection.rejected}))
        raise InputError(f"No series qualifies. {why}", reason=selection.reason)
    return selection.chosen


def read(files: Sequence[Path]) -> Series:
    """Read a chosen series, and make sure that it shows a head.

    Raises
    ------
    InputError
        If it cannot be decoded, has no usable geometry, or shows no head.
    """
    series = read_series(files)
    check_head(series.volume)
    return series


def shortfall_of(chosen: SelectedSeries) -> str:
    """Say what may be missing of a chosen series; empty if nothing is."""
    return " ".join(words for caution, words in SHORTFALLS.items() if caution in chosen.warnings)


def analyse(
    series: Series, segmenter: Segmenter, thresholds: Thresholds, *, shortfall: str = ""
) -> Analysis:
    """Segment a series and conclude, in one go.

    Raises
    ------
    ResourceError
        If memory ran out.
    """
    prediction = segmenter.segment(series.volume)
    return conclude(series, prediction, thresholds, shortfall=shortfall)


def conclude(
    series: Series, prediction: Prediction, thresholds: Thresholds, *, shortfall: str = ""
) -> Analysis:
    """Drop what is too small or too uncertain, measure the rest, and say what may be said.

    Parameters
    ----------
    series
        What was analysed.
    prediction
        What the network says of it.
    thresholds
        From the model's card and the site's settings.
    shortfall
        What may be missing, from `shortfall_of`.
    """
    minimum_ml = {subtype: thresholds.minimum_of(subtype) for subtype in Subtype}
    for subtype, percent in prediction.certainty_percent.items():
        if percent < thresholds.minimum_certainty_of(subtype):
            minimum_ml[subtype] = math.inf
    mask = clean(prediction.mask, minimum_ml=minimum_ml)
    findings = measure(
        series.volume,
        mask,
        certainty_percent=prediction.certainty_percent,
        alignment=prediction.alignment,
    )
    if prediction.case_score < thresholds.upper_score:
        findings = ()
    shift = None
    if findings and not shortfall:
        shift = _midline_shift(series, mask, prediction)
    result = _result(series, prediction, findings, thresholds, shortfall, midline_shift=shift)
    return Analysis(series, mask, result)


def _midline_shift(series: Series, mask: Mask, prediction: Prediction) -> MidlineShift | None:
    """Measure the midline shift; not in images that may show no usual head."""
    if prediction.familiarity is not None and not prediction.familiarity.is_familiar:
        return None
    return measure_midline_shift(series.volume, mask, prediction.alignment)


def _result(
    series: Series,
    prediction: Prediction,
    findings: Sequence[Finding],
    thresholds: Thresholds,
    shortfall: str,
    *,
    midline_shift: MidlineShift | None,
) -> StudyResult:
    """Choose the outcome: complete only if nothing is missing, lossy, strange or borderline."""
    images, score_percent = len(series.frames), 100 * prediction.case_score
    familiarity = prediction.familiarity
    detail = " ".join(filter(None, [shortfall, LOSSY if series.lossy else ""]))
    if familiarity is not None and not familiarity.is_familiar:
        room = MOST_DETAIL_CHARACTERS - len(detail) - 1
        detail = f"{detail} {describe_unfamiliar(familiarity, most_characters=room)}".lstrip()
    borderline = not findings and prediction.case_score >= thresholds.lower_score
    if detail or borderline:
        partly = Reason.INCOMPLETE if shortfall else Reason.QUALITY
        return StudyResult.partial(
            Reason.BORDERLINE if borderline else partly,
            findings,
            num_images=images,
            case_score_percent=score_percent,
            detail=detail,
            familiarity=familiarity,
            midline_shift=midline_shift,
        )
    if findings:
        return StudyResult.positive(
            findings,
            num_images=images,
            case_score_percent=score_percent,
            familiarity=familiarity,
            midline_shift=midline_shift,
        )
    return StudyResult.negative(
        num_images=images, case_score_percent=score_percent, familiarity=familiarity
    )


def describe_unfamiliar(familiarity: Familiarity, *, most_characters: int) -> str:
    """Say in what the images differ, as far as there is room; the first words fit always."""
    strange = [unusual.sentence for unusual in familiarity.unusual if unusual.is_out_of_range]
    if not familiarity.unusual:
        strange = ["no brain within a skull was measured"]
    elif not strange:
        strange = ["each figure is usual, their combination is not"]
    said = UNFAMILIAR
    for number, words in enumerate(strange):
        longer = f"{said}{'; ' if number else ': '}{words}"
        if len(longer) < most_characters:
            said = longer
    return f"{said}."


def result_of(error: InputError) -> StudyResult:
    """Conclude what to report of a study that could not be analysed."""
    detail = "".join(c for c in str(error) if c.isascii() and c.isprintable())
    detail = detail[:MOST_DETAIL_CHARACTERS]
    if error.reason is Reason.TYPES:
        return StudyResult.not_attempted(error.reason, detail=detail)
    return StudyResult.failed(error.reason, detail=detail)


def describe(analysis: Analysis) -> dict[str, object]:
    """Say what the administrator is shown, and by what inputs are told apart; no patient data."""
    result, shift = analysis.result, analysis.result.midline_shift
    return {
        "series_instance_uid": str(analysis.series.headers[0].SeriesInstanceUID),
        "input_digest": analysis.series.pixel_digest,
        "num_images": result.num_images,
        "case_score_percent": result.case_score_percent,
        "volume_ml": {f.subtype.name: round(f.volume_ml, 2) for f in result.findings},
        "side": {f.subtype.name: f.side for f in result.findings},
        "midline_shift": None
        if shift is None
        else {"mm": round(shift.shift_mm, 1), "side": shift.side},
        "familiarity": None if result.familiarity is None else _quality(result.familiarity),
    }


def _quality(familiarity: Familiarity) -> dict[str, object]:
    return {
        "is_familiar": familiarity.is_familiar,
        "distance": familiarity.distance,
        "limit": familiarity.limit,
        "nearer_percent": familiarity.nearer_percent,
        "unusual": {
            each.name: {"value": each.value, "usual": [each.lowest, each.highest]}
            for each in familiarity.unusual
        },
    }


def evidence(files: Sequence[Path]) -> tuple[Dataset, ...]:
    """One header of each series: what a report without analysis refers to.

    Raises
    ------
    InputError
        If not one file can be read.
    """
    headers: dict[str, Dataset] = {}
    problem: InputError | None = None
    for file in files:
        try:
            header = read_header(file)
        except InputError as error:
            problem = error
            continue
        headers.setdefault(str(header.get("SeriesInstanceUID")), header)
    if not headers:
        raise problem or InputError("the study has no files", reason=Reason.FORMAT)
    return tuple(headers.values())
