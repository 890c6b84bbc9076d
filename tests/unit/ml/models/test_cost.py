"""What networks cost, against the paper and against the table in docs/networks.md."""

import re
from pathlib import Path

import pytest

from ml.models.cost import PUBLISHED_PARAMETERS_M, gflop_per_slice
from ml.models.registry import NETWORKS, Choices, num_parameters

DOCUMENT = Path(__file__).parents[4] / "docs" / "networks.md"

FULL_SIZE: Choices = {"in_channels": 1}
LITE: Choices = {"in_channels": 6, "image_size": 208}


def documented(name: str) -> list[str]:
    """The cells after the name in the row of a network."""
    row = re.search(rf"^\| `{name}` \|(.*)\|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE)
    assert row is not None, f"docs/networks.md has no row for {name}"
    return [cell.strip() for cell in row[1].split("|")]


@pytest.mark.parametrize("name", PUBLISHED_PARAMETERS_M)
def test_a_network_of_table_1_is_within_3_percent_of_its_size(name: str) -> None:
    ours_m = num_parameters(name, FULL_SIZE) / 1e6
    assert ours_m == pytest.approx(PUBLISHED_PARAMETERS_M[name], rel=0.03)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_document_states_what_the_code_has(name: str) -> None:
    lite = name == "sym-transnet-lite"
    config, size = (LITE, 208) if lite else (FULL_SIZE, 512)
    ours_m = num_parameters(name, config) / 1e6
    published_m = PUBLISHED_PARAMETERS_M.get(name)
    difference = "-" if published_m is None else f"{100 * (ours_m / published_m - 1):+.1f} %"
    assert documented(name)[:5] == [
        f"{ours_m:.3f}",
        "-" if published_m is None else f"{published_m:.2f}",
        difference,
        f"{size}",
        f"{gflop_per_slice(name, config, image_size=size):.1f}",
    ]


def test_a_transformer_layer_costs_what_arithmetic_says() -> None:
    # D = 32, N = 64: four projections, the perceptron, and twice N x N x D for the attention
    small: Choices = {"in_channels": 1, "base_width": 4, "num_heads": 2, "image_size": 64}
    one, two = (
        gflop_per_slice("sym-transnet", {**small, "num_layers": layers}, image_size=64)
        for layers in (1, 2)
    )
    tokens, width = 64, 32
    assert (two - one) * 1e9 == pytest.approx(24 * tokens * width**2 + 4 * tokens**2 * width)


def test_a_convolution_costs_two_operations_for_each_weight_and_pixel() -> None:
    config: Choices = {"in_channels": 1, "base_width": 8}
    difference = gflop_per_slice("unet", {**config, "num_classes": 3}, image_size=32)
    difference -= gflop_per_slice("unet", {**config, "num_classes": 2}, image_size=32)
    assert difference * 1e9 == pytest.approx(2 * 8 * 32 * 32)
