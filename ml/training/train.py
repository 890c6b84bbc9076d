"""The training loop: a recipe and patients in, the network that did best on validation out."""

import copy
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ml.checkpoint import load
from ml.inference import Precision
from ml.models import registry
from ml.training.batches import prepared_ahead
from ml.training.datasets import Case, Splits
from ml.training.distributed import ALONE, Team
from ml.training.evaluate import patient_dice
from ml.training.optimisation import (
    choose_training_precision,
    computing,
    learning_rate,
    make_adam,
)
from ml.training.pictures import overlays
from ml.training.recipes import Recipe
from ml.training.record import Record
from ml.training.state import TrainingState, load_state, save_state
from ml.training.step import Stepper, batch_maker
from ml.training.teacher import divide
from ml.volume import Subtype

logger = logging.getLogger(__name__)

STATE_NAME = "state.safetensors"


def fit(
    recipe: Recipe,
    splits: Splits,
    out: Path,
    *,
    device: torch.device,
    begin_with: Path | None = None,
    precision: Precision = Precision.FP32,
    save_minutes: float = 5.0,
    clock: Callable[[], float] = time.monotonic,
    team: Team = ALONE,
    tensorboard: bool = False,
) -> nn.Module:
    """Train the network of a recipe; return the one that did best on validation.

    The folder `out` receives ``state.safetensors`` now and then, and ``log.jsonl`` a line for each
    step. If a state is there already, training goes on from it as if it had never stopped.

    Parameters
    ----------
    recipe
        Every setting that decides what comes out, with `precision`.
    splits
        Patients to learn from and to validate on.
    out
        Folder; made if missing.
    device
        Where the network is trained.
    begin_with
        Weights of the same network to begin with instead of random ones.
    precision
        Number format of convolutions and products; see `choose_training_precision`.
    save_minutes
        The longest time that an interruption may cost.
    clock
        Seconds that pass.
    team
        Processes among which each batch is shared out; all see the same folder.
    tensorboard
        Whether ``out/tensorboard`` receives events.

    Raises
    ------
    UsageError
        If `out` holds the state of another recipe, the device lacks the precision, or a batch
        cannot be shared out.
    """
    out.mkdir(parents=True, exist_ok=True)
    state = begin(recipe, device, begin_with)
    kept = out / STATE_NAME
    if kept.exists():
        load_state(kept, state, recipe)
        logger.info("going on from step %d", state.step)
    precision = choose_training_precision(precision, device)
    stepper = Stepper(recipe, state, device=device, precision=precision, team=team)
    with Record(out, recipe, state.step, silent=not team.leads, tensorboard=tensorboard) as record:
        _take_steps(stepper, splits, kept, record, save_minutes=save_minutes, clock=clock)
    state.average.load_state_dict(state.best)
    return state.average


def _take_steps(
    take_step: Stepper,
    splits: Splits,
    kept: Path,
    record: Record,
    *,
    save_minutes: float,
    clock: Callable[[], float],
) -> None:
    """Take the steps that are left; the state is kept now and then."""
    recipe, state, team = take_step.recipe, take_step.state, take_step.team
    device = take_step.device
    labelled, unlabelled = divide(splits, recipe.consistency)
    watched = splits.validation[: recipe.num_watched]
    batches = prepared_ahead(
        batch_maker(labelled, unlabelled, recipe, team), range(state.step, recipe.num_steps)
    )
    saved_at = clock()
    with closing(batches) as prepared:
        while state.step < recipe.num_steps and not _waited_enough(recipe, state):
            rate = learning_rate(recipe, state.step)
            loss = take_step(next(prepared), rate)
            record.step(state.step, loss=loss, rate=rate)
            if state.step % recipe.validate_every == 0 or state.step == recipe.num_steps:
                with computing(take_step.precision, device):
                    figures = validate(state, watched, device, team)
                    record.validation(
                        state.step, figures, lambda: overlays(state.average, watched, device)
                    )
            elif clock() - saved_at < 60 * save_minutes:
                continue
            if team.leads:
                save_state(kept, state, recipe)
            saved_at = clock()


def begin(recipe: Recipe, device: torch.device, begin_with: Path | None) -> TrainingState:
    """Make the network of a recipe, with its optimiser, before the first step."""
    torch.manual_seed(recipe.seed)
    model = registry.build(recipe.network, recipe.network_config)
    if begin_with is not None:
        model.load_state_dict(load(begin_with, device)[0].state_dict())
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).eval().requires_grad_(False)
    return TrainingState(model, make_adam(model, recipe), average)


def validate(
    state: TrainingState, cases: Sequence[Case], device: torch.device, team: Team = ALONE
) -> dict[str, float]:
    """Keep the averaged weights if they beat the best so far.

    Returns
    -------
    dict
        Mean Dice over the patients who have it, of any subtype (``dice_ICH``) and of each; and
        ``dice``, the mean of these, which is what decides.
    """
    ratios = np.zeros((len(cases), 1 + len(Subtype)))
    for number in range(team.rank, len(cases), team.size):
        ratios[number] = patient_dice(state.average, cases[number], device)
    ratios = team.total(ratios)
    figures = {
        f"dice_{name}": round(float(np.nanmean(column)), 4)
        for name, column in zip(("ICH", *(each.name for each in Subtype)), ratios.T, strict=True)
        if not np.isnan(column).all()
    }
    dice = sum(figures.values()) / max(len(figures), 1)
    state.poorer += 1
    if dice > state.best_dice:
        state.best_dice, state.poorer = dice, 0
        averaged = state.average.state_dict()
        state.best = {name: tensor.clone() for name, tensor in averaged.items()}
    return {"dice": round(dice, 4), **figures}


def _waited_enough(recipe: Recipe, state: TrainingState) -> bool:
    """Say whether validation has not improved for so long that training ends early."""
    return 0 < recipe.patience <= state.poorer
