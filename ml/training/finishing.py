"""The end of a training: temperature and thresholds from validation, figures, weights, card."""

import copy
import logging
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch import nn

from ml.checkpoint import ModelCard, Thresholds, save
from ml.evaluation.calibration import fit_temperature, join
from ml.evaluation.cases import CaseResult
from ml.evaluation.cases import assess as measure_case
from ml.evaluation.thresholds import choose_thresholds
from ml.evaluation.voxels import sample_aligned
from ml.familiarity import LEAST_VOLUMES, FamiliarityModel, describe, fit
from ml.inference import Precision, Prediction, Segmenter
from ml.training.datasets import UNNAMED, Case, Splits, digest_of_source
from ml.training.evaluate import Outcome, assess, measure
from ml.training.recipes import Recipe
from ml.training.state import flat
from ml.volume import Subtype

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
    """Calibrate on validation, measure validation and test, write weights and card.

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
    validation, test = _known(splits.validation), _known(splits.test)
    temperature = _temperature(recipe, model, validation, device)
    validated = [assess(model, each, device, temperature=temperature) for each in validation]
    thresholds = choose_thresholds(
        [_result(outcome, case) for outcome, case in zip(validated, validation, strict=True)]
    )
    tested = [assess(model, each, device, temperature=temperature) for each in test]
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
        temperature=temperature,
        familiarity=_familiarity((*splits.train, *splits.validation)),
        data_digest=recipe.data_digest or digest_of_source(recipe.phantoms, recipe.input),
    )
    return save(weights_path(recipe, out), model, card)


def draft_segmenter(model: nn.Module, recipe: Recipe, device: torch.device) -> Segmenter:
    """Put a network whose card is not written yet into the node's `Segmenter`, in float32.

    Its thresholds leave nothing out and its temperature is 1; it freezes the network.
    """
    card = ModelCard(
        name=recipe.name,
        version="draft",
        network=recipe.network,
        network_config=recipe.network_config,
        input=recipe.input,
        thresholds=Thresholds(0.0, 1.0, {subtype.name: 0.0 for subtype in Subtype}),
        data="",
        recipe={},
        metrics={},
        code_version="",
    )
    return Segmenter(model, card, device=str(device), precision=Precision.FP32)


def weights_path(recipe: Recipe, out: Path) -> Path:
    """Return where the weights of a recipe are written; the card lies beside them."""
    return out / f"{recipe.name}.safetensors"


def _known(cases: Sequence[Case]) -> list[Case]:
    """Leave out patients in whom not each subtype is known."""
    known = [case for case in cases if not (case.labels == UNNAMED).any()]
    if len(known) < len(cases):
        logger.info(
            "%d of %d patients have blood without a subtype, and are not measured",
            len(cases) - len(known),
            len(cases),
        )
    return known


def _temperature(
    recipe: Recipe, model: nn.Module, validation: Sequence[Case], device: torch.device
) -> float:
    """Fit the temperature on validation voxels; 1 without validation patients."""
    if not validation:
        return 1.0
    # a copy, since a segmenter freezes its network
    segmenter = draft_segmenter(copy.deepcopy(model), recipe, device)
    samples = [
        sample_aligned(segmenter, case.aligned, case.labels, seed=case.seed) for case in validation
    ]
    return fit_temperature(join(samples))


def _result(outcome: Outcome, case: Case) -> CaseResult:
    """Say in numbers what thresholds are chosen by, on the aligned grid."""
    prediction = Prediction(outcome.said, {}, outcome.score, case.alignment)
    name = str(case.seed)
    return measure_case(
        prediction, outcome.truth, study_id=name, patient_id=name, minimum_ml={}, seconds=0.0
    )


def _familiarity(cases: Sequence[Case]) -> FamiliarityModel | None:
    """Learn how the heads look; nothing from too few of them."""
    if len(cases) < LEAST_VOLUMES:
        return None
    return fit([describe(case.aligned) for case in cases])


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
