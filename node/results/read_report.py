"""Turn a report back into what it says, as a careful consumer must.

Only coded items count, never text. Whatever is missing, unknown, doubled or contradictory makes the
report one without result; it never makes it a negative one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID, Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from config.errors import Reason, UnreadableInputError
from ml.readers.part10 import read_header
from ml.volume import Subtype
from node.results import codes
from node.results.outcomes import PRESENCE_CODES, SUMMARY_CODES, Outcome, Presence

Value = TypeVar("Value")

SR_CLASSES: tuple[UID, ...] = (Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage)
"""Classes in which the tree may stand."""

DAMAGE = (AttributeError, LookupError, TypeError, ValueError)
"""What a tree raises in which attributes are missing or have values of another kind."""


class Conclusion(StrEnum):
    """What a machine may conclude from a report."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    PARTLY_POSITIVE = "PARTLY_POSITIVE"
    """Haemorrhage in the part that was analysed."""
    NO_RESULT = "NO_RESULT"


@dataclass(frozen=True)
class ReadBack:
    """What a report says.

    Attributes
    ----------
    conclusion
        The one thing to act on.
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
    total_volume_ml, case_score_percent
        Numbers of the case, where stated.
    training_distance, training_limit
        How far the images are from those of the model's training, and how far they may be, where
        stated.
    segment_numbers
        Segment that each measured subtype refers to.
    tracking_uids
        Tracking UID by tracking identifier.
    num_regions
        Number of outlines and boxes on source images.
    """

    conclusion: Conclusion
    status: str | None = None
    presence: Presence | None = None
    reason: Reason | None = None
    subtypes: Mapping[Subtype, Presence] = field(default_factory=dict)
    volumes_ml: Mapping[Subtype, float] = field(default_factory=dict)
    total_volume_ml: float | None = None
    case_score_percent: float | None = None
    training_distance: float | None = None
    training_limit: float | None = None
    segment_numbers: Mapping[Subtype, int] = field(default_factory=dict)
    tracking_uids: Mapping[str, str] = field(default_factory=dict)
    num_regions: int = 0


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
    if report.get("SOPClassUID") not in SR_CLASSES or not _is_named(
        report, codes.IMAGING_MEASUREMENT_REPORT
    ):
        raise UnreadableInputError("the file is no Imaging Measurement Report (TID 1500)")
    try:
        return _read_tree(report)
    except DAMAGE:
        return ReadBack(Conclusion.NO_RESULT)


def _read_tree(report: Dataset) -> ReadBack:
    evaluations = [
        item
        for container in _children(report, "CONTAINER", codes.QUALITATIVE_EVALUATIONS)
        for item in _children(container)
    ]
    groups = [
        group
        for container in _children(report, "CONTAINER", codes.IMAGING_MEASUREMENTS)
        for group in _children(container, "CONTAINER", codes.MEASUREMENT_GROUP)
    ]
    status = _sole_value(evaluations, codes.SUMMARY_OF_DETECTIONS, _STATUSES)
    presence = _sole_value(evaluations, codes.INTRACRANIAL_HEMORRHAGE, _PRESENCES)
    stated = {s: _sole_value(evaluations, codes.SUBTYPES[s].item, _PRESENCES) for s in Subtype}
    subtypes = {subtype: value for subtype, value in stated.items() if value is not None}
    case = [i for i in evaluations if _is_named(i, codes.INTRACRANIAL_HEMORRHAGE)]
    quality = [i for i in evaluations if _is_named(i, codes.IMAGE_QUALITY)]
    return ReadBack(
        conclusion=_conclude(evaluations, presence, subtypes, has_groups=bool(groups)),
        status=None if status is None else status.meaning,
        presence=presence,
        reason=_sole_value(evaluations, codes.REASON, _REASONS),
        subtypes=MappingProxyType(subtypes),
        volumes_ml=MappingProxyType(dict(_volumes(groups))),
        total_volume_ml=_sole_number(case, codes.VOLUME),
        case_score_percent=_sole_number(case, codes.CERTAINTY_OF_FINDING),
        training_distance=_sole_number(quality, codes.TRAINING_DISTANCE),
        training_limit=_sole_number(quality, codes.TRAINING_LIMIT),
        segment_numbers=MappingProxyType(dict(_segment_numbers(groups))),
        tracking_uids=MappingProxyType(dict(_tracking_uids(groups))),
        num_regions=sum(len(_children(group, "SCOORD", codes.IMAGE_REGION)) for group in groups),
    )


