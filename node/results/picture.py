"""Pictures for people: slices in the brain window with the outlines of what was found.

No patient data is drawn, no free text of the source, and no colour that could be read as an
all-clear. Slices are drawn as stored, and the letters at their edges name the sides of the patient.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from ml.volume import Mask, Subtype, Volume
from node.results import codes
from node.results.drawing import (
    AMBER,
    BLACK,
    GREY,
    WHITE,
    crop_to_head,
    draw_sides,
    draw_slice,
    font_of,
    wrap,
)
from node.results.identity import ResultContext
from node.results.outcomes import StudyResult

TILE = 400
"""Edge of a slice in the picture, pixels."""
NUM_COLUMNS = 3
MOST_SLICES = 12
NUM_SLICES_WITHOUT_FINDINGS = 9
MARGIN = 16
GAP = 8
CAPTION_HEIGHT = 22
BAR_HEIGHT = 36

WIDTH = 2 * MARGIN + NUM_COLUMNS * TILE + (NUM_COLUMNS - 1) * GAP


def draw_result(
    context: ResultContext,
    result: StudyResult,
    *,
    volume: Volume | None = None,
    mask: Mask | None = None,
) -> Image.Image:
    """Draw the picture of any outcome.

    With findings, slices that show them; without, slices spread over the head; without a volume,
    only the statement and its reason.

    Parameters
    ----------
    context
        Names node and model.
    result
        What is stated.
    volume
        The analysed volume, if there is one.
    mask
        Label map on its grid; comes with the volume.

    Returns
    -------
    Image
        RGB.
    """
    if (volume is None) != (mask is None):
        raise ValueError("a volume comes with its mask")
    lines = [
        result.wording.sentence,
        *result.finding_lines(),
        *result.case_lines(),
        f"Model {context.model.name} {context.model.version}, generation {context.generation}",
    ]
    title, disclaimer = result.wording.headline, context.node.disclaimer
    if volume is None or mask is None:
        return draw_notice(title=title, lines=lines, disclaimer=disclaimer)
    key_slices = [finding.outlines[0].slice_index for finding in result.findings]
    return draw_montage(
        volume, mask, title=title, lines=lines, disclaimer=disclaimer, key_slices=key_slices
    )


def draw_notice(*, title: str, lines: Sequence[str], disclaimer: str) -> Image.Image:
    """Draw a page of text: a statement for which there is nothing to show.

    Parameters
    ----------
    title
        In large letters.
    lines
        Wrapped where they are too long.
    disclaimer
        In a bar at the top.
    """
    return _draw_head(title, lines, (), disclaimer)


def draw_montage(
    volume: Volume,
    mask: Mask,
    *,
    title: str,
    disclaimer: str,
    lines: Sequence[str] = (),
    key_slices: Sequence[int] = (),
) -> Image.Image:
    """Draw slices of a volume, with the subtypes of a mask outlined in their colours.

    Parameters
    ----------
    volume
        HU on a grid.
    mask
        Label map on the same grid. If it is empty, evenly spaced slices are shown.
    title, lines, disclaimer
        As in `draw_notice`.
    key_slices
        Indices of the slices to show first; slices with the largest findings follow.

    Returns
    -------
    Image
        RGB, `WIDTH` pixels wide. The same input gives the same pixels.

    Raises
    ------
    ValueError
        If volume and mask differ in shape.
    """
    if volume.hu.shape != mask.labels.shape:
        raise ValueError(f"volume {volume.hu.shape} and mask {mask.labels.shape} differ in shape")
    chosen = choose_slices(mask, key_slices)
    crop = crop_to_head(volume, chosen, edge=TILE)
    shown = [Subtype(int(value)) for value in np.unique(mask.labels) if value]
    head = _draw_head(title, lines, shown, disclaimer)
    num_rows = -(-len(chosen) // NUM_COLUMNS)
    row_height = crop.height + CAPTION_HEIGHT + GAP
    picture = Image.new("RGB", (WIDTH, head.height + num_rows * row_height + MARGIN), BLACK)
    picture.paste(head, (0, 0))
    draw = ImageDraw.Draw(picture)
    font = font_of(15)
    for number, index in enumerate(chosen):
        left = MARGIN + (number % NUM_COLUMNS) * (TILE + GAP) + (TILE - crop.width) // 2
        top = head.height + (number // NUM_COLUMNS) * row_height
        picture.paste(draw_slice(volume.hu[index], mask.labels[index], crop), (left, top))
        draw_sides(draw, volume.grid, left, top, crop)
        labels = [codes.SUBTYPES[s].label for s in shown if (mask.labels[index] == s).any()]
        caption = f"Slice {index + 1} of {len(volume.hu)}  {' '.join(labels)}"
        draw.text((left, top + crop.height + 2), caption, fill=GREY, font=font)
    return picture


def choose_slices(mask: Mask, key_slices: Sequence[int] = ()) -> list[int]:
    """Choose the slices to show.

    Parameters
    ----------
    mask
        Label map.
    key_slices
        Shown first, in this order.

    Returns
    -------
    list of int
        At most `MOST_SLICES` indices: the key slices, then others by falling area of what is
        labelled; of an empty mask `NUM_SLICES_WITHOUT_FINDINGS`, evenly spaced.
    """
    areas = (mask.labels > 0).sum(axis=(1, 2))
    if not areas.any() and not key_slices:
        ends = np.linspace(0, len(areas), NUM_SLICES_WITHOUT_FINDINGS + 1)
        middles = ((ends[:-1] + ends[1:]) / 2).astype(int)
        return [int(index) for index in np.unique(middles)]
    by_area = [int(index) for index in np.argsort(-areas, kind="stable") if areas[index]]
    return list(dict.fromkeys([*key_slices, *by_area]))[:MOST_SLICES]


def encode_png(picture: Image.Image) -> bytes:
    """Write a picture as PNG; the same picture always gives the same bytes."""
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()


def _draw_head(
    title: str, lines: Sequence[str], legend: Sequence[Subtype], disclaimer: str
) -> Image.Image:
    """Draw disclaimer, title, lines and legend of a picture, as high as they need."""
    large, normal = font_of(30), font_of(18)
    wrapped = [part for line in lines for part in wrap(line, normal, WIDTH - 2 * MARGIN)]
    rows = len(wrapped) + bool(legend)
    head = Image.new("RGB", (WIDTH, BAR_HEIGHT + 52 + 24 * rows + MARGIN), BLACK)
    draw = ImageDraw.Draw(head)
    draw.rectangle((0, 0, WIDTH, BAR_HEIGHT), fill=AMBER)
    draw.text((MARGIN, 8), disclaimer.upper(), fill=BLACK, font=normal)
    draw.text((MARGIN, BAR_HEIGHT + 8), title, fill=WHITE, font=large)
    y = BAR_HEIGHT + 52
    for line in wrapped:
        draw.text((MARGIN, y), line, fill=WHITE, font=normal)
        y += 24
    x = MARGIN
    for subtype in legend:
        terms = codes.SUBTYPES[subtype]
        text = f"{terms.title} ({terms.label})"
        draw.rectangle((x, y + 3, x + 16, y + 19), fill=terms.rgb)
        draw.text((x + 24, y), text, fill=WHITE, font=normal)
        x += 48 + int(normal.getlength(text))
    return head
