"""Slices with the outlines of what was found drawn in, for viewers that show no Segmentation.

Pixel (i, j) of such an image is pixel (i, j) of its source: nothing is cut, turned or resampled.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ml.findings import Finding
from ml.volume import Mask, Volume
from node.results import codes
from node.results.drawing import (
    AMBER,
    BLACK,
    WHITE,
    Rgb,
    draw_outlines,
    draw_tissue,
    font_of,
    whole_slice,
    wrap,
)
from node.results.identity import ResultContext
from node.results.outcomes import StudyResult

# Axes: Y row, X column

MARGIN = 4
LARGEST_LETTERS, SMALLEST_LETTERS = 22, 9
HARD_EDGES = "1"
"""Small letters with soft edges are dim."""
ROWS_OF_LETTERS = 38
"""Letters are so many times smaller than the image."""
PIXELS_FOR_OUTLINE = 256
"""Of a slice, for each pixel of the width of an outline."""


@dataclass(frozen=True)
class _Line:
    """A line of text, with a square of a colour before it."""

    text: str
    rgb: Rgb = WHITE
    chip: Rgb | None = None


def draw_overlay(
    context: ResultContext, result: StudyResult, volume: Volume, mask: Mask, slice_index: int
) -> Image.Image:
    """Draw one slice with its outlines, the subtypes that it shows, and the disclaimer.

    Text stands at the upper and the lower edge, and which one where is decided by the blood that
    it would lie on. Outlines are drawn over text.

    Parameters
    ----------
    context
        Names the disclaimer.
    result
        Has the findings of the mask.
    volume, mask
        HU and label map on one grid.
    slice_index
        Which slice.

    Returns
    -------
    Image
        RGB, as many rows and columns as the slice has.
    """
    labels, everything = mask.labels[slice_index], whole_slice(volume.grid)
    edge = min(volume.grid.rows, volume.grid.columns)
    size = min(max(SMALLEST_LETTERS, edge // ROWS_OF_LETTERS), LARGEST_LETTERS)
    shown = [finding for finding in result.findings if (labels == finding.subtype).any()]
    disclaimer = _wrapped([_Line(context.node.disclaimer, AMBER)], size, everything.width)
    legend = [_Line(f"{result.wording.headline}. Volumes of all slices:"), *map(_line_of, shown)]
    legend = _wrapped(legend, size, everything.width)

    disclaimer_on_top = _hidden(labels, disclaimer, legend, size) <= _hidden(
        labels, legend, disclaimer, size
    )
    picture = draw_tissue(volume.hu[slice_index], everything)
    # where there is no room for both, the disclaimer is what can be read
    _write(picture, legend, size, on_top=not disclaimer_on_top)
    _write(picture, disclaimer, size, on_top=disclaimer_on_top)
    width = max(1, round(edge / PIXELS_FOR_OUTLINE))
    return draw_outlines(picture, labels, everything, width=width)


def _hidden(
    labels: NDArray[np.uint8], above: Sequence[_Line], below: Sequence[_Line], size: int
) -> int:
    """Count the labelled pixels beneath text at both edges."""
    first = labels[: _height(above, size), : _width(above, size)]
    last = labels[-_height(below, size) :, : _width(below, size)]
    return int(np.count_nonzero(first) + np.count_nonzero(last))


def _line_of(finding: Finding) -> _Line:
    terms = codes.SUBTYPES[finding.subtype]
    return _Line(f"{terms.label} {finding.volume_ml:.1f} ml", chip=terms.rgb)


def _wrapped(lines: Sequence[_Line], size: int, width: int) -> list[_Line]:
    """Break lines that are wider than the image; the square stands before the first part."""
    wrapped = []
    for line in lines:
        room = width - 2 * MARGIN - (_indent(size) if line.chip else 0)
        first, *others = wrap(line.text, font_of(size), room, mode=HARD_EDGES)
        wrapped.append(_Line(first, line.rgb, line.chip))
        wrapped.extend(_Line(other, line.rgb) for other in others)
    return wrapped


def _indent(size: int) -> int:
    return size + 2


def _height(lines: Sequence[_Line], size: int) -> int:
    """Rows from the edge of the image that lines take."""
    return MARGIN + len(lines) * (size + size // 4)


def _width(lines: Sequence[_Line], size: int) -> int:
    """Columns from the left that lines take."""
    font = font_of(size)
    widths = (
        font.getlength(line.text, HARD_EDGES) + (_indent(size) if line.chip else 0)
        for line in lines
    )
    return MARGIN + round(max(widths))


def _write(picture: Image.Image, lines: Sequence[_Line], size: int, *, on_top: bool) -> None:
    """Write lines below each other at an edge, legible on bone as on air."""
    top = MARGIN if on_top else picture.height - _height(lines, size)
    draw, font = ImageDraw.Draw(picture), font_of(size)
    draw.fontmode = HARD_EDGES
    for line in lines:
        left = MARGIN
        if line.chip:
            draw.rectangle((left, top + 2, left + size - 4, top + size - 2), fill=line.chip)
            left += _indent(size)
        draw.text(
            (left, top), line.text, fill=line.rgb, font=font, stroke_width=1, stroke_fill=BLACK
        )
        top += size + size // 4
