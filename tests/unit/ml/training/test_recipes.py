"""Recipes: each one makes a network that takes the input it names."""

import pytest
import torch

from config.errors import UsageError
from ml.models import registry
from ml.training.recipes import RECIPES, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_the_network_of_a_recipe_takes_its_input(name: str) -> None:
    recipe = recipe_named(name)
    spec = recipe.input
    with torch.device("meta"):
        model = registry.build(recipe.network, recipe.network_config)
        image_BCYX = torch.empty(1, spec.num_channels, spec.size, spec.size)
        assert model(image_BCYX).shape == (1, 6, spec.size, spec.size)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_weighs_each_class(name: str) -> None:
    assert len(recipe_named(name).class_weights) == 6


def test_an_unknown_recipe_is_refused_by_a_list_of_the_known_ones() -> None:
    with pytest.raises(UsageError, match="no recipe 'heavy'; known: lite_phantom, full_phantom,"):
        recipe_named("heavy")
