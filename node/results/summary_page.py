"""The page for eyes: what is stated of a study, and a slice of each subtype that was found.

Viewers write over the upper and lower edge of an image: nothing is drawn there. The letters are as
large as the text allows, so that whatever lines a result has are on the page.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from ml.findings import Finding
from ml.volume import Mask, Volume
from node.results import codes
from node.results.drawing import (
    AMBER,
    BLACK,
    GREY,
    WHITE,
    Crop,
    Rgb,
    crop_to_head,
    draw_sides,
    draw_slice,
    font_of,
    wrap,
)
from node.results.identity import ResultContext
from node.results.outcomes import StudyResult, describe_finding

SIZE = 1024
FREE_EDGE = 80
"""Rows at the top and at the bottom that stay black, for the viewer's own text."""
MARGIN = 40
BAR_HEIGHT = 44
TOP, BOTTOM = FREE_EDGE + BAR_HEIGHT + 20, SIZE - FREE_EDGE
"""Rows between which text and slices stand."""
TEXT_SIZES = (28, 26, 24, 22, 20, 18, 17, 16, 15, 14, 13, 12)
"""Letters of the lines, pixels; the largest that fit are taken."""
LARGEST_BESIDE_SLICES = 22
"""Letters beside slices need not be larger, pixels."""

PICTURES_LEFT = 472
"""Column from which slices stand."""
GAP = 12
CAPTION_HEIGHT = 28
FEW = 2
"""So many slices stand one above the other, more in two columns."""


@dataclass(frozen=True)
class _Paragraph:
    """Text that is wrapped as one.

    Attributes
    ----------
    text
        Without line breaks.
    scale
        Size of its letters, of that of the lines.
    rgb
        Colour of its letters.
    chip
        Colour of the square before it.
    """

    text: str
    scale: float = 1.0
    rgb: Rgb = WHITE
    chip: Rgb | None = None


def draw_page(
    context: ResultContext,
    result: StudyResult,
    *,
    volume: Volume | None = None,
    mask: Mask | None = None,
    image_names: Sequence[str] = (),
) -> Image.Image:
    """Draw the page of any outcome.

    Parameters
    ----------
    context
        Names node and model.
    result
        What is stated.
    volume, mask
        What was analysed, and the label map on its grid; without them no slices are shown.
    image_names
        How the source image of each slice is found in a viewer, for example ``image 7``.

    Returns
    -------
    Image
        RGB, `SIZE` pixels wide and high. The same input gives the same pixels.
    """
    page = Image.new("RGB", (SIZE, SIZE), BLACK)
    draw = ImageDraw.Draw(page)
    _draw_bar(draw, context.node.disclaimer)
    shows_slices = bool(result.findings) and volume is not None and mask is not None
    right = PICTURES_LEFT - GAP if shows_slices else SIZE - MARGIN
    sizes = [size for size in TEXT_SIZES if size <= LARGEST_BESIDE_SLICES or not shows_slices]
    paragraphs = list(_paragraphs(context, result, shows_slices=shows_slices))
    fitting = (size for size in sizes if _set(paragraphs, size, right) <= BOTTOM)
    _set(paragraphs, next(fitting, sizes[-1]), right, draw)
    if volume is not None and mask is not None:
        _draw_slices(page, result.findings, volume, mask, image_names)
    return page


