"""DA-Net: the encoder's size, and the two attentions against their equations."""

import pytest
import torch
from torch import Tensor, nn

from ml.models.da_net import ChannelAttention, DANet, DANetConfig, PositionAttention
from tests.unit.ml.models.networks import image, settled


def feature() -> Tensor:
    return torch.randn(2, 16, 3, 5, generator=torch.Generator().manual_seed(1))


def opened(attention: PositionAttention | ChannelAttention) -> nn.Module:
    nn.init.constant_(attention.scale, 0.5)
    return attention


def test_the_encoder_is_a_resnet_50_without_its_classifier() -> None:
    with torch.device("meta"):
        encoder = DANet(DANetConfig(in_channels=3)).encoder
    # 25,557,032 with the classifier of 1000 classes, 2048 * 1000 + 1000
    assert sum(p.numel() for p in encoder.parameters()) == 25_557_032 - 2_049_000


def test_the_encoder_s_map_is_an_eighth_of_the_image() -> None:
    encoder = DANet(DANetConfig(base_width=4)).encoder
    assert encoder(torch.zeros(2, 1, 64, 48)).shape == (2, 128, 8, 6)


def test_the_last_two_stages_are_dilated_instead_of_halving_the_map() -> None:
    encoder = DANet(DANetConfig(base_width=4)).encoder
    convolutions = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    by_width = {m.out_channels: m.dilation for m in convolutions if m.kernel_size == (3, 3)}
    assert by_width == {4: (1, 1), 8: (1, 1), 16: (2, 2), 32: (4, 4)}


@pytest.mark.parametrize("attention", [PositionAttention(16), ChannelAttention()])
def test_attention_begins_as_no_attention(attention: nn.Module) -> None:
    assert torch.equal(attention(feature()), feature())


def test_position_attention_is_what_equations_1_and_2_say() -> None:
    torch.manual_seed(0)
    attention = PositionAttention(16)
    opened(attention)
    query, key, value = (
        project(feature()).flatten(2)
        for project in (attention.query, attention.key, attention.value)
    )
    # s_ji: how much place i has a part in place j
    similarity = torch.einsum("bdi,bdj->bji", key, query).softmax(dim=2)
    mixed = torch.einsum("bji,bci->bcj", similarity, value).reshape(2, 16, 3, 5)
    torch.testing.assert_close(attention(feature()), feature() + 0.5 * mixed)


def test_channel_attention_is_what_equations_3_and_4_say() -> None:
    flat = feature().flatten(2)
    similarity = torch.einsum("bin,bjn->bji", flat, flat).softmax(dim=2)
    mixed = torch.einsum("bji,bin->bjn", similarity, flat).reshape(2, 16, 3, 5)
    torch.testing.assert_close(opened(ChannelAttention())(feature()), feature() + 0.5 * mixed)


def test_channel_attention_does_not_ask_where_a_place_lies() -> None:
    attention = opened(ChannelAttention())
    torch.testing.assert_close(attention(feature().flip(3)).flip(3), attention(feature()))


def test_both_attentions_change_the_result() -> None:
    model = settled("da-net")
    before = model(image())
    for module in model.modules():
        if isinstance(module, PositionAttention | ChannelAttention):
            opened(module)
            after = model(image())
            assert (after - before).abs().max() > 0.01
            before = after
