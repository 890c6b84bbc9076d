"""Turn a report back into what it says, as a careful consumer must.

Only coded items count, never text. Whatever is missing, unknown, doubled or contradictory makes the
report one without result; it never makes it a negative one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import BasicTextSRStorage

from config.errors import Reason, UnreadableInputError
from ml.findings import Side
from ml.readers.part10 import read_header
from ml.volume import Subtype
from node.results import codes
from node.results.forms import REPORT_CLASSES, ReportForm
from node.results.identity import ContentQualification
from node.results.items import children, is_named, sole_number, sole_text, sole_value
from node.results.outcomes import APPROVED_DISCLAIMER, DISCLAIMER, Outcome, Presence
from node.results.statement import Conclusion, read_statement

__all__ = ["Conclusion", "ReadBack", "interpret_report", "read_report"]

Value = TypeVar("Value")

FORMS: Mapping[str, ReportForm] = MappingProxyType(
    {uid: form for form, uid in REPORT_CLASSES.items() if form is not ReportForm.BASIC_TEXT}
)
"""The classes in which the tree may stand."""

DAMAGE = (AttributeError, LookupError, TypeError, ValueError)
"""What a tree raises in which attributes are missing or have values of another kind."""


@dataclass(frozen=True)
class ReadBack:
    """What a report says.

    Attributes
    ----------
    conclusion
        The one thing to act on.
    outcome
        How the analysis ended, or None if the statements are not those of any outcome.
    form
        In which form it is written, or None if its tree is damaged.
    status
        Meaning of Summary of Detections, or None if it is missing, doubled or unknown.
    presence
        Presence of intracranial haemorrhage, or None likewise.
    reason
        Why the result is partial or missing, or None.
    subtypes
        Presence of each subtype that has one clear statement.
    volumes_ml
        Volume of each subtype that was measured, ml.
    sides
        Side of each of these that has one.
    total_volume_ml, case_score_percent
        Numbers of the case, where stated.
    midline_shift_mm, midline_shift_side
        How far the brain is pushed and towards which side, where that was measured.
    training_distance, training_limit
        How far the images are from those of the model's training, and how far they may be, where
        stated.
    model_name, model_version, model_device_uid
        Which model it was.
    segment_numbers
        Segment that each measured subtype refers to.
    segmentation_uid
        SOP Instance UID of the one Segmentation that it refers to.
    predecessor_uid
        SOP Instance UID of the one report that it replaces.
    tracking_uids
        Tracking UID by tracking identifier.
    num_regions
        Number of outlines, boxes and lines on source images.
    disclaimer
        What has to be said beside it: more, unless it is of an approved node.
    """

    conclusion: Conclusion
    outcome: Outcome | None = None
    form: ReportForm | None = None
    status: str | None = None
    presence: Presence | None = None
    reason: Reason | None = None
    subtypes: Mapping[Subtype, Presence] = field(default_factory=dict)
    volumes_ml: Mapping[Subtype, float] = field(default_factory=dict)
    sides: Mapping[Subtype, Side] = field(default_factory=dict)
    total_volume_ml: float | None = None
    case_score_percent: float | None = None
    midline_shift_mm: float | None = None
    midline_shift_side: Side | None = None
    training_distance: float | None = None
    training_limit: float | None = None
    model_name: str | None = None
    model_version: str | None = None
    model_device_uid: str | None = None
    segment_numbers: Mapping[Subtype, int] = field(default_factory=dict)
    segmentation_uid: str | None = None
    predecessor_uid: str | None = None
    tracking_uids: Mapping[str, str] = field(default_factory=dict)
    num_regions: int = 0
    disclaimer: str = DISCLAIMER


def read_report(file: Path) -> ReadBack:
    """Read a report written by `node.results.report.build_report`.

    Parameters
    ----------
    file
        A DICOM file.

    Returns
    -------
    ReadBack
        As `interpret_report` has it.

    Raises
    ------
    UnreadableInputError
        If it is no DICOM file, or another object than a structured report of TID 1500.
    """
    return interpret_report(read_header(file))


def interpret_report(report: Dataset) -> ReadBack:
    """Say what the data set of a report means.

    Parameters
    ----------
    report
        A structured report.

    Returns
    -------
    ReadBack
        Positive, negative or partly positive only if every coded statement says so; a damaged tree
        gives no result.

    Raises
    ------
    UnreadableInputError
        If it is another object than a structured report of TID 1500.
    """
    sop_class = str(report.get("SOPClassUID", ""))
    if sop_class == BasicTextSRStorage:
        raise UnreadableInputError("the file is a Basic Text SR, which carries no coded outcome")
    form = FORMS.get(sop_class)
    try:
        if form is not None and is_named(report, codes.IMAGING_MEASUREMENT_REPORT):
            return _read_tree(report, form)
    except DAMAGE:
        return ReadBack(Conclusion.NO_RESULT)
    raise UnreadableInputError("the file is no Imaging Measurement Report (TID 1500)")


def _read_tree(report: Dataset, form: ReportForm) -> ReadBack:
    evaluations = [
        item
        for container in children(report, "CONTAINER", codes.QUALITATIVE_EVALUATIONS)
        for item in children(container)
    ]
    groups = [
        group
        for container in children(report, "CONTAINER", codes.IMAGING_MEASUREMENTS)
        for group in children(container, "CONTAINER", codes.MEASUREMENT_GROUP)
    ]
    statement = read_statement(evaluations, has_groups=bool(groups))
    case = [i for i in evaluations if is_named(i, codes.INTRACRANIAL_HEMORRHAGE)]
    quality = [i for i in evaluations if is_named(i, codes.IMAGE_QUALITY)]
    of_case = [part for item in case for part in children(item)]
    measured = _subtype_groups(groups)
    approved = report.get("ContentQualification") == ContentQualification.PRODUCT
    shifts = [g for g in groups if _tracking_identifier(g) == codes.MIDLINE_SHIFT_TRACKING]
    return ReadBack(
        conclusion=statement.conclusion,
        outcome=statement.outcome,
        form=form,
        status=statement.status,
        presence=statement.presence,
        reason=statement.reason,
        subtypes=MappingProxyType(dict(statement.subtypes)),
        volumes_ml=_known({s: _number([g], codes.VOLUME) for s, g in measured.items()}),
        sides=_known({s: _side([g]) for s, g in measured.items()}),
        total_volume_ml=_number(case, codes.VOLUME),
        case_score_percent=_number(case, codes.CERTAINTY_OF_FINDING),
        midline_shift_mm=_number(shifts, codes.MIDLINE_SHIFT),
        midline_shift_side=_side(shifts),
        training_distance=_number(quality, codes.TRAINING_DISTANCE),
        training_limit=_number(quality, codes.TRAINING_LIMIT),
        model_name=sole_text(of_case, codes.ALGORITHM_NAME),
        model_version=sole_text(of_case, codes.ALGORITHM_VERSION),
        model_device_uid=sole_text(children(report), codes.DEVICE_OBSERVER_UID),
        segment_numbers=_known({s: _segment_number(g) for s, g in measured.items()}),
        segmentation_uid=_sole(_segmentations(groups)),
        predecessor_uid=_sole(_predecessors(report)),
        tracking_uids=MappingProxyType(dict(_tracking_uids(groups))),
        num_regions=sum(len(children(group, "SCOORD", codes.IMAGE_REGION)) for group in groups),
        disclaimer=APPROVED_DISCLAIMER if approved else DISCLAIMER,
    )


_UNITS: Mapping[Code, Code] = MappingProxyType(
    {
        codes.VOLUME: codes.MILLILITRE,
        codes.CERTAINTY_OF_FINDING: codes.PERCENT,
        codes.MIDLINE_SHIFT: codes.MILLIMETRE,
        codes.TRAINING_DISTANCE: codes.NO_UNITS,
        codes.TRAINING_LIMIT: codes.NO_UNITS,
    }
)
_SIDES = {code: side for side, code in codes.SIDES.items()}


def _number(items: list[Dataset], name: Code) -> float | None:
    return sole_number(items, name, _UNITS[name])


def _known(values: Mapping[Subtype, Value | None]) -> Mapping[Subtype, Value]:
    return MappingProxyType({s: value for s, value in values.items() if value is not None})


def _sole(values: Iterator[str]) -> str | None:
    """Take the one value that there is, however often it is given."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _subtype_groups(groups: list[Dataset]) -> Mapping[Subtype, Dataset]:
    """Find the one group of each subtype that states a volume and has its tracking identifier."""
    with_volume = [group for group in groups if children(group, "NUM", codes.VOLUME)]
    named = [_tracking_identifier(group) for group in with_volume]
    return {
        subtype: with_volume[named.index(terms.tracking_identifier)]
        for subtype, terms in codes.SUBTYPES.items()
        if named.count(terms.tracking_identifier) == 1
    }


