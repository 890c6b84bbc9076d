"""Pictures of the reproduction and of the experiment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ml.evaluation.curves import Curves
from ml.evaluation.figures import BLACK, BLUE, GREEN, GREY, ORANGE, PINK, RED, SKY, encode_png
from ml.evaluation.overlays import OverlayRow, draw_overlays, overlay_row
from ml.evaluation.statistics import Interval
from ml.reproduction.heads import Heads
from ml.training.datasets import Case
from ml.volume import Mask, Subtype, Volume

# Axes: Z slice, Y row, X column

_COLOURS = 64
_LINES: Sequence[tuple[str, str]] = (
    (BLUE, "-"),
    (ORANGE, "-"),
    (GREEN, "-"),
    (PINK, "-"),
    (SKY, "-"),
    (BLACK, "--"),
    (RED, "-"),
)


@dataclass(frozen=True)
class Shown:
    """A slice of a test patient that pictures show.

    Attributes
    ----------
    seed
        The patient.
    subtype
        For which it was chosen.
    slice_index
        The slice with most of it.
    """

    seed: int
    subtype: Subtype
    slice_index: int


def choose_shown(heads: Heads) -> list[Shown]:
    """Choose a test patient for each subtype, before any network has said anything.

    The first one who has it and is not shown yet, if there is one, so that nobody picks what looks
    well.
    """
    shown: list[Shown] = []
    for subtype in Subtype:
        having = [case for case in heads.splits.test if (case.labels == subtype).any()]
        others = [case for case in having if case.seed not in {each.seed for each in shown}]
        for case in (others or having)[:1]:
            areas = (case.labels == subtype).sum(axis=(1, 2))
            shown.append(Shown(case.seed, subtype, int(areas.argmax())))
    return shown


def picture_row(shown: Shown, case: Case, said: Mapping[str, NDArray[np.uint8]]) -> OverlayRow:
    """Make one row of an overlay.

    Parameters
    ----------
    shown
        The slice.
    case
        Its patient.
    said
        For each title the labels on the aligned grid, shape (Z, S, S).
    """
    grid = case.aligned_grid
    return overlay_row(
        shown.subtype.name,
        Volume(case.hu.astype(np.float32), grid),
        Mask(case.labels, grid),
        {title: Mask(labels, grid) for title, labels in said.items()},
        index=shown.slice_index,
    )


def draw_rows(rows: Sequence[OverlayRow]) -> Figure:
    """Draw overlays; where no test patient has a bleed, a picture that says so."""
    if rows:
        return draw_overlays(rows)
    figure = Figure(figsize=(4, 1))
    figure.text(0.5, 0.5, "no test patient has a bleed", ha="center")
    return figure


def small_png(figure: Figure) -> bytes:
    """Write a picture as PNG of 64 colours: grey slices and coloured lines need no more."""
    image = Image.open(BytesIO(encode_png(figure))).convert("RGB")
    buffer = BytesIO()
    image.quantize(_COLOURS, dither=Image.Dither.NONE).save(buffer, "png", optimize=True)
    return buffer.getvalue()


def draw_roc(found: Mapping[str, Curves | None]) -> Figure:
    """Draw the ROC curve of every network; the title of each has its AUC."""
    figure = Figure(figsize=(6.4, 5.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    for (title, curve), (colour, style) in zip(found.items(), _LINES, strict=False):
        if curve is not None:
            axes.plot(
                (0, *curve.false_positive_rate),
                (0, *curve.sensitivity),
                color=colour,
                linestyle=style,
                linewidth=1.6,
                label=f"{title}: {curve.auc.estimate:.3f} "
                f"[{curve.auc.low:.3f}, {curve.auc.high:.3f}]",
            )
    axes.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        aspect="equal",
        xlabel="1 - specificity",
        ylabel="Sensitivity",
        title="Case score: ROC with its area [95 % CI]",
    )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", frameon=False, fontsize=8)
    return figure


@dataclass(frozen=True)
class Strip:
    """One panel of `draw_strips`.

    Attributes
    ----------
    title
        Of the condition.
    values
        For each variant one value for each seed, the seeds in the same order.
    effects
        For each step from one variant to the next the text that stands above it.
    """

    title: str
    values: Mapping[str, Sequence[float]]
    effects: Sequence[str]


def draw_strips(strips: Sequence[Strip], ylabel: str) -> Figure:
    """Draw a dot for each training, lines between those of a seed, and the mean as a bar."""
    figure = Figure(figsize=(3.9 * len(strips), 4.4), layout="constrained")
    panels: NDArray[np.object_] = figure.subplots(1, len(strips), squeeze=False, sharey=True)
    for axes, strip in zip(panels[0], strips, strict=True):
        names = list(strip.values)
        table = np.array([strip.values[name] for name in names], float)
        for column in table.T:
            axes.plot(range(len(names)), column, color=GREY, linewidth=0.8, zorder=1)
        for place, row in enumerate(table):
            axes.scatter(np.full(len(row), place), row, s=26, color=BLUE, zorder=2)
            axes.plot([place - 0.22, place + 0.22], [row.mean()] * 2, color=RED, linewidth=2)
        for place, text in enumerate(strip.effects):
            axes.text(
                place + 0.5,
                1.0,
                text,
                ha="center",
                va="top",
                fontsize=8,
                transform=axes.get_xaxis_transform(),
            )
        axes.set_xticks(range(len(names)), names, fontsize=8)
        axes.set(title=strip.title, xlim=(-0.5, len(names) - 0.5))
        axes.margins(y=0.18)
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.5)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_ylabel(ylabel)
    return figure


def effect_text(effect: Interval) -> str:
    """Write an effect in two short lines."""
    return f"{effect.estimate:+.3f}\n[{effect.low:+.3f}, {effect.high:+.3f}]"
