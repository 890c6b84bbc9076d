"""How the analysis of a study ended, what may be said about it, and in which words.

A `StudyResult` is the last gate before an object is built: it refuses what contradicts itself. No
result never reads as "no haemorrhage", and nothing is called normal or cleared.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from pydicom.sr.coding import Code

from config.errors import Reason
from ml.familiarity import Familiarity
from ml.findings import Finding, Side
from ml.midline_shift import MidlineShift
from ml.volume import Subtype
from node.results import codes
from node.results.numbers import check_numbers

DISCLAIMER = "Research use only. Not for diagnosis. Not reviewed by a physician."
"""Stands in every object, unless the node is approved."""
APPROVED_DISCLAIMER = "Computer result. Not reviewed by a physician."

MOST_DETAIL_CHARACTERS = 200


class Outcome(StrEnum):
    """How the analysis of one study ended; every accepted study ends in exactly one."""

    POSITIVE = "POSITIVE"
    """Analysed in full, haemorrhage found."""
    NEGATIVE = "NEGATIVE"
    """Analysed in full, no haemorrhage found."""
    PARTIAL = "PARTIAL"
    """Analysed in part, or the score lies between the thresholds."""
    FAILED = "FAILED"
    """Analysis was tried, and gave nothing."""
    NOT_ATTEMPTED = "NOT_ATTEMPTED"
    """There is no series of the kind that the model was made for."""


class Presence(StrEnum):
    """Whether haemorrhage, or one subtype of it, was seen."""

    PRESENT = "PRESENT"
    ABSENT = "ABSENT"
    UNDETERMINED = "UNDETERMINED"


STATUS_CODES: Mapping[Outcome, Code] = MappingProxyType(
    {
        Outcome.POSITIVE: codes.SUCCEEDED,
        Outcome.NEGATIVE: codes.SUCCEEDED,
        Outcome.PARTIAL: codes.PARTIALLY_SUCCEEDED,
        Outcome.FAILED: codes.FAILED,
        Outcome.NOT_ATTEMPTED: codes.NOT_ATTEMPTED,
    }
)
"""Value of Summary of Detections (CID 6042)."""

SUMMARY_CODES: Mapping[Outcome, Code] = MappingProxyType(
    {
        Outcome.POSITIVE: codes.ALL_SUCCEEDED_WITH_FINDINGS,
        Outcome.NEGATIVE: codes.ALL_SUCCEEDED_WITHOUT_FINDINGS,
    }
)
"""Value of CAD Processing and Findings Summary (CID 6047).

