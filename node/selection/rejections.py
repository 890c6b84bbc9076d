"""Why a series is not analysed, and what to know about one that is."""

from dataclasses import dataclass
from enum import StrEnum

from config.errors import Reason


class Rejection(StrEnum):
    """Why a series is not analysed; each with a sentence for the administrator and a reason."""

    sentence: str
    reason: Reason

    def __new__(cls, value: str, reason: Reason, sentence: str) -> "Rejection":
        """Make a member whose value is its name."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.reason = reason
        member.sentence = sentence
        return member

    UNREADABLE = "UNREADABLE", Reason.FORMAT, "Files could not be read."
    OWN_RESULT = "OWN_RESULT", Reason.TYPES, "A result of this node is never its input."
    NOT_CT = "NOT_CT", Reason.TYPES, "The series is no CT."
    LOCALIZER = "LOCALIZER", Reason.TYPES, "The series is a localizer."
    SECONDARY = "SECONDARY", Reason.TYPES, "The series is a secondary capture or a summary."
    PROCESSED = "PROCESSED", Reason.TYPES, "The series was computed from another one."
    NOT_A_HEAD = "NOT_A_HEAD", Reason.TYPES, "No description names a head."
    OTHER_EXAMINATION = (
        "OTHER_EXAMINATION",
        Reason.TYPES,
        "The description names an examination other than a plain head.",
    )
    CONTRAST = "CONTRAST", Reason.TYPES, "Contrast medium was given."
    NOT_HU = "NOT_HU", Reason.FORMAT, "Pixel values are not in Hounsfield units."
    NO_GEOMETRY = "NO_GEOMETRY", Reason.FORMAT, "Positions or frame of reference are missing."
    MIXED = "MIXED", Reason.FORMAT, "Images of different kinds are mixed in one series."
    NOT_AXIAL = "NOT_AXIAL", Reason.TYPES, "Slices are not axial."
    DUPLICATE_POSITIONS = (
        "DUPLICATE_POSITIONS",
        Reason.FORMAT,
        "Several slices lie at the same position.",
    )
    MISSING_SLICES = "MISSING_SLICES", Reason.INCOMPLETE, "Slices are missing."
    UNEVEN_SPACING = "UNEVEN_SPACING", Reason.TYPES, "Slices are unevenly spaced."
    TOO_FEW_SLICES = "TOO_FEW_SLICES", Reason.INCOMPLETE, "There are too few slices."
    SPACING = "SPACING", Reason.TYPES, "Slices are too near or too far from each other."
    TOO_SHORT = "TOO_SHORT", Reason.INCOMPLETE, "The slices do not cover a head."
    TOO_LONG = "TOO_LONG", Reason.TYPES, "The slices cover more than a head."
    LOWER_SCORE = "LOWER_SCORE", Reason.TYPES, "Another series of the study fits better."


class Caution(StrEnum):
    """What to know about a series that is analysed nevertheless."""

    HARD_KERNEL = "HARD_KERNEL"
    """Reconstructed for bone: noisy in the brain."""
    GANTRY_TILT = "GANTRY_TILT"
    """Slices are sheared against each other."""
    SEVERAL_ACQUISITIONS = "SEVERAL_ACQUISITIONS"
    """The patient may have moved in between; usual for sequential scans."""
    VARYING_SPACING = "VARYING_SPACING"
    """Slices are unevenly spaced, but leave no gap; volumes are computed from their positions."""
    SLICE_GAPS = "SLICE_GAPS"
    """Slices are thinner than their distance: tissue between them was not imaged."""
    NUMBERING_GAP = "NUMBERING_GAP"
    """Instance numbers have a gap: an image may be missing where none is missed."""
    NO_DESCRIPTION = "NO_DESCRIPTION"
    """No description says what was examined."""
    LOSSY = "LOSSY"
    """Compressed with loss, or in a syntax that allows it."""
    UNREADABLE_FILES = "UNREADABLE_FILES"
    """Some files of the study could not be read; they may belong to the series."""


@dataclass(frozen=True)
class Fault:
    """Why a series fails a gate.

    Attributes
    ----------
    rejection
        Which gate.
    detail
        The attribute, the rule and the value; never a text from the header.
    """

    rejection: Rejection
    detail: str = ""


@dataclass(frozen=True)
class Criteria:
    """What a series must be like to be analysed.

    Attributes
    ----------
    target_spacing_mm
        Distance between slices to which the model is used; the score falls with the ratio to it.
    min_slices
        Fewest slices.
    extent_mm
        Least and greatest extent along the normal.
    spacing_mm
        Least and greatest median distance between slices.
    max_tilt_deg
        Greatest angle between the normal and the axis from feet to head.
    spacing_tolerance
        Relative difference between distances above which spacing counts as uneven.
    accept_uneven_spacing
        Whether uneven spacing without gaps is a caution (volumes stay right, since positions are
        kept) or a rejection.
    """

    target_spacing_mm: float = 5.0
    min_slices: int = 12
    extent_mm: tuple[float, float] = (90.0, 350.0)
    spacing_mm: tuple[float, float] = (0.4, 10.0)
    max_tilt_deg: float = 35.0
    spacing_tolerance: float = 0.05
    accept_uneven_spacing: bool = True
