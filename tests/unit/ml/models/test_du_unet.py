"""DU-Net: what it adds to the U-Net."""

import torch
from torch import nn

from ml.models.du_unet import DilatedUNet, DilatedUNetConfig
from ml.models.registry import num_parameters
from tests.unit.ml.models.networks import image, settled


def test_it_adds_the_one_convolution_that_the_paper_s_counts_differ_by() -> None:
    added = num_parameters("du-unet", {}) - num_parameters("unet", {})
    assert added == 512 * 512 * 9 + 2 * 512


def test_the_added_convolution_looks_as_far_as_its_dilation() -> None:
    bridge = DilatedUNet(DilatedUNetConfig(base_width=4, dilation=3)).eval().bridge
    for parameter in bridge.parameters():
        # so that no ReLU cuts a path off
        nn.init.ones_(parameter)
    feature_BCYX = torch.rand(1, 32, 16, 16).requires_grad_()
    bridge(feature_BCYX)[0, :, 8, 8].sum().backward()
    assert feature_BCYX.grad is not None
    rows = feature_BCYX.grad[0].abs().sum(dim=(0, 2)).nonzero().flatten()
    assert rows.tolist() == [5, 8, 11]


def test_the_dilation_changes_the_result_but_no_parameter() -> None:
    two, four = settled("du-unet"), settled("du-unet", dilation=4)
    four.load_state_dict(two.state_dict())
    assert (two(image()) - four(image())).abs().max() > 0.01
