"""Pictures of a report: curves, reliability, volume agreement, Dice, and slices with outlines.

Drawn by matplotlib's objects, without its global state. The colours are Okabe and Ito's (2008),
which people who are colour-blind can tell apart; no statement rests on a colour alone.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ml.evaluation.agreement import Agreement, volumes_ml
from ml.evaluation.calibration import NUM_BINS, Reliability
from ml.evaluation.cases import KINDS, CaseResult
from ml.evaluation.curves import Curves, OperatingPoint
from ml.evaluation.statistics import Interval
from ml.evaluation.strata import Stratum, SubtypeFigures

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PINK, GREY = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
    "#888888",
)
COLOURS: Mapping[str, str] = dict(zip(KINDS, (BLACK, RED, SKY, GREEN, ORANGE, PINK), strict=True))
"""Of each kind of haemorrhage, in every picture."""

_DPI = 120
_WIDTH = 10.0
_HEIGHT = 4.4


def encode_png(figure: Figure) -> bytes:
    """Write a picture as PNG; the same picture gives the same bytes."""
    FigureCanvasAgg(figure)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def draw_curves(curves: Curves, points: Sequence[OperatingPoint]) -> Figure:
    """Draw ROC and precision-recall with the points at which the model works."""
    figure, (left, right) = _panels(2)
    for axes, line in ((left, [0, 1]), (right, None)):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        if line is not None:
            axes.plot(line, line, color=GREY, linestyle=":", linewidth=1)
    left.plot((0, *curves.false_positive_rate), (0, *curves.sensitivity), color=BLUE)
    left.set(xlabel="1 - specificity", ylabel="Sensitivity", title=_with("AUC", curves.auc))
    right.step(curves.sensitivity, curves.precision, where="pre", color=BLUE)
    right.set(
        xlabel="Sensitivity (recall)",
        ylabel="Precision",
        title=_with("Average precision", curves.average_precision),
    )
    for point, marker, name in zip(points, "sD", ("lower", "upper"), strict=False):
        found, spared = point.sensitivity.interval, point.specificity.interval
        if found is None or spared is None:
            continue
        label = f"{name} threshold {point.threshold:.3f}"
        at = (1 - spared.estimate, found.estimate)
        left.plot(*at, marker, color=RED, markersize=8, fillstyle="none", label=label)
    left.legend(loc="lower right", frameon=False)
    return figure


def draw_reliability(parts: Mapping[str, Reliability]) -> Figure:
    """Draw claimed against observed probability, one panel for each set."""
    figure, panels = _panels(len(parts))
    for axes, (name, part) in zip(panels, parts.items(), strict=True):
        edges = np.arange(NUM_BINS) / NUM_BINS
        share = np.array(part.counts) / max(part.total, 1)
        axes.bar(edges, share, width=1 / NUM_BINS, align="edge", color=SKY, alpha=0.5)
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
        pairs = zip(part.claimed, part.observed, strict=True)
        held = [(x, y) for x, y in pairs if x is not None and y is not None]
        axes.plot([x for x, _ in held], [y for _, y in held], "o-", color=BLUE)
        error = "" if part.expected_error is None else f": ECE {part.expected_error:.3f}"
        axes.set(
            xlim=(0, 1),
            ylim=(0, 1.02),
            aspect="equal",
            xlabel="Claimed (bars: share of all)",
            ylabel="Came true",
            title=f"{name}{error}",
        )
    return figure


def draw_agreement(results: Sequence[CaseResult], agreements: Sequence[Agreement]) -> Figure:
    """Draw Bland and Altman's plot, one panel for each kind of haemorrhage."""
    figure, panels = _panels(len(agreements), most_columns=3)
    for axes, agreed in zip(panels, agreements, strict=True):
        true, said, _ = volumes_ml(results, agreed.kind)
        axes.scatter(
            (true + said) / 2, said - true, s=14, color=COLOURS[agreed.kind], alpha=0.6, linewidth=0
        )
        for interval, style in (
            (agreed.bias_ml, "-"),
            (agreed.lower_limit_ml, "--"),
            (agreed.upper_limit_ml, "--"),
        ):
            axes.axhline(interval.estimate, color=BLUE, linestyle=style, linewidth=1)
            axes.axhspan(interval.low, interval.high, color=BLUE, alpha=0.1, linewidth=0)
        axes.set(
            xlabel="Mean of both, ml",
            ylabel="Claimed - true, ml",
            title=f"{agreed.kind} (n = {agreed.num_studies})",
        )
    return figure


