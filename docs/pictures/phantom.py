"""Draw docs/phantom.png: synthetic heads of each subtype, of both anatomies, and their mimics.

Run it from the root of the project; with the templates, where they are, for the upper rows::

    MIDLINE_TEMPLATES=../shared/data/templates python -m docs.pictures.phantom
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from ml.phantom import Difficulty, Phantom, Scan, find_templates, load_template, make_phantom
from ml.volume import Subtype

PICTURE = Path(__file__).parents[1] / "phantom.png"
WINDOW_LEVEL_HU, WINDOW_WIDTH_HU = 40.0, 80.0
OUTLINE = (255, 80, 60)
CROP = slice(16, 240)
"""The middle of a slice of 256 x 256 pixels."""
NUM_COLOURS = 64
"""Few colours keep the file of a noisy picture small."""
COLUMNS = 6


@dataclass(frozen=True)
class Panel:
    """One slice of one head; without an index it is the slice with most blood."""

    title: str
    seed: int
    subtypes: tuple[Subtype, ...] = ()
    index: int | None = None
    difficulty: Difficulty = Difficulty.STANDARD
    drawn: bool = False


PANELS: Sequence[Panel] = (
    *(Panel(s.name, seed, (s,)) for s, seed in zip(Subtype, (21, 22, 23, 24, 28), strict=True)),
    Panel("two subtypes", 107, (Subtype.IPH, Subtype.IVH)),
    *(
        Panel(f"hard {s.name}", seed, (s,), difficulty=Difficulty.HARD)
        for s, seed in zip(Subtype, (31, 32, 33, 34, 35), strict=True)
    ),
    Panel("no bleed", 41, index=17, difficulty=Difficulty.HARD),
    *(Panel("no bleed", 42, index=index) for index in (3, 6, 9, 14, 20, 25)),
    *(
        Panel(f"drawn {s.name}", seed, (s,), drawn=True)
        for s, seed in zip(Subtype, (9, 4, 201, 200, 205), strict=True)
    ),
    Panel("drawn, no bleed", 101, index=14, drawn=True),
)


def draw_slice(phantom: Phantom, index: int, title: str) -> Image.Image:
    """Draw a slice in the brain window with the outline of its bleeds."""
    lowest_hu = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    grey = np.clip((phantom.volume.hu[index] - lowest_hu) / WINDOW_WIDTH_HU, 0, 1)[CROP, CROP]
    bleed = phantom.mask.labels[index][CROP, CROP] > 0
    pixels = np.stack([(grey * 255).astype(np.uint8)] * 3, axis=-1)
    pixels[bleed & ~ndimage.binary_erosion(bleed)] = OUTLINE
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).text((6, 4), title, fill=(230, 230, 230))
    return picture


def largest_slice(labels: NDArray[np.uint8]) -> int:
    """Find the slice with most blood."""
    return int((labels > 0).sum(axis=(1, 2)).argmax())


def draw_panel(panel: Panel) -> Image.Image:
    """Make the head of a panel and draw its slice."""
    folder = None if panel.drawn else find_templates()
    phantom = make_phantom(
        panel.seed,
        panel.subtypes,
        scan=Scan(matrix=256),
        difficulty=panel.difficulty,
        template=None if folder is None else load_template(folder),
    )
    index = largest_slice(phantom.mask.labels) if panel.index is None else panel.index
    volume_ml = sum(phantom.mask.volume_ml(subtype) for subtype in panel.subtypes)
    title = f"{panel.title}, {volume_ml:.0f} ml" if panel.subtypes else panel.title
    return draw_slice(phantom, index, title)


def main() -> None:
    """Draw the picture."""
    panels = [draw_panel(panel) for panel in PANELS]
    width, height = panels[0].size
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(panels) // COLUMNS) * height))
    for number, panel in enumerate(panels):
        sheet.paste(panel, (number % COLUMNS * width, number // COLUMNS * height))
    sheet.quantize(NUM_COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
