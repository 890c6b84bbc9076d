"""What every picture is drawn with: slices in the brain window, outlines, sides, letters.

No patient data is drawn, no free text of the source, and no colour that could be read as an
all-clear. Slices are drawn as stored, and letters at their edges name the sides of the patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ml.volume import Grid, Subtype, Volume
from node.results import codes

# Axes: Z slice, Y row, X column

Rgb = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

WINDOW_LEVEL_HU = 40.0
WINDOW_WIDTH_HU = 80.0
HEAD_HU = -300.0
"""Above air: what a slice is cut to."""
OUTLINE_WIDTH = 2

BLACK: Rgb = (0, 0, 0)
WHITE: Rgb = (255, 255, 255)
GREY: Rgb = (170, 170, 170)
AMBER: Rgb = (255, 200, 0)


@dataclass(frozen=True)
class Crop:
    """Part of a slice that is drawn, in pixels of the slice, and its size in the picture."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int


def crop_to_head(volume: Volume, indices: Sequence[int], *, edge: int) -> Crop:
    """Cut to the head as it appears on some slices; all slices are then drawn at one scale.

    Parameters
    ----------
    volume
        HU on a grid.
    indices
        The slices that are drawn.
    edge
        The longer side of the picture of a slice, pixels.
    """
    _, rows, columns = np.nonzero(volume.hu[list(indices)] > HEAD_HU)
    if not rows.size:
        rows, columns = np.array([0, volume.grid.rows - 1]), np.array([0, volume.grid.columns - 1])
    top, bottom = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    between_rows, between_columns = volume.grid.pixel_spacing_mm
    height_mm, width_mm = (bottom - top) * between_rows, (right - left) * between_columns
    scale = edge / max(height_mm, width_mm)
    size = (max(1, round(width_mm * scale)), max(1, round(height_mm * scale)))
    return Crop(left, top, right, bottom, *size)


def whole_slice(grid: Grid) -> Crop:
    """All of a slice, each of its pixels as one pixel of the picture."""
    return Crop(0, 0, grid.columns, grid.rows, grid.columns, grid.rows)


def draw_slice(hu: NDArray[np.float32], labels: NDArray[np.uint8], crop: Crop) -> Image.Image:
    """Draw one slice through the window, each subtype outlined from outside.

    Parameters
    ----------
    hu
        Shape (Y, X), HU.
    labels
        Shape (Y, X).
    crop
        What to draw of them, and at which size.
    """
    return draw_outlines(draw_tissue(hu, crop), labels, crop)


def draw_tissue(hu: NDArray[np.float32], crop: Crop) -> Image.Image:
    """Draw one slice, shape (Y, X), HU, through the window; RGB."""
    lowest = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    finite = np.nan_to_num(hu, nan=lowest)
    grey = np.clip((finite - lowest) / WINDOW_WIDTH_HU * 255, 0, 255).astype(np.uint8)
    resized = Image.fromarray(grey).resize(_size(crop), Image.Resampling.BICUBIC, box=_box(crop))
    return resized.convert("RGB")


def draw_outlines(
    picture: Image.Image, labels: NDArray[np.uint8], crop: Crop, *, width: int = OUTLINE_WIDTH
) -> Image.Image:
    """Draw a line around each subtype, so that the lesion itself stays visible.

    Parameters
    ----------
    picture
        RGB, of the size that the crop has in the picture.
    labels
        Shape (Y, X) of the slice.
    crop
        What the picture shows of it.
    width
        Of the line, pixels of the picture.
    """
    pixels = np.array(picture)
    for subtype in np.unique(labels[labels > 0]):
        covered = Image.fromarray(np.where(labels == subtype, np.uint8(255), np.uint8(0)))
        # a box filter keeps even the smallest lesion when the slice is drawn smaller
        resized = covered.resize(_size(crop), Image.Resampling.BOX, box=_box(crop))
        region = np.array(resized) > 0
        pixels[_grow(region, width) & ~region] = codes.SUBTYPES[Subtype(int(subtype))].rgb
    return Image.fromarray(pixels)


def _size(crop: Crop) -> tuple[int, int]:
    return crop.width, crop.height


def _box(crop: Crop) -> tuple[int, int, int, int]:
    return crop.left, crop.top, crop.right, crop.bottom


def _grow(region: NDArray[np.bool_], num_pixels: int) -> NDArray[np.bool_]:
    """Widen a region by some pixels in the directions of rows and columns, shape (Y, X)."""
    grown = region.copy()
    for _ in range(num_pixels):
        padded = np.pad(grown, 1)
        grown |= padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return grown


def draw_sides(draw: ImageDraw.ImageDraw, grid: Grid, left: int, top: int, crop: Crop) -> None:
    """Name the patient's sides at the left and right edge of a slice."""
    font = font_of(16)
    right_letter = side_letter(grid.row_direction)
    right = left + crop.width - 4 - int(font.getlength(right_letter))
    for x, letter in ((left + 4, side_letter(-grid.row_direction)), (right, right_letter)):
        place = (x, top + crop.height // 2 - 8)
        draw.text(place, letter, fill=AMBER, font=font, stroke_width=2, stroke_fill=BLACK)


def side_letter(direction: NDArray[np.float64]) -> str:
    """Name the side of the patient to which a direction points most.

    Parameters
    ----------
    direction
        Shape (3,), LPS.

    Returns
    -------
    str
        R, L, A, P, F (feet) or H (head), as in Patient Orientation (PS3.3 C.7.6.1.1.1).
    """
    axis = int(np.argmax(np.abs(direction)))
    return ("RL", "AP", "FH")[axis][int(direction[axis] > 0)]


def font_of(size: int) -> Font:
    """Load the one font of all pictures."""
    return ImageFont.load_default(size)


def wrap(text: str, font: Font, width: int, *, mode: str = "L") -> list[str]:
    """Break a text into lines of at most `width` pixels; a longer word is broken too.

    Parameters
    ----------
    text
        Its spaces count as one each.
    font
        That of the lines.
    width
        Pixels.
    mode
        How letters will be drawn: ``L`` with soft edges, ``1`` with hard ones, which are wider.
    """
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}", mode) <= width:
            lines[-1] = f"{lines[-1]} {word}"
        else:
            lines.extend(_pieces(word, font, width, mode))
    return lines


def _pieces(word: str, font: Font, width: int, mode: str) -> list[str]:
    """Break a word into pieces of at most `width` pixels, or of one letter."""
    pieces = [word[0]]
    for letter in word[1:]:
        if font.getlength(pieces[-1] + letter, mode) <= width:
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces
