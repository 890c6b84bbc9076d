"""The symmetric prior: what mirroring of keys and values does, and what it does not."""

import pytest
import torch
from torch import Tensor

from ml.models.symmetric_transformer import Mirroring, SymmetricTransformerLayer, mirror_tokens

COLUMNS = 16


def pass_layer(mirroring: Mirroring, tokens_BND: Tensor) -> Tensor:
    """One layer; its weights are the same for every kind of mirroring."""
    torch.manual_seed(0)
    layer = SymmetricTransformerLayer(width=64, num_heads=4, mlp_ratio=2, mirroring=mirroring)
    with torch.no_grad():
        passed_BND: Tensor = layer(tokens_BND, mirror_tokens(tokens_BND, COLUMNS))
    return passed_BND


def random_tokens() -> Tensor:
    return torch.randn(1, COLUMNS**2, 64, generator=torch.Generator().manual_seed(1))


def test_mirroring_tokens_exchanges_left_and_right_in_each_row() -> None:
    tokens_BND = torch.arange(6.0).reshape(1, 6, 1)
    assert mirror_tokens(tokens_BND, columns=3).flatten().tolist() == [2, 1, 0, 5, 4, 3]


def test_mirrored_keys_and_values_together_are_plain_attention() -> None:
    tokens_BND = random_tokens()
    plain_BND = pass_layer(Mirroring.NONE, tokens_BND)
    both_BND = pass_layer(Mirroring.KEYS_AND_VALUES, tokens_BND)
    assert (plain_BND - both_BND).abs().max() < 2e-6


def test_mirrored_keys_alone_are_not_plain_attention() -> None:
    tokens_BND = random_tokens()
    plain_BND = pass_layer(Mirroring.NONE, tokens_BND)
    keys_BND = pass_layer(Mirroring.KEYS, tokens_BND)
    assert (plain_BND - keys_BND).abs().max() > 0.01


def test_on_a_symmetric_map_mirrored_keys_are_plain_attention() -> None:
    tokens_BND = random_tokens()
    symmetric_BND = (tokens_BND + mirror_tokens(tokens_BND, COLUMNS)) / 2
    plain_BND = pass_layer(Mirroring.NONE, symmetric_BND)
    keys_BND = pass_layer(Mirroring.KEYS, symmetric_BND)
    torch.testing.assert_close(keys_BND, plain_BND, rtol=0, atol=1e-6)


def test_a_mirrored_map_gives_the_mirrored_output() -> None:
    tokens_BND = random_tokens()
    passed_BND = pass_layer(Mirroring.KEYS, tokens_BND)
    of_mirrored_BND = pass_layer(Mirroring.KEYS, mirror_tokens(tokens_BND, COLUMNS))
    assert (of_mirrored_BND - mirror_tokens(passed_BND, COLUMNS)).abs().max() < 1e-5


def test_a_width_that_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="64 is not divisible by 5"):
        SymmetricTransformerLayer(width=64, num_heads=5, mlp_ratio=2)
