"""Training the alignment network on slices, without anybody's truth: its loss is asymmetry.

A slice is turned and shifted at random, the network says how, and the slice that is straightened by
its word is compared with its own mirror image (the self-supervision that Nijiati et al. 2022 take
from Liang et al. 2021). Any heads will do; half a minute on two CPU cores is enough.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ml.align import head_slices
from ml.learned_alignment import shown_to_network
from ml.models.alignment_net import AlignmentNet, AlignmentNetConfig, asymmetry, straighten
from ml.training.datasets import make_head
from ml.training.recipes import PhantomSource
from ml.volume import Volume

logger = logging.getLogger(__name__)

# Axes: N slices, B batch, S row and column


@dataclass(frozen=True)
class AlignmentRecipe:
    """Every setting of a training.

    Attributes
    ----------
    network
        Its size.
    steps, batch_size
        Length of the training.
    learning_rate
        Of Adam; it rises over the first twentieth of the steps and falls to a twentieth.
    rotation_deg, shift_pixels
        Largest rotation, and largest shift to each side, by which slices are posed at random, on
        top of how they lie.
    nearly_straight
        Share of the slices that are posed by at most a third of that: what a second pass sees.
    seed
        Of the weights, and of all that is drawn.
    """

    network: AlignmentNetConfig = field(default_factory=AlignmentNetConfig)
    steps: int = 1500
    batch_size: int = 32
    learning_rate: float = 2e-3
    rotation_deg: float = 25.0
    shift_pixels: float = 4.5
    nearly_straight: float = 0.5
    seed: int = 0


def synthetic_heads(source: PhantomSource, num_heads: int) -> Iterable[Volume]:
    """Make the first synthetic patients of a source; only their voxels, no truth."""
    for seed in range(source.first_seed, source.first_seed + num_heads):
        yield make_head(seed, source).volume


def slices_of(volumes: Iterable[Volume]) -> Tensor:
    """Sample the slices of heads as the network is shown them, shape (N, S, S).

    Raises
    ------
    ValueError
        If none of the volumes shows a head.
    """
    shown = [shown_to_network(head) for head in map(head_slices, volumes) if head is not None]
    if not shown:
        raise ValueError("no volume shows a head")
    return torch.cat(shown)


def train_alignment(images_NSS: Tensor, recipe: AlignmentRecipe) -> AlignmentNet:
    """Train an alignment network.

    Parameters
    ----------
    images_NSS
        As `slices_of` returns them.
    recipe
        How.

    Returns
    -------
    AlignmentNet
        In evaluation mode. The same images and recipe give the same network.
    """
    chance = torch.Generator().manual_seed(recipe.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = AlignmentNet(recipe.network)
    optimiser = torch.optim.Adam(network.parameters(), recipe.learning_rate)
    warm_up = max(1, recipe.steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1, (step + 1) / warm_up) * 0.05 ** (step / recipe.steps)
    )
    network.train()
    lately = 0.0
    for step in range(recipe.steps):
        chosen = torch.randint(len(images_NSS), (recipe.batch_size,), generator=chance)
        posed_BSS = _posed(images_NSS[chosen], recipe, chance)
        loss = asymmetry(straighten(posed_BSS, *network(posed_BSS))).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        lately += (loss.item() - lately) / min(step + 1, 50)
    logger.info("alignment network: %d steps, asymmetry %.4f", recipe.steps, lately)
    return network.eval().requires_grad_(False)


def _posed(image_BSS: Tensor, recipe: AlignmentRecipe, chance: torch.Generator) -> Tensor:
    """Turn, shift and sometimes mirror slices."""
    count = len(image_BSS)
    spread_3B = 2 * torch.rand((3, count), generator=chance) - 1
    nearly_B = torch.rand(count, generator=chance) < recipe.nearly_straight
    spread_3B = torch.where(nearly_B, spread_3B / 3, spread_3B)
    mirrored_B11 = torch.rand((count, 1, 1), generator=chance) < 0.5
    image_BSS = torch.where(mirrored_B11, image_BSS.flip(2), image_BSS)
    return straighten(
        image_BSS,
        recipe.rotation_deg * spread_3B[0],
        recipe.shift_pixels * spread_3B[1],
        recipe.shift_pixels * spread_3B[2],
    )
