"""Plots of the last days as SVG: how many reports, how soon, and how soon delivered.

Each plot is numbers first: the same are in a table below it, for whoever does not see it.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from node.page import words
from storage.records import FinishedJob, SentDelivery

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 56, 8, 12, 28
NUM_LABELS = 6
STEPS_SECONDS = (
    *(0.5, 1, 2, 5, 10, 20, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 20, 30)),
    *(3600 * hours for hours in (1, 2, 4, 8, 24, 48)),
)
"""Steps of an axis of time."""
P95 = 0.95

YOf = Callable[[float], float]


@dataclass(frozen=True)
class Span:
    """How far a plot looks back, and in what parts."""

    name: str
    length: timedelta
    part: timedelta
    label: str

    @property
    def num_parts(self) -> int:
        """How many parts it has."""
        return round(self.length / self.part)


SPANS: Mapping[str, Span] = {
    "24h": Span("24 hours", timedelta(hours=24), timedelta(hours=1), "%H:%M"),
    "7d": Span("7 days", timedelta(days=7), timedelta(hours=6), "%a %H:%M"),
    "30d": Span("30 days", timedelta(days=30), timedelta(days=1), "%d %b"),
}


@dataclass(frozen=True)
class Series:
    """One value for each part of a span; None where there is nothing to say."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Plot:
    """A plot, and its numbers.

    Attributes
    ----------
    title, summary
        What it shows, and what is to be seen, in words.
    rows
        Begin of each part, and its values as texts.
    svg
        The drawing.
    """

    title: str
    summary: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    svg: Markup


@dataclass(frozen=True)
class Plots:
    """All plots of a span."""

    plots: tuple[Plot, ...]


def draw_plots(
    finished: Sequence[FinishedJob], sent: Sequence[SentDelivery], *, span: Span, now: datetime
) -> Plots:
    """Draw all plots of a span that ends now."""
    end = _end_of_part(now, span.part)
    begins = [end - (span.num_parts - i) * span.part for i in range(span.num_parts)]
    reports = _parts([(j.finished_at, j.report_seconds) for j in finished], begins, span.part)
    waits = _parts([(j.finished_at, j.wait_seconds) for j in finished], begins, span.part)
    arrived = _parts([(d.sent_at, d.seconds) for d in sent], begins, span.part)
    counts = Series("reports", tuple(float(len(part)) for part in reports))
    return Plots(
        (
            _plot(
                "Reports",
                f"{len(finished)} reports in {span.name}",
                [counts],
                begins,
                span,
                bars=True,
            ),
            _times("From the last image to the report", reports, begins, span),
            _times("From the complete study to the start of its analysis", waits, begins, span),
            _times("From the report to its arrival at a destination", arrived, begins, span),
        )
    )


def _times(
    title: str, parts: Sequence[Sequence[float]], begins: Sequence[datetime], span: Span
) -> Plot:
    everything = [value for part in parts for value in part]
    if everything:
        median, slow = statistics.median(everything), _p95(everything)
        summary = f"median {words.duration(median)}, 95 % within {words.duration(slow)}"
    else:
        summary = f"nothing in {span.name}"
    series = [
        Series("median", tuple(statistics.median(p) if p else None for p in parts)),
        Series("95 %", tuple(_p95(p) if p else None for p in parts)),
    ]
    return _plot(title, summary, series, begins, span)


def _p95(values: Sequence[float]) -> float:
    """Value within which 95 % lie: the smallest of the given ones that does."""
    return sorted(values)[math.ceil(P95 * len(values)) - 1]


