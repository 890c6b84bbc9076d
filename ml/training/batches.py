"""Batches: which slices a step sees, and how they are varied.

A batch is a function of the recipe's seed and of the step alone, and each of its slices of its
place in the batch too. Thus the same recipe gives the same training, a training that is resumed
goes on as if it had never stopped, and several processes can share a batch out among them.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from ml.preprocess import AlignedVolume, context, network_input
from ml.training.datasets import UNNAMED, Case
from ml.training.recipes import Augmentation, Recipe
from ml.volume import Subtype

# Axes: B batch, C channel, Y row, X column

Made = TypeVar("Made")

_LEAST_PIXELS = 12
"""A slice counts as one that shows a subtype from so many pixels on."""
_LEAST_BLUR = 0.3
"""Below so many pixels a blur would change nothing."""
_GREY_HU = 30.0
"""Contrast is varied about this value."""


@dataclass(frozen=True, eq=False)
class SliceIndex:
    """Where to find which slices; each array has the shape (N, 2): case and slice.

    Attributes
    ----------
    showing
        For each subtype that occurs, the slices that show it; last, those with blood of a subtype
        that nobody named.
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
    showing: dict[int, list[tuple[int, int]]] = {kind: [] for kind in (*Subtype, UNNAMED)}
    for number, case in enumerate(cases):
        places = [(number, slice_index) for slice_index in range(len(case.labels))]
        every += places
        if not case.labels.any():
            healthy += places
        for kind, found in showing.items():
            pixels = (case.labels == kind).sum(axis=(1, 2))
            found += [(number, int(i)) for i in np.flatnonzero(pixels >= _LEAST_PIXELS)]
    return SliceIndex(
        showing=tuple(np.array(places) for places in showing.values() if places),
        healthy=np.array(healthy or every),
        every=np.array(every),
    )


def draw_batch(
    cases: Sequence[Case],
    index: SliceIndex,
    recipe: Recipe,
    step: int,
    *,
    rank: int = 0,
    num_ranks: int = 1,
) -> tuple[Tensor, Tensor]:
    """Draw and vary the slices of one step.

    Parameters
    ----------
    rank, num_ranks
        Which share of the batch is wanted, of how many: every `num_ranks`-th slice.

    Returns
    -------
    image_BCYX : Tensor
        float32, as `network_input` makes it.
    labels_BYX : Tensor
        int64.
    """
    rng = np.random.default_rng([recipe.seed, step])
    places = [_draw_place(index, recipe.lesion_share, rng) for _ in range(recipe.batch_size)]
    images, labels, moves = [], [], []
    for item in range(rank, recipe.batch_size, num_ranks):
        # numpy takes [seed, step] and [seed, step, 0] for the same
        own = np.random.default_rng([recipe.seed, step, item + 1])
        number, slice_index = places[item]
        case = cases[number]
        images.append(_noisy_input(case, slice_index, recipe.augmentation, own))
        labels.append(case.labels[slice_index])
        moves.append(_draw_move(recipe.augmentation, recipe.input.size, own))
    return _moved(
        torch.from_numpy(np.stack(images)),
        torch.from_numpy(np.stack(labels)),
        torch.from_numpy(np.stack(moves)),
    )


def draw_twice(
    cases: Sequence[Case],
    recipe: Recipe,
    batch_size: int,
    step: int,
    *,
    rank: int = 0,
    num_ranks: int = 1,
) -> tuple[Tensor, Tensor]:
    """Draw slices of patients without labels, and vary the brightness of each in two ways.

    Parameters
    ----------
    batch_size
        Slices, of which this process draws its share.
    rank, num_ranks
        As in `draw_batch`.

    Returns
    -------
    first_BCYX, second_BCYX : Tensor
        The same slices, moved alike, so that they can be compared pixel by pixel.
    """
    firsts, seconds, moves = [], [], []
    for item in range(rank, batch_size, num_ranks):
        own = np.random.default_rng([recipe.seed, step, recipe.batch_size + item + 1])
        case = cases[int(own.integers(len(cases)))]
        slice_index = int(own.integers(len(case.hu)))
        firsts.append(_noisy_input(case, slice_index, recipe.augmentation, own))
        seconds.append(_noisy_input(case, slice_index, recipe.augmentation, own))
        moves.append(_draw_move(recipe.augmentation, recipe.input.size, own))
    where_BYX2 = _places(torch.from_numpy(np.stack(moves)), recipe.input.size)
    first_BCYX, second_BCYX = (
        _sampled(torch.from_numpy(np.stack(images)), where_BYX2) for images in (firsts, seconds)
    )
    return first_BCYX, second_BCYX


