"""SEU-Net: spatial squeeze and excitation."""

import torch
from torch import nn

from ml.models.registry import num_parameters
from ml.models.se_unet import SpatialExcitation
from tests.unit.ml.models.networks import small


def test_excitation_scales_all_channels_of_a_place_alike() -> None:
    excitation = SpatialExcitation(3)
    feature_BCYX = torch.rand(2, 3, 4, 5) + 0.1
    ratio_BCYX = excitation(feature_BCYX) / feature_BCYX
    torch.testing.assert_close(ratio_BCYX, ratio_BCYX[:, :1].expand(-1, 3, -1, -1))
    assert ((ratio_BCYX > 0) & (ratio_BCYX < 1)).all()
    assert ratio_BCYX[0, 0].std() > 0


def test_excitation_is_the_sigmoid_of_a_weighted_sum_of_the_channels() -> None:
    excitation = SpatialExcitation(2)
    nn.init.constant_(excitation.squeeze.weight, 2.0)
    feature_BCYX = torch.tensor([0.5, 0.25]).reshape(1, 2, 1, 1)
    expected = feature_BCYX * torch.sigmoid(torch.tensor(1.5))
    torch.testing.assert_close(excitation(feature_BCYX), expected)


def test_each_of_the_seven_stages_is_excited() -> None:
    excited = [m for m in small("se-unet").modules() if isinstance(m, SpatialExcitation)]
    assert [m.squeeze.in_channels for m in excited] == [4, 8, 16, 32, 16, 8, 4]


def test_it_adds_next_to_nothing() -> None:
    assert num_parameters("se-unet", {}) - num_parameters("unet", {}) == 1408
