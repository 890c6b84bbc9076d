"""Sym-TransNet as published: its size, its choices, its gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ml.models.sym_transnet import (
    MirrorMoment,
    PositionOfMirrored,
    SymmetricTransformer,
    SymTransNet,
    SymTransNetConfig,
)
from ml.models.symmetric_transformer import Mirroring, mirror_tokens

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
        model.get_parameter("bridge.position_1ND").data.mul_(50)
    # with statistics of its own batch an untrained encoder does not fade
    assert (default.train()(image()) - changed.train()(image())).abs().max() > 1e-4


def test_the_same_input_gives_the_same_output() -> None:
    assert torch.equal(built(SMALL)(image()), built(SMALL)(image()))


def pass_transformer(config: SymTransNetConfig, feature_BCYX: Tensor, *, symmetric: bool) -> Tensor:
    """The transformer of seed 0, positions large enough to be seen, and if asked symmetric."""
    torch.manual_seed(0)
    transformer = SymmetricTransformer(replace(config, shares_embedding=True))
    with torch.no_grad():
        position_1ND = transformer.position_1ND.mul_(50)
        if symmetric:
            position_1ND += mirror_tokens(position_1ND, config.token_columns)
        passed_BCYX: Tensor = transformer(feature_BCYX)
    return passed_BCYX


def feature() -> Tensor:
    return torch.randn(1, 32, 4, 4, generator=torch.Generator().manual_seed(2))


def test_mirrored_values_undo_what_mirrored_keys_do_in_the_whole_transformer() -> None:
    both = replace(SMALL, mirroring=Mirroring.KEYS_AND_VALUES)
    plain_BCYX = pass_transformer(
        replace(SMALL, mirroring=Mirroring.NONE), feature(), symmetric=False
    )
    both_BCYX = pass_transformer(both, feature(), symmetric=False)
    assert (both_BCYX - plain_BCYX).abs().max() < 5e-6
    keys_BCYX = pass_transformer(SMALL, feature(), symmetric=False)
    assert (keys_BCYX - plain_BCYX).abs().max() > 0.1


def test_mirrored_values_undo_nothing_where_position_is_not_flipped_along() -> None:
    lands = replace(
        SMALL,
        mirroring=Mirroring.KEYS_AND_VALUES,
        mirror_moment=MirrorMoment.ONCE,
        position_of_mirrored=PositionOfMirrored.WHERE_IT_LANDS,
    )
    plain_BCYX = pass_transformer(
        replace(SMALL, mirroring=Mirroring.NONE), feature(), symmetric=False
    )
    assert (pass_transformer(lands, feature(), symmetric=False) - plain_BCYX).abs().max() > 0.1


def test_a_symmetric_brain_is_read_as_by_a_plain_transformer() -> None:
    symmetric_BCYX = feature() + feature().flip(3)
    plain_BCYX = pass_transformer(
        replace(SMALL, mirroring=Mirroring.NONE), symmetric_BCYX, symmetric=True
    )
    keys_BCYX = pass_transformer(SMALL, symmetric_BCYX, symmetric=True)
    torch.testing.assert_close(keys_BCYX, plain_BCYX, rtol=0, atol=5e-6)


@pytest.mark.parametrize("moment", MirrorMoment)
def test_each_layer_is_given_the_mirrored_tokens_of_its_moment(moment: MirrorMoment) -> None:
    torch.manual_seed(0)
    transformer = SymmetricTransformer(replace(SMALL, mirror_moment=moment))
    flat_BND = feature().flatten(2).transpose(1, 2)
    position_1ND = transformer.position_1ND
    assert transformer.mirrored_embedding is not None
    mirrored_BND = transformer.mirrored_embedding(mirror_tokens(flat_BND, 4))
    mirrored_BND = mirrored_BND + mirror_tokens(position_1ND, 4)
    tokens_BND = transformer.embedding(flat_BND) + position_1ND
    tokens_BND = transformer.layers[0](tokens_BND, mirrored_BND)
    if moment is MirrorMoment.EACH_LAYER:
        mirrored_BND = mirror_tokens(tokens_BND, 4)
    tokens_BND = transformer.norm(transformer.layers[1](tokens_BND, mirrored_BND))
    expected_BCYX = tokens_BND.transpose(1, 2).reshape(1, 32, 4, 4)
    torch.testing.assert_close(transformer(feature()), expected_BCYX)


def test_one_block_read_literally_is_five_times_too_small_for_the_paper() -> None:
    assert count(SymTransNetConfig(num_layers=1)) == pytest.approx(8.27e6, rel=0.002)


def test_a_size_that_cannot_be_halved_three_times_is_refused() -> None:
    with pytest.raises(ValueError, match="100 is not divisible by 8"):
        SymTransNetConfig(image_size=100)