def prepared_ahead(
    make: Callable[[int], Made], steps: Iterable[int], *, num_workers: int = 1
) -> Generator[Made]:
    """Make what each step needs in threads of their own, while the steps before it run.

    Parameters
    ----------
    make
        From the number of a step to what it needs; it must not matter when it is called.
    num_workers
        Threads.

    Yields
    ------
    Made
        One value for each step, in their order; close the generator to end the threads.
    """
    with ThreadPoolExecutor(num_workers, initializer=_compute_on_one_thread) as pool:
        waiting: deque[Future[Made]] = deque()
        for step in steps:
            waiting.append(pool.submit(make, step))
            if len(waiting) > 2 * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _compute_on_one_thread() -> None:
    # holds for the calling thread: the others keep their number, and the cores are theirs
    torch.set_num_threads(1)


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
    """Vary brightness, contrast, sharpness and noise in HU, then make the input of one slice."""
    needed = np.unique(context(case.grid, case.spec)[slice_index])
    gain = 1 + rng.normal(0, augmentation.gain)
    offset_hu = rng.normal(0, augmentation.offset_hu)
    noise_hu = np.float32(rng.uniform(0, augmentation.noise_hu))
    blur_pixels = rng.uniform(0, augmentation.blur_pixels) * (rng.uniform() < 0.5)
    hu = case.hu[needed] * np.float32(gain) + np.float32(_GREY_HU * (1 - gain) + offset_hu)
    if blur_pixels > _LEAST_BLUR:
        # a soft kernel: the border of bone and brain of a real head is far wider than a phantom's
        hu = ndimage.gaussian_filter(hu, (0, blur_pixels, blur_pixels), truncate=3)
    hu += noise_hu * rng.standard_normal(hu.shape, np.float32)
    # the other slices are not looked at: zeros that are never touched cost nothing
    varied = np.zeros(case.hu.shape, np.float32)
    varied[needed] = hu
    aligned = AlignedVolume(varied, case.grid, case.alignment, case.spec)
    image_CYX: NDArray[np.float32] = network_input(aligned, np.array([slice_index]))[0]
    return image_CYX


def _draw_move(
    augmentation: Augmentation, size: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw rotation, scale, flip and shift of one slice.

    Returns
    -------
    NDArray
        Shape (2, 3), from x, y and 1 in the varied slice to x and y in the given one; both run
        from -1 to 1 between the outer edges.
    """
    turn = np.deg2rad(rng.normal(0, augmentation.rotation_deg))
    scale = np.exp(rng.normal(0, augmentation.scale))
    flip = -1.0 if rng.uniform() < augmentation.flip else 1.0
    shift_x, shift_y = rng.normal(0, augmentation.shift_pixels * 2 / size, 2)
    along, across = scale * np.cos(turn), scale * np.sin(turn)
    rows = ((flip * along, -flip * across, shift_x), (across, along, shift_y))
    return np.array(rows, np.float32)


def _moved(image_BCYX: Tensor, labels_BYX: Tensor, moves_B23: Tensor) -> tuple[Tensor, Tensor]:
    """Move images and labels alike."""
    where_BYX2 = _places(moves_B23, image_BCYX.shape[-1])
    labels_BCYX = functional.grid_sample(
        labels_BYX[:, None].float(), where_BYX2, mode="nearest", align_corners=False
    )
    return _sampled(image_BCYX, where_BYX2), labels_BCYX[:, 0].long()


def _sampled(image_BCYX: Tensor, where_BYX2: Tensor) -> Tensor:
    return functional.grid_sample(
        image_BCYX, where_BYX2, padding_mode="border", align_corners=False
    )


def _places(moves_B23: Tensor, size: int) -> Tensor:
    """Where each pixel is taken from; `affine_grid` gives the same, but takes ten times as long."""
    edge = 1 - 1 / size
    x_X = torch.linspace(-edge, edge, size)
    y_Y1 = x_X[:, None]
    along_B2YX = moves_B23[:, :, 0, None, None] * x_X + (
        moves_B23[:, :, 1, None, None] * y_Y1 + moves_B23[:, :, 2, None, None]
    )
    return torch.stack((along_B2YX[:, 0], along_B2YX[:, 1]), dim=-1)
