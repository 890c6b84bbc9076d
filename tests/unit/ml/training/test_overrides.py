"""Settings by name: kinds are those of the recipe, and mistakes are named."""

import pytest

from config.errors import UsageError
from ml.training.overrides import varied
from ml.training.recipes import Recipe, lite_mean_teacher, recipe_named


def test_settings_are_changed_by_name(recipe: Recipe) -> None:
    changed = varied(
        recipe,
        {
            "num_steps": "7",
            "learning_rate": "1e-3",
            "decay": "cosine",
            "class_weights": "[1, 2, 3, 4, 5, 6]",
            "network_config.num_layers": "0",
            "phantoms.num_train": "9",
        },
    )
    assert changed.num_steps == 7
    assert changed.learning_rate == 1e-3
    assert changed.decay == "cosine"
    assert changed.class_weights == (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    assert changed.network_config["num_layers"] == 0
    assert changed.phantoms.num_train == 9
    assert changed.input == recipe.input


def test_what_is_not_changed_is_the_same(recipe: Recipe) -> None:
    for same in (recipe, lite_mean_teacher(), recipe_named("full_phantom")):
        assert varied(same, {}) == same


@pytest.mark.parametrize(
    "name", ["steps", "phantoms.steps", "input", "seed.more", "nothing.at.all"]
)
def test_an_unknown_setting_is_refused_by_a_list_of_the_known_ones(
    recipe: Recipe, name: str
) -> None:
    with pytest.raises(UsageError, match=f"no setting '{name}'; known: name, network,"):
        varied(recipe, {name: "1"})


@pytest.mark.parametrize(
    ("name", "value"), [("num_steps", "many"), ("decay", "sudden"), ("batch_size", "1.5")]
)
def test_an_impossible_value_is_refused_by_its_name(recipe: Recipe, name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"impossible value in {name}"):
        varied(recipe, {name: value})
