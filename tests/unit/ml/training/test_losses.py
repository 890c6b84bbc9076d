"""Cross-entropy plus Dice: what is rewarded and what is not."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from ml.training.datasets import UNNAMED
from ml.training.losses import SegmentationLoss
from ml.volume import Subtype

EVEN = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
BACKGROUND_ONLY = (1.0, 1e-9, 1e-9, 1e-9, 1e-9, 1e-9)
"""With these weights cross-entropy costs next to nothing, and Dice is left."""


def sure_of(labels_BYX: Tensor) -> Tensor:
    """Logits that are all but certain of these labels."""
    return functional.one_hot(labels_BYX, 6).permute(0, 3, 1, 2) * 20.0


def square(label: int, pixels: int = 8) -> Tensor:
    labels_BYX = torch.zeros(1, 32, 32, dtype=torch.int64)
    labels_BYX[:, :pixels, :pixels] = label
    return labels_BYX


def test_the_truth_costs_nothing() -> None:
    assert SegmentationLoss(EVEN)(sure_of(square(3)), square(3)) < 1e-3


def test_silence_about_a_bleed_costs_its_whole_dice_ratio() -> None:
    loss = SegmentationLoss(BACKGROUND_ONLY)(sure_of(square(0)), square(3))
    assert loss == pytest.approx(1, abs=0.05)


def test_the_dice_ratio_has_the_sum_of_both_areas_below() -> None:
    said, truth = square(1, 10), square(1, 20)
    loss = SegmentationLoss(BACKGROUND_ONLY)(sure_of(said), truth)
    assert loss == pytest.approx(1 - 2 * 100 / (100 + 400), abs=0.01)


def test_subtypes_that_are_absent_from_the_batch_have_no_part_in_dice() -> None:
    said = sure_of(square(1))
    said[:, 4, 20:] = 30.0
    loss_of = SegmentationLoss(EVEN)
    entropy = functional.cross_entropy(said, square(1))
    assert loss_of(said, square(1)) - entropy == pytest.approx(0, abs=1e-3)


def test_without_any_bleed_it_is_cross_entropy() -> None:
    said = torch.randn(2, 6, 32, 32, generator=torch.Generator().manual_seed(0))
    truth = torch.zeros(2, 32, 32, dtype=torch.int64)
    assert SegmentationLoss(EVEN)(said, truth) == functional.cross_entropy(said, truth)


def test_a_heavier_class_weighs_more() -> None:
    said = torch.zeros(1, 6, 32, 32)
    said[:, 0] = 3.0
    heavy = SegmentationLoss((1.0, 1.0, 5.0, 1.0, 1.0, 1.0))
    assert heavy(said, square(2)) > SegmentationLoss(EVEN)(said, square(2)) + 0.1


def test_blood_that_nobody_named_may_be_called_by_any_name() -> None:
    loss_of = SegmentationLoss(EVEN)
    truth = square(UNNAMED)
    as_one, as_another, as_none = (
        loss_of(sure_of(square(said)), truth) for said in (Subtype.IPH, Subtype.SAH, 0)
    )
    assert as_one == pytest.approx(as_another)
    assert as_one < 1e-3
    assert as_none > 1


def test_unnamed_blood_counts_by_the_mean_weight_of_subtypes() -> None:
    said = torch.zeros(1, 6, 4, 4)
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    labels[0, 0] = UNNAMED
    loss = SegmentationLoss((1.0, 1.0, 5.0, 1.0, 1.0, 2.0))(said, labels)
    # 12 pixels of background at ln 6, 4 of blood of weight 2 at ln(6 / 5)
    expected = (12 * math.log(6) + 4 * 2 * math.log(6 / 5)) / (12 + 4 * 2)
    assert loss == pytest.approx(expected, rel=1e-5)


def test_beside_unnamed_blood_the_named_slices_are_judged_as_ever() -> None:
    both = torch.cat((square(3), square(UNNAMED)))
    silent = torch.cat((sure_of(square(0)), sure_of(square(1))))
    loss = SegmentationLoss(BACKGROUND_ONLY)(silent, both)
    assert loss == pytest.approx(1, abs=0.05)
