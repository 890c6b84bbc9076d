"""A team's parts, one process alone: `tests/acceptance/test_training.py` has two of them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, nn

from config.errors import UsageError
from ml.models import registry
from ml.training.distributed import (
    ALONE,
    SharedBatchNorm2d,
    Team,
    check_shares,
    own_device,
    shared,
    team_of_torchrun,
)
from ml.training.recipes import Recipe

CPU = torch.device("cpu")


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """Form a group of one, so that a sum over the group is what the process has."""
    store = distributed.FileStore(str(tmp_path / "store"), 1)
    distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_shared_normalisation_is_batch_normalisation() -> None:
    torch.manual_seed(0)
    plain, sharing = nn.BatchNorm2d(3), SharedBatchNorm2d(3)
    with torch.no_grad():
        plain.weight.uniform_()
        plain.bias.uniform_()
    sharing.load_state_dict(plain.state_dict())
    for _ in range(3):
        first = (torch.randn(4, 3, 5, 5) * 3 + 2).requires_grad_()
        second = first.detach().clone().requires_grad_()
        wanted, got = plain(first), sharing(second)
        towards = torch.randn_like(wanted)
        wanted.backward(towards)
        got.backward(towards)
        torch.testing.assert_close(got, wanted)
        torch.testing.assert_close(second.grad, first.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(sharing.weight.grad, plain.weight.grad, atol=1e-4, rtol=1e-4)
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(sharing.state_dict()[name], tensor)
    image = torch.randn(2, 3, 5, 5)
    torch.testing.assert_close(sharing.eval()(image), plain.eval()(image))


@pytest.mark.usefixtures("group")
def test_a_shared_network_keeps_its_parameters_and_their_names(recipe: Recipe) -> None:
    model = registry.build(recipe.network, recipe.network_config)
    before = {name: tensor.data_ptr() for name, tensor in model.state_dict().items()}
    shared(model, Team(0, 2), CPU)
    assert {name: tensor.data_ptr() for name, tensor in model.state_dict().items()} == before
    normalising = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert normalising
    assert all(isinstance(module, SharedBatchNorm2d) for module in normalising)


def test_one_alone_shares_nothing(recipe: Recipe) -> None:
    model = registry.build(recipe.network, recipe.network_config)
    assert shared(model, ALONE, CPU) is model
    logits, labels = torch.zeros(1, 6, 2, 2), torch.zeros(1, 2, 2)
    assert ALONE.whole_batch(logits, labels) == (logits, labels)
    assert ALONE.mean(0.5) == 0.5
    assert ALONE.total(np.array([1.0])).tolist() == [1.0]


def test_a_batch_that_cannot_be_shared_out_evenly_is_refused() -> None:
    check_shares(Team(0, 4), 8)
    with pytest.raises(UsageError, match="a batch of 8 slices cannot be shared out to 3"):
        check_shares(Team(0, 3), 4 * 3, 8)


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with team_of_torchrun(CPU) as team:
        assert team == ALONE


def test_processes_that_cannot_meet_are_told_how_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="start them with torchrun"), team_of_torchrun(CPU):
        pass


def test_each_process_of_a_machine_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [own_device(name) for name in ("cuda", "cuda:1", "cpu")] == ["cuda:3", "cuda:1", "cpu"]
