"""The time line of a study as a table, with a bar for each stage."""

from collections.abc import Sequence

from node.cli.output import duration, moment_in_words, write_table
from node.operating.timeline import Span

WIDTH = 40
"""Characters from the first moment to the last."""


def write_timeline(spans: Sequence[Span]) -> None:
    """Write where the time of a study went."""
    write_table(
        "Time line",
        ("Until", "At", ">After", "Where the time went"),
        [
            (span.stage, moment_in_words(span.ended_at), _short(span.seconds), bar)
            for span, bar in zip(spans, bars(spans, width=WIDTH), strict=True)
        ],
    )


def bars(spans: Sequence[Span], *, width: int) -> list[str]:
    """Draw each span where it lies between the first and the last moment; at least one mark."""
    if not spans:
        return []
    first = min(span.began_at for span in spans)
    whole = max((span.ended_at - first).total_seconds() for span in spans) or 1.0
    drawn = []
    for span in spans:
        begin = min(int(width * (span.began_at - first).total_seconds() / whole), width - 1)
        length = min(max(round(width * span.seconds / whole), 1), width - begin)
        drawn.append(" " * begin + "█" * length)
    return drawn


def _short(seconds: float) -> str:
    """Write a time span, a short one in milliseconds."""
    return duration(seconds) if seconds >= 1 else f"{max(1000 * seconds, 0):.0f} ms"
