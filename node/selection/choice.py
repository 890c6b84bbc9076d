"""Which series of a study is analysed: gates, cautions and a score, from headers alone.

Every series but one is rejected with a reason for the administrator; if all are, the most telling
reason goes into the report.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, log2
from pathlib import Path

from pydicom.dataset import Dataset

from config.errors import Reason
from ml.readers.attributes import text_of, whole_of
from ml.readers.pixels import is_lossy
from node.selection.candidates import Candidate, candidates_of
from node.selection.gates import descriptions_of, first_fault
from node.selection.geometry import Spacing, stack_cautions
from node.selection.rejections import Caution, Criteria, Fault, Rejection
from node.selection.text import is_hard_kernel, names_a_head

PENALTIES = {
    Caution.HARD_KERNEL: 40,
    Caution.LOSSY: 30,
    Caution.NO_DESCRIPTION: 20,
    Caution.GANTRY_TILT: 15,
    Caution.SEVERAL_ACQUISITIONS: 10,
    Caution.VARYING_SPACING: 10,
    Caution.SLICE_GAPS: 10,
}
_OWNER = ("PatientID", "IssuerOfPatientID", "StudyInstanceUID")
_OTHER_PATIENT = Fault(Rejection.MIXED, "the files belong to several studies or patients")


@dataclass(frozen=True)
class RejectedSeries:
    """A series that is not analysed.

    Attributes
    ----------
    series_instance_uid
        Empty for files that could not be read.
    series_number
        As sent, if it was.
    rejection
        The first gate that it failed.
    detail
        The attribute, the rule and the value; no text from the header.
    """

    series_instance_uid: str
    series_number: int | None
    rejection: Rejection
    detail: str


@dataclass(frozen=True)
class SelectedSeries:
    """The series to analyse.

    Attributes
    ----------
    series_instance_uid, series_number
        Which one.
    files, sop_instance_uids
        Its images, in the order of the slices from the feet to the head.
    warnings
        What to know about it.
    score
        100 for a series as the model wants it, less for each deviation.
    """

    series_instance_uid: str
    series_number: int | None
    files: tuple[Path, ...]
    sop_instance_uids: tuple[str, ...]
    warnings: tuple[Caution, ...]
    score: float


@dataclass(frozen=True)
class Selection:
    """The outcome for a study.

    Attributes
    ----------
    chosen
        The series to analyse, if any qualifies.
    rejected
        All others.
    reason
        The most telling reason why none qualifies; None if one does.
    """

    chosen: SelectedSeries | None
    rejected: tuple[RejectedSeries, ...]
    reason: Reason | None


def select_series(files: Sequence[Path], *, criteria: Criteria | None = None) -> Selection:
    """Choose the series of a study to analyse.

    Parameters
    ----------
    files
        All files of the study, in any order.
    criteria
        What a series must be like; `Criteria()` if None.

    Returns
    -------
    Selection
        Independent of the order of the files.
    """
    rules = criteria or Criteria()
    candidates, num_unreadable = candidates_of(files)
    rejected = [RejectedSeries("", None, Rejection.UNREADABLE, f"{num_unreadable} files")] * bool(
        num_unreadable
    )
    qualified: list[SelectedSeries] = []
    one_patient = _is_one_study_of_one_patient(candidates)
    for candidate in candidates:
        fault = first_fault(candidate, rules) if one_patient else _OTHER_PATIENT
        if fault is None:
            qualified.append(_selected(candidate, rules, num_unreadable))
        else:
            rejected.append(_rejected(candidate, fault))
    qualified.sort(key=_preference)
    rejected.extend(
        RejectedSeries(
            other.series_instance_uid,
            other.series_number,
            Rejection.LOWER_SCORE,
            f"score {other.score:.1f}, the chosen one has {qualified[0].score:.1f}",
        )
        for other in qualified[1:]
    )
    chosen = qualified[0] if qualified else None
    return Selection(chosen, tuple(rejected), None if chosen else _most_telling(rejected))


def _is_one_study_of_one_patient(candidates: Sequence[Candidate]) -> bool:
    owners = {
        tuple(
            text_of(header, keyword)
            for keyword in ("PatientID", "IssuerOfPatientID", "StudyInstanceUID")
        )
        for candidate in candidates
        for header in candidate.headers
    }
    return len(owners) <= 1


def _selected(candidate: Candidate, criteria: Criteria, num_unreadable: int) -> SelectedSeries:
    headers = candidate.headers
    spacing = Spacing.of(candidate.frames)
    cautions = stack_cautions(candidate.frames, criteria)
    if any(is_hard_kernel(frame.convolution_kernel) for frame in candidate.frames):
        cautions.append(Caution.HARD_KERNEL)
    if len({frame.acquisition_number for frame in candidate.frames}) > 1:
        cautions.append(Caution.SEVERAL_ACQUISITIONS)
    if _numbering_has_a_gap(headers):
        cautions.append(Caution.NUMBERING_GAP)
    if names_a_head(descriptions_of(headers[0])) is None:
        cautions.append(Caution.NO_DESCRIPTION)
    if any(is_lossy(header) for header in headers):
        cautions.append(Caution.LOSSY)
    if num_unreadable:
        cautions.append(Caution.UNREADABLE_FILES)
    ratio = spacing.median_mm / criteria.target_spacing_mm
    penalty = sum(PENALTIES.get(caution, 0) for caution in cautions)
    order = candidate.order()
    return SelectedSeries(
        series_instance_uid=candidate.series_instance_uid,
        series_number=candidate.series_number,
        files=tuple(candidate.files[index] for index in order),
        sop_instance_uids=tuple(text_of(headers[index], "SOPInstanceUID") for index in order),
        warnings=tuple(sorted(cautions)),
        score=100 - 8 * abs(log2(ratio)) - penalty,
    )


def _numbering_has_a_gap(headers: Sequence[Dataset]) -> bool:
    """Tell whether Instance Numbers are counted through, but for one in between."""
    numbers = sorted(
        number
        for number in (whole_of(header, "InstanceNumber") for header in headers)
        if number is not None
    )
    steps = [after - before for before, after in pairwise(numbers)]
    return bool(steps) and set(steps) != {1} and sorted(steps)[len(steps) // 2] == 1


def _preference(series: SelectedSeries) -> tuple[float, float, str]:
    """Order qualified series: the best score, then the lowest number."""
    number = inf if series.series_number is None else series.series_number
    return -series.score, number, series.series_instance_uid


def _rejected(candidate: Candidate, fault: Fault) -> RejectedSeries:
    return RejectedSeries(
        series_instance_uid=candidate.series_instance_uid,
        series_number=candidate.series_number,
        rejection=fault.rejection,
        detail=fault.detail,
    )


def _most_telling(rejected: Sequence[RejectedSeries]) -> Reason:
    """Choose the reason of a series that came far: kinds are told apart by the first gates."""
    reasons = {series.rejection.reason for series in rejected}
    for reason in (Reason.INCOMPLETE, Reason.FORMAT):
        if reason in reasons:
            return reason
    return Reason.TYPES
