"""Batches: what is drawn, how it is varied, and that chance is an argument."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from ml.preprocess import network_input
from ml.training.batches import draw_batch, draw_twice, index_slices, prepared_ahead
from ml.training.datasets import Splits
from ml.training.recipes import Augmentation, Recipe
from ml.volume import Subtype

from .conftest import MakeCase

UNVARIED = Augmentation(
    flip=0, rotation_deg=0, shift_pixels=0, scale=0, offset_hu=0, gain=0, noise_hu=0
)


def test_slices_are_found_by_what_they_show(splits: Splits) -> None:
    index = index_slices(splits.train)
    assert [places.tolist() for places in index.showing] == [[[0, 2], [0, 3]], [[1, 2], [1, 3]]]
    assert index.healthy.tolist() == [[2, number] for number in range(6)]
    assert len(index.every) == 18


def test_a_few_pixels_of_blood_do_not_make_a_slice_that_shows_it(make_case: MakeCase) -> None:
    case = make_case(0, Subtype.EDH)
    case.labels[2][np.flatnonzero(case.labels[2].any(axis=1))[1:]] = 0
    assert index_slices([case]).showing[0].tolist() == [[0, 3]]


def test_a_step_is_the_same_batch_whenever_it_is_drawn(splits: Splits, recipe: Recipe) -> None:
    index = index_slices(splits.train)
    first = draw_batch(splits.train, index, recipe, step=7)
    again = draw_batch(splits.train, index, recipe, step=7)
    other = draw_batch(splits.train, index, recipe, step=8)
    reseeded = draw_batch(splits.train, index, replace(recipe, seed=1), step=7)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], reseeded[0])


def test_unvaried_slices_are_what_the_node_would_show(splits: Splits, recipe: Recipe) -> None:
    plain = replace(recipe, augmentation=UNVARIED, batch_size=8)
    images, labels = draw_batch(splits.train, index_slices(splits.train), plain, step=0)
    shown = np.concatenate([network_input(case.aligned) for case in splits.train])
    true = np.concatenate([case.labels for case in splits.train])
    for image_CYX, label_YX in zip(images.numpy(), labels.numpy(), strict=True):
        place = np.abs(shown - image_CYX).max(axis=(1, 2, 3)).argmin()
        np.testing.assert_allclose(image_CYX, shown[place], atol=1e-4)
        assert (label_YX == true[place]).all()


def test_images_and_labels_are_moved_together(splits: Splits, recipe: Recipe) -> None:
    moved = replace(
        recipe,
        augmentation=Augmentation(rotation_deg=10, noise_hu=0),
        lesion_share=1.0,
        batch_size=16,
    )
    images, labels = draw_batch(splits.train, index_slices(splits.train), moved, step=0)
    middle = images[:, SPEC_MIDDLE]
    bright = middle > (50 / 100 - 0.3) / 0.3
    for bright_YX, label_YX in zip(bright, labels > 0, strict=True):
        both = (bright_YX & label_YX).sum() * 2
        assert both / (bright_YX.sum() + label_YX.sum()) > 0.8


SPEC_MIDDLE = 1
"""Channel of the middle slice of three in one window."""


@pytest.mark.parametrize(("flip", "same"), [(0.0, True), (1.0, False)])
def test_a_flip_exchanges_left_and_right(
    splits: Splits, recipe: Recipe, flip: float, same: bool
) -> None:
    plain = replace(recipe, augmentation=UNVARIED)
    flipped = replace(recipe, augmentation=replace(UNVARIED, flip=flip))
    index = index_slices(splits.train)
    image_BCYX, label_BYX = draw_batch(splits.train, index, plain, step=1)
    other_BCYX, other_BYX = draw_batch(splits.train, index, flipped, step=1)
    if not same:
        other_BCYX, other_BYX = other_BCYX.flip(3), other_BYX.flip(2)
    torch.testing.assert_close(other_BCYX, image_BCYX, atol=1e-3, rtol=0)
    assert torch.equal(other_BYX, label_BYX)


def test_half_of_what_is_not_drawn_for_its_lesion_is_healthy(
    splits: Splits, recipe: Recipe
) -> None:
    chosen = replace(recipe, lesion_share=0.5, batch_size=400, augmentation=UNVARIED)
    _, labels = draw_batch(splits.train, index_slices(splits.train), chosen, step=0)
    showing = (labels > 0).any(dim=2).any(dim=1).float().mean()
    # 0.5 by choice, and of the quarter from anywhere the 4 of 18 slices that show blood
    assert showing == pytest.approx(0.5 + 0.25 * 4 / 18, abs=0.08)


def test_shares_of_a_batch_are_together_the_batch(splits: Splits, recipe: Recipe) -> None:
    index = index_slices(splits.train)
    images, labels = draw_batch(splits.train, index, recipe, step=3)
    shares = [
        draw_batch(splits.train, index, recipe, step=3, rank=rank, num_ranks=2) for rank in (0, 1)
    ]
    for rank, (share_images, share_labels) in enumerate(shares):
        torch.testing.assert_close(share_images, images[rank::2])
        assert torch.equal(share_labels, labels[rank::2])


def test_a_slice_without_labels_is_seen_in_two_ways_at_the_same_place(
    splits: Splits, recipe: Recipe
) -> None:
    first, second = draw_twice(splits.train, recipe, 6, step=0)
    assert first.shape == (6, 3, 32, 32)
    assert not torch.equal(first, second)
    quiet = replace(recipe, augmentation=replace(recipe.augmentation, offset_hu=0, gain=0))
    quiet = replace(quiet, augmentation=replace(quiet.augmentation, noise_hu=0))
    first, second = draw_twice(splits.train, quiet, 6, step=0)
    assert torch.equal(first, second)
    assert not torch.equal(first, draw_twice(splits.train, quiet, 6, step=1)[0])


def test_what_is_prepared_ahead_comes_in_order_from_other_threads() -> None:
    def make(step: int) -> tuple[int, int]:
        time.sleep(0.002 * (step % 3))
        return step, threading.get_ident()

    made = list(prepared_ahead(make, range(5, 17), num_workers=3))
    assert [step for step, _ in made] == list(range(5, 17))
    assert threading.get_ident() not in {thread for _, thread in made}


def test_no_more_than_a_few_batches_wait() -> None:
    begun: list[int] = []
    prepared = prepared_ahead(lambda step: begun.append(step) or step, range(100))
    assert next(prepared) == 0
    prepared.close()
    assert len(begun) <= 3


def test_a_fault_in_a_batch_stops_the_training() -> None:
    def make(step: int) -> int:
        return 1 // (step - 2)

    prepared = prepared_ahead(make, range(10))
    assert next(prepared) == -1
    assert next(prepared) == -1
    with pytest.raises(ZeroDivisionError):
        next(prepared)
