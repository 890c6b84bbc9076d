"""What holds for every network of the registry."""

import pytest
import torch
from torch import nn

from ml.models.da_net import ChannelAttention, PositionAttention
from ml.models.registry import NETWORKS
from tests.unit.ml.models.networks import CHANNELS, SIZE, SMALL, image, settled, small


def test_each_network_is_tested_here() -> None:
    assert list(SMALL) == list(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_it_gives_a_logit_for_each_class_and_pixel(name: str) -> None:
    assert small(name)(image(2)).shape == (2, 6, SIZE, SIZE)
    assert small(name, num_classes=2)(image(2)).shape == (2, 2, SIZE, SIZE)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_gradient_reaches_every_parameter(name: str) -> None:
    model = small(name).train()
    for module in model.modules():
        # where the paper's first value cuts the attention off, as after the first step
        if isinstance(module, PositionAttention | ChannelAttention):
            nn.init.constant_(module.scale, 0.5)
    model(image()).square().mean().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().sum() > 0, parameter_name


@pytest.mark.parametrize("name", NETWORKS)
def test_a_pixel_is_judged_by_more_than_itself_and_by_no_other_image(name: str) -> None:
    model, shown = settled(name), image(2).requires_grad_()
    model(shown)[0, :, 20, 20].square().sum().backward()
    assert shown.grad is not None
    seen = shown.grad.abs().sum(dim=1) > 0
    assert seen[0].sum() > 100
    assert not seen[1].any()


@pytest.mark.parametrize("name", NETWORKS)
def test_its_width_scales_with_the_base_width(name: str) -> None:
    def size(width: int) -> int:
        return sum(p.numel() for p in small(name, base_width=width).parameters())

    assert 1.5 < size(16) / size(8) < 4.1


@pytest.mark.parametrize("name", NETWORKS)
def test_the_same_seed_gives_the_same_network(name: str) -> None:
    assert torch.equal(settled(name)(image(1)), settled(name)(image(1)))


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_gives_nearly_every_pixel_the_same_class(name: str) -> None:
    model = settled(name)
    with torch.inference_mode():
        expected = model(image())
        with torch.autocast("cpu", torch.bfloat16):
            found = model(image()).float()
    assert not torch.equal(found, expected)
    # weights are random, so that many pixels lie near the border between two classes
    assert (found.argmax(1) == expected.argmax(1)).float().mean() > 0.95
    assert len(expected.argmax(1).unique()) > 1


@pytest.mark.parametrize("name", NETWORKS)
def test_another_number_of_channels_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"\(1, 5, 64, 64\), the network wants \(B, {CHANNELS}"):
        small(name)(torch.zeros(1, 5, SIZE, SIZE))


@pytest.mark.parametrize("name", ["unet", "du-unet", "se-unet"])
def test_a_u_net_refuses_an_image_that_it_cannot_halve_three_times(name: str) -> None:
    with pytest.raises(ValueError, match="64x60, rows and columns must be multiples of 8"):
        small(name)(torch.zeros(1, CHANNELS, 64, 60))
    assert small(name)(torch.zeros(1, CHANNELS, 64, 56)).shape == (1, 6, 64, 56)


@pytest.mark.parametrize("name", ["da-net", "hr-net"])
def test_networks_that_resize_take_an_image_of_any_size(name: str) -> None:
    assert small(name)(torch.zeros(1, CHANNELS, 65, 50)).shape == (1, 6, 65, 50)


@pytest.mark.parametrize("name", ["unet-transformer", "sym-transnet", "sym-transnet-lite"])
def test_a_transformer_refuses_an_image_of_another_size(name: str) -> None:
    with pytest.raises(ValueError, match="32x32, the network was built for 64x64"):
        small(name)(torch.zeros(1, CHANNELS, 32, 32))
