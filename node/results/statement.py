"""The statement on the case, read back: an outcome only if all that is said is what it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from config.errors import Reason
from ml.volume import Subtype
from node.results import codes
from node.results.items import is_named, sole_value
from node.results.outcomes import PRESENCE_CODES, STATUS_CODES, SUMMARY_CODES, Outcome, Presence


class Conclusion(StrEnum):
    """What a machine may conclude from a report."""

    POSITIVE = "POSITIVE"
    NEGATIVE = "NEGATIVE"
    PARTLY_POSITIVE = "PARTLY_POSITIVE"
    """Haemorrhage in the part that was analysed."""
    NO_RESULT = "NO_RESULT"


CONCLUSIONS: Mapping[tuple[Outcome | None, Presence | None], Conclusion] = {
    (Outcome.POSITIVE, Presence.PRESENT): Conclusion.POSITIVE,
    (Outcome.NEGATIVE, Presence.ABSENT): Conclusion.NEGATIVE,
    (Outcome.PARTIAL, Presence.PRESENT): Conclusion.PARTLY_POSITIVE,
}
"""Any other outcome with any other presence is no result."""


@dataclass(frozen=True)
class Statement:
    """What the Qualitative Evaluations say of the case; None where they say nothing clear.

    Attributes
    ----------
    outcome
        None unless every statement is one that this outcome makes.
    status
        Meaning of Summary of Detections.
    presence, reason
        Of haemorrhage; of a partial or missing result.
    subtypes
        Those with one clear statement.
    """

    outcome: Outcome | None
    status: str | None
    presence: Presence | None
    reason: Reason | None
    subtypes: Mapping[Subtype, Presence]

    @property
    def conclusion(self) -> Conclusion:
        """The one thing to act on."""
        return CONCLUSIONS.get((self.outcome, self.presence), Conclusion.NO_RESULT)


def read_statement(evaluations: Sequence[Dataset], *, has_groups: bool) -> Statement:
    """Read the statement on the case (PS3.16 CID 6042, 6047 and 240).

    Parameters
    ----------
    evaluations
        Items of the Qualitative Evaluations.
    has_groups
        Whether there are measurement groups beside it.
    """
    status = sole_value(evaluations, codes.SUMMARY_OF_DETECTIONS, _STATUSES)
    presence = sole_value(evaluations, codes.INTRACRANIAL_HEMORRHAGE, _PRESENCES)
    stated = {s: sole_value(evaluations, codes.SUBTYPES[s].item, _PRESENCES) for s in Subtype}
    subtypes = {subtype: value for subtype, value in stated.items() if value is not None}
    possible = [o for o in Outcome if status is not None and STATUS_CODES[o] == status]
    outcomes = [o for o in possible if _is_said(o, evaluations, presence, has_groups=has_groups)]
    return Statement(
        outcome=outcomes[0] if len(outcomes) == 1 else None,
        status=None if status is None else status.meaning,
        presence=presence,
        reason=sole_value(evaluations, codes.REASON, _REASONS),
        subtypes=subtypes,
    )


def _is_said(
    outcome: Outcome,
    evaluations: Sequence[Dataset],
    presence: Presence | None,
    *,
    has_groups: bool,
) -> bool:
    """Tell whether everything but the status is said as in this outcome."""
    present, absent, undetermined = Presence

    def has(*names: Code) -> bool:
        return any(is_named(item, name) for item in evaluations for name in names)

    summary = sole_value(evaluations, codes.CAD_SUMMARY, _SUMMARIES)
    said = [sole_value(evaluations, terms.item, _PRESENCES) for terms in codes.SUBTYPES.values()]
    # reports of models that do not know their training data say nothing about it
    familiar = not has(codes.IMAGE_QUALITY) or (
        sole_value(evaluations, codes.IMAGE_QUALITY, _QUALITIES) is codes.LIKE_TRAINING
    )
    complete = summary is outcome and familiar and not has(codes.REASON)
    incomplete = not has(codes.CAD_SUMMARY)
    match outcome, presence:
        case Outcome.POSITIVE, Presence.PRESENT:
            return complete and has_groups and {present} <= set(said) <= {present, absent}
        case Outcome.NEGATIVE, Presence.ABSENT:
            return complete and not has_groups and set(said) == {absent}
        case Outcome.PARTIAL, Presence.PRESENT:
            return incomplete and has_groups and {present} <= set(said) <= {present, undetermined}
        case Outcome.PARTIAL, Presence.UNDETERMINED:
            return incomplete and not has_groups and set(said) == {undetermined}
        case ((Outcome.FAILED | Outcome.NOT_ATTEMPTED), Presence.UNDETERMINED):
            subtypes = [terms.item for terms in codes.SUBTYPES.values()]
            return incomplete and not has_groups and not has(*subtypes)
    return False


_STATUSES = {code: code for code in STATUS_CODES.values()}
_PRESENCES = {code: presence for presence, code in PRESENCE_CODES.items()}
_REASONS = {code: reason for reason, code in codes.REASONS.items()}
_QUALITIES = {code: code for code in (codes.LIKE_TRAINING, codes.UNLIKE_TRAINING)}
_SUMMARIES = {code: outcome for outcome, code in SUMMARY_CODES.items()}
