"""Make ``docs/overlay.png``: the first rows of the demo's picture of a bleed, as the PACS got it.

Run ``make demo`` first, then ``python -m docs.pictures.overlay``.
"""

from pathlib import Path

from PIL import Image

DEMO = Path("demo-output/pictures/study01.png")
TARGET = Path(__file__).parents[1] / "overlay.png"
NUM_COLOURS = 64
WIDTH = 900
SHARE = 0.345
"""Height of the heading and the first row of slices, as a share of the picture."""


def main() -> None:
    """Crop, shrink and write the picture."""
    picture = Image.open(DEMO).convert("RGB")
    top = picture.crop((0, 0, picture.width, round(picture.height * SHARE)))
    small = top.resize((WIDTH, round(top.height * WIDTH / top.width)), Image.Resampling.LANCZOS)
    small.quantize(NUM_COLOURS).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
