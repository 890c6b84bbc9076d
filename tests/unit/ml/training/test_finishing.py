"""The end: a model that loads, with a card that says how it came about."""

from dataclasses import replace
from pathlib import Path

import torch

from ml.checkpoint import load
from ml.familiarity import LEAST_VOLUMES
from ml.models import registry
from ml.training.datasets import Splits
from ml.training.evaluate import assess
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


def test_the_card_is_calibrated_on_validation_alone(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    model = registry.build(recipe.network, recipe.network_config).eval()
    whole = finish(recipe, model, splits, tmp_path, device=CPU, model_version="1")
    without_test = replace(splits, test=())
    same = finish(recipe, model, without_test, tmp_path, device=CPU, model_version="1")
    assert (same.temperature, same.thresholds) == (whole.temperature, whole.thresholds)
    unvalidated = replace(splits, validation=())
    card = finish(recipe, model, unvalidated, tmp_path, device=CPU, model_version="1")
    assert card.temperature == 1
    assert card.thresholds.lower_score == 0, "nobody may be called negative unproven"
    assert card.thresholds.upper_score == 1


def test_logits_are_divided_by_the_temperature(splits: Splits, recipe: Recipe) -> None:
    torch.manual_seed(0)
    model = registry.build(recipe.network, recipe.network_config).eval()
    case = splits.validation[0]
    sharp, soft = (assess(model, case, CPU, temperature=t) for t in (0.5, 5.0))
    assert (sharp.said.labels == soft.said.labels).mean() > 0.999, "rounding aside"
    assert soft.score != sharp.score


def test_how_heads_look_is_learned_from_enough_of_them(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    model = registry.build(recipe.network, recipe.network_config).eval()
    few = finish(recipe, model, splits, tmp_path, device=CPU, model_version="1")
    assert few.familiarity is None
    many = replace(splits, train=splits.train * LEAST_VOLUMES)
    card = finish(recipe, model, many, tmp_path, device=CPU, model_version="1")
    assert card.familiarity is not None
