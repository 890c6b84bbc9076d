"""The state of a training on disk: everything that is needed to go on, in one safetensors file."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from config.errors import UsageError

_MOMENTS = ("exp_avg", "exp_avg_sq")
"""What Adam keeps for each parameter, beside the number of steps."""


@dataclass(eq=False)
class TrainingState:
    """What changes in the course of a training.

    Attributes
    ----------
    model, optimiser
        The network and its Adam.
    average
        The network with the moving average of the weights.
    best
        Weights of the average that did best on validation; empty before the first validation.
    best_dice
        And how well it did.
    step
        Steps done.
    """

    model: nn.Module
    optimiser: torch.optim.Adam
    average: nn.Module
    best: dict[str, Tensor] = field(default_factory=dict)
    best_dice: float = -1.0
    step: int = 0


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the average a little towards the model; faster in the first steps."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    averaged = average.state_dict()
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            averaged[name].lerp_(tensor, weight)
        else:
            averaged[name].copy_(tensor)


def save_state(path: Path, state: TrainingState, recipe_digest: str) -> None:
    """Write the state; the file appears whole or not at all."""
    tensors = {f"model/{name}": value for name, value in state.model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in state.average.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in state.best.items()}
    for name, parameter in state.model.named_parameters():
        for moment in _MOMENTS:
            if parameter in state.optimiser.state:
                tensors[f"{moment}/{name}"] = state.optimiser.state[parameter][moment]
    told = {"step": state.step, "best_dice": state.best_dice, "recipe": recipe_digest}
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    partial = path.with_suffix(".part")
    safetensors.torch.save_file(whole, partial, metadata={"state": json.dumps(told)})
    partial.replace(path)


def load_state(path: Path, state: TrainingState, recipe_digest: str) -> None:
    """Fill a fresh state with what `save_state` wrote.

    Raises
    ------
    UsageError
        If the file is from another recipe.
    """
    with safetensors.safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if told["recipe"] != recipe_digest:
        raise UsageError(f"{path} is the state of another recipe; choose another folder")
    state.model.load_state_dict(_below("model/", tensors))
    state.average.load_state_dict(_below("average/", tensors))
    state.best = _below("best/", tensors)
    state.best_dice, state.step = float(told["best_dice"]), int(told["step"])
    if state.step:
        _restore_moments(state, tensors)


def _restore_moments(state: TrainingState, tensors: dict[str, Tensor]) -> None:
    kept = {
        number: {
            "step": torch.tensor(float(state.step)),
            **{moment: tensors[f"{moment}/{name}"] for moment in _MOMENTS},
        }
        for number, (name, _) in enumerate(state.model.named_parameters())
    }
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": kept, "param_groups": groups})


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