def _tracking_identifier(group: Dataset) -> str | None:
    return sole_text(children(group, "TEXT"), codes.TRACKING_IDENTIFIER)


def _tracking_uids(groups: list[Dataset]) -> Iterator[tuple[str, str]]:
    for group in groups:
        identifier = _tracking_identifier(group)
        uid = sole_text(children(group, "UIDREF"), codes.TRACKING_UNIQUE_IDENTIFIER)
        if identifier is not None and uid is not None:
            yield identifier, uid


def _side(groups: list[Dataset]) -> Side | None:
    """Read the side on which all finding sites of the one group lie."""
    sites = [site for group in groups for site in children(group, "CODE", codes.FINDING_SITE)]
    sides = {sole_value(children(site), codes.LATERALITY, _SIDES) for site in sites}
    return sides.pop() if len(groups) == 1 and len(sides) == 1 else None


def _segment_number(group: Dataset) -> int | None:
    segments = children(group, "IMAGE", codes.REFERENCED_SEGMENT)
    if len(segments) != 1:
        return None
    return int(segments[0].ReferencedSOPSequence[0].ReferencedSegmentNumber)


def _segmentations(groups: list[Dataset]) -> Iterator[str]:
    for group in groups:
        for segment in children(group, "IMAGE", codes.REFERENCED_SEGMENT):
            yield str(segment.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def _predecessors(report: Dataset) -> Iterator[str]:
    for study in report.get("PredecessorDocumentsSequence") or ():
        for series in study.ReferencedSeriesSequence:
            for instance in series.ReferencedSOPSequence:
                yield str(instance.ReferencedSOPInstanceUID)