The other outcomes have none: "not all algorithms succeeded; without findings", skimmed, reads as a
negative.
"""

PRESENCE_CODES: Mapping[Presence, Code] = MappingProxyType(
    {
        Presence.PRESENT: codes.PRESENT,
        Presence.ABSENT: codes.ABSENT,
        Presence.UNDETERMINED: codes.UNDETERMINED,
    }
)
"""Value of the present/absent items (CID 240)."""


@dataclass(frozen=True)
class Wording:
    """What people read.

    Attributes
    ----------
    word
        Word in the series description. It stands early there, since viewers cut the text.
    headline
        Title of the picture.
    sentence
        The statement about the case.
    """

    word: str
    headline: str
    sentence: str


WORDINGS: Mapping[tuple[Outcome, Presence], Wording] = MappingProxyType(
    {
        (Outcome.POSITIVE, Presence.PRESENT): Wording(
            "POSITIVE", "AI: ICH SUSPECTED", "AI result: intracranial haemorrhage suspected."
        ),
        (Outcome.NEGATIVE, Presence.ABSENT): Wording(
            "NEGATIVE",
            "AI: ICH NOT DETECTED (NOT EXCLUDED)",
            "AI did not detect intracranial haemorrhage in the analysed series. "
            "This does not exclude haemorrhage.",
        ),
        (Outcome.PARTIAL, Presence.PRESENT): Wording(
            "POSITIVE INCOMPLETE",
            "AI: ICH SUSPECTED, INCOMPLETE",
            "AI result INCOMPLETE: intracranial haemorrhage suspected in the analysed part.",
        ),
        (Outcome.PARTIAL, Presence.UNDETERMINED): Wording(
            "INCOMPLETE", "AI: INCOMPLETE - NO RESULT", "AI result INCOMPLETE: no conclusion."
        ),
        (Outcome.FAILED, Presence.UNDETERMINED): Wording(
            "FAILED",
            "AI: FAILED - NO RESULT",
            "AI processing FAILED: no result. Read the study as if no AI had run.",
        ),
        (Outcome.NOT_ATTEMPTED, Presence.UNDETERMINED): Wording(
            "NOT PROCESSED",
            "AI: NOT PROCESSED - NO RESULT",
            "AI processing NOT ATTEMPTED: no result. Read the study as if no AI had run.",
        ),
    }
)
"""The words for each pair of outcome and presence; its keys are the only legal pairs."""

SIDE_WORDS: Mapping[Side, str] = MappingProxyType(
    {Side.LEFT: "left", Side.RIGHT: "right", Side.BOTH: "both sides"}
)


def describe_finding(finding: Finding) -> str:
    """Name a finding for people, for example ``Subdural (SDH), right``."""
    terms = codes.SUBTYPES[finding.subtype]
    side = "" if finding.side is None else f", {SIDE_WORDS[finding.side]}"
    return f"{terms.title} ({terms.label}){side}"


@dataclass(frozen=True, eq=False)
class StudyResult:
    """Result of one study, ready to be written. Make it with one of the five class methods.

    Attributes
    ----------
    outcome
        How the analysis ended.
    presence
        Whether intracranial haemorrhage of any subtype was seen.
    subtypes
        The same for each subtype; empty where nothing can be said.
    findings
        Largest volume first; one for each subtype that is present.
    case_score_percent
        The model's score of the case, 0 to 100, or None; not a probability.
    reason
        Why the result is partial or missing; None if it is complete.
    detail
        One line beside the reason, without patient data; may be empty.
    num_images
        Number of images that the statement rests on.
    familiarity
        How like those of the model's training the images are, or None if it is not known.
    midline_shift
        How far a finding pushes the brain, or None if that was not measured, which is not zero.
    """

    outcome: Outcome
    presence: Presence
    subtypes: Mapping[Subtype, Presence] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    case_score_percent: float | None = None
    reason: Reason | None = None
    detail: str = ""
    num_images: int = 0
    familiarity: Familiarity | None = None
    midline_shift: MidlineShift | None = None

    def __post_init__(self) -> None:
        """Refuse contradictions."""
        _check_statement(self)
        _check_familiarity(self)
        _check_detail(self)
        _check_subtypes(self)
        check_numbers(self.findings, self.case_score_percent)

    @classmethod
    def positive(
        cls,
        findings: Sequence[Finding],
        *,
        num_images: int,
        case_score_percent: float | None = None,
        familiarity: Familiarity | None = None,
        midline_shift: MidlineShift | None = None,
    ) -> Self:
        """Analysed in full, with findings; every other subtype is absent."""
        return cls(
            outcome=Outcome.POSITIVE,
            presence=Presence.PRESENT,
            subtypes=_subtypes(findings, others=Presence.ABSENT),
            findings=_largest_first(findings),
            case_score_percent=case_score_percent,
            num_images=num_images,
            familiarity=familiarity,
            midline_shift=midline_shift,
        )

    @classmethod
    def negative(
        cls,
        *,
        num_images: int,
        case_score_percent: float | None = None,
        familiarity: Familiarity | None = None,
    ) -> Self:
        """Analysed in full, without findings."""
        return cls(
            outcome=Outcome.NEGATIVE,
            presence=Presence.ABSENT,
            subtypes=_subtypes((), others=Presence.ABSENT),
            case_score_percent=case_score_percent,
            num_images=num_images,
            familiarity=familiarity,
        )

    @classmethod
    def partial(
        cls,
        reason: Reason,
        findings: Sequence[Finding] = (),
        *,
        num_images: int,
        case_score_percent: float | None = None,
        detail: str = "",
        familiarity: Familiarity | None = None,
        midline_shift: MidlineShift | None = None,
    ) -> Self:
        """Analysed in part, or borderline; a subtype that was not found is undetermined."""
        return cls(
            outcome=Outcome.PARTIAL,
            presence=Presence.PRESENT if findings else Presence.UNDETERMINED,
            subtypes=_subtypes(findings, others=Presence.UNDETERMINED),
            findings=_largest_first(findings),
            case_score_percent=case_score_percent,
            reason=reason,
            detail=detail,
            num_images=num_images,
            familiarity=familiarity,
            midline_shift=midline_shift,
        )

    @classmethod
    def failed(cls, reason: Reason, *, detail: str = "") -> Self:
        """Analysis was tried, and gave nothing."""
        return cls(Outcome.FAILED, Presence.UNDETERMINED, reason=reason, detail=detail)

    @classmethod
    def not_attempted(cls, reason: Reason, *, detail: str = "") -> Self:
        """Not tried, as the study holds nothing that the model was made for."""
        return cls(Outcome.NOT_ATTEMPTED, Presence.UNDETERMINED, reason=reason, detail=detail)

    @property
    def wording(self) -> Wording:
        """The words for this result."""
        return WORDINGS[self.outcome, self.presence]

    @property
    def is_complete(self) -> bool:
        """Whether the analysis did all it was to do."""
        return self.outcome in SUMMARY_CODES

    @property
    def total_ml(self) -> float:
        """Volume of all findings together, ml."""
        return sum(finding.volume_ml for finding in self.findings)

    def finding_lines(self) -> list[str]:
        """One line of text for each finding, without patient data."""
        return [
            f"{describe_finding(finding)}: {finding.volume_ml:.1f} ml, "
            f"mean {finding.mean_hu:.0f} HU, diameter {finding.max_diameter_mm:.0f} mm, "
            f"AI score {finding.certainty_percent:.0f}%"
            for finding in self.findings
        ]

    def case_lines(self) -> list[str]:
        """Lines on the case: total, shift, score, quality, reason, extent; no patient data."""
        lines = []
        if len(self.findings) > 1:
            lines.append(f"Total: {self.total_ml:.1f} ml")
        if self.midline_shift is not None:
            shift = self.midline_shift
            side = SIDE_WORDS[shift.side]
            lines.append(f"Midline shift: {shift.shift_mm:.0f} mm to the {side}")
        if self.case_score_percent is not None:
            lines.append(
                f"AI score of the case: {self.case_score_percent:.0f}% (not a probability)"
            )
        if self.familiarity is not None:
            lines.append(
                f"Distance to the training data: {self.familiarity.distance:.2f} "
                f"(limit {self.familiarity.limit:.2f})"
            )
        if self.reason is not None:
            lines.append(f"Reason: {codes.REASONS[self.reason].meaning}")
        if self.detail:
            lines.append(self.detail)
        if self.num_images:
            lines.append(f"Images analysed: {self.num_images}")
        return lines


def _subtypes(findings: Sequence[Finding], *, others: Presence) -> Mapping[Subtype, Presence]:
    present = {finding.subtype for finding in findings}
    return MappingProxyType({s: Presence.PRESENT if s in present else others for s in Subtype})


def _largest_first(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (-finding.volume_ml, finding.subtype)))


def _check_statement(result: StudyResult) -> None:
    """Refuse an outcome with a presence, a reason or an extent that it cannot have."""
    outcome, presence, reason = result.outcome, result.presence, result.reason
    if (outcome, presence) not in WORDINGS:
        raise ValueError(f"{outcome} cannot go with {presence}")
    if result.is_complete == (reason is not None):
        raise ValueError(f"{outcome} with reason {reason}: needed exactly if it is incomplete")
    if reason is Reason.BORDERLINE and presence is not Presence.UNDETERMINED:
        raise ValueError("a borderline score leaves the presence undetermined")
    analysed = outcome not in (Outcome.FAILED, Outcome.NOT_ATTEMPTED)
    if not analysed and reason is Reason.BORDERLINE:
        raise ValueError(f"{outcome} has no score that could be borderline")
    if analysed != (result.num_images > 0):
        raise ValueError(f"{outcome} with {result.num_images} analysed images")
    if not analysed and result.case_score_percent is not None:
        raise ValueError(f"{outcome} has no score")


def _check_familiarity(result: StudyResult) -> None:
    """Refuse a complete result of strange images, and a distance that none can have."""
    familiarity = result.familiarity
    if familiarity is None:
        return
    if not result.num_images:
        raise ValueError(f"{result.outcome} has no images to be like those of the training")
    if result.is_complete and not familiarity.is_familiar:
        raise ValueError(f"{result.outcome} of images unlike those of the training")
    measures = (familiarity.distance, familiarity.limit)
    if not all(math.isfinite(measure) and measure >= 0 for measure in measures):
        raise ValueError(f"distance and limit of familiarity are {measures}")


def _check_detail(result: StudyResult) -> None:
    """Refuse a detail that explains nothing, or that does not fit where it is shown."""
    if result.detail and result.reason is None:
        raise ValueError("a detail explains a reason, and there is none")
    if len(result.detail) > MOST_DETAIL_CHARACTERS or not result.detail.isascii():
        raise ValueError(f"a detail is ASCII of at most {MOST_DETAIL_CHARACTERS} characters")
    if not all(character.isprintable() for character in result.detail):
        raise ValueError("a detail is one printable line")


def _check_subtypes(result: StudyResult) -> None:
    """Refuse findings that do not agree with what is said about the subtypes."""
    found = [finding.subtype for finding in result.findings]
    if (result.presence is Presence.PRESENT) != bool(found):
        raise ValueError("findings are needed exactly if haemorrhage is present")
    if result.midline_shift is not None and not found:
        raise ValueError("a midline shift is stated only beside findings")
    if len(set(found)) != len(found):
        raise ValueError("a subtype has two findings")
    if set(found) != {s for s, p in result.subtypes.items() if p is Presence.PRESENT}:
        raise ValueError("the subtypes that are present are not those of the findings")
    others = {p for p in result.subtypes.values() if p is not Presence.PRESENT}
    if result.outcome in (Outcome.FAILED, Outcome.NOT_ATTEMPTED):
        if result.subtypes:
            raise ValueError(f"{result.outcome} says nothing about subtypes")
        return
    if set(result.subtypes) != set(Subtype):
        raise ValueError(f"{result.outcome} says something about every subtype")
    if not others <= {Presence.ABSENT if result.is_complete else Presence.UNDETERMINED}:
        raise ValueError(f"{result.outcome} with subtypes that are {', '.join(sorted(others))}")
