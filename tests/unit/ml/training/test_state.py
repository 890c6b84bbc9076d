"""The state: the average that follows, and what a file holds."""

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from config.errors import UsageError
from ml.training.recipes import Consistency, Recipe
from ml.training.state import flat, follow, load_state, save_state
from ml.training.train import begin

CPU = torch.device("cpu")


def test_the_average_moves_a_share_of_the_way(recipe: Recipe) -> None:
    state = begin(recipe, CPU, None)
    before = {name: tensor.clone() for name, tensor in state.average.state_dict().items()}
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.add_(1.0)
        for name, buffer in state.model.named_buffers():
            buffer.add_(2 if name.endswith("num_batches_tracked") else 1.0)
    follow(state.average, state.model, decay=0.9, step=1000)
    for name, tensor in state.average.state_dict().items():
        moved = 2 if name.endswith("num_batches_tracked") else 0.1
        torch.testing.assert_close(tensor, before[name] + moved)


def test_in_the_first_steps_the_average_follows_faster(recipe: Recipe) -> None:
    state = begin(recipe, CPU, None)
    name, parameter = next(state.model.named_parameters())
    before = parameter.detach().clone()
    with torch.no_grad():
        parameter.add_(1.0)
    follow(state.average, state.model, decay=0.9, step=0)
    torch.testing.assert_close(state.average.state_dict()[name], before + 0.9)


def test_adam_goes_on_with_moments_that_lie_as_its_weights_do(
    recipe: Recipe, tmp_path: Path
) -> None:
    state = begin(recipe, CPU, None)
    for parameter in state.model.parameters():
        parameter.grad = torch.randn_like(parameter)
    state.optimiser.step()
    state.step = 1
    save_state(tmp_path / "state", state, recipe)
    again = begin(recipe, CPU, None)
    load_state(tmp_path / "state", again, recipe)
    for old, new in zip(state.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(old, new)
        kept, read = state.optimiser.state[old], again.optimiser.state[new]
        for moment in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(kept[moment], read[moment])
            assert read[moment].stride() == new.stride()
        assert kept["step"] == read["step"] == 1


def test_a_setting_that_came_later_must_have_its_default(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settings_of_an_older_version(of: Recipe) -> dict[str, object]:
        told = asdict(of)
        del told["consistency"], told["data_digest"]
        return told

    with monkeypatch.context() as older:
        older.setattr("ml.training.state.asdict", settings_of_an_older_version)
        save_state(tmp_path / "state", begin(recipe, CPU, None), recipe)
    load_state(tmp_path / "state", begin(recipe, CPU, None), recipe)
    taught = replace(recipe, consistency=Consistency())
    with pytest.raises(UsageError, match=r"consistency\.batch_size was None and is 4"):
        load_state(tmp_path / "state", begin(recipe, CPU, None), taught)


def test_settings_are_flattened_to_what_a_card_holds() -> None:
    nested = {"rate": 0.1, "input": {"windows": ((50, 100),), "size": 4}, "teacher": None}
    assert flat(nested) == {
        "rate": 0.1,
        "input.windows": "[[50, 100]]",
        "input.size": 4,
        "teacher": "null",
    }
