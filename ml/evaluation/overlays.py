"""Slices with the outlines of the truth and of several methods side by side.

As Figures 6 and 7 of Nijiati et al. 2022: one row for each slice, the image alone, the truth, and
one column for each method.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ml.evaluation.cases import ANY, CaseResult
from ml.evaluation.figures import COLOURS
from ml.outlines import largest_region
from ml.volume import Grid, Mask, Subtype, Volume

# Axes: Y row, X column

BRAIN_LEVEL_HU, BRAIN_WIDTH_HU = 40.0, 80.0
HEAD_HU = -300.0
"""Above air: what a slice is cut to."""

_TILE = 2.4
"""Width of a slice in the picture, inches."""
_TALL = 1.2
"""A head is longer than it is broad."""
_MARGIN = 4

Pixel = TypeVar("Pixel", np.float32, np.uint8)


@dataclass(frozen=True, eq=False)
class OverlayRow:
    """One slice, and what is said about it.

    Attributes
    ----------
    title
        Stands at its left side; names nobody.
    hu
        Shape (Y, X), HU.
    truth
        Shape (Y, X), labels.
    said
        For the name of each method its labels, shape (Y, X).
    pixel_spacing_mm
        (between rows, between columns), mm.
    """

    title: str
    hu: NDArray[np.float32]
    truth: NDArray[np.uint8]
    said: Mapping[str, NDArray[np.uint8]]
    pixel_spacing_mm: tuple[float, float]


def choose_examples(results: Sequence[CaseResult], *, count: int = 5) -> tuple[CaseResult, ...]:
    """Choose studies to look at, without a choice of ours.

    Parameters
    ----------
    results
        All of them.
    count
        Number of studies with a bleed; fewer if there are fewer.

    Returns
    -------
    tuple of CaseResult
        Studies with a bleed from the worst Dice to the best, as evenly spread over the order as can
        be; then the study without one that has the highest score.
    """
    rated = [(each.of[ANY].dice, each) for each in results]
    bleeding = sorted(
        ((dice, each.study_id, each) for dice, each in rated if dice is not None),
        key=lambda held: held[:2],
    )
    places = np.linspace(0, len(bleeding) - 1, min(count, len(bleeding))).round().astype(int)
    others = sorted(
        (each for dice, each in rated if dice is None),
        key=lambda each: (-each.score, each.study_id),
    )
    return (*(bleeding[place][2] for place in places), *others[:1])


def telling_slice(truth: Mask) -> int:
    """Index of the slice with most blood; the middle one if there is none."""
    areas = (truth.labels > 0).sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else len(areas) // 2


def overlay_row(
    title: str, volume: Volume, truth: Mask, said: Mapping[str, Mask], *, index: int | None = None
) -> OverlayRow:
    """Take one slice of a study, cut to the head and turned as radiologists look at it.

    Parameters
    ----------
    title
        Names nobody.
    volume, truth, said
        On the same grid; `said` by the name of each method.
    index
        Of the slice; by default `telling_slice`.
    """
    chosen = telling_slice(truth) if index is None else index
    hu = _turned(volume.hu[chosen], volume.grid)
    # the largest region is the head, and not what carries it
    rows, columns = np.nonzero(largest_region(hu > HEAD_HU))
    window = tuple(
        slice(max(int(line.min()) - _MARGIN, 0), int(line.max()) + 1 + _MARGIN)
        if line.size
        else slice(None)
        for line in (rows, columns)
    )
    between_rows, between_columns = volume.grid.pixel_spacing_mm
    lies = _lies(volume.grid)
    return OverlayRow(
        title=title,
        hu=hu[window],
        truth=_turned(truth.labels[chosen], volume.grid)[window],
        said={
            method: _turned(mask.labels[chosen], volume.grid)[window]
            for method, mask in said.items()
        },
        pixel_spacing_mm=(between_columns, between_rows)
        if lies
        else (between_rows, between_columns),
    )


def _lies(grid: Grid) -> bool:
    """Whether rows of the stored image run from front to back instead of side to side."""
    return bool(abs(grid.row_direction[1]) > abs(grid.row_direction[0]))


def _turned(image: NDArray[Pixel], grid: Grid) -> NDArray[Pixel]:
    """Turn an image until right is the patient's left and down the back, as nearly as flips can."""
    right, down = grid.row_direction, grid.column_direction
    if _lies(grid):
        image, right, down = image.T, down, right
    if down[1] < 0:
        image = image[::-1]
    return image[:, ::-1] if right[0] < 0 else image


def draw_overlays(rows: Sequence[OverlayRow]) -> Figure:
    """Draw at least one slice; the methods are those of the first row.

    Outlines have the colours of the subtypes; the truth is repeated as a thin white line beside
    each method.
    """
    methods = tuple(rows[0].said)
    columns = ("CT", "Truth", *methods)
    figure = Figure(
        figsize=(_TILE * len(columns), _TALL * _TILE * len(rows) + 0.8),
        layout="constrained",
        facecolor="black",
    )
    grid: NDArray[np.object_] = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, row in zip(grid, rows, strict=True):
        for axes, name in zip(line, columns, strict=True):
            _draw_slice(axes, row)
            if row is rows[0]:
                axes.set_title(name, color="white", fontsize=11)
            if name == "Truth":
                _outline(axes, row.truth)
            elif name != "CT":
                if row.truth.any():
                    axes.contour(row.truth > 0, levels=[0.5], colors="white", linewidths=0.7)
                _outline(axes, row.said[name])
        line[0].set_ylabel(row.title, color="white", fontsize=10)
    lines = [Line2D([], [], color=COLOURS[each.name], label=each.name) for each in Subtype]
    lines.append(Line2D([], [], color="white", linewidth=0.6, label="truth"))
    figure.legend(
        handles=lines,
        loc="outside lower center",
        ncols=len(lines),
        frameon=False,
        labelcolor="white",
    )
    return figure


def _draw_slice(axes: Axes, row: OverlayRow) -> None:
    lowest = BRAIN_LEVEL_HU - BRAIN_WIDTH_HU / 2
    between_rows, between_columns = row.pixel_spacing_mm
    axes.imshow(
        row.hu,
        cmap="gray",
        vmin=lowest,
        vmax=lowest + BRAIN_WIDTH_HU,
        aspect=between_rows / between_columns,
        interpolation="nearest",
    )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _outline(axes: Axes, labels: NDArray[np.uint8]) -> None:
    for subtype in Subtype:
        inside = labels == subtype
        if inside.any():
            axes.contour(inside, levels=[0.5], colors=COLOURS[subtype.name], linewidths=1.4)
