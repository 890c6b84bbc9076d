"""Draw docs/phantom.png: one synthetic head for each subtype of haemorrhage, and a healthy one.

Run it from the root of the project: python -m docs.pictures.phantom
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from ml.phantom import Phantom, Scan, make_phantom
from ml.volume import Subtype

PICTURE = Path(__file__).parents[1] / "phantom.png"
SEEDS = {Subtype.IPH: 9, Subtype.IVH: 4, Subtype.EDH: 201, Subtype.SDH: 200, Subtype.SAH: 205}
HEALTHY_SEED, HEALTHY_SLICE = 101, 14
WINDOW_LEVEL_HU, WINDOW_WIDTH_HU = 40.0, 80.0
OUTLINE = (255, 80, 60)
CROP = slice(22, 234)
"""The middle of a slice of 256 x 256 pixels."""
SCALE = 1.25
NUM_COLOURS = 64
"""Few colours keep the file of a noisy picture small."""


def draw_slice(phantom: Phantom, index: int, title: str) -> Image.Image:
    """Draw a slice in the brain window with the outline of its bleeds."""
    lowest_hu = WINDOW_LEVEL_HU - WINDOW_WIDTH_HU / 2
    grey = np.clip((phantom.volume.hu[index] - lowest_hu) / WINDOW_WIDTH_HU, 0, 1)[CROP, CROP]
    picture = Image.fromarray((grey * 255).astype(np.uint8))
    size = (round(picture.width * SCALE), round(picture.height * SCALE))
    picture = picture.resize(size, Image.Resampling.BICUBIC).convert("RGB")
    bleed = Image.fromarray((phantom.mask.labels[index][CROP, CROP] > 0).astype(np.uint8) * 255)
    large = np.asarray(bleed.resize(size, Image.Resampling.BILINEAR)) > 127
    pixels = np.asarray(picture).copy()
    pixels[large & ~ndimage.binary_erosion(large)] = OUTLINE
    picture = Image.fromarray(pixels)
    ImageDraw.Draw(picture).text((6, 4), title, fill=(230, 230, 230))
    return picture


def largest_slice(labels: NDArray[np.uint8]) -> int:
    """Find the slice with most blood."""
    return int((labels > 0).sum(axis=(1, 2)).argmax())


def main() -> None:
    """Draw the picture."""
    scan = Scan(matrix=256)
    healthy = make_phantom(HEALTHY_SEED, scan=scan)
    panels = [draw_slice(healthy, HEALTHY_SLICE, "no bleed")]
    for subtype, seed in SEEDS.items():
        phantom = make_phantom(seed, (subtype,), scan=scan)
        index = largest_slice(phantom.mask.labels)
        title = f"{subtype.name}, {phantom.mask.volume_ml(subtype):.0f} ml"
        panels.append(draw_slice(phantom, index, title))
    width, height = panels[0].size
    sheet = Image.new("RGB", (3 * width, 2 * height))
    for number, panel in enumerate(panels):
        sheet.paste(panel, (number % 3 * width, number // 3 * height))
    sheet.quantize(NUM_COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
