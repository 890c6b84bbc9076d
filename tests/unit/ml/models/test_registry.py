"""Networks by name, from settings as a card holds them."""

import pytest

from config.errors import ModelError
from ml.models.registry import NETWORKS, Choices, build, num_parameters
from ml.models.sym_transnet import SymTransNet
from ml.models.symmetric_transformer import Mirroring


def test_a_network_is_built_from_plain_values() -> None:
    config = {"image_size": 32, "base_width": 4, "num_heads": 2, "num_layers": 1}
    model = build("sym-transnet", config | {"mirroring": "none"})
    assert isinstance(model, SymTransNet)
    assert model.config.mirroring is Mirroring.NONE
    assert model.config.base_width == 4


def test_an_unknown_network_is_refused_by_a_list_of_the_known_ones() -> None:
    with pytest.raises(ModelError, match="no network 'v-net'; known: unet, du-unet, se-unet, da-n"):
        build("v-net", {})


@pytest.mark.parametrize("name", NETWORKS)
def test_an_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="has no 'depth'; known: in_channels"):
        build(name, {"depth": 3})


def test_an_impossible_value_is_refused_by_the_name_of_its_field() -> None:
    with pytest.raises(ModelError, match="impossible value in mirroring, num_layers"):
        build("sym-transnet", {"mirroring": "sideways", "num_layers": "many"})


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("unet", {"base_width": 0}, "UNetConfig: impossible value: base_width is 0, it must be at"),
        ("hr-net", {"in_channels": -1}, "in_channels is -1, it must be at least 1"),
        ("da-net", {"num_classes": 0}, "num_classes is 0, it must be at least 1"),
        ("du-unet", {"dilation": 0}, "dilation is 0, it must be at least 1"),
        ("sym-transnet", {"image_size": 100}, "image_size 100 is not divisible by 8"),
        ("sym-transnet", {"num_heads": 7}, "width 512 is not divisible by 7 heads"),
        ("sym-transnet", {"num_layers": -1}, "num_layers is -1, it must be at least 0"),
        ("sym-transnet-lite", {"in_channels": 6, "image_size": 200}, "200 is not divisible by 16"),
        (
            "sym-transnet-lite",
            {"in_channels": 6, "num_heads": 5},
            "192 is not divisible by 5 heads",
        ),
        ("unet-transformer", {"mirroring": "keys"}, "mirroring is keys; with it, this is sym-tran"),
    ],
)
def test_fields_that_allow_no_network_are_refused_with_the_rule(
    name: str, config: Choices, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        build(name, config)


def test_a_missing_field_without_default_is_refused() -> None:
    with pytest.raises(ModelError, match="impossible value in in_channels"):
        build("sym-transnet-lite", {})


def test_parameters_are_counted_without_taking_memory() -> None:
    # 10^12 numbers would not fit
    assert num_parameters("unet", {"base_width": 64 * 630}) > 9e11


@pytest.mark.parametrize("name", NETWORKS)
def test_the_count_is_that_of_the_network_which_is_built(name: str) -> None:
    config: Choices = {"in_channels": 2, "base_width": 4}
    parameters = build(name, config).parameters()
    assert num_parameters(name, config) == sum(parameter.numel() for parameter in parameters)
