"""How the page says things: states, time spans, moments, sizes."""

from collections.abc import Mapping
from datetime import UTC, datetime

from storage.records import Standing

STANDINGS: Mapping[Standing, str] = {
    Standing.RECEIVING: "arriving",
    Standing.QUEUED: "waiting",
    Standing.RUNNING: "being analysed",
    Standing.DELIVERING: "being delivered",
    Standing.DONE: "delivered",
    Standing.FAILED: "no report",
    Standing.CANCELLED: "cancelled",
    Standing.UNDELIVERED: "not delivered",
    Standing.QUARANTINED: "in quarantine",
}
TONES: Mapping[Standing, str] = {
    Standing.RECEIVING: "busy",
    Standing.QUEUED: "busy",
    Standing.RUNNING: "busy",
    Standing.DELIVERING: "busy",
    Standing.DONE: "quiet",
    Standing.FAILED: "bad",
    Standing.CANCELLED: "quiet",
    Standing.UNDELIVERED: "bad",
    Standing.QUARANTINED: "bad",
}
"""Class of a state's badge; no colour reads as an all-clear."""
OUTCOMES: Mapping[str, str] = {
    "POSITIVE": "ICH suspected",
    "NEGATIVE": "AI did not detect ICH",
    "PARTIAL": "incomplete",
    "FAILED": "failed, no result",
    "NOT_ATTEMPTED": "not processed",
}
REASONS: Mapping[str, str] = {
    "FORMAT": "images cannot be read",
    "TYPES": "no series of the right kind",
    "INCOMPLETE": "images are missing",
    "RESOURCE": "not enough memory or disk",
    "EQUIPMENT": "the node failed",
    "QUALITY": "images not good enough",
    "EXPIRED": "it took too long",
    "BORDERLINE": "score between the limits",
    "UNSPECIFIED": "given up",
}
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def duration(seconds: float | None) -> str:
    """Write a time span in one unit; the page's script counts on in the same words."""
    if seconds is None:
        return ""
    seconds = max(seconds, 0.0)  # clocks of several hosts may disagree
    for unit, size in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def moment(value: datetime | None) -> str:
    """Write a moment to the second, in UTC."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def iso(value: datetime | None) -> str:
    """Write a moment for the page's script."""
    return "" if value is None else value.astimezone(UTC).isoformat(timespec="milliseconds")


def gibibytes(num_bytes: int | None) -> str:
    """Write a size."""
    return "unknown" if num_bytes is None else f"{num_bytes / 2**30:.1f} GiB"
