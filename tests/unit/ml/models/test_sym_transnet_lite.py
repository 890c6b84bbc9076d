"""The light network: shape, gradients, and that it looks at the other side."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ml.models.sym_transnet_lite import SymTransNetLite, SymTransNetLiteConfig
from ml.models.symmetric_transformer import Mirroring

SMALL = SymTransNetLiteConfig(
    in_channels=6, image_size=64, base_width=4, token_width=16, num_layers=2, num_heads=2
)


def built(config: SymTransNetLiteConfig) -> nn.Module:
    torch.manual_seed(0)
    return SymTransNetLite(config).eval()


def image() -> Tensor:
    return torch.randn(2, 6, 64, 64, generator=torch.Generator().manual_seed(1))


def test_it_gives_a_logit_for_each_class_and_pixel() -> None:
    assert built(SMALL)(image()).shape == (2, 6, 64, 64)


def test_a_gradient_reaches_every_parameter() -> None:
    model = built(SMALL).train()
    model(image()).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_mirroring_changes_the_result() -> None:
    keys, plain = built(SMALL), built(replace(SMALL, mirroring=Mirroring.NONE))
    # with statistics of its own batch an untrained encoder does not fade
    keys.train()
    plain.train()
    assert (keys(image()) - plain(image())).abs().max() > 1e-3


def test_it_is_twenty_times_smaller_than_the_full_network() -> None:
    with torch.device("meta"):
        model = SymTransNetLite(SymTransNetLiteConfig(in_channels=6))
    assert sum(parameter.numel() for parameter in model.parameters()) < 43e6 / 18


def test_the_same_input_gives_the_same_output() -> None:
    assert torch.equal(built(SMALL)(image()), built(SMALL)(image()))


def test_a_size_that_does_not_divide_into_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="200 is not divisible by 16"):
        SymTransNetLiteConfig(in_channels=6, image_size=200)
