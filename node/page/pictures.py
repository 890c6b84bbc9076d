"""The slices on which most of each subtype lies, drawn as everywhere else in the node."""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from ml.readers.dicom import read_series
from ml.readers.segmentation import read_segmentation
from ml.volume import Mask, Subtype
from node.results import codes
from node.results.drawing import (
    AMBER,
    BLACK,
    crop_to_head,
    draw_sides,
    draw_slice,
    font_of,
    wrap,
)

EDGE = 512
"""Longer side of a slice, pixels."""
LETTERS = 13
MARGIN = 4

KeySlice = tuple[str, bytes, int, int]
"""Caption, PNG, width and height."""


def draw_key_slices(images: Sequence[Path], mask: Path, disclaimer: str) -> Iterator[KeySlice]:
    """Draw the slice of each subtype on which most of it lies, with all that is outlined there.

    Parameters
    ----------
    images
        Files of the analysed series.
    mask
        File of its Segmentation.
    disclaimer
        Written below each slice.

    Raises
    ------
    InputError
        If one of the files cannot be read.
    """
    series = read_series(images)
    outlined = read_segmentation(mask, series)
    keys = _key_slices(outlined)
    if not keys:
        return
    crop = crop_to_head(series.volume, list(keys.values()), edge=EDGE)
    font = font_of(LETTERS)
    lines = wrap(disclaimer, font, crop.width - 2 * MARGIN)
    height = (LETTERS + MARGIN) * len(lines) + MARGIN
    for subtype, index in keys.items():
        picture = Image.new("RGB", (crop.width, crop.height + height), BLACK)
        picture.paste(draw_slice(series.volume.hu[index], outlined.labels[index], crop), (0, 0))
        draw = ImageDraw.Draw(picture)
        draw_sides(draw, series.volume.grid, 0, 0, crop)
        for number, line in enumerate(lines):
            place = (MARGIN, crop.height + MARGIN + number * (LETTERS + MARGIN))
            draw.text(place, line, fill=AMBER, font=font)
        terms = codes.SUBTYPES[subtype]
        caption = f"{terms.title} ({terms.label}), slice {index + 1} of {len(series.volume.hu)}"
        yield caption, _png(picture), picture.width, picture.height


def _key_slices(mask: Mask) -> dict[Subtype, int]:
    """Find the slice of each subtype that is there."""
    areas = {subtype: (mask.labels == subtype).sum(axis=(1, 2)) for subtype in Subtype}
    return {subtype: int(area.argmax()) for subtype, area in areas.items() if area.any()}


def _png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()
