"""The loop: deterministic by seed, resumable, and as good as its best validation."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from config.errors import UsageError
from ml.inference import Precision
from ml.training.datasets import Splits
from ml.training.evaluate import patient_dice
from ml.training.logbook import read_log
from ml.training.optimisation import learning_rate
from ml.training.recipes import Recipe
from ml.training.train import STATE_NAME, fit

CPU = torch.device("cpu")


def differences(first: nn.Module, second: nn.Module) -> list[str]:
    other = second.state_dict()
    return [name for name, tensor in first.state_dict().items() if not tensor.equal(other[name])]


def state_of(out: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(out / STATE_NAME)


class PowerCutError(Exception):
    pass


@pytest.fixture
def power_cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Cut the power in the third step."""

    def rate_until_then(recipe: Recipe, step: int) -> float:
        if step == 2:
            raise PowerCutError
        return learning_rate(recipe, step)

    with monkeypatch.context() as cut:
        cut.setattr("ml.training.train.learning_rate", rate_until_then)
        yield cut


def test_the_same_seed_gives_the_same_weights(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    first = fit(recipe, splits, tmp_path / "first", device=CPU)
    again = fit(recipe, splits, tmp_path / "again", device=CPU)
    other = fit(replace(recipe, seed=1), splits, tmp_path / "other", device=CPU)
    assert not differences(first, again)
    assert differences(first, other)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.BF16])
def test_an_interrupted_training_ends_as_if_it_had_not_stopped(
    recipe: Recipe,
    splits: Splits,
    tmp_path: Path,
    power_cut: pytest.MonkeyPatch,
    precision: Precision,
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    with pytest.raises(PowerCutError):
        fit(recipe, splits, parts, device=CPU, precision=precision)
    power_cut.undo()
    fit(recipe, splits, parts, device=CPU, precision=precision)
    fit(recipe, splits, whole, device=CPU, precision=precision)
    expected, resumed = state_of(whole), state_of(parts)
    assert expected.keys() == resumed.keys()
    assert not [name for name, tensor in expected.items() if not tensor.equal(resumed[name])]
    assert read_log(parts) == read_log(whole)


def test_the_state_is_written_every_few_minutes(
    recipe: Recipe, splits: Splits, tmp_path: Path, power_cut: pytest.MonkeyPatch
) -> None:
    rarely = replace(recipe, validate_every=100)
    with pytest.raises(PowerCutError):
        fit(rarely, splits, tmp_path / "slow", device=CPU, save_minutes=5, clock=count().__next__)
    assert not (tmp_path / "slow" / STATE_NAME).exists()
    minutes = count(0, 60)
    with pytest.raises(PowerCutError):
        fit(rarely, splits, tmp_path, device=CPU, save_minutes=2, clock=minutes.__next__)
    power_cut.undo()
    with safetensors.safe_open(tmp_path / STATE_NAME, framework="pt") as file:
        assert '"step": 2' in file.metadata()["state"]


def test_every_step_and_every_validation_is_logged(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    fit(recipe, splits, tmp_path, device=CPU)
    lines = read_log(tmp_path)
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert [line["step"] for line in lines if "validation" in line] == [2, 3]
    assert lines[0]["rate"] == learning_rate(recipe, 0)


def test_a_training_that_gets_no_better_ends_early(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    # a network that does not move has its best validation first
    still = replace(
        recipe, learning_rate=1e-20, final_rate=1e-20, validate_every=1, num_steps=50, patience=3
    )
    model = fit(still, splits, tmp_path, device=CPU)
    steps = max(line["step"] for line in read_log(tmp_path))
    assert steps < 50
    assert not differences(model, fit(still, splits, tmp_path, device=CPU))
    assert max(line["step"] for line in read_log(tmp_path)) == steps


def test_a_state_of_another_recipe_is_refused_by_the_setting(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    fit(recipe, splits, tmp_path, device=CPU)
    with pytest.raises(UsageError, match="another recipe: batch_size was 4 and is 2"):
        fit(replace(recipe, batch_size=2), splits, tmp_path, device=CPU)


def test_a_file_that_is_no_state_is_refused(recipe: Recipe, splits: Splits, tmp_path: Path) -> None:
    (tmp_path / STATE_NAME).write_bytes(b"no state")
    with pytest.raises(UsageError, match="not the state of a training"):
        fit(recipe, splits, tmp_path, device=CPU)


def test_training_learns_what_is_bright(recipe: Recipe, splits: Splits, tmp_path: Path) -> None:
    longer = replace(recipe, num_steps=150, validate_every=150, average_decay=0.9)
    model = fit(longer, splits, tmp_path, device=CPU)
    assert patient_dice(model, splits.validation[0], CPU)[0] > 0.5


def test_losses_fall_in_bfloat16_too(recipe: Recipe, splits: Splits, tmp_path: Path) -> None:
    longer = replace(recipe, num_steps=150, validate_every=150, average_decay=0.9)
    fit(longer, splits, tmp_path, device=CPU, precision=Precision.BF16)
    losses = [line["loss"] for line in read_log(tmp_path) if "loss" in line]
    assert np.mean(losses[-50:]) < 0.5 * np.mean(losses[:5])