def _end_of_part(now: datetime, part: timedelta) -> datetime:
    """Round up to a whole part of the day, in UTC."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + math.ceil((now - midnight) / part) * part


def _parts(
    points: Iterable[tuple[datetime, float]], begins: Sequence[datetime], part: timedelta
) -> list[list[float]]:
    """Deal values out to the parts in which they fall; those before the first are left out."""
    parts: list[list[float]] = [[] for _ in begins]
    for at, value in points:
        index = math.floor((at - begins[0]) / part)
        if 0 <= index < len(parts):
            parts[index].append(value)
    return parts


def _plot(
    title: str,
    summary: str,
    series: Sequence[Series],
    begins: Sequence[datetime],
    span: Span,
    *,
    bars: bool = False,
) -> Plot:
    write = (lambda value: f"{value:.0f}") if bars else words.duration
    rows = tuple(
        (
            begin.strftime("%Y-%m-%d %H:%M"),
            *("" if (v := each.values[i]) is None else write(v) for each in series),
        )
        for i, begin in enumerate(begins)
    )
    columns = ("from (UTC)", *(each.name for each in series))
    svg = _svg(title, summary, series, begins, span, bars=bars)
    return Plot(title, summary, columns, rows, svg)


def _svg(
    title: str,
    summary: str,
    series: Sequence[Series],
    begins: Sequence[datetime],
    span: Span,
    *,
    bars: bool,
) -> Markup:
    """Draw axes and series; colours are those of the style sheet."""
    largest = max((v for each in series for v in each.values if v is not None), default=0.0)
    step = _step(largest, in_time=not bars)
    top = max(step, math.ceil(largest / step) * step)
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    part_width = inner_width / len(begins)

    def y_of(value: float) -> float:
        return TOP + inner_height * (1 - value / top)

    drawn = []
    for i in range(round(top / step) + 1):
        value = i * step
        y = y_of(value)
        label = f"{value:.0f}" if bars or not value else words.duration(value)
        drawn.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" ')
        drawn.append(f'y2="{y:.1f}"/><text x="{LEFT - 6}" y="{y + 4:.1f}" ')
        drawn.append(f'text-anchor="end">{label}</text>')
    every = math.ceil(len(begins) / NUM_LABELS)
    for i in range(0, len(begins), every):
        x = LEFT + i * part_width
        drawn.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}">')
        drawn.append(f"{begins[i].strftime(span.label)}</text>")
    for number, each in enumerate(series):
        draw = _bars if bars else _line
        xs = [LEFT + (i + (0 if bars else 0.5)) * part_width for i in range(len(begins))]
        drawn.extend(draw(each, xs, part_width, y_of, f"series{number}"))
    head = (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="plot" '
        f'aria-label="{escape(title)}: {escape(summary)}">'
    )
    return Markup(head + "".join(drawn) + "</svg>")  # noqa: S704 - numbers and our own words


def _bars(series: Series, xs: Sequence[float], width: float, y_of: YOf, name: str) -> list[str]:
    floor = y_of(0)
    return [
        f'<rect class="{name}" x="{x + 1:.1f}" width="{max(1.0, width - 2):.1f}" '
        f'y="{y_of(value):.1f}" height="{floor - y_of(value):.1f}"/>'
        for x, value in zip(xs, series.values, strict=True)
        if value
    ]


def _line(series: Series, xs: Sequence[float], _: float, y_of: YOf, name: str) -> list[str]:
    """Draw a line through what is known; it breaks where nothing is."""
    drawn: list[str] = []
    runs: list[list[str]] = [[]]
    for x, value in zip(xs, series.values, strict=True):
        if value is None:
            runs.append([])
            continue
        runs[-1].append(f"{x:.1f},{y_of(value):.1f}")
        drawn.append(f'<circle class="{name}" cx="{x:.1f}" cy="{y_of(value):.1f}" r="2.5"/>')
    drawn += [f'<polyline class="{name}" points="{" ".join(run)}"/>' for run in runs if run[1:]]
    return drawn


def _step(largest: float, *, in_time: bool) -> float:
    """Choose a step of the axis that people count in, so that there are about four of them."""
    wanted = max(largest, 1.0) / 4
    fitting = (step for step in STEPS_SECONDS if step >= wanted)
    if in_time and (step := next(fitting, None)) is not None:
        return step
    magnitude = 10.0 ** max(0, math.floor(math.log10(wanted)))
    return next(n * magnitude for n in (1, 2, 5, 10) if n * magnitude >= wanted)
