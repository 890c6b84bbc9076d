"""The training loop: one recipe in, one model with its card out.

``python -m ml.training.train lite_phantom --out DIR`` trains, or goes on where it stopped.
"""

import copy
import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import Progress
from torch import nn

from ml.checkpoint import ModelCard, card_path, load, read_card, save
from ml.models import registry
from ml.training.batches import draw_batch, index_slices
from ml.training.datasets import Case, Splits, prepare
from ml.training.evaluate import Outcome, assess, choose_thresholds, mean_dice, measure
from ml.training.losses import SegmentationLoss
from ml.training.recipes import Recipe, recipe_named
from ml.training.state import TrainingState, follow, load_state, save_state
from ml.volume import Subtype

logger = logging.getLogger(__name__)

_LARGEST_GRADIENT = 1.0
_LOG_EVERY = 50


def train(
    recipe_name: str,
    out: Path,
    *,
    cache: Path,
    device: torch.device,
    model_version: str,
    begin_with: Path | None = None,
    num_workers: int = 2,
    bfloat16: bool = False,
) -> ModelCard:
    """Make the patients of a recipe, train its network, and write the model.

    Parameters
    ----------
    recipe_name
        A function of `ml.training.recipes`.
    out
        Folder for the state and, at the end, for weights and card.
    cache
        Folder for the synthetic patients.
    device
        Where the network is trained.
    model_version
        Version that the card will bear.
    begin_with
        Weights of the same network to begin with instead of random ones; the card names them.
    num_workers
        Processes that make patients.
    bfloat16
        Whether convolutions and products run in bfloat16; worth it on GPUs, and on CPUs with AMX.

    Raises
    ------
    UsageError
        If there is no such recipe, or if `out` holds the state of another one.
    ModelError
        If the weights to begin with cannot be loaded.
    """
    recipe = recipe_named(recipe_name)
    if begin_with is not None:
        recipe = replace(recipe, begin_with_sha256=read_card(card_path(begin_with)).weights_sha256)
    splits = prepare(recipe.phantoms, recipe.input, cache, num_workers=num_workers)
    model = fit(recipe, splits, out, device=device, begin_with=begin_with, bfloat16=bfloat16)
    return finish(recipe, model, splits, out, device=device, model_version=model_version)


def fit(
    recipe: Recipe,
    splits: Splits,
    out: Path,
    *,
    device: torch.device,
    begin_with: Path | None = None,
    bfloat16: bool = False,
) -> nn.Module:
    """Train the network of a recipe; return the one that did best on validation.

    The folder `out` receives ``state.safetensors`` at each validation. If it is there already,
    training goes on from it, and gives what it would have given without the interruption.
    """
    out.mkdir(parents=True, exist_ok=True)
    state = _begin(recipe, device, begin_with)
    kept = out / "state.safetensors"
    digest = hashlib.sha256(json.dumps(asdict(recipe), sort_keys=True).encode()).hexdigest()
    if kept.exists():
        load_state(kept, state, digest)
        logger.info("going on from step %d", state.step)
    loss_of = SegmentationLoss(recipe.class_weights).to(device)
    index = index_slices(splits.train)
    losses: list[float] = []
    with Progress() as progress:
        bar = progress.add_task(recipe.name, total=recipe.num_steps, completed=state.step)
        while state.step < recipe.num_steps:
            image_BCYX, labels_BYX = draw_batch(splits.train, index, recipe, state.step)
            image_BCYX = image_BCYX.to(device, memory_format=torch.channels_last)
            for group in state.optimiser.param_groups:
                group["lr"] = learning_rate(recipe, state.step)
            state.model.train()
            with torch.autocast(device.type, dtype=torch.bfloat16, enabled=bfloat16):
                logits_BCYX = state.model(image_BCYX)
            loss = loss_of(logits_BCYX.float(), labels_BYX.to(device))
            state.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(state.model.parameters(), _LARGEST_GRADIENT)
            state.optimiser.step()
            follow(state.average, state.model, recipe.average_decay, state.step)
            state.step += 1
            losses.append(loss.item())
            progress.update(bar, completed=state.step)
            if state.step % _LOG_EVERY == 0:
                recent = losses[-_LOG_EVERY:]
                logger.info("step %d: loss %.4f", state.step, sum(recent) / len(recent))
            if state.step % recipe.validate_every == 0 or state.step == recipe.num_steps:
                _validate(state, splits.validation[: recipe.num_watched], device)
                save_state(kept, state, digest)
    state.average.load_state_dict(state.best)
    return state.average