def _conclude(
    evaluations: list[Dataset],
    presence: Presence | None,
    subtypes: Mapping[Subtype, Presence],
    *,
    has_groups: bool,
) -> Conclusion:
    """Conclude only from statements that all agree (PS3.16 CID 6042, 6047 and 240)."""
    status = _sole_value(evaluations, codes.SUMMARY_OF_DETECTIONS, _STATUSES)
    summary = _sole_value(evaluations, codes.CAD_SUMMARY, _SUMMARIES)
    has_summary = any(_is_named(item, codes.CAD_SUMMARY) for item in evaluations)
    present, absent, undetermined = Presence
    # reports of models that do not know their training data say nothing about it
    familiar = not any(_is_named(item, codes.IMAGE_QUALITY) for item in evaluations) or (
        _sole_value(evaluations, codes.IMAGE_QUALITY, _QUALITIES) is codes.LIKE_TRAINING
    )
    said = set(subtypes.values()) if len(subtypes) == len(Subtype) else set()
    holds = {
        Conclusion.POSITIVE: status == codes.SUCCEEDED
        and summary is Outcome.POSITIVE
        and familiar
        and presence is present
        and {present} <= said <= {present, absent}
        and has_groups,
        Conclusion.NEGATIVE: status == codes.SUCCEEDED
        and summary is Outcome.NEGATIVE
        and familiar
        and presence is absent
        and said == {absent}
        and not has_groups,
        Conclusion.PARTLY_POSITIVE: status == codes.PARTIALLY_SUCCEEDED
        and not has_summary
        and presence is present
        and {present} <= said <= {present, undetermined}
        and has_groups,
    }
    return next((c for c, is_so in holds.items() if is_so), Conclusion.NO_RESULT)


_STATUSES = {
    code: code
    for code in (
        codes.SUCCEEDED,
        codes.PARTIALLY_SUCCEEDED,
        codes.FAILED,
        codes.NOT_ATTEMPTED,
    )
}
_PRESENCES = {code: presence for presence, code in PRESENCE_CODES.items()}
_REASONS = {code: reason for reason, code in codes.REASONS.items()}
_QUALITIES = {code: code for code in (codes.LIKE_TRAINING, codes.UNLIKE_TRAINING)}
_SUMMARIES = {code: outcome for outcome, code in SUMMARY_CODES.items()}


def _children(
    parent: Dataset, value_type: str | None = None, name: Code | None = None
) -> list[Dataset]:
    """Content items under another one, of a value type and concept name if these are given."""
    return [
        item
        for item in parent.get("ContentSequence") or ()
        if value_type in (None, item.get("ValueType")) and (name is None or _is_named(item, name))
    ]


def _is_named(item: Dataset, name: Code) -> bool:
    names = item.get("ConceptNameCodeSequence")
    return bool(names) and codes.is_code(names[0], name)


def _sole_value(items: list[Dataset], name: Code, known: Mapping[Code, Value]) -> Value | None:
    """Read the value of the one CODE item of a name, if there is exactly one and it is known."""
    named = [item for item in items if _is_named(item, name)]
    if len(named) != 1 or named[0].get("ValueType") != "CODE":
        return None
    values = named[0].get("ConceptCodeSequence") or []
    if len(values) != 1:
        return None
    return next((known[code] for code in known if codes.is_code(values[0], code)), None)


def _sole_number(items: list[Dataset], name: Code) -> float | None:
    """Read the number of a name below the one item, if there is exactly one of each."""
    numbers = [n for item in items for n in _children(item, "NUM", name)]
    if len(items) != 1 or len(numbers) != 1:
        return None
    return float(numbers[0].MeasuredValueSequence[0].NumericValue)


def _subtype_groups(groups: list[Dataset]) -> Iterator[tuple[Subtype, Dataset]]:
    """Yield the groups that state a volume, with the subtype that their tracking names."""
    by_identifier = {terms.tracking_identifier: s for s, terms in codes.SUBTYPES.items()}
    for group in groups:
        identifiers = _children(group, "TEXT", codes.TRACKING_IDENTIFIER)
        if len(identifiers) == 1 and _children(group, "NUM", codes.VOLUME):
            subtype = by_identifier.get(str(identifiers[0].TextValue))
            if subtype is not None:
                yield subtype, group


def _volumes(groups: list[Dataset]) -> Iterator[tuple[Subtype, float]]:
    for subtype, group in _subtype_groups(groups):
        volume_ml = _sole_number([group], codes.VOLUME)
        if volume_ml is not None:
            yield subtype, volume_ml


def _segment_numbers(groups: list[Dataset]) -> Iterator[tuple[Subtype, int]]:
    for subtype, group in _subtype_groups(groups):
        for item in _children(group, "IMAGE", codes.REFERENCED_SEGMENT):
            yield subtype, int(item.ReferencedSOPSequence[0].ReferencedSegmentNumber)


def _tracking_uids(groups: list[Dataset]) -> Iterator[tuple[str, str]]:
    for group in groups:
        identifiers = _children(group, "TEXT", codes.TRACKING_IDENTIFIER)
        uids = _children(group, "UIDREF", codes.TRACKING_UNIQUE_IDENTIFIER)
        if len(identifiers) == 1 and len(uids) == 1:
            yield str(identifiers[0].TextValue), str(uids[0].UID)
