"""Sym-TransNet as published: its size, its choices, its gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ml.models.sym_transnet import (
    MirrorMoment,
    PositionOfMirrored,
    SymTransNet,
    SymTransNetConfig,
)
from ml.models.symmetric_transformer import Mirroring

SMALL = SymTransNetConfig(image_size=32, base_width=4, num_layers=2, num_heads=2)


def count(config: SymTransNetConfig) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in SymTransNet(config).parameters())


def built(config: SymTransNetConfig) -> nn.Module:
    torch.manual_seed(0)
    return SymTransNet(config).eval()


def image() -> Tensor:
    return torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_our_reading_of_the_paper_has_the_size_that_the_paper_reports() -> None:
    assert count(SymTransNetConfig()) == pytest.approx(42.93e6, rel=0.001)
    assert count(SymTransNetConfig()) == pytest.approx(43.06e6, rel=0.01)


def test_without_layers_it_is_the_u_net_of_the_ablation() -> None:
    assert count(SymTransNetConfig(num_layers=0)) == pytest.approx(2.47e6, rel=0.02)


def test_a_shared_embedding_saves_one_matrix_and_its_bias() -> None:
    shared = SymTransNetConfig(shares_embedding=True)
    assert count(SymTransNetConfig()) - count(shared) == 512 * 512 + 512


def test_it_gives_a_logit_for_each_class_and_pixel() -> None:
    assert built(SMALL)(image()).shape == (2, 6, 32, 32)


@pytest.mark.parametrize(
    "config",
    [
        SMALL,
        replace(SMALL, mirroring=Mirroring.NONE),
        replace(SMALL, mirroring=Mirroring.KEYS_AND_VALUES),
        replace(SMALL, mirror_moment=MirrorMoment.ONCE),
        replace(SMALL, shares_embedding=True),
    ],
)
def test_a_gradient_reaches_every_parameter(config: SymTransNetConfig) -> None:
    model = built(config).train()
    model(image()).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    "other",
    [
        replace(SMALL, mirroring=Mirroring.NONE),
        replace(SMALL, mirror_moment=MirrorMoment.ONCE),
        replace(SMALL, position_of_mirrored=PositionOfMirrored.WHERE_IT_LANDS),
    ],
)
def test_every_choice_changes_the_result(other: SymTransNetConfig) -> None:
    # the same weights in both: these choices add no parameter of their own
    default = built(replace(SMALL, shares_embedding=True))
    changed = built(replace(other, shares_embedding=True))
    changed.load_state_dict(default.state_dict())
    # positions are small at first; enlarged, they are seen in the result
    for model in (default, changed):
        model.get_parameter("transformer.position_1ND").data.mul_(50)
    assert (default(image()) - changed(image())).abs().max() > 1e-4


def test_the_same_input_gives_the_same_output() -> None:
    assert torch.equal(built(SMALL)(image()), built(SMALL)(image()))


def test_a_size_that_cannot_be_halved_three_times_is_refused() -> None:
    with pytest.raises(ValueError, match="100 is not divisible by 8"):
        SymTransNetConfig(image_size=100)