def _draw_bar(draw: ImageDraw.ImageDraw, disclaimer: str) -> None:
    """Draw the disclaimer over the whole width."""
    text, most = disclaimer.upper(), SIZE - 2 * MARGIN
    fonts = [font_of(size) for size in TEXT_SIZES]
    font = next((font for font in fonts if font.getlength(text) <= most), fonts[-1])
    draw.rectangle((0, FREE_EDGE, SIZE - 1, FREE_EDGE + BAR_HEIGHT - 1), fill=AMBER)
    middle = (SIZE // 2, FREE_EDGE + BAR_HEIGHT // 2)
    draw.text(middle, text, fill=BLACK, font=font, anchor="mm")


def _paragraphs(
    context: ResultContext, result: StudyResult, *, shows_slices: bool
) -> Iterator[_Paragraph]:
    yield _Paragraph(result.wording.headline, scale=1.5)
    yield _Paragraph(result.wording.sentence)
    for line in result.finding_lines():
        subtypes = [f.subtype for f in result.findings if line.startswith(describe_finding(f))]
        yield _Paragraph(line, chip=codes.SUBTYPES[subtypes[0]].rgb if subtypes else None)
    for line in result.case_lines():
        yield _Paragraph(line)
    model = f"Model {context.model.name} {context.model.version}, generation {context.generation}"
    yield _Paragraph(model, scale=0.85, rgb=GREY)
    if shows_slices:
        note = "One slice of each subtype is shown; there may be blood on others."
        yield _Paragraph(note, scale=0.85, rgb=GREY)


def _set(
    paragraphs: Sequence[_Paragraph],
    size: int,
    right: int,
    draw: ImageDraw.ImageDraw | None = None,
) -> float:
    """Set paragraphs below each other; give the row where they end.

    Parameters
    ----------
    paragraphs
        From above.
    size
        Letters of the lines, pixels.
    right
        Column where lines end at the latest.
    draw
        Without it, they are only measured.
    """
    y = float(TOP)
    for paragraph in paragraphs:
        font = font_of(round(size * paragraph.scale))
        height = size * paragraph.scale * 1.25
        indent = round(size * 1.3) if paragraph.chip else 0
        if draw is not None and paragraph.chip:
            chip = (MARGIN, y + size * 0.2, MARGIN + size * 0.9, y + size * 1.1)
            draw.rectangle(chip, fill=paragraph.chip)
        for line in wrap(paragraph.text, font, right - MARGIN - indent):
            if draw is not None:
                draw.text((MARGIN + indent, y), line, fill=paragraph.rgb, font=font)
            y += height
        y += size * 0.4
    return y


def _draw_slices(
    page: Image.Image,
    findings: Sequence[Finding],
    volume: Volume,
    mask: Mask,
    image_names: Sequence[str],
) -> None:
    """Draw the slice of each finding's key outline, with all that is outlined there."""
    keys = [finding.outlines[0].slice_index for finding in findings]
    if not keys:
        return
    num_columns = 1 if len(keys) <= FEW else 2
    num_rows = -(-len(keys) // num_columns)
    width = (SIZE - MARGIN - PICTURES_LEFT - GAP * (num_columns - 1)) // num_columns
    height = (BOTTOM - TOP - GAP * (num_rows - 1)) // num_rows
    crop = _crop(volume, keys, width=width, height=height - CAPTION_HEIGHT)
    labels = np.where(np.isin(mask.labels, [f.subtype for f in findings]), mask.labels, 0)
    draw, font = ImageDraw.Draw(page), font_of(16)
    for number, (finding, key) in enumerate(zip(findings, keys, strict=True)):
        row, column = divmod(number, num_columns)
        left = PICTURES_LEFT + column * (width + GAP) + (width - crop.width) // 2
        top = TOP + row * (crop.height + CAPTION_HEIGHT + GAP)
        page.paste(draw_slice(volume.hu[key], labels[key], crop), (left, top))
        draw_sides(draw, volume.grid, left, top, crop)
        terms = codes.SUBTYPES[finding.subtype]
        name = f" ({image_names[key]})" if image_names else ""
        caption = f"{terms.label}: slice {key + 1} of {len(volume.hu)}{name}"
        draw.text((left, top + crop.height + 4), caption, fill=WHITE, font=font)


def _crop(volume: Volume, keys: Sequence[int], *, width: int, height: int) -> Crop:
    """Cut to the head so that it fits into a width and a height."""
    widest = crop_to_head(volume, keys, edge=width)
    if widest.height <= height:
        return widest
    return crop_to_head(volume, keys, edge=int(height * max(1.0, widest.width / widest.height)))