def finish(
    recipe: Recipe,
    model: nn.Module,
    splits: Splits,
    out: Path,
    *,
    device: torch.device,
    model_version: str,
) -> ModelCard:
    """Choose thresholds on validation, measure validation and test, write weights and card."""
    validated = _assess_all(model, splits.validation, device)
    thresholds = choose_thresholds(validated)
    tested = _assess_all(model, splits.test, device)
    phantoms = recipe.phantoms
    card = ModelCard(
        name=recipe.name,
        version=model_version,
        network=recipe.network,
        network_config=recipe.network_config,
        input=recipe.input,
        thresholds=thresholds,
        data=(
            f"Synthetic head CT only, no patient: {phantoms.num_train} heads for training, "
            f"{phantoms.num_validation} for validation (thresholds, choice of weights), "
            f"{phantoms.num_test} for test; {phantoms.healthy:.0%} of them without a bleed. "
            "All metrics are from synthetic heads and say nothing about patients."
        ),
        recipe=_flat(asdict(recipe)),
        metrics={
            **measure(validated, thresholds, prefix="validation"),
            **measure(tested, thresholds, prefix="test"),
        },
        code_version=_code_version(),
    )
    return save(out / f"{recipe.name}.safetensors", model, card)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Rate of a step: a linear rise, then an exponential decay."""
    decay = math.log(recipe.final_rate / recipe.learning_rate) * step / recipe.num_steps
    return recipe.learning_rate * math.exp(decay) * min(1.0, (step + 1) / recipe.warmup_steps)


def _begin(recipe: Recipe, device: torch.device, begin_with: Path | None) -> TrainingState:
    torch.manual_seed(recipe.seed)
    model = registry.build(recipe.network, recipe.network_config)
    if begin_with is not None:
        model.load_state_dict(load(begin_with, device)[0].state_dict())
    model = model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    average = copy.deepcopy(model).eval().requires_grad_(False)
    return TrainingState(model, optimiser, average)


def _validate(state: TrainingState, cases: Sequence[Case], device: torch.device) -> None:
    """Keep the averaged weights if they beat the best so far."""
    outcomes = _assess_all(state.average, cases, device)
    pairs = [(each.truth, each.said) for each in outcomes]
    ratios = {subtype: mean_dice(pairs, subtype) for subtype in (None, *Subtype)}
    present = [ratio for ratio, num_patients in ratios.values() if num_patients]
    dice = sum(present) / max(len(present), 1)
    logger.info("step %d: validation %s", state.step, [round(each, 3) for each in present])
    if dice > state.best_dice:
        state.best_dice = dice
        averaged = state.average.state_dict()
        state.best = {name: tensor.clone() for name, tensor in averaged.items()}


def _assess_all(model: nn.Module, cases: Sequence[Case], device: torch.device) -> list[Outcome]:
    return [assess(model, case, device) for case in cases]


def _flat(
    settings: Mapping[str, object], prefix: str = ""
) -> Mapping[str, str | int | float | bool]:
    """Name settings of settings ``outer.inner``; write sequences as JSON."""
    flat: dict[str, str | int | float | bool] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str | int | float | bool):
            flat[prefix + key] = value
        else:
            flat[prefix + key] = json.dumps(value)
    return flat


def _code_version() -> str:
    try:
        return version("midline")
    except PackageNotFoundError:
        return "unreleased"


def main(
    recipe: str,
    *,
    out: Annotated[Path, typer.Option(help="Folder for state, weights and card.")],
    cache: Annotated[Path, typer.Option(help="Folder for synthetic patients.")] = Path("cache"),
    device: str = "cpu",
    model_version: str = "0.1.0",
    threads: Annotated[int, typer.Option(help="Threads of torch, and processes.")] = 2,
    begin_with: Annotated[Path | None, typer.Option(help="Weights instead of random ones.")] = None,
    bfloat16: bool = False,
) -> None:
    """Train a model by a recipe, or go on with a training that was interrupted."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    torch.set_num_threads(threads)
    card = train(
        recipe,
        out,
        cache=cache,
        device=torch.device(device),
        model_version=model_version,
        begin_with=begin_with,
        num_workers=threads,
        bfloat16=bfloat16,
    )
    for name, value in card.metrics.items():
        logger.info("%s: %s", name, value)


if __name__ == "__main__":
    typer.run(main)
