"""The end: a model that loads, with a card that says how it came about."""

from pathlib import Path

import torch

from ml.checkpoint import load
from ml.models import registry
from ml.training.datasets import Splits
from ml.training.finishing import finish
from ml.training.recipes import Recipe

CPU = torch.device("cpu")


def test_the_end_is_a_model_that_loads(recipe: Recipe, splits: Splits, tmp_path: Path) -> None:
    model = registry.build(recipe.network, recipe.network_config).eval()
    written = finish(recipe, model, splits, tmp_path, device=CPU, model_version="1.2")
    loaded, card = load(tmp_path / "tiny.safetensors", CPU)
    assert card == written
    for name, tensor in model.state_dict().items():
        assert tensor.equal(loaded.state_dict()[name])
    assert card.version == "1.2"
    assert card.input == recipe.input
    assert card.recipe["augmentation.flip"] == 0.5
    assert card.metrics["test/patients"] == 2
    assert "Synthetic head CT only" in card.data
