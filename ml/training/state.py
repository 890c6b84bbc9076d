"""The state of a training on disk: everything that is needed to go on, in one safetensors file."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from config.errors import UsageError
from ml.preprocess import InputSpec
from ml.training.recipes import PhantomSource, Recipe

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
    poorer
        Validations since the best one.
    loss_scale
        By which the loss is multiplied in float16, and the steps since it last changed.
    """

    model: nn.Module
    optimiser: torch.optim.Adam
    average: nn.Module
    best: dict[str, Tensor] = field(default_factory=dict)
    best_dice: float = -1.0
    step: int = 0
    poorer: int = 0
    loss_scale: Mapping[str, float] = field(default_factory=dict)


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Move the average a little towards the model; faster in the first steps."""
    weight = 1 - min(decay, (1 + step) / (10 + step))
    averaged, current = _tensors(average), _tensors(model)
    pairs = list(zip(averaged, current, strict=True))
    moving = [(mean, now) for mean, now in pairs if mean.is_floating_point()]
    torch._foreach_lerp_([mean for mean, _ in moving], [now for _, now in moving], weight)
    for mean, now in pairs:
        if not mean.is_floating_point():
            mean.copy_(now)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def save_state(path: Path, state: TrainingState, recipe: Recipe) -> None:
    """Write the state; the file appears whole or not at all."""
    tensors = {f"model/{name}": value for name, value in state.model.state_dict().items()}
    tensors |= {f"average/{name}": value for name, value in state.average.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in state.best.items()}
    adam_steps = 0
    for name, parameter in state.model.named_parameters():
        if parameter in state.optimiser.state:
            kept = state.optimiser.state[parameter]
            adam_steps = int(kept["step"])
            tensors |= {f"{moment}/{name}": kept[moment] for moment in _MOMENTS}
    told = {
        "step": state.step,
        "adam_steps": adam_steps,
        "best_dice": state.best_dice,
        "poorer": state.poorer,
        "loss_scale": dict(state.loss_scale),
        "recipe": asdict(recipe),
    }
    whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    partial = path.with_suffix(".part")
    safetensors.torch.save_file(whole, partial, metadata={"state": json.dumps(told)})
    partial.replace(path)


def load_state(path: Path, state: TrainingState, recipe: Recipe) -> None:
    """Fill a fresh state with what `save_state` wrote.

    Raises
    ------
    UsageError
        If the file is from another recipe, or is no state.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})["state"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, KeyError) as error:
        raise UsageError(f"{path} is not the state of a training; choose another folder") from error
    _compare(path, told["recipe"], recipe)
    state.model.load_state_dict(_below("model/", tensors))
    state.average.load_state_dict(_below("average/", tensors))
    state.best = _below("best/", tensors)
    state.best_dice, state.step = float(told["best_dice"]), int(told["step"])
    state.poorer, state.loss_scale = int(told["poorer"]), told["loss_scale"]
    if told["adam_steps"]:
        _restore_moments(state, tensors, told["adam_steps"])


def _compare(path: Path, kept: Mapping[str, Any], recipe: Recipe) -> None:
    """Refuse to go on with another recipe.

    A setting that the file does not know is one that came later: it must have its default, which
    is what was done before it existed.
    """
    before, now = flat(kept), flat(asdict(recipe))
    default = flat(asdict(Recipe("", "", {}, InputSpec(), PhantomSource(0, 0, 0))))
    for name in sorted(before.keys() | now.keys()):
        was = before.get(name, default.get(name))
        if was != now.get(name):
            raise UsageError(
                f"{path} is the state of another recipe: {name} was {was} and is {now.get(name)}; "
                "choose another folder"
            )


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Name settings of settings ``outer.inner``; write sequences, and None, as JSON."""
    flattened: dict[str, str | int | float | bool] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flattened |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float | bool):
            flattened[prefix + key] = value
        else:
            flattened[prefix + key] = json.dumps(value)
    return flattened


@torch.no_grad()
def _restore_moments(state: TrainingState, tensors: dict[str, Tensor], steps: int) -> None:
    kept = {
        number: {
            "step": torch.tensor(float(steps)),
            # Adam's one call goes through memory: moments must lie there as their parameter does
            **{
                moment: torch.empty_like(parameter).copy_(tensors[f"{moment}/{name}"])
                for moment in _MOMENTS
            },
        }
        for number, (name, parameter) in enumerate(state.model.named_parameters())
    }
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": kept, "param_groups": groups})


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
