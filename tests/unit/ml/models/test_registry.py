"""Networks by name, from settings as a card holds them."""

import pytest

from config.errors import ModelError
from ml.models.registry import NETWORKS, build
from ml.models.sym_transnet import SymTransNet
from ml.models.symmetric_transformer import Mirroring


def test_a_network_is_built_from_plain_values() -> None:
    config = {"image_size": 32, "base_width": 4, "num_heads": 2, "num_layers": 1}
    model = build("sym-transnet", config | {"mirroring": "none"})
    assert isinstance(model, SymTransNet)
    assert model.config.mirroring is Mirroring.NONE
    assert model.config.base_width == 4


def test_an_unknown_network_is_refused_by_a_list_of_the_known_ones() -> None:
    with pytest.raises(ModelError, match="no network 'unet'; known: sym-transnet, sym-transnet-l"):
        build("unet", {})


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="has no 'depth'; known: in_channels"):
        build(name, {"depth": 3})


def test_an_impossible_value_is_refused_by_the_name_of_its_field() -> None:
    with pytest.raises(ModelError, match="impossible value in mirroring, num_layers"):
        build("sym-transnet", {"mirroring": "sideways", "num_layers": "many"})


def test_fields_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ModelError, match="impossible value"):
        build("sym-transnet", {"image_size": 100})


def test_a_missing_field_without_default_is_refused() -> None:
    with pytest.raises(ModelError, match="impossible value in in_channels"):
        build("sym-transnet-lite", {})
