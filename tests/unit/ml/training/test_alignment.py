"""Training the alignment network: it is told nothing but how symmetric its answer was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ml.models.alignment_net import AlignmentNetConfig, asymmetry, straighten
from ml.training.alignment import AlignmentRecipe, slices_of, synthetic_heads, train_alignment
from ml.training.recipes import PhantomSource
from ml.volume import Volume
from tests.support.heads import AIR_HU, Head, axial_grid

RECIPE = AlignmentRecipe(
    network=AlignmentNetConfig(base_width=6, hidden=32),
    steps=250,
    batch_size=16,
    learning_rate=4e-3,
)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    heads = (Head(back_mm=back, bleed_left_mm=left) for back in (-4, 4) for left in (-35, 500))
    return slices_of(head.volume(axial_grid(num_slices=8)) for head in heads)


def test_a_short_training_finds_most_of_a_rotation_and_a_shift(images: torch.Tensor) -> None:
    network = train_alignment(images, RECIPE)
    assert not network.training
    turned_B = torch.tensor([-12.0, 12.0])
    posed = straighten(images[[3, 3]], turned_B, torch.tensor([-2.0, 2.0]))
    rotation_B, shift_B = network(posed)
    # the head was sampled along axes turned one way: in the image it lies turned the other way
    assert (rotation_B[0] - rotation_B[1]).item() > 10
    assert (shift_B[0] - shift_B[1]).item() > 2
    straight = straighten(posed, rotation_B, shift_B)
    assert (asymmetry(straight) < 0.7 * asymmetry(posed)).all()


def test_the_same_recipe_gives_the_same_network(images: torch.Tensor) -> None:
    short = replace(RECIPE, steps=2)
    state = torch.get_rng_state()
    first, second = train_alignment(images, short), train_alignment(images, short)
    other = train_alignment(images, replace(short, seed=1))
    torch.testing.assert_close(dict(first.state_dict()), dict(second.state_dict()))
    assert not torch.equal(first.hidden.weight, other.hidden.weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_only_slices_that_show_a_head_are_learned_from() -> None:
    grid = axial_grid(num_slices=4, size=64, pixel_mm=3.6, step_mm=30)
    empty = Volume(np.full(grid.shape, AIR_HU, np.float32), grid)
    images = slices_of([empty, Head().volume(grid)])
    assert 0 < len(images) <= 4
    assert images.amax(dim=(1, 2)).min() > 0.9
    with pytest.raises(ValueError, match="no volume shows a head"):
        slices_of([empty])


def test_synthetic_heads_are_those_of_the_source() -> None:
    source = PhantomSource(1, 0, 0, matrix=64, first_seed=5)
    first, second = synthetic_heads(source, 2)
    assert first.hu.shape[1:] == (64, 64)
    assert not np.array_equal(first.grid.slice_origins_mm, second.grid.slice_origins_mm)
