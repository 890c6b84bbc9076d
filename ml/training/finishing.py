"""The end of a training: thresholds chosen on validation, figures, weights and card."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import nn

from ml.checkpoint import ModelCard, save
from ml.training.datasets import UNNAMED, Case, Splits, digest_of_source
from ml.training.evaluate import Outcome, assess, choose_thresholds, measure
from ml.training.recipes import Recipe
from ml.training.state import flat

logger = logging.getLogger(__name__)


def finish(
    recipe: Recipe,
    model: nn.Module,
    splits: Splits,
    out: Path,
    *,
    device: torch.device,
    model_version: str,
    data: str | None = None,
) -> ModelCard:
    """Choose thresholds on validation, measure validation and test, write weights and card.

    Parameters
    ----------
    recipe, splits
        By which, and on whom, the model was trained.
    model
        In evaluation mode, on `device`.
    out
        Folder for ``NAME.safetensors`` and its card.
    model_version
        Version that the card will bear.
    data
        What the card says of the patients; None if they are the phantoms of the recipe.
    """
    validated = _assess_all(model, splits.validation, device)
    thresholds = choose_thresholds(validated)
    tested = _assess_all(model, splits.test, device)
    card = ModelCard(
        name=recipe.name,
        version=model_version,
        network=recipe.network,
        network_config=recipe.network_config,
        input=recipe.input,
        thresholds=thresholds,
        data=_story_of_phantoms(recipe) if data is None else data,
        recipe=flat(asdict(recipe)),
        metrics={
            **measure(validated, thresholds, prefix="validation"),
            **measure(tested, thresholds, prefix="test"),
        },
        code_version=_code_version(),
        data_digest=recipe.data_digest or digest_of_source(recipe.phantoms, recipe.input),
    )
    return save(weights_path(recipe, out), model, card)


def weights_path(recipe: Recipe, out: Path) -> Path:
    """Return where the weights of a recipe are written; the card lies beside them."""
    return out / f"{recipe.name}.safetensors"


def _assess_all(model: nn.Module, cases: Sequence[Case], device: torch.device) -> list[Outcome]:
    """Assess those patients in whom each subtype is known."""
    known = [case for case in cases if not (case.labels == UNNAMED).any()]
    if len(known) < len(cases):
        logger.info(
            "%d of %d patients have blood without a subtype, and are not measured",
            len(cases) - len(known),
            len(cases),
        )
    return [assess(model, case, device) for case in known]


def _story_of_phantoms(recipe: Recipe) -> str:
    phantoms = recipe.phantoms
    return (
        f"Synthetic head CT only, no patient: {phantoms.num_train} heads for training, "
        f"{phantoms.num_validation} for validation (thresholds, choice of weights), "
        f"{phantoms.num_test} for test; {phantoms.healthy:.0%} of them without a bleed. "
        "All metrics are from synthetic heads and say nothing about patients."
    )


def _code_version() -> str:
    try:
        return version("midline")
    except PackageNotFoundError:
        return "unreleased"
