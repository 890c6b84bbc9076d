"""What the NIfTI layouts have in common: an image and a mask of the same name."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.errors import IncompleteInputError
from ml.data.masks import binary_labels, subtype_labels
from ml.data.nifti import read_image, read_labels
from ml.data.sources import Content, MissingMasks, Options, SourceStudy
from ml.data.studies import Truth
from ml.volume import Grid, Mask, Subtype

Interpret = Callable[[NDArray[Any], Grid], Truth]
"""From stored values of a mask, shape (Z, Y, X), and its grid to what they say."""


def as_subtypes(classes: Mapping[int, Subtype]) -> Interpret:
    """Interpret a mask whose values are classes."""

    def interpret(values: NDArray[Any], grid: Grid) -> Truth:
        return Truth(mask=Mask(subtype_labels(values, classes), grid))

    return interpret


def as_one_subtype(subtype: Subtype) -> Interpret:
    """Interpret a mask that outlines one subtype by whatever value."""

    def interpret(values: NDArray[Any], grid: Grid) -> Truth:
        return Truth(mask=Mask(binary_labels(values) * np.uint8(subtype), grid))

    return interpret


def as_binary(values: NDArray[Any], _grid: Grid) -> Truth:
    """Interpret a mask that says only where it bleeds."""
    return Truth(bleed=binary_labels(values))


def paired(
    source: Path,
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    *,
    patient_of: Callable[[str], str],
    interpret: Interpret,
    options: Options,
) -> list[SourceStudy]:
    """Pair images and masks by name; one without the other is found when it is read.

    Parameters
    ----------
    source
        Paths in messages start below it.
    images, masks
        By name.
    patient_of
        From the name to the patient.
    interpret
        What the values of a mask mean.
    options
        What a missing mask means, among others.
    """
    studies = []
    for name in sorted({*images, *masks}):
        image, mask = images.get(name), masks.get(name)
        shown = image or mask
        studies.append(
            SourceStudy(
                where=name if shown is None else str(shown.relative_to(source)),
                patient=patient_of(name),
                study=name,
                read=partial(read_pair, image, mask, interpret, options),
            )
        )
    return studies


def read_pair(
    image: Path | None, mask: Path | None, interpret: Interpret, options: Options
) -> Content:
    """Read an image and its mask.

    Raises
    ------
    InputError
        If one is missing or cannot be read, or if they do not fit together.
    """
    if image is None:
        raise IncompleteInputError("the image of this mask is missing")
    if mask is None and options.missing_masks is MissingMasks.REFUSE:
        raise IncompleteInputError(
            "its mask is missing; --missing-masks says what that means, if it is no loss"
        )
    volume, order = read_image(image)
    if mask is None:
        if options.missing_masks is MissingMasks.UNLABELLED:
            return Content(volume, Truth())
        return Content(volume, interpret(np.zeros(volume.grid.shape, np.uint8), volume.grid))
    values = read_labels(mask, volume.grid, order, follows_image=options.masks_follow_images)
    return Content(volume, interpret(values, volume.grid))