def draw_dice(results: Sequence[CaseResult], kinds: Sequence[SubtypeFigures]) -> Figure:
    """Draw the Dice of each study as a dot, quartiles as a box, the mean with its interval."""
    figure, (axes,) = _panels(1)
    rng = np.random.default_rng(0)
    for place, each in enumerate(kinds):
        overlaps = [result.of[each.kind] for result in results if each.kind in result.of]
        values = [overlap.dice for overlap in overlaps if overlap.dice is not None]
        if not values or each.dice is None:
            continue
        beside = place - 0.18 + rng.uniform(-0.1, 0.1, len(values))
        axes.scatter(beside, values, s=10, color=COLOURS[each.kind], alpha=0.5, linewidth=0)
        axes.boxplot(
            values,
            positions=[place + 0.1],
            widths=0.16,
            showfliers=False,
            medianprops={"color": BLACK},
        )
        _draw_interval(axes, place + 0.3, each.dice)
    names = [f"{each.kind}\nn = {each.num_present}" for each in kinds]
    axes.set_xticks(range(len(kinds)), names)
    axes.set(xlim=(-0.5, len(kinds) - 0.5), ylim=(-0.03, 1.03), ylabel="Dice of a study")
    return figure


def draw_strata(groups: Mapping[str, Sequence[Stratum]]) -> Figure:
    """Draw Dice and the share that is not missed, by group; one panel for each way to group."""
    figure, panels = _panels(len(groups))
    for axes, (name, strata) in zip(panels, groups.items(), strict=True):
        for place, each in enumerate(strata):
            if each.dice is not None:
                _draw_interval(axes, place - 0.12, each.dice, marker="o", color=BLUE)
            if each.not_missed.interval is not None:
                _draw_interval(
                    axes, place + 0.12, each.not_missed.interval, marker="s", color=ORANGE
                )
        axes.plot([], [], "o", color=BLUE, label="Dice, any haemorrhage")
        axes.plot([], [], "s", color=ORANGE, label="not called NEGATIVE")
        names = [f"{each.name}\nn = {each.num_with_bleed}" for each in strata]
        axes.set_xticks(range(len(strata)), names)
        axes.set(xlim=(-0.5, len(strata) - 0.5), ylim=(-0.03, 1.03), title=name)
    panels[0].legend(loc="lower right", frameon=False)
    return figure


def _draw_interval(
    axes: Axes, place: float, interval: Interval, *, marker: str = "D", color: str = BLACK
) -> None:
    axes.plot([place, place], [interval.low, interval.high], color=color, linewidth=1.5)
    axes.plot(place, interval.estimate, marker, color=color, markersize=5)


def _with(name: str, interval: Interval) -> str:
    return f"{name} {interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _panels(count: int, *, most_columns: int = 2) -> tuple[Figure, list[Axes]]:
    """Make a picture with at least one panel, each with a light grid."""
    columns = min(count, most_columns)
    rows = -(-count // columns)
    figure = Figure(figsize=(_WIDTH, _HEIGHT * rows), layout="constrained")
    grid: NDArray[np.object_] = figure.subplots(rows, columns, squeeze=False)
    panels: list[Axes] = grid.ravel().tolist()
    for spare in panels[count:]:
        spare.remove()
    for axes in panels[:count]:
        axes.grid(color="#DDDDDD", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, panels[:count]
