"""Batches: which slices a step sees, and how they are varied.

A batch is a function of the recipe's seed and of the step alone. Thus the same recipe gives the
same training, and a training that is resumed goes on as if it had never stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from ml.preprocess import AlignedVolume, context, network_input
from ml.training.datasets import Case
from ml.training.recipes import Augmentation, Recipe
from ml.volume import Subtype

# Axes: B batch, C channel, Y row, X column

_LEAST_PIXELS = 12
"""A slice counts as one that shows a subtype from so many pixels on."""
_GREY_HU = 30.0
"""Contrast is varied about this value."""


@dataclass(frozen=True, eq=False)
class SliceIndex:
    """Where to find which slices; each array has the shape (N, 2): case and slice.

    Attributes
    ----------
    showing
        For each subtype that occurs, the slices that show it.
    healthy
        Slices of patients without a bleed.
    every
        All of them.
    """

    showing: tuple[NDArray[np.intp], ...]
    healthy: NDArray[np.intp]
    every: NDArray[np.intp]


def index_slices(cases: Sequence[Case]) -> SliceIndex:
    """List the slices of all cases by what they show."""
    every, healthy = [], []
    showing: dict[Subtype, list[tuple[int, int]]] = {subtype: [] for subtype in Subtype}
    for number, case in enumerate(cases):
        places = [(number, slice_index) for slice_index in range(len(case.labels))]
        every += places
        if not case.labels.any():
            healthy += places
        for subtype in Subtype:
            pixels = (case.labels == subtype).sum(axis=(1, 2))
            showing[subtype] += [(number, int(i)) for i in np.flatnonzero(pixels >= _LEAST_PIXELS)]
    return SliceIndex(
        showing=tuple(np.array(places) for places in showing.values() if places),
        healthy=np.array(healthy or every),
        every=np.array(every),
    )


def draw_batch(
    cases: Sequence[Case], index: SliceIndex, recipe: Recipe, step: int
) -> tuple[Tensor, Tensor]:
    """Draw and vary the slices of one step.

    Returns
    -------
    image_BCYX : Tensor
        float32, as `network_input` makes it.
    labels_BYX : Tensor
        int64.
    """
    rng = np.random.default_rng([recipe.seed, step])
    places = [_draw_place(index, recipe.lesion_share, rng) for _ in range(recipe.batch_size)]
    images, labels = [], []
    for number, slice_index in places:
        case = cases[number]
        images.append(_noisy_input(case, slice_index, recipe.augmentation, rng))
        labels.append(case.labels[slice_index])
    image_BCYX = torch.from_numpy(np.stack(images))
    labels_BYX = torch.from_numpy(np.stack(labels))
    return _moved(image_BCYX, labels_BYX, recipe.augmentation, rng)


def _draw_place(
    index: SliceIndex, lesion_share: float, rng: np.random.Generator
) -> tuple[int, int]:
    if rng.uniform() < lesion_share and index.showing:
        among = index.showing[rng.integers(len(index.showing))]
    else:
        among = index.healthy if rng.uniform() < 0.5 else index.every
    number, slice_index = among[rng.integers(len(among))]
    return int(number), int(slice_index)


def _noisy_input(
    case: Case, slice_index: int, augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary brightness, contrast and noise in HU, then make the input of one slice."""
    needed = np.unique(context(case.grid, case.spec)[slice_index])
    gain = 1 + rng.normal(0, augmentation.gain)
    offset_hu = rng.normal(0, augmentation.offset_hu)
    noise_hu = np.float32(rng.uniform(0, augmentation.noise_hu))
    hu = case.hu[needed] * np.float32(gain) + np.float32(_GREY_HU * (1 - gain) + offset_hu)
    hu += noise_hu * rng.standard_normal(hu.shape, np.float32)
    # the other slices are not looked at: zeros that are never touched cost nothing
    varied = np.zeros(case.hu.shape, np.float32)
    varied[needed] = hu
    aligned = AlignedVolume(varied, case.grid, case.alignment, case.spec)
    image_CYX: NDArray[np.float32] = network_input(aligned, np.array([slice_index]))[0]
    return image_CYX


def _moved(
    image_BCYX: Tensor, labels_BYX: Tensor, augmentation: Augmentation, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Turn, shift, scale and flip images and labels alike."""
    count, _, size, _ = image_BCYX.shape
    turn = np.deg2rad(rng.normal(0, augmentation.rotation_deg, count))
    scale = np.exp(rng.normal(0, augmentation.scale, count))
    flip = np.where(rng.uniform(size=count) < augmentation.flip, -1.0, 1.0)
    shift = rng.normal(0, augmentation.shift_pixels * 2 / size, (count, 2))
    rows = np.empty((count, 2, 3), np.float32)
    rows[:, 0, 0], rows[:, 0, 1] = flip * scale * np.cos(turn), -flip * scale * np.sin(turn)
    rows[:, 1, 0], rows[:, 1, 1] = scale * np.sin(turn), scale * np.cos(turn)
    rows[:, :, 2] = shift
    where = functional.affine_grid(
        torch.from_numpy(rows), list(image_BCYX.shape), align_corners=False
    )
    image_BCYX = functional.grid_sample(
        image_BCYX, where, padding_mode="border", align_corners=False
    )
    labels_BCYX = functional.grid_sample(
        labels_BYX[:, None].float(), where, mode="nearest", align_corners=False
    )
    return image_BCYX, labels_BCYX[:, 0].long()
