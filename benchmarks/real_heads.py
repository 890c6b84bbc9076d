"""What weights make of the few real images at hand; never used to train, choose or set anything.

Two figures of the model card come from here: the volume that is called blood in a real head without
a known bleed, and the mean binary Dice on eleven real slices with masks (CT-ICH, Hssayeni et al.
2020, CC BY 4.0). Run from the root of the project::

    python -m benchmarks.real_heads --data ../shared/data [--weights FILE] [--pictures FOLDER]
"""

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

import ml.weights
from ml.inference import Precision, Prediction, Segmenter
from ml.postprocess import clean
from ml.readers.dicom import read_series
from ml.volume import Grid, Mask, Subtype, Volume

LOWEST_HU, WIDTH_HU = -20.0, 120.0
"""Window of the published 8-bit slices."""
HEAD_LENGTH_MM = 200.0
"""Their spacing is not published; the head is taken to be so long."""
STEP_MM = 5.0
OUTLINE, TRUTH = (255, 80, 60), (80, 220, 255)


def volume_of_slices(images: list[NDArray[np.uint8]]) -> Volume:
    """Stack 8-bit slices, lowest first; what the window clips becomes air and bone."""
    grey = np.stack(images).astype(np.float32)
    hu = grey / 255 * WIDTH_HU + LOWEST_HU
    hu[grey <= 1], hu[grey >= 254] = -1000, 1000
    rows = [np.flatnonzero(ndimage.binary_opening(i > 40, iterations=4).any(axis=1)) for i in grey]
    length = max(int(r[-1] - r[0]) for r in rows if r.size)
    spacing_mm = HEAD_LENGTH_MM / length
    origins_mm = np.zeros((len(images), 3))
    origins_mm[:, 2] = STEP_MM * np.arange(len(images))
    grid = Grid(
        slice_origins_mm=origins_mm,
        row_direction=np.array([1.0, 0, 0]),
        column_direction=np.array([0, 1.0, 0]),
        pixel_spacing_mm=(spacing_mm, spacing_mm),
        rows=hu.shape[1],
        columns=hu.shape[2],
    )
    return Volume(hu, grid)


def slices_by_patient(folder: Path) -> dict[str, list[tuple[int, Path, Path]]]:
    """Slice number, image and mask of each patient, lowest first."""
    patients: dict[str, list[tuple[int, Path, Path]]] = defaultdict(list)
    with (folder / "labels.csv").open() as file:
        for row in csv.DictReader(file):
            place = (int(row["slice"]), folder / row["image"], folder / row["mask"])
            patients[row["patient"]].append(place)
    return {patient: sorted(slices) for patient, slices in patients.items()}


def dice_of_slices(
    segmenter: Segmenter, folder: Path, pictures: Path | None
) -> dict[str, dict[str, float]]:
    """Binary Dice of each slice, with the areas in pixels."""
    figures: dict[str, dict[str, float]] = {}
    for slices in slices_by_patient(folder).values():
        images = [np.asarray(Image.open(image).convert("L")) for _, image, _ in slices]
        # a slice alone is shown as its own neighbour
        alone = len(images) == 1
        volume = volume_of_slices(images * 3 if alone else images)
        said = _reported(segmenter, segmenter.segment(volume)).labels > 0
        for number, (_, image, mask) in enumerate(slices):
            claimed = said[1 if alone else number]
            true = np.asarray(Image.open(mask).convert("L")) > 0
            both = 2 * int((true & claimed).sum())
            figures[image.stem] = {
                "dice": both / (int(true.sum()) + int(claimed.sum())),
                "true_pixels": int(true.sum()),
                "said_pixels": int(claimed.sum()),
            }
            if pictures is not None:
                _draw(images[number], claimed, true).save(pictures / f"{image.stem}.png")
    return figures


def false_alarm(segmenter: Segmenter, folder: Path) -> dict[str, object]:
    """Measure what is called blood in a real head without a known bleed."""
    series = read_series(sorted(folder.glob("*.dcm")))
    prediction = segmenter.segment(series.volume)
    mask = _reported(segmenter, prediction)
    volume_ml = {subtype.name: round(mask.volume_ml(subtype), 2) for subtype in Subtype}
    raw_ml = (prediction.mask.labels > 0).sum(axis=(1, 2)) @ series.volume.grid.voxel_ml
    thresholds = segmenter.card.thresholds
    return {
        "volume_ml": volume_ml,
        "total_ml": round(sum(volume_ml.values()), 2),
        "total_before_cleaning_ml": round(float(raw_ml), 2),
        "case_score": prediction.case_score,
        "lower_score": thresholds.lower_score,
        "upper_score": thresholds.upper_score,
    }


def _reported(segmenter: Segmenter, prediction: Prediction) -> Mask:
    thresholds = segmenter.card.thresholds
    minimum_ml = {subtype: thresholds.minimum_of(subtype) for subtype in Subtype}
    return clean(prediction.mask, minimum_ml=minimum_ml)


def _draw(
    grey: NDArray[np.uint8], claimed: NDArray[np.bool_], true: NDArray[np.bool_]
) -> Image.Image:
    pixels = np.stack([grey] * 3, axis=-1)
    for region, colour in ((true, TRUTH), (claimed, OUTLINE)):
        pixels[region & ~ndimage.binary_erosion(region)] = colour
    return Image.fromarray(pixels)


def main(
    data: Annotated[Path, typer.Option(help="Folder with head_ct_ge and real_slices.")],
    weights: Annotated[Path | None, typer.Option(help="Default: those that ship.")] = None,
    pictures: Annotated[Path | None, typer.Option(help="Folder for outlines.")] = None,
) -> None:
    """Measure and print as JSON."""
    path = weights or ml.weights.path_of("sym-transnet-lite")
    segmenter = Segmenter.load(path, device="cpu", precision=Precision.FP32)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    slices = dice_of_slices(segmenter, data / "real_slices", pictures)
    figures = {
        "weights_sha256": segmenter.card.weights_sha256,
        "head_ct_ge": false_alarm(segmenter, data / "head_ct_ge"),
        "mean_binary_dice": float(np.mean([each["dice"] for each in slices.values()])),
        "real_slices": slices,
    }
    typer.echo(json.dumps(figures, indent=2))


if __name__ == "__main__":
    typer.run(main)
