"""Residual blocks."""

import torch
from torch import nn

from ml.models.residual import ResidualBlock, basic_block, bottleneck


def silenced(block: ResidualBlock) -> nn.Module:
    """The block, its convolutions contributing nothing."""
    *_, last_norm = block.residual.children()
    assert isinstance(last_norm, nn.BatchNorm2d)
    nn.init.zeros_(last_norm.weight)
    return block


def test_a_block_that_adds_nothing_passes_the_map_on() -> None:
    feature_BCYX = torch.rand(2, 8, 6, 6)
    assert torch.equal(silenced(basic_block(8))(feature_BCYX), feature_BCYX)
    assert torch.equal(silenced(bottleneck(8, 2))(feature_BCYX), feature_BCYX)


def test_a_block_adds_what_its_convolutions_make() -> None:
    block, feature_BCYX = basic_block(8), torch.rand(2, 8, 6, 6)
    expected = (block.residual(feature_BCYX) + feature_BCYX).relu()
    torch.testing.assert_close(block(feature_BCYX), expected)


def test_where_the_shape_changes_a_projection_brings_the_map_along() -> None:
    block, feature_BCYX = bottleneck(8, 3, stride=2), torch.rand(2, 8, 7, 6)
    passed = silenced(block)(feature_BCYX)
    assert passed.shape == (2, 12, 4, 3)
    assert passed.abs().sum() > 0


def test_a_dilated_bottleneck_keeps_the_size_and_looks_further() -> None:
    feature_BCYX = torch.rand(1, 8, 16, 16).requires_grad_()
    block = bottleneck(8, 2, dilation=4).eval()
    for parameter in block.parameters():
        # so that no ReLU cuts a path off
        nn.init.ones_(parameter)
    block(feature_BCYX)[0, :, 8, 8].sum().backward()
    assert feature_BCYX.grad is not None
    rows = feature_BCYX.grad[0].abs().sum(dim=(0, 2)).nonzero().flatten()
    assert rows.tolist() == [4, 8, 12]
