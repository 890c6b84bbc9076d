"""The loop: deterministic by seed, resumable, and ending in a model that loads."""

from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from config.errors import UsageError
from ml.checkpoint import load
from ml.training.datasets import Splits
from ml.training.recipes import Recipe
from ml.training.train import finish, fit, learning_rate

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def differences(first: nn.Module, second: nn.Module) -> list[str]:
    other = second.state_dict()
    return [name for name, tensor in first.state_dict().items() if not tensor.equal(other[name])]


def test_the_same_seed_gives_the_same_weights(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    first = fit(recipe, splits, tmp_path / "first", device=CPU)
    again = fit(recipe, splits, tmp_path / "again", device=CPU)
    other = fit(replace(recipe, seed=1), splits, tmp_path / "other", device=CPU)
    assert not differences(first, again)
    assert differences(first, other)


def test_an_interrupted_training_ends_as_if_it_had_not_stopped(
    recipe: Recipe, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit(recipe, splits, tmp_path / "whole", device=CPU)

    class Stop(Exception):  # noqa: N818 - no error, a power cut
        pass

    def stop_in_the_third_step(*_: object) -> float:
        raise Stop

    out = tmp_path / "parts"
    with monkeypatch.context() as cut:
        cut.setattr(
            "ml.training.train.learning_rate",
            lambda of, step: learning_rate(of, step) if step < 2 else stop_in_the_third_step(),
        )
        with pytest.raises(Stop):
            fit(recipe, splits, out, device=CPU)
    fit(recipe, splits, out, device=CPU)
    whole = safetensors.torch.load_file(tmp_path / "whole" / "state.safetensors")
    resumed = safetensors.torch.load_file(out / "state.safetensors")
    assert whole.keys() == resumed.keys()
    assert not [name for name, tensor in whole.items() if not tensor.equal(resumed[name])]


def test_a_state_of_another_recipe_is_refused(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    fit(recipe, splits, tmp_path, device=CPU)
    with pytest.raises(UsageError, match="the state of another recipe"):
        fit(replace(recipe, batch_size=2), splits, tmp_path, device=CPU)


def test_training_learns_what_is_bright(recipe: Recipe, splits: Splits, tmp_path: Path) -> None:
    longer = replace(recipe, num_steps=150, validate_every=150, average_decay=0.9)
    model = fit(longer, splits, tmp_path, device=CPU)
    card = finish(longer, model, splits, tmp_path, device=CPU, model_version="1")
    assert card.metrics["validation/dice_ICH"] > 0.5


def test_the_end_is_a_model_that_loads(recipe: Recipe, splits: Splits, tmp_path: Path) -> None:
    model = fit(recipe, splits, tmp_path, device=CPU)
    written = finish(recipe, model, splits, tmp_path, device=CPU, model_version="1.2")
    loaded, card = load(tmp_path / "tiny.safetensors", CPU)
    assert card == written
    assert not differences(model, loaded)
    assert card.version == "1.2"
    assert card.input == recipe.input
    assert card.recipe["augmentation.flip"] == 0.5
    assert card.metrics["test/patients"] == 2
    assert "Synthetic head CT only" in card.data


def test_the_rate_rises_then_falls_to_its_last_value(recipe: Recipe) -> None:
    longer = replace(recipe, num_steps=1000, warmup_steps=10, learning_rate=1.0, final_rate=0.01)
    rates = [learning_rate(longer, step) for step in range(1000)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[500] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.01, rel=0.01)
